//! Bytes as a response over HTTP/1.1: the same however they are cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proofload_engine::fuzzing::response(data));
