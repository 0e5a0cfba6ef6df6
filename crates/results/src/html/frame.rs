//! The frame of a page: one file that asks no network for anything, and that nothing in it can make do so.
//!
//! The policy in its head allows the scripts and styles that are named by their hashes, and nothing else: no other
//! script, no style in an attribute, no picture or font from elsewhere, no form, no frame. Foreign text is escaped
//! besides, wherever it stands.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::style::{BASE, DARK_BY_THEME, source};

const CHARTS: &str = include_str!("vendor/uPlot.iife.min.js");
const CHARTS_STYLE: &str = include_str!("vendor/uPlot.min.css");
const SCRIPT: &str = include_str!("report.js");
const STYLE: &str = include_str!("report.css");
/// In the order in which they count.
const STYLES: [&str; 4] = [CHARTS_STYLE, BASE, DARK_BY_THEME, STYLE];

/// A whole page. `data` is for its scripts.
pub(super) fn page(title: &str, data: &Value, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (title) }
                @for text in STYLES { style { (PreEscaped(text)) } }
            }
            body {
                (body)
                script type="application/json" id="data" { (PreEscaped(script_safe(data))) }
                script { (PreEscaped(CHARTS)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn policy() -> String {
    let (scripts, styles) = ([CHARTS, SCRIPT].map(source), STYLES.map(source));
    format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
        scripts.join(" "),
        styles.join(" ")
    )
}

/// JSON that ends no script, whatever is in its strings. Outside of strings JSON has none of these characters.
fn script_safe(data: &Value) -> String {
    const ESCAPED: [(char, &str); 5] =
        [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")];
    ESCAPED.into_iter().fold(data.to_string(), |text, (c, escaped)| text.replace(c, escaped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_ends_no_script_and_stays_the_same() {
        let data = serde_json::json!({"a": "</script><!-- & \u{2028}\u{2029}", "b": [1.5, null]});
        let safe = script_safe(&data);
        assert!(!safe.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{safe}");
        assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), data);
    }

    #[test]
    fn what_is_hashed_is_what_stands_in_the_page() {
        for text in [CHARTS, SCRIPT] {
            // Else the browser would see the element end there, and another text than the hash is of.
            assert!(!text.to_lowercase().contains("</script") && !text.contains("<!--") && !text.contains('\r'));
        }
        for text in [CHARTS_STYLE, STYLE] {
            assert!(!text.to_lowercase().contains("</style") && !text.contains('\r'));
            assert!(!text.contains("url(") && !text.contains("@import"), "nothing is loaded");
        }
    }
}
