//! Takes a text with templates apart. What the names in them mean is for [`super::names`].

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// As it stands.
    Text(&'a str),
    /// What stands between `{{` and `}}`, and whether it is to be a JSON value.
    Place(&'a str, bool),
}

/// What is wrong with a text: what would be right, and what is there.
pub(super) type Wrong = (String, String);

/// The parts of a text, in order.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Wrong> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        if open > 0 {
            pieces.push(Piece::Text(&rest[..open]));
        }
        let inside = &rest[open + 2..];
        let end = end_of(inside).ok_or_else(|| {
            // Not what follows, which may be long, and may be secret.
            let column = text[..text.len() - inside.len() - 2].chars().count() + 1;
            ("}} after each {{".to_owned(), format!("none after column {column}"))
        })?;
        pieces.push(place(inside[..end].trim())?);
        rest = &inside[end + 2..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// The text in quotes that an expression begins with: the text, and where it ends.
fn quoted(expression: &str) -> Option<(&str, usize)> {
    let quote = expression.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let end = expression[1..].find(quote)? + 1;
    Some((&expression[1..end], end + 1))
}

/// Where the `}}` of an expression is; braces in quotes are not it.
fn end_of(inside: &str) -> Option<usize> {
    let space = inside.len() - inside.trim_start().len();
    let from = quoted(&inside[space..]).map_or(0, |(_, end)| space + end);
    inside[from..].find("}}").map(|end| from + end)
}

fn place(expression: &str) -> Result<Piece<'_>, Wrong> {
    if let Some((text, end)) = quoted(expression).filter(|(_, end)| *end == expression.len()) {
        debug_assert!(end >= text.len(), "quotes are part of it");
        return Ok(Piece::Text(text));
    }
    // Not a | that is among the choices of random.choice.
    let arguments = expression.rfind(')').map_or(0, |at| at + 1);
    match expression[arguments..].find('|').map(|at| arguments + at) {
        None => Ok(Piece::Place(expression, false)),
        Some(bar) if expression[bar + 1..].trim() == "json" => Ok(Piece::Place(expression[..bar].trim(), true)),
        Some(bar) => Err(("json, the only filter, after |".to_owned(), format!("{:?}", expression[bar + 1..].trim()))),
    }
}

/// Whether a text has a template in it that nobody would fill in.
pub(super) fn has_place(text: &str) -> bool {
    text.find("{{").is_some_and(|open| text[open..].contains("}}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_is_taken_apart() {
        use Piece::{Place, Text};
        let apart = |text| pieces(text).unwrap();
        assert_eq!(apart("a{{ uuid }}b{{x.y}}"), [Text("a"), Place("uuid", false), Text("b"), Place("x.y", false)]);
        assert_eq!(apart("{\"a\":{\"b\":1}}"), [Text("{\"a\":{\"b\":1}}")]);
        assert_eq!(apart("{{n | json}}"), [Place("n", true)]);
        assert_eq!(apart("{{random.choice(a|b,c)|json}}"), [Place("random.choice(a|b,c)", true)]);
        assert_eq!(apart("{{'{{'}}x{{\"}}\"}}"), [Text("{{"), Text("x"), Text("}}")]);
        assert_eq!(apart(""), []);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_text_around_it() {
        assert_eq!(pieces("secret {{uuid"), Err(("}} after each {{".to_owned(), "none after column 8".to_owned())));
        assert_eq!(pieces("{{a | upper}}").unwrap_err().1, "\"upper\"");
    }

    proptest! {
        #[test]
        fn taking_apart_never_panics(text in "([{}|'\"]{1,3}|[a-z.é ]{0,3}){0,12}") {
            if let Ok(pieces) = pieces(&text) {
                // But for braces and quotes, nothing is lost.
                let letters = |text: &str| text.chars().filter(char::is_ascii_alphabetic).count();
                let left: usize = pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => letters(text),
                    Piece::Place(text, json) => letters(text) + if *json { 4 } else { 0 },
                }).sum();
                prop_assert_eq!(left, letters(&text));
            }
        }
    }
}
