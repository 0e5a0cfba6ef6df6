//! Each check holds of the answers it should, says why it does not, and no body makes one panic.

use proofload_api::step::{Method, Redirects};
use proofload_plan::{Action, Body, Check, Extract, Request, Template};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::buffers::Buffers;
use crate::http1::{MAX_BODY, Response};
use crate::render::tests::a_plan;

fn step(checks: Vec<CheckKind>, extract: Vec<ExtractFrom>) -> Step {
    let name = |(i, kind)| Check { name: format!("check-{i}"), kind };
    Step {
        name: "step".to_owned(),
        group: None,
        action: Action::Request(Request {
            method: Method::Get,
            path: Template::text("/"),
            headers: Vec::new(),
            body: Body::None,
            redirects: Redirects::Never,
        }),
        expect: Vec::new(),
        checks: checks.into_iter().enumerate().map(name).collect(),
        extract: extract.into_iter().map(|from| Extract { variable: 0, from }).collect(),
    }
}

/// What a step makes of an answer: which checks held, the first that did not, and what was kept.
fn judge(step: &Step, headers: &str, body: &[u8], latency: Micros) -> (Vec<bool>, Option<String>, Option<String>) {
    let checks = Checks::new(step, &a_plan()).unwrap();
    let buffers = Buffers::default();
    let mut kept = Kept::new(checks.wants, &buffers);
    let mut response = Response::new(false);
    response.follow(format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes(), &mut kept).unwrap();
    response.follow(body, &mut kept).unwrap();
    let (mut held, mut variables) = (vec![true; 3], Variables::new(1, Arc::new([])));
    variables.set(0, Some("before".to_owned()));
    let failed = checks.judge(&Answer::new(&kept, latency), &mut variables, &mut held);
    let words = failed.map(|detail| detail.message(proofload_api::Outcome::FailedCheck, "1s"));
    (held, words, variables.get(0).map(str::to_owned))
}

fn holds(kind: CheckKind, headers: &str, body: &str) -> bool {
    let (held, words, _) = judge(&step(vec![kind], vec![]), headers, body.as_bytes(), Micros::from_millis(5));
    assert_eq!(held.len(), 1);
    assert_eq!(held[0], words.is_none());
    held[0]
}

#[test]
fn each_check_holds_of_what_it_should() {
    let header = |value: Option<&str>| CheckKind::Header("x-a".to_owned(), value.map(str::to_owned));
    assert!(holds(CheckKind::Latency(Micros::from_millis(5)), "", ""));
    assert!(!holds(CheckKind::Latency(Micros::from_millis(4)), "", ""));
    assert!(holds(header(None), "X-A: 1\r\n", "") && !holds(header(None), "X-B: 1\r\n", ""));
    assert!(holds(header(Some("2")), "X-A: 1\r\nx-a:  2 \r\n", "") && !holds(header(Some("1")), "X-A: 11\r\n", ""));
    let contains = || CheckKind::Contains("b\u{e4}r".to_owned());
    assert!(holds(contains(), "", "foob\u{e4}rx") && !holds(contains(), "", "bar"));
    let matches = || CheckKind::Matches("^a+$".to_owned());
    assert!(holds(matches(), "", "aaa") && !holds(matches(), "", "aab"));
    let size = || CheckKind::Size { min: 2, max: 3 };
    assert!(
        !holds(size(), "", "1") && holds(size(), "", "12") && holds(size(), "", "123") && !holds(size(), "", "1234")
    );
    let exists = || CheckKind::JsonExists("$.a[1]".to_owned());
    assert!(holds(exists(), "", r#"{"a":[1,null]}"#) && !holds(exists(), "", r#"{"a":[1]}"#));
    let equals = |value| CheckKind::JsonEquals("$..state".to_owned(), value);
    assert!(holds(equals(json!("queued")), "", r#"[{"state":"x"},{"state":"queued"}]"#));
    assert!(!holds(equals(json!("queued")), "", r#"[{"state":"Queued"}]"#));
    assert!(holds(equals(json!({"a": [1.0, 2]})), "", r#"{"state":{"a":[1,2.0]}}"#));
    assert!(!holds(equals(json!(1)), "", r#"{"state":"1"}"#));
}

#[test]
fn the_first_check_that_fails_is_named_without_a_part_of_the_body() {
    let equals = CheckKind::JsonEquals("$.state".to_owned(), json!("queued"));
    let all = step(
        vec![CheckKind::Latency(Micros::from_secs(1)), equals, CheckKind::Contains("done".to_owned())],
        vec![ExtractFrom::Json("$.token".to_owned())],
    );
    let of = |body: &[u8]| judge(&all, "", body, Micros::ZERO);
    let (held, words, token) = of(br#"{"state":"secret","token":["t"]}"#);
    assert_eq!(held, [true, false, false, true]);
    assert_eq!(words.unwrap(), "check \"check-1\" failed: expected \"queued\"");
    assert_eq!(token.as_deref(), Some("[\"t\"]"));
    let (held, words, token) = of(b"secret done");
    assert_eq!((held, token), (vec![true, false, true, false], None));
    assert_eq!(words.unwrap(), "check \"check-1\" failed: expected \"queued\", got a body that is not JSON");
    let (held, words, _) = of(&vec![b' '; MAX_BODY + 1]);
    assert_eq!(held, [true, false, false, false]);
    assert_eq!(words.unwrap(), "check \"check-1\" failed: expected \"queued\", got a body over 1 MiB");
    let (held, words, token) = of(br#"{"state":"queued","token":"done"}"#);
    assert_eq!((held, words, token.as_deref()), (vec![true; 4], None, Some("done")));
}

#[test]
fn each_extract_finds_what_it_should() {
    let of = |from: ExtractFrom, headers: &str, body: &str| {
        let (held, words, value) = judge(&step(vec![], vec![from]), headers, body.as_bytes(), Micros::ZERO);
        assert_eq!((held[0], held[0]), (words.is_none(), value.is_some()));
        value.ok_or_else(|| words.unwrap())
    };
    let json = || ExtractFrom::Json("$.id".to_owned());
    assert_eq!(of(json(), "", r#"{"id":"a\"b"}"#).unwrap(), "a\"b");
    assert_eq!(of(json(), "", r#"{"id":7}"#).unwrap(), "7");
    assert_eq!(of(json(), "", "{}").unwrap_err(), "check \"extract token\" failed: expected a value at $.id");
    let header = || ExtractFrom::Header("Location".to_owned());
    assert_eq!(of(header(), "location:  /x \r\n", "").unwrap(), "/x");
    assert!(of(header(), "", "").is_err());
    let cookie = || ExtractFrom::Cookie("sid".to_owned());
    let set = "Set-Cookie: other=1\r\nSet-Cookie: sid=a; Path=/\r\nset-cookie: sid=b==; HttpOnly\r\n";
    assert_eq!(of(cookie(), set, "").unwrap(), "b==");
    assert!(of(cookie(), "Set-Cookie: sidx=1\r\n", "").is_err());
    let regex = |group| ExtractFrom::Regex("id=([a-z]+)(x?)".to_owned(), group);
    assert_eq!(of(regex(0), "", "..id=abc..").unwrap(), "id=abc");
    assert_eq!(of(regex(1), "", "..id=abc..").unwrap(), "abc");
    assert_eq!(of(regex(2), "", "..id=abc..").unwrap(), "");
    assert!(of(regex(1), "", "id=1").is_err());
}

#[test]
fn a_plan_whose_checks_cannot_be_compiled_is_refused() {
    let refused = |step: &Step| Checks::new(step, &a_plan()).err().expect("it is refused");
    assert!(refused(&step(vec![CheckKind::Matches("(".to_owned())], vec![])).starts_with("check check-0: "));
    assert!(refused(&step(vec![CheckKind::JsonExists("a".to_owned())], vec![])).starts_with("check check-0: "));
    assert!(refused(&step(vec![], vec![ExtractFrom::Regex("a".to_owned(), 1)])).contains("no group 1"));
    let mut unknown = step(vec![], vec![ExtractFrom::Header("a".to_owned())]);
    unknown.extract[0].variable = 9;
    assert!(refused(&unknown).contains("variable 9"));
}

proptest! {
    #[test]
    fn no_body_makes_a_check_panic(body in any::<Vec<u8>>(), json in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,40}") {
        let all = step(
            vec![
                CheckKind::Contains("a".to_owned()),
                CheckKind::Matches("(a|b)*c{2,}".to_owned()),
                CheckKind::JsonEquals("$..[?(@.a > 1 && match(@.b, 'c.*'))]".to_owned(), json!([1])),
                CheckKind::Size { min: 1, max: 9 },
            ],
            vec![ExtractFrom::Json("$[*].a".to_owned()), ExtractFrom::Regex("(.)(?:b)?".to_owned(), 1)],
        );
        for body in [body, json.into_bytes()] {
            let (held, words, _) = judge(&all, "", &body, Micros::ZERO);
            prop_assert_eq!((held.len(), held.iter().all(|held| *held)), (6, words.is_none()));
        }
    }
}

#[test]
fn a_value_that_is_too_long_is_not_kept() {
    for (length, is_kept) in [(MAX_VALUE, true), (MAX_VALUE + 1, false)] {
        let body = format!("{{\"a\":\"{}\"}}", "x".repeat(length));
        let step = step(vec![], vec![ExtractFrom::Json("$.a".to_owned())]);
        let (held, words, kept) =
            judge(&step, &format!("Content-Length: {}\r\n", body.len()), body.as_bytes(), Micros(1));
        assert_eq!((held, kept.map(|kept| kept.len())), (vec![is_kept], is_kept.then_some(length)));
        assert_eq!(
            words.is_some_and(|words| words.ends_with("got one over 64 KiB, which is too long to be kept")),
            !is_kept
        );
    }
}
