//! A line as a JSON path, and the rest as a body to look at.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proofload_engine::fuzzing::json_path(data));
