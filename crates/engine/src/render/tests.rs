//! Texts are filled in as the plan says, from the user's own choices, and fit where they are put.

use fastrand::Rng;
use proofload_api::units::Micros;
use proofload_plan::{Connections, Keep, PLAN_VERSION, Protocol, Target};
use proptest::prelude::*;

use super::*;

/// A plan with one variable and nothing else.
pub(crate) fn a_plan() -> Plan {
    Plan {
        version: PLAN_VERSION,
        run: "team/run-1".to_owned(),
        seed: 1,
        target: Target {
            host: "127.0.0.1".to_owned(),
            port: 80,
            authority: "a".to_owned(),
            timeout: Micros::from_secs(1),
            connections: Connections::PerUser(1),
            keep: Keep { max_requests: None, max_age: None },
            cookies: true,
            protocol: Protocol::Http1,
            tls: None,
        },
        data: Vec::new(),
        files: Vec::new(),
        env: Vec::new(),
        variables: vec!["token".to_owned()],
        scenarios: Vec::new(),
        server: None,
        heartbeat_timeout: Micros::from_secs(60),
        timeline_width: Micros::from_secs(1),
    }
}

/// What user 7 knows in its third iteration.
pub(crate) fn known<'a>(
    materials: &'a Materials,
    rows: &'a [Option<usize>],
    variables: &'a Variables,
    choices: &'a mut Rng,
) -> Known<'a> {
    Known { materials, rows, variables, choices, user: 7, iteration: 3, is_lenient: false }
}

fn render(template: Vec<Part>, seed: u64, variables: &Variables) -> Result<String, Unset> {
    let materials = Materials { env: vec!["p\u{e4}ss".to_owned()], ..Materials::default() };
    let text = Text::new(&Template(template), &a_plan(), &materials).unwrap();
    let (mut out, mut choices) = (Vec::new(), Rng::with_seed(seed));
    text.render(&mut known(&materials, &[], variables, &mut choices), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn none() -> Variables {
    Variables::new(1, Arc::new([]))
}

fn part(value: Value, escape: Escape) -> Part {
    Part::Value(value, escape)
}

#[test]
fn every_kind_of_value_is_filled_in() {
    let text = |text: &str| Part::Text(text.to_owned());
    let parts = vec![
        text("<"),
        part(Value::UserId, Escape::None),
        text("/"),
        part(Value::Iteration, Escape::Percent),
        text("/"),
        part(Value::RunId, Escape::Percent),
        text("/"),
        part(Value::Env(0), Escape::Percent),
        text("/"),
        Part::Base64(Template(vec![text("u:"), part(Value::Env(0), Escape::None)])),
        text("/"),
        Part::Base64(Template(vec![text("u:"), part(Value::UserId, Escape::None)])),
        text(">"),
    ];
    assert_eq!(render(parts, 1, &none()).unwrap(), "<7/3/team%2Frun-1/p%C3%A4ss/dTpww6Rzcw==/dTo3>");
}

#[test]
fn a_uuid_is_one_of_version_4_and_from_the_seed() {
    let uuid = |seed| render(vec![part(Value::Uuid, Escape::Percent)], seed, &none()).unwrap();
    for seed in 0..200 {
        let uuid = uuid(seed);
        let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12], "{uuid}");
        assert_eq!((&uuid[14..15], uuid[19..20].contains(['8', '9', 'a', 'b'])), ("4", true), "{uuid}");
    }
    assert_eq!((uuid(1), uuid(1) == uuid(2)), (uuid(1), false));
}

#[test]
fn numbers_and_choices_are_drawn_from_all_that_there_are() {
    let parts = vec![
        part(Value::RandomInt(-1, 1), Escape::JsonValue),
        Part::Text(" ".to_owned()),
        part(Value::RandomChoice(vec!["a".to_owned(), "b".to_owned()]), Escape::JsonValue),
    ];
    let mut drawn: Vec<String> = (0..200).map(|seed| render(parts.clone(), seed, &none()).unwrap()).collect();
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn, [r#"-1 "a""#, r#"-1 "b""#, r#"0 "a""#, r#"0 "b""#, r#"1 "a""#, r#"1 "b""#]);
}

#[test]
fn a_variable_is_setups_until_the_user_has_its_own_or_lost_it() {
    let parts = || vec![part(Value::Variable(0), Escape::None)];
    assert_eq!(render(parts(), 1, &none()), Err(Unset));
    let mut variables = Variables::new(1, Arc::new([(0, "setup".to_owned())]));
    assert_eq!((render(parts(), 1, &variables).unwrap(), variables.own()), ("setup".to_owned(), vec![]));
    variables.set(0, Some("own".to_owned()));
    assert_eq!(render(parts(), 1, &variables).unwrap(), "own");
    assert_eq!(variables.own(), [(0, "own".to_owned())]);
    variables.set(0, None);
    assert_eq!((render(parts(), 1, &variables), variables.own()), (Err(Unset), vec![]));
}

#[test]
fn what_cannot_be_filled_in_is_refused() {
    let refused = |value| {
        let template = Template(vec![part(value, Escape::None)]);
        Text::new(&template, &a_plan(), &Materials::default()).is_err()
    };
    assert!(refused(Value::Variable(1)) && refused(Value::Env(0)) && refused(Value::Data(0, 0)));
    assert!(refused(Value::RandomInt(2, 1)) && refused(Value::RandomChoice(vec![])));
}

proptest! {
    #[test]
    fn escaped_values_mean_what_they_were(value in any::<String>()) {
        let mut variables = none();
        variables.set(0, Some(value.clone()));
        let of = |escape| render(vec![part(Value::Variable(0), escape)], 1, &variables).unwrap();
        let quoted = format!("\"{}\"", of(Escape::Json));
        prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), value.clone());
        let json: serde_json::Value = serde_json::from_str(&of(Escape::JsonValue)).unwrap();
        let own = serde_json::from_str::<serde_json::Value>(&value).unwrap_or_else(|_| value.clone().into());
        prop_assert_eq!(json, own);
        let percent = of(Escape::Percent);
        prop_assert!(percent.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
        let decoded: Vec<u8> = url::form_urlencoded::parse(percent.as_bytes()).flat_map(|(key, _)| key.into_owned().into_bytes()).collect();
        prop_assert_eq!(decoded, value.clone().into_bytes());
        prop_assert!(!of(Escape::Header).bytes().any(|byte| byte.is_ascii_control()));
        prop_assert_eq!(of(Escape::None), value);
    }
}
