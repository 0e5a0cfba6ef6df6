//! Text as a criterion, and what is said of one that is none.
#![no_main]

use proofload_api::Expr;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(error) = text.parse::<Expr>() {
        assert!(!error.to_string().is_empty());
    }
});
