//! Bytes as a chunked body: the same however they are cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proofload_engine::fuzzing::chunked(data));
