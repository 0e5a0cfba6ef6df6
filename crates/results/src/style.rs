//! How pages look, and how a page allows its own styles and scripts and no others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Colours of the day, text and tables.
pub(crate) const BASE: &str = include_str!("style/base.css");
/// Colours of the night, where the system wants them.
pub(crate) const DARK_BY_SYSTEM: &str =
    concat!("@media (prefers-color-scheme: dark) { :root {\n", include_str!("style/dark.css"), "} }\n");
/// The same where the page's script says so.
pub(crate) const DARK_BY_THEME: &str = concat!(":root[data-theme=\"dark\"] {\n", include_str!("style/dark.css"), "}\n");

/// What a policy names a style or a script by.
pub(crate) fn source(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_ends_where_it_is_said_to_and_loads_nothing() {
        for text in [BASE, DARK_BY_SYSTEM, DARK_BY_THEME] {
            assert!(!text.to_lowercase().contains("</style") && !text.contains('\r'));
            assert!(!text.contains("url(") && !text.contains("@import"), "nothing is loaded");
            assert_eq!(text.matches('{').count(), text.matches('}').count());
        }
    }

    #[test]
    fn the_night_has_each_colour_of_the_day() {
        let names = |text: &str| -> Vec<String> {
            let parts = text.split("--").skip(1).filter_map(|part| part.split_once(':'));
            parts.map(|(name, _)| name.to_owned()).filter(|name| !name.contains([')', ' '])).collect()
        };
        let (day, _) = BASE.split_once("\n}").unwrap_or_default();
        assert_eq!(names(day), names(DARK_BY_THEME));
        assert!(names(day).len() > 20);
    }
}
