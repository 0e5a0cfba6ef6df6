//! Load models: curves from stages, fixed amounts of work, searches.

use std::fmt::Display;

use proofload_api::Expr;
use proofload_api::load::{Arrivals, Iterations, Search as ApiSearch, SearchRate, SearchUsers};
use proofload_api::scenario::Scenario as ApiScenario;
use proofload_api::units::{Micros, Rate, Share};

use super::{MAX_DURATION, Problems};
use crate::arrivals::{RateCurve, RateSpan};
use crate::curve::{Span, UserCurve};
use crate::model::{Level, Load, Search};

/// The most steps of a search: each has cells of its own on every runner.
const MAX_SEARCH_STEPS: u32 = 64;
/// The most users of a scenario, as the schema has it.
const MAX_USERS: u32 = 1_000_000;
/// Of an open model without `maxUsers`: users for so many seconds of its highest rate, and no fewer than this.
const DEFAULT_USERS: (u64, u32) = (2, 10);

/// The load model of a scenario; something harmless in place of one that is wrong.
pub(super) fn load(scenario: &ApiScenario, path: &str, problems: &mut Problems) -> Load {
    let nothing = || Load::Users(UserCurve::new(Vec::new()));
    match (&scenario.users, &scenario.arrivals, &scenario.iterations, &scenario.search) {
        (Some(users), None, None, None) => {
            let stages = users.stages.iter().map(|stage| Shape {
                name: stage.name.as_deref(),
                to: stage.to,
                over: stage.over,
                hold: stage.hold,
            });
            let spans = spans(&stages.collect::<Vec<_>>(), &format!("{path}.users"), problems);
            let has_load = spans.iter().any(|span| span.to > 0);
            if !has_load && spans.len() == users.stages.len() {
                let hint = "begin with {to: 10, over: 10s}";
                problems.add_hint(&format!("{path}.users.stages"), "at least one user", "0 users", hint);
            }
            let span =
                |line: Line<u32>| Span { name: line.name, from: line.from, to: line.to, duration: line.duration };
            Load::Users(UserCurve::new(spans.into_iter().map(span).collect()))
        }
        (None, Some(load), None, None) => arrivals(load, &format!("{path}.arrivals"), problems),
        (None, None, Some(load), None) => iterations(load, &format!("{path}.iterations"), problems),
        (None, None, None, Some(search)) => {
            searched(search, &format!("{path}.search"), problems).map_or_else(nothing, Load::Search)
        }
        (users, arrivals, iterations, search) => {
            let given = [
                ("users", users.is_some()),
                ("arrivals", arrivals.is_some()),
                ("iterations", iterations.is_some()),
                ("search", search.is_some()),
            ];
            let given: Vec<&str> = given.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
            let came = if given.is_empty() { "none".to_owned() } else { given.join(" and ") };
            problems.add(path, "exactly one load model: users, arrivals, iterations or search", came);
            nothing()
        }
    }
}

fn iterations(load: &Iterations, path: &str, problems: &mut Problems) -> Load {
    for (field, value) in [("users", load.users), ("perUser", load.per_user)] {
        if value == 0 {
            problems.add(format!("{path}.{field}"), "at least 1", "0");
        }
    }
    if load.max_duration == Micros::ZERO {
        problems.add(format!("{path}.maxDuration"), "a time longer than 0s", "0s");
    }
    Load::Iterations { users: load.users, per_user: load.per_user, max_duration: load.max_duration }
}

fn arrivals(load: &Arrivals, path: &str, problems: &mut Problems) -> Load {
    let stages = load.stages.iter().map(|stage| Shape {
        name: stage.name.as_deref(),
        to: stage.to,
        over: stage.over,
        hold: stage.hold,
    });
    let lines = spans(&stages.collect::<Vec<_>>(), path, problems);
    let all_right = lines.len() == load.stages.len();
    let span = |line: Line<Rate>| RateSpan { name: line.name, from: line.from, to: line.to, duration: line.duration };
    let curve = RateCurve::new(lines.into_iter().map(span).collect());
    if all_right && curve.total() == 0 {
        let hint = "begin with {to: 10/s, over: 10s}";
        problems.add_hint(&format!("{path}.stages"), "at least one arrival", "none", hint);
    }
    let max_users = max_users(load.max_users, curve.peak(), path, problems);
    Load::Arrivals { curve, max_users }
}

fn max_users(given: Option<u32>, peak: Rate, path: &str, problems: &mut Problems) -> u32 {
    if given == Some(0) {
        problems.add(format!("{path}.maxUsers"), "at least 1", "0");
    }
    let (seconds, least) = DEFAULT_USERS;
    let default = u32::try_from((peak.per_hour * seconds).div_ceil(3600)).unwrap_or(MAX_USERS);
    given.unwrap_or_else(|| default.clamp(least, MAX_USERS))
}

/// A stage as it is written, of users or of a rate.
struct Shape<'a, T> {
    name: Option<&'a str>,
    to: Option<T>,
    over: Option<Micros>,
    hold: Option<Micros>,
}

/// A stage as it is.
struct Line<T> {
    name: String,
    from: T,
    to: T,
    duration: Micros,
}

fn spans<T: Copy + Default + Display>(stages: &[Shape<'_, T>], path: &str, problems: &mut Problems) -> Vec<Line<T>> {
    if stages.is_empty() {
        problems.add(format!("{path}.stages"), "at least one stage", "none");
    }
    let mut spans: Vec<Line<T>> = Vec::with_capacity(stages.len());
    for (i, stage) in stages.iter().enumerate() {
        let name = stage.name.filter(|name| stages[..i].iter().any(|earlier| earlier.name == Some(*name)));
        if let Some(name) = name {
            let came = format!("{name:?} twice");
            problems.add(format!("{path}.stages[{i}].name"), "stage names that differ from each other", came);
        }
        let now = spans.last().map_or(T::default(), |span| span.to);
        spans.extend(span(stage, now, i, &format!("{path}.stages[{i}]"), problems));
    }
    spans
}

fn span<T: Copy + Default + Display>(
    stage: &Shape<'_, T>,
    now: T,
    index: usize,
    path: &str,
    problems: &mut Problems,
) -> Option<Line<T>> {
    let mut time = |field: &str, time: Micros| {
        let is_right = time > Micros::ZERO && time <= MAX_DURATION;
        if !is_right {
            let expected = format!("a time longer than 0s, at most {MAX_DURATION}");
            problems.add(format!("{path}.{field}"), expected, time.to_string());
        }
        is_right.then_some(time)
    };
    let number = index + 1;
    let (from, to, duration, name) = match (stage.to, stage.over, stage.hold) {
        (Some(to), Some(over), None) => (now, to, time("over", over)?, format!("{number}: ramp {now} to {to}")),
        (None, None, Some(hold)) => (now, now, time("hold", hold)?, format!("{number}: hold {now}")),
        (Some(to), None, Some(hold)) => (to, to, time("hold", hold)?, format!("{number}: hold {to}")),
        (to, over, hold) => {
            let given = [("to", to.is_some()), ("over", over.is_some()), ("hold", hold.is_some())];
            let given: Vec<&str> = given.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
            let came = match given.as_slice() {
                [] => "nothing".to_owned(),
                [one] => format!("only {one}"),
                some => some.join(" and "),
            };
            let expected = "{to, over} for a ramp, {hold} to stay, or {to, hold} to jump and stay";
            problems.add(path, expected, came);
            return None;
        }
    };
    Some(Line { name: stage.name.map_or(name, str::to_owned), from, to, duration })
}

fn searched(search: &ApiSearch, path: &str, problems: &mut Problems) -> Option<Search> {
    let settle = search.settle.unwrap_or(Micros(search.stage.0 / 5));
    if search.stage == Micros::ZERO || search.stage > MAX_DURATION {
        let expected = format!("a time longer than 0s, at most {MAX_DURATION}");
        problems.add(format!("{path}.stage"), expected, search.stage.to_string());
    } else if settle >= search.stage {
        let expected = format!("a time shorter than the stage's {}, so that something is left to judge", search.stage);
        problems.add(format!("{path}.settle"), expected, settle.to_string());
    }
    if let Err(error) = search.until.parse::<Expr>() {
        let expected = format!("{} at column {}", error.expected, error.column);
        problems.add(format!("{path}.until"), expected, format!("{} in {:?}", error.found, search.until));
    }
    let (from, limit, factor, max_users) = match (&search.users, &search.rate) {
        (Some(SearchUsers { from, factor, limit }), None) => {
            (Level::Users(*from), Level::Users(*limit), *factor, *limit)
        }
        (None, Some(SearchRate { from, factor, limit, max_users: given })) => {
            let most = max_users(*given, *limit, &format!("{path}.rate"), problems);
            (Level::Rate(*from), Level::Rate(*limit), *factor, most)
        }
        (users, _) => {
            let came = if users.is_some() { "both" } else { "neither" };
            problems.add(path, "exactly one of users and rate", came);
            return None;
        }
    };
    let kind = if search.users.is_some() { "users" } else { "rate" };
    if from.is_zero() {
        problems.add(format!("{path}.{kind}.from"), "more than 0", from.to_string());
    } else if limit < from {
        problems.add(format!("{path}.{kind}.limit"), format!("at least from, which is {from}"), limit.to_string());
    }
    if factor < 2 {
        problems.add(format!("{path}.{kind}.factor"), "at least 2", factor.to_string());
        return None;
    }
    let most_steps = most_steps(units(from).max(1), units(limit), u64::from(factor), search.precision);
    if most_steps > MAX_SEARCH_STEPS {
        let expected = format!("a search of at most {MAX_SEARCH_STEPS} steps");
        let hint = "begin closer to the limit, rise by a larger factor, or ask for less precision";
        problems.add_hint(path, &expected, format!("one that can take {most_steps}"), hint);
    }
    let window = search.stage.saturating_sub(settle);
    let (until, precision) = (search.until.clone(), search.precision);
    Some(Search { from, limit, factor, max_users, settle, window, until, precision, most_steps })
}

/// A level in the smallest steps that there are: single users, single arrivals an hour.
fn units(level: Level) -> u64 {
    match level {
        Level::Users(users) => u64::from(users),
        Level::Rate(rate) => rate.per_hour,
    }
}

/// No search takes more steps than this: it breaks at one of the levels on its way up, and halves what is between that
/// one and the one before.
fn most_steps(from: u64, limit: u64, factor: u64, precision: Share) -> u32 {
    let (mut rises, mut held, mut level, mut most) = (0, 0, from, 0);
    loop {
        rises += 1;
        most = most.max(rises + halvings(held, level, precision));
        if level >= limit {
            return most;
        }
        held = level;
        level = level.saturating_mul(factor).min(limit);
    }
}

/// The most levels tried between one that holds (0 where none does) and one that does not. What holds can only become
/// more, and with it what is near enough.
fn halvings(held: u64, broken: u64, precision: Share) -> u32 {
    let near = (u128::from(held) * u128::from(precision.millionths) / 1_000_000).max(1);
    let mut distance = u128::from(broken - held);
    let mut steps = 0;
    while distance > near {
        distance = distance.div_ceil(2);
        steps += 1;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_steps_of_a_search_are_counted() {
        let five = Share::from_percent(5);
        // 5, 10, ..., 640: eight; from 320 to 640 five halves lead to 10, which is within 5 % of 320.
        assert_eq!(most_steps(5, 1000, 2, five), 8 + 5);
        assert_eq!(most_steps(10, 10, 2, five), 1 + 4);
        assert_eq!(most_steps(1, 1, 2, five), 1);
    }

    proptest! {
        #[test]
        fn no_search_takes_more_steps_than_it_may(
            from in 1_u64..1000, above in 0_u64..5000, factor in 2_u64..11, percent in 0_u32..30, capacity in 0_u64..6000
        ) {
            let (limit, precision) = (from + above, Share::from_percent(percent));
            let (mut level, mut held, mut broken, mut steps) = (from, 0, None, 0_u32);
            loop {
                steps += 1;
                if level <= capacity { held = level } else { broken = Some(level) }
                let next = match broken {
                    None if level >= limit => break,
                    None => (level * factor).min(limit),
                    Some(broken) if (broken - held) as f64 <= (precision.as_f64() * held as f64).max(1.0) => break,
                    Some(broken) => held.midpoint(broken),
                };
                level = next;
            }
            prop_assert!(steps <= most_steps(from, limit, factor, precision), "{} steps", steps);
        }
    }
}
