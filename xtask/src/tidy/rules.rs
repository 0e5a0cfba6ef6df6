//! The rules for one source file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::Finding;
use super::tokens::{self, Token, body, matches, test_code};

/// Places that read no clock and do no input or output: what they need comes in through a parameter.
const PURE: &[&str] = &[
    "crates/api",
    "crates/plan",
    "crates/results",
    "crates/metrics",
    "crates/conductor",
    "crates/schedule",
    "operator/src/decide.rs",
    "operator/src/schedule/decide.rs",
    "operator/src/schedule/decide",
    "operator/src/build",
];

/// Files that may say `unsafe`; each begins with a proof of why it must.
const UNSAFE: &[&str] = &[];

const LONGEST_FILE: usize = 450;
const LONGEST_FUNCTION: usize = 70;

/// A pattern of tokens that must not occur, and what to do instead.
struct Banned {
    rule: &'static str,
    pattern: &'static str,
    instead: &'static str,
}

const fn banned(rule: &'static str, pattern: &'static str, instead: &'static str) -> Banned {
    Banned { rule, pattern, instead }
}

const IN_PURE_PLACES: &[Banned] = &[
    banned("pure", ": : now", "take the time as a parameter"),
    banned("pure", "SystemTime", "take the time as a parameter"),
    banned("pure", "tokio", "leave it to the caller to wait"),
    banned("pure", "thread_rng", "take the generator of random numbers as a parameter"),
    banned("pure", "rand : : rng", "take the generator of random numbers as a parameter"),
    banned("pure", "println !", "return what is to be said"),
    banned("pure", "print !", "return what is to be said"),
    banned("pure", "eprintln !", "return what is to be said"),
    banned("pure", "eprint !", "return what is to be said"),
];

/// Modules of `std` that reach outside of the process. Addresses are in `core::net`.
const IMPURE_STD: &[&str] = &["fs", "net", "env", "process", "io"];

const ANYWHERE: &[Banned] = &[
    banned("unfinished", "todo !", "finish it, or return an error that says what is missing"),
    banned("unfinished", "unimplemented !", "finish it, or return an error that says what is missing"),
    banned("unfinished", "dbg !", "remove it"),
];

const OUTSIDE_OF_TESTS: &[Banned] =
    &[banned("unwrap", ". unwrap ( )", "return an error, or `expect` what makes it impossible")];

const IN_TESTS: &[Banned] = &[
    banned("sleep", "sleep (", "wait for a condition, with a deadline"),
    banned("sleep", "sleep_ms (", "wait for a condition, with a deadline"),
];

/// A file and what its place says about it.
pub(super) struct SourceFile<'a> {
    path: PathBuf,
    source: &'a str,
    /// All of it is compiled for tests, benchmarks or examples only.
    test: bool,
    pure: bool,
}

impl<'a> SourceFile<'a> {
    /// `krate` is the crate's directory in the repository, `within` the file's path inside of that.
    pub(super) fn new(krate: &Path, within: &Path, source: &'a str) -> Self {
        let path = krate.join(within);
        let folder = |names: &[&str]| within.iter().next().is_some_and(|first| names.iter().any(|name| first == *name));
        let test = folder(&["tests", "benches"])
            || krate == Path::new("tests/e2e")
            || within.file_stem().is_some_and(|stem| stem == "tests")
            || within.iter().any(|part| part == "tests");
        let pure = !test && !folder(&["examples"]) && PURE.iter().any(|place| path.starts_with(place));
        Self { path, source, test, pure }
    }

    fn finding(&self, line: usize, rule: &'static str, message: String) -> Finding {
        Finding { path: self.path.clone(), line, rule, message }
    }

    /// `// tidy: allow(RULE) because ...` in the line or the one above it. Not for what invariants rest on.
    fn waived(&self, line: usize, rule: &str) -> bool {
        let waiver = format!("// tidy: allow({rule}) because ");
        let nearby = self.source.lines().skip(line.saturating_sub(2)).take(2.min(line));
        matches!(rule, "sleep" | "unwrap" | "function-length") && nearby.into_iter().any(|text| text.contains(&waiver))
    }
}

pub(super) fn check(file: &SourceFile) -> Result<Vec<Finding>> {
    let tokens = tokens::read(file.source).with_context(|| file.path.display().to_string())?;
    let mut findings = Vec::new();
    shape(file, &tokens, &mut findings);
    let test = if file.test { vec![true; tokens.len()] } else { test_code(&tokens) };
    for index in 0..tokens.len() {
        let mut apply = |rules: &[Banned]| {
            for rule in rules.iter().filter(|rule| matches(&tokens, index, rule.pattern)) {
                let message = format!("`{}`: {}", rule.pattern.replace(' ', ""), rule.instead);
                findings.push(file.finding(tokens[index].line, rule.rule, message));
            }
        };
        apply(ANYWHERE);
        apply(if test[index] { IN_TESTS } else { OUTSIDE_OF_TESTS });
        if file.pure && !test[index] {
            apply(IN_PURE_PLACES);
            findings.extend(impure_std(file, &tokens, index));
        }
    }
    findings.retain(|finding| !file.waived(finding.line, finding.rule));
    Ok(findings)
}

/// What concerns the file as a whole and its functions.
fn shape(file: &SourceFile, tokens: &[Token], findings: &mut Vec<Finding>) {
    if !file.source.starts_with("//!") {
        let message = "begin with `//!`: what the file is for, and what it is not".to_owned();
        findings.push(file.finding(1, "head", message));
    }
    let lines = file.source.lines().count();
    if lines > LONGEST_FILE {
        let message = format!("{lines} lines, {LONGEST_FILE} at most: split it by what changes together");
        findings.push(file.finding(lines, "file-length", message));
    }
    let may_be_unsafe = UNSAFE.iter().any(|path| file.path == Path::new(path));
    for (index, token) in tokens.iter().enumerate() {
        if token.text == "unsafe" && !may_be_unsafe {
            let message = "`unsafe` outside of the table in xtask/src/tidy/rules.rs: find a safe way".to_owned();
            findings.push(file.finding(token.line, "unsafe", message));
        }
        if let Some((name, length)) = function_at(tokens, index)
            && length > LONGEST_FUNCTION
        {
            let message = format!("`{name}` has {length} lines, {LONGEST_FUNCTION} at most: name its steps");
            findings.push(file.finding(token.line, "function-length", message));
        }
    }
}

/// The name of the function that begins at `index` and how many lines it has.
fn function_at(tokens: &[Token], index: usize) -> Option<(&str, usize)> {
    let name = tokens.get(index + 1).filter(|_| tokens[index].text == "fn")?;
    // `fn(u32) -> u32` is a type.
    name.text.starts_with(|c: char| c.is_alphabetic() || c == '_').then_some(())?;
    let body = body(tokens, index)?;
    Some((&name.text, tokens[body.end - 1].line - tokens[index].line + 1))
}

/// `std::fs`, and `std::{fs, time}` as well.
fn impure_std(file: &SourceFile, tokens: &[Token], index: usize) -> Vec<Finding> {
    if !matches(tokens, index, "std : :") {
        return Vec::new();
    }
    let named = match tokens.get(index + 3) {
        Some(token) if token.text == "{" => heads(&tokens[index + 4..tokens::closing(tokens, index + 3)]),
        Some(token) => vec![token],
        None => Vec::new(),
    };
    let impure = named.into_iter().filter(|token| IMPURE_STD.contains(&token.text.as_str()));
    impure.map(|token| file.finding(token.line, "pure", message_for_std(&token.text))).collect()
}

fn message_for_std(module: &str) -> String {
    let instead = match module {
        "net" => "addresses are in `core::net`; connections belong to the caller",
        _ => "take what it gives as a parameter",
    };
    format!("`std::{module}`: {instead}")
}

/// The first word of each path in `a::b, c::{d, e}`.
fn heads(list: &[Token]) -> Vec<&Token> {
    let mut depth = 0_usize;
    let mut first = true;
    let mut heads = Vec::new();
    for token in list {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => first = true,
            _ if first => {
                heads.push(token);
                first = false;
            }
            _ => {}
        }
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules that a file breaks, with the lines.
    fn broken(krate: &str, within: &str, source: &str) -> Vec<(&'static str, usize)> {
        let findings = check(&SourceFile::new(Path::new(krate), Path::new(within), source)).expect("Rust");
        findings.into_iter().map(|finding| (finding.rule, finding.line)).collect()
    }

    #[test]
    fn a_file_begins_by_saying_what_it_is_for() {
        assert_eq!(broken("cli", "src/main.rs", "fn main() {}\n"), [("head", 1)]);
        assert_eq!(broken("cli", "src/main.rs", "//! Stub.\nfn main() {}\n"), []);
    }

    #[test]
    fn pure_places_have_no_clock_and_no_io() {
        let source = "//! x\nuse std::{time::Duration, fs::{self, File}};\nfn f() -> Instant { Instant::now() }\n\
                      fn g() { println!(\"std::env\") }\nfn h(clock: &Clock) { clock.now(); }\nuse std::net::IpAddr;\n";
        let all = [("pure", 2), ("pure", 3), ("pure", 4), ("pure", 6)];
        assert_eq!(broken("crates/plan", "src/lib.rs", source), all);
        assert_eq!(broken("operator", "src/decide.rs", source), all);
        assert_eq!(broken("operator", "src/build/job.rs", source), all);
        assert_eq!(broken("operator", "src/observe.rs", source), []);
        assert_eq!(broken("crates/plan", "examples/show.rs", source), []);
    }

    #[test]
    fn tests_of_pure_places_may_do_as_they_like() {
        let source = "//! x\n#[cfg(test)]\nmod tests {\n    fn f() { std::fs::read(\"x\").unwrap(); }\n}\n";
        assert_eq!(broken("crates/plan", "src/lib.rs", source), []);
    }

    #[test]
    fn unwrap_is_for_tests() {
        let source = "//! x\nfn f() { Some(1).unwrap(); }\n";
        assert_eq!(broken("runner", "src/main.rs", source), [("unwrap", 2)]);
        assert_eq!(broken("runner", "tests/start.rs", source), []);
        assert_eq!(broken("tests/e2e", "src/lib.rs", source), []);
        assert_eq!(broken("tests/target", "src/main.rs", source), [("unwrap", 2)]);
    }

    #[test]
    fn tests_do_not_sleep_unless_they_say_why() {
        assert_eq!(broken("tests/e2e", "tests/e2e_run.rs", "//! x\nfn f() { sleep(D) }\n"), [("sleep", 2)]);
        let waived = "//! x\nfn f() {\n    // tidy: allow(sleep) because this is how polling waits\n    sleep(D)\n}\n";
        assert_eq!(broken("tests/e2e", "src/wait.rs", waived), []);
        assert_eq!(broken("tests/target", "src/main.rs", "//! x\nfn f() { sleep(D) }\n"), []);
    }

    #[test]
    fn nothing_unfinished_and_nothing_unsafe() {
        let source = "//! x\nfn f() { todo!() }\nfn g() { unsafe { h() } }\nfn i() { dbg!(1) }\n";
        assert_eq!(broken("runner", "src/main.rs", source), [("unsafe", 3), ("unfinished", 2), ("unfinished", 4)]);
    }

    #[test]
    fn invariants_cannot_be_waived() {
        let source = "//! x\n// tidy: allow(pure) because I say so\nuse std::fs;\n";
        assert_eq!(broken("crates/api", "src/lib.rs", source), [("pure", 3)]);
    }

    #[test]
    fn functions_fit_a_screen_and_files_a_mind() {
        let function =
            |lines: usize| format!("//! x\ntype F = fn(u8);\nfn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2));
        assert_eq!(broken("runner", "src/a.rs", &function(LONGEST_FUNCTION)), []);
        assert_eq!(broken("runner", "src/a.rs", &function(LONGEST_FUNCTION + 1)), [("function-length", 3)]);
        let file = |lines: usize| format!("//! x\n{}", "use a;\n".repeat(lines - 1));
        assert_eq!(broken("runner", "src/a.rs", &file(LONGEST_FILE)), []);
        assert_eq!(broken("runner", "src/a.rs", &file(LONGEST_FILE + 1)), [("file-length", LONGEST_FILE + 1)]);
    }
}
