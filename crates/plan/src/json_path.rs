//! JSON paths (RFC 9535): the one place where their text is read.

use serde_json_path::JsonPath;

/// Text that is not a JSON path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at column {column}")]
pub struct InvalidJsonPath {
    /// Where, in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

/// Reads a JSON path. No text makes it panic, as one that ends within an escape such as `\u00` does in `serde_json_path`
/// 0.7.2, whose parser believes that more is to come.
pub fn parse(text: &str) -> Result<JsonPath, InvalidJsonPath> {
    let column = |bytes: usize| text.get(..bytes).map_or(1, |before| before.chars().count() + 1);
    // A path never ends there: a quotation mark and a bracket are missing.
    let before_digits = text.trim_end_matches(|c: char| c.is_ascii_hexdigit());
    if before_digits.ends_with("\\u") {
        let message = "a string that does not end".to_owned();
        return Err(InvalidJsonPath { column: column(before_digits.len() - 2), message });
    }
    JsonPath::parse(text)
        .map_err(|error| InvalidJsonPath { column: column(error.position()), message: error.message().to_owned() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_that_ends_within_an_escape_is_an_error() {
        for text in ["$['\\u", "$['\\uD8", "$[\"\\uD83D\\uDC", "$.a[?(@.b['x\\u00e"] {
            assert_eq!(parse(text).unwrap_err().message, "a string that does not end", "{text}");
        }
        assert!(parse("$['\\u00e9']").is_ok() && parse("$['\\uD83D\\uDE00'].abc").is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"[$@.\[\]'"\\u0-9a-fD?()*:,]{0,24}|.{0,40}"#) {
            let _ = parse(&text);
        }

        #[test]
        fn no_cut_of_a_path_makes_it_panic(at in 0_usize..60) {
            let text = r#"$.a[?(@['x\uD83D\uDE00\n\u00e9'] == "\ud83d\ude00")]['\u0041']"#;
            let _ = text.get(..at).map(parse);
        }
    }
}
