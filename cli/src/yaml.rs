//! YAML with the line of everything in it, to say where a problem is.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// A value's line and those of what is in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lines {
    line: u64,
    inside: Inside,
}

#[derive(Debug, Clone, Default)]
enum Inside {
    #[default]
    Nothing,
    Fields(Vec<(String, Lines)>),
    Items(Vec<Lines>),
}

impl Lines {
    /// The lines of each document that is not empty; none where the text cannot be read.
    pub(crate) fn of(text: &str) -> Vec<Self> {
        serde_saphyr::from_multiple::<Spanned<Node>>(text).unwrap_or_default().into_iter().map(Self::from).collect()
    }

    /// The line of a field such as `spec.scenarios[0].name`, or of the nearest thing around it that exists.
    pub(crate) fn find(&self, path: &str) -> u64 {
        match &self.inside {
            Inside::Fields(fields) => {
                // A field's own name may hold a dot, as those of headers do.
                let here = fields.iter().filter_map(|(name, lines)| Some((rest(path, name)?, name, lines)));
                let longest = here.max_by_key(|(_, name, _)| name.len());
                longest.map_or(self.line, |(rest, _, lines)| lines.find(rest))
            }
            Inside::Items(items) => {
                let index = path.strip_prefix('[').and_then(|path| path.split_once(']'));
                let item = index.and_then(|(index, rest)| Some((items.get(index.parse::<usize>().ok()?)?, rest)));
                item.map_or(self.line, |(lines, rest)| lines.find(rest.strip_prefix('.').unwrap_or(rest)))
            }
            Inside::Nothing => self.line,
        }
    }
}

/// What follows a field's name in a path.
fn rest<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(name)?;
    match rest.chars().next() {
        None | Some('[') => Some(rest),
        Some('.') => Some(&rest[1..]),
        Some(_) => None,
    }
}

impl From<Spanned<Node>> for Lines {
    fn from(node: Spanned<Node>) -> Self {
        Self { line: node.referenced.line(), inside: node.value.0 }
    }
}

struct Node(Inside);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor).map(Self)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Inside;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inside, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            let mut lines = Lines::from(map.next_value::<Spanned<Node>>()?);
            // The line of a field is that of its name, where people look for it.
            lines.line = name.referenced.line();
            fields.push((name.value, lines));
        }
        Ok(Inside::Fields(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Inside, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Node>>()? {
            items.push(item.into());
        }
        Ok(Inside::Items(items))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Inside, E> {
        Ok(Inside::Nothing)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Inside, E> {
        Ok(Inside::Nothing)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Inside, E> {
        Ok(Inside::Nothing)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Inside, E> {
        Ok(Inside::Nothing)
    }

    fn visit_str<E>(self, _: &str) -> Result<Inside, E> {
        Ok(Inside::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Inside, E> {
        Ok(Inside::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_found_in_the_line_of_its_field_or_of_what_is_around_it() {
        let text = "# a test\n---\nspec:\n  target:\n    headers: {X.Y: a,\n      b: c}\n  scenarios:\n  - name: a\n    steps:\n    - {name: x}\n    - name: y\n---\nkind: Other\n";
        let lines = Lines::of(text);
        let found = |path: &str| lines[0].find(path);
        assert_eq!(found("spec.target"), 4);
        assert_eq!(found("spec.target.headers.X.Y"), 5);
        assert_eq!(found("spec.target.headers.b"), 6);
        assert_eq!(found("spec.scenarios[0].steps[1].name"), 11);
        assert_eq!(found("spec.scenarios[0].steps[0].request"), 10);
        assert_eq!(found("spec.scenarios[7]"), 7);
        assert_eq!(lines[1].find("kind"), 13);
    }
}
