//! Text with templates in every place that takes them.
#![no_main]

use proofload_api::LoadTestSpec;
use serde_json::json;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let request = |name: &str, request| json!({"name": name, "request": request});
    let spec = json!({
        "target": {"baseUrl": "http://shop"},
        "data": {"d": {"file": "d.csv"}},
        "env": [{"name": "E", "value": "e"}],
        "scenarios": [{
            "name": "s",
            "users": {"stages": [{"to": 1, "hold": "1s"}]},
            "groups": [{"name": "g", "while": text}],
            "steps": [
                {"name": "a", "group": "g", "request": {"path": "/a"}, "extract": {"x": {"header": "x"}}},
                request("b", json!({"path": text})),
                request("c", json!({"path": "/c", "headers": {"x": text}, "body": text})),
                request("d", json!({"path": "/d", "json": {"a": text, text: ["b", text]}})),
                request("e", json!({"path": "/e", "form": {"a": text, text: "b"}})),
            ],
        }],
    });
    let spec: LoadTestSpec = serde_json::from_value(spec).expect("a text fits where a text is");
    let _ = proofload_plan::compile(&spec, "a/b");
});
