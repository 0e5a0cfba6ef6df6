//! What is wrong with an input: where, what was expected, what came, and what to do.

use std::fmt;

/// One problem found in a specification. Problems are values, not errors: a check returns all of them at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The field, as `spec.scenarios[0].steps[1].name`.
    pub path: String,
    /// What would have been right, e.g. `a time longer than 0s`.
    pub expected: String,
    /// What was there, e.g. `"0s"`.
    pub came: String,
    /// What to do about it, where that is not the same as what was expected.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(path: impl Into<String>, expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self { path: path.into(), expected: expected.into(), came: came.into(), hint: None }
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.path, self.expected, self.came)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// The known name nearest to an unknown one, if one is near enough to be what was meant.
pub fn did_you_mean<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |name: &&str| strsim::damerau_levenshtein(&unknown.to_lowercase(), &name.to_lowercase());
    let best = known.into_iter().min_by_key(near)?;
    let allowed = unknown.chars().count().max(best.chars().count()).div_ceil(3);
    (near(&best) <= allowed).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let known = ["baseUrl", "headers", "timeout"];
        assert_eq!(did_you_mean("baseURL", known), Some("baseUrl"));
        assert_eq!(did_you_mean("timout", known), Some("timeout"));
        assert_eq!(did_you_mean("colour", known), None);
        assert_eq!(did_you_mean("x", []), None);
    }
}
