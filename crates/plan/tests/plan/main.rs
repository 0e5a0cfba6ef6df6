//! What a specification compiles to, and what is said of one that is wrong.
#![allow(clippy::unwrap_used)] // in helpers of tests too

mod flow;
mod load;
mod problems;
mod steps;
mod target;
mod web_socket;
mod wild;

use proofload_api::LoadTestSpec;
use proofload_plan::{Compiled, compile};

/// A specification with a target, as YAML: all but the target is given.
pub fn spec(rest: &str) -> LoadTestSpec {
    let text = format!("target: {{baseUrl: 'http://shop:8080/v1', cookies: false}}\n{rest}");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Compiles what must be right.
pub fn right(rest: &str) -> Compiled {
    compile(&spec(rest), "shop/test").unwrap_or_else(|problems| {
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}\n{rest}", said.join("\n"))
    })
}

/// What is said of something that is wrong.
pub fn wrong(rest: &str) -> Vec<String> {
    let problems = compile(&spec(rest), "shop/test").expect_err(rest);
    problems.iter().map(ToString::to_string).collect()
}
