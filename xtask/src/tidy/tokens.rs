//! A Rust file as a flat list of tokens with their lines: comments and the insides of literals are gone.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A word, one character of punctuation, a bracket, or `""` for any literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// Reads a file's tokens.
pub(super) fn read(source: &str) -> Result<Vec<Token>> {
    let stream: TokenStream = source.parse().map_err(|error| anyhow!("not Rust: {error}"))?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    Ok(tokens)
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                tokens.push(Token { text: open.to_owned(), line });
                flatten(group.stream(), tokens);
                tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line });
            }
            TokenTree::Literal(_) => tokens.push(Token { text: "\"\"".to_owned(), line }),
            other => tokens.push(Token { text: other.to_string(), line }),
        }
    }
}

/// Whether the tokens at `at` are those of `pattern`, which is written with spaces between: `. unwrap ( )`.
pub(super) fn matches(tokens: &[Token], at: usize, pattern: &str) -> bool {
    let mut here = tokens[at..].iter();
    pattern.split(' ').all(|expected| here.next().is_some_and(|token| token.text == expected))
}

/// The index of the bracket that closes the one at `open`.
pub(super) fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth -= 1;
                if depth == 0 {
                    return index;
                }
            }
            _ => {}
        }
    }
    tokens.len().saturating_sub(1)
}

/// The body that follows `from`: the braces of an item, or nothing if a `;` ends it first.
pub(super) fn body(tokens: &[Token], from: usize) -> Option<std::ops::Range<usize>> {
    let mut index = from;
    while index < tokens.len() {
        match tokens[index].text.as_str() {
            "{" => return Some(index..closing(tokens, index) + 1),
            "(" | "[" => index = closing(tokens, index),
            ";" => return None,
            _ => {}
        }
        index += 1;
    }
    None
}

/// Which tokens are code that only tests have: items under `#[cfg(test)]` or `#[test]`.
pub(super) fn test_code(tokens: &[Token]) -> Vec<bool> {
    let mut marked = vec![false; tokens.len()];
    for index in 0..tokens.len() {
        let inner = matches(tokens, index, "# ! [");
        if !inner && !matches(tokens, index, "# [") {
            continue;
        }
        let open = index + 1 + usize::from(inner);
        let close = closing(tokens, open);
        if !is_test_attribute(&tokens[open + 1..close]) {
            continue;
        }
        if inner {
            marked.fill(true);
            return marked;
        }
        let mut item = close + 1;
        while item < tokens.len() && matches(tokens, item, "# [") {
            item = closing(tokens, item + 1) + 1;
        }
        let end = body(tokens, item).map_or(item, |range| range.end);
        marked[index..end].fill(true);
    }
    marked
}

/// `test`, `tokio::test(...)`, `cfg(test)`, `cfg(any(test, ...))`; not `cfg(not(test))`.
fn is_test_attribute(attribute: &[Token]) -> bool {
    let has = |word: &str| attribute.iter().any(|token| token.text == word);
    match attribute.first().map(|token| token.text.as_str()) {
        Some("cfg") => has("test") && !has("not"),
        Some(_) => {
            attribute.iter().take_while(|token| token.text != "(").last().is_some_and(|last| last.text == "test")
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_not_code() {
        let tokens = read("//! std::fs\nfn f() { g(\"dbg!()\"); /* todo!() */ }").expect("Rust");
        let text: Vec<_> = tokens.iter().map(|token| token.text.as_str()).collect();
        // The doc comment has become `#![doc = ""]`.
        assert_eq!(text[text.len() - 11..], ["fn", "f", "(", ")", "{", "g", "(", "\"\"", ")", ";", "}"]);
        assert_eq!(tokens.last().map(|token| token.line), Some(2));
    }

    #[test]
    fn test_code_is_what_only_tests_compile() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\n#[tokio::test(flavor = \"x\")]\n#[ignore]\nasync fn c() {}\n\
                      #[cfg(not(test))]\nfn d() {}";
        let tokens = read(source).expect("Rust");
        let marked = test_code(&tokens);
        let in_test = |name: &str| tokens.iter().position(|token| token.text == name).map(|index| marked[index]);
        assert_eq!(["a", "b", "c", "d"].map(in_test), [Some(false), Some(true), Some(true), Some(false)]);
    }
}
