//! Text as a file with a load test, the way of `proofload run`: read, admitted, compiled. And compiled without having
//! been admitted, since the schema must not be all that keeps the compiler from harm.
#![no_main]

use proofload_api::LoadTestSpec;
use serde_json::Value;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(documents) = serde_saphyr::from_multiple::<Value>(text) else { return };
    for document in documents {
        if let Ok(test) = proofload_api::admission::admit(&document) {
            let _ = proofload_plan::compile(&test.spec, "a/b");
        }
        if let Ok(spec) = serde_json::from_value::<LoadTestSpec>(document["spec"].clone()) {
            let _ = proofload_plan::compile(&spec, "a/b");
        }
    }
});
