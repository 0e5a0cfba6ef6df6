//! Bytes as a data set, in CSV and as lines of JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proofload_engine::fuzzing::data(data));
