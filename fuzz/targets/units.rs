//! Text as a time, a rate, a share and a size: what was read, written and read again is no other. Some are too large to be
//! written in the digits that a unit may have: those are refused.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use proofload_api::{ByteSize, Micros, Rate, Share};

libfuzzer_sys::fuzz_target!(|text: &str| {
    survives::<Micros>(text);
    survives::<Rate>(text);
    survives::<Share>(text);
    survives::<ByteSize>(text);
});

fn survives<T: FromStr<Err: Debug + PartialEq> + Display + Debug + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert!(value.to_string().parse::<T>().map_or(true, |again| again == value));
    }
}
