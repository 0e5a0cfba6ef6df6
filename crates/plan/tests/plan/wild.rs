//! Whatever is written, compiling it says what is wrong and never panics.

use proofload_plan::{Compiled, Segment, compile};
use proptest::prelude::*;

use crate::spec;

/// Texts out of the pieces that mean something, in an order that does not.
fn texts() -> impl Strategy<Value = String> {
    let pieces = proptest::sample::select(vec![
        "{{", "}}", "|", "json", "uuid", "d.", "id", "x", "random.", "int(", "choice(", "1", ",", ")", "'", "\"", " ",
        "/", "env.", "T", "é", "$.a[", "]", "(", "==", "<", "#", "\n", "\u{0}", "a",
    ]);
    proptest::collection::vec(pieces, 0..10).prop_map(|pieces| pieces.concat())
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), 2_u64..100, Just(1_000_000), Just(u64::from(u32::MAX))]
}

fn times() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["0s", "1us", "999ms", "5s", "30d", "9999999d9999999d"]).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn compiling_never_panics(
        texts in proptest::collection::vec(texts(), 12), numbers in proptest::collection::vec(numbers(), 8),
        times in proptest::collection::vec(times(), 8), kind in 0..8
    ) {
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let [a, b, c, d, e, f, g, h, i, j, k, l] = std::array::from_fn(|at| json(&texts[at]));
        let load = match kind {
            0 => format!("users: {{stages: [{{to: {}, over: {}}}, {{hold: {}}}]}}", numbers[0], times[0], times[1]),
            1 => format!("arrivals: {{stages: [{{to: 9/s, over: {}}}, {{to: 10000000/s, hold: {}}}]}}", times[0], times[1]),
            2 => format!("iterations: {{users: {}, perUser: {}, maxDuration: {}}}", numbers[0], numbers[1], times[0]),
            3 => format!("search: {{users: {{from: {}, limit: {}, factor: {}}}, stage: {}, settle: {}, until: {a}}}",
                         numbers[0], numbers[1], numbers[2], times[0], times[1]),
            4 => format!("search: {{rate: {{from: 1/h, limit: 9999999/s, maxUsers: {}}}, stage: {}, until: 'rate(errors) < 1%', precision: 0%}}",
                         numbers[1], times[0]),
            5 => format!("search: {{stage: {}, until: {a}}}", times[0]),
            _ => format!("users: {{stages: [{{to: 2, hold: 5s}}]}}, pacing: {}, at: {}", times[2], times[3]),
        };
        let text = format!(
            "data: {{d: {{file: {b}}}, {c}: {{file: a.csv, pick: Unique}}}}\nenv: [{{name: T, value: x}}]\n\
             setup: [{{name: {d}, request: {{path: {e}}}, extract: {{x: {{json: {f}}}, {g}: {{regex: {{pattern: {h}}}}}}}}}]\n\
             scenarios:\n- {{name: m, {load}, gracefulStop: {}, thinkTime: {{mean: {}}}, groups: [{{name: {i}, while: {j}, repeat: {}}}],\n  \
             steps: [{{name: x, group: {i}, request: {{path: {k}, headers: {{A: {l}}}, json: {{a: {a}, {b}: [{c}]}}}}, expect: {{body: {{matches: {d}}}, jsonExists: [{e}]}}}},\n  \
             {{name: y, weight: {}, request: {{path: {f}, auth: {{basic: {{username: {g}, password: {h}}}}}, form: {{{k}: {l}}}}}}}]}}\n\
             - {{name: w, iterations: {{users: 1, perUser: 1}}, steps: [{{name: o, webSocket: {{connect: {{path: {a}, headers: {{{b}: {c}}}, protocols: [{d}]}}}}}},\n  \
             {{name: m, webSocket: {{send: {e}, until: {f}, receive: Nothing}}, expect: {{status: [101]}}}}, {{name: h, webSocket: {{hold: {}}}}},\n  \
             {{name: c, webSocket: {{close: {{code: {}}}}}, extract: {{x: {{json: {g}}}}}}}]}}\n\
             criteria: [{{expr: {a}, of: {b}, during: {c}}}]\n", times[4], times[5], numbers[3], numbers[4], times[6],
            numbers[5] % 65536
        );
        let read: Result<proofload_api::LoadTestSpec, _> =
            serde_saphyr::from_str(&format!("target: {{baseUrl: 'https://shop', tls: {{ca: {i}, serverName: {j}, key: {k}}}}}\n{text}"));
        if let Ok(spec) = read {
            let _ = compile(&spec, "a/b");
        }
    }

    #[test]
    fn a_path_of_any_text_never_panics(text in texts()) {
        let mut spec = spec("scenarios: [{name: a, users: {stages: [{to: 1, hold: 1s}]}, steps: [{name: x, request: {path: /}}]}]");
        spec.scenarios[0].steps[0].request.get_or_insert_default().path = text;
        let _ = compile(&spec, "a/b");
    }

    #[test]
    fn what_compiles_can_be_dealt_out(
        loads in proptest::collection::vec((0..5, 1_u64..5000, 1_u64..100_000, 0_u64..400), 1..6), steps in 1..5
    ) {
        let load = |(kind, users, millis, other): (i32, u64, u64, u64)| match kind {
            0 => format!("users: {{stages: [{{to: {users}, over: {millis}ms}}, {{to: {other}, hold: 1h}}]}}"),
            1 => format!("arrivals: {{stages: [{{to: {users}/s, over: {millis}ms}}, {{to: {other}/m, hold: 9s}}]}}"),
            2 => format!("iterations: {{users: {users}, perUser: {millis}}}, pacing: {millis}ms"),
            3 => format!("search: {{users: {{from: {users}, limit: {}}}, stage: {millis}ms, until: rate(errors) < 1%}}", users + other),
            _ => format!("search: {{rate: {{from: {users}/m, limit: {}/s}}, stage: {millis}ms, until: rate(errors) < 1%}}", users + other),
        };
        let steps: Vec<String> = (0..steps).map(|i| format!("{{name: s{i}, request: {{path: /}}}}")).collect();
        let scenario = |(i, given): (usize, &(i32, u64, u64, u64))| {
            let after = if i > 1 { format!("after: s{}, ", i - 2) } else { String::new() };
            format!("- {{name: s{i}, {after}{}, steps: [{}]}}\n", load(*given), steps.join(", "))
        };
        let text: String = loads.iter().enumerate().map(scenario).collect();
        match compile(&spec(&format!("scenarios:\n{text}")), "a/b") {
            Err(problems) => for problem in problems {
                // Nothing else can be wrong with these.
                prop_assert!(problem.path.contains("search") || problem.path == "spec.scenarios", "{}", problem);
            },
            Ok(Compiled { plan, sizing, .. }) => {
                prop_assert!((1..=500).contains(&sizing.runners), "{:?}", sizing);
                prop_assert!(plan.planned() <= plan.longest());
                prop_assert_eq!(plan.layout().addresses().count(), plan.layout().len());
                let users: u32 = Segment::all(sizing.runners).map(|segment| plan.users_of(segment)).sum();
                prop_assert_eq!(users, plan.users_of(Segment::WHOLE));
                prop_assert!(plan.peak_users() <= users);
                for scenario in plan.scenarios.iter().filter(|scenario| scenario.load.is_open()) {
                    prop_assert!(sizing.runners <= scenario.load.users(), "a runner without users drops every arrival");
                }
            }
        }
    }
}
