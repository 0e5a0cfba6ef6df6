//! Foreign text in Markdown. It formats nothing, in tables neither; it is no HTML; it links to nothing: no addresses, no
//! `#1`; and it calls nobody by `@name`, which GitHub does even where the `@` is escaped, as it looks for names in what has
//! been rendered already. A space of no width keeps what would be found apart, as those do who post release notes of others.

use std::fmt::Write as _;

use crate::words::safe;

/// A text may be so long; then it is cut off.
const LONGEST: usize = 400;
/// A space that is not seen.
const APART: &str = "&#8203;";

/// Text within a line.
pub(crate) fn text(foreign: &str) -> String {
    escaped(&cut(foreign, LONGEST))
}

/// Text that a line begins with: it begins no list and underlines nothing either.
pub(crate) fn paragraph(foreign: &str) -> String {
    /// A reason names a few criteria, a description is to be read.
    const LONGEST: usize = 2_000;
    let text = escaped(cut(foreign, LONGEST).trim_start());
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let is_list =
        |rest: &str| rest.starts_with(['.', ')']) && digits > 0 || rest.starts_with(['-', '+', '=']) && digits == 0;
    let (number, rest) = text.split_at(digits);
    if is_list(rest) { format!("{number}\\{rest}") } else { text }
}

/// Text as code: as it is, and in one line. Pipes are escaped, which is right only within a table.
pub(crate) fn code_in_table(foreign: &str) -> String {
    let text = cut(foreign, LONGEST).trim().to_owned();
    if text.is_empty() {
        return text;
    }
    let runs = text.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(1 + runs.max().unwrap_or(0));
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    // A backslash before a pipe would escape the escape, and nothing in code can say it otherwise.
    if text.contains("\\|") {
        return escaped(&text);
    }
    format!("{fence}{space}{}{space}{fence}", text.replace('|', "\\|"))
}

/// Text within a line or a cell of any kind: every sign that could mean something to any reader of Markdown is spelt as a
/// character reference, which no reader takes for markup. An escape by a backslash does not keep a cell from ending where
/// the text has a backslash of its own before the pipe.
pub(crate) fn spelt(foreign: &str) -> String {
    let text = cut(foreign, LONGEST);
    let mut spelt = String::with_capacity(text.len() + 16);
    // The sign before, and how many of the letters before are a w.
    let (mut before, mut ws) = (' ', 0);
    for c in text.chars() {
        let is_plain = match c {
            ',' | '-' | '%' | '/' | '?' | '(' | ')' | '+' => true,
            // Not `www.`, which makes a link; times of day, but neither `://` nor `:smile:`.
            '.' => ws < 3,
            ':' => before.is_ascii_digit(),
            c => !c.is_ascii_punctuation(),
        };
        if is_plain {
            spelt.push(c);
        } else {
            let _ = write!(spelt, "&#{};", u32::from(c));
        }
        before = c;
        ws = if c.eq_ignore_ascii_case(&'w') { ws + 1 } else { 0 };
    }
    spelt
}

/// The same as code, where GitHub looks for no mentions and no links.
pub(crate) fn code(foreign: &str) -> String {
    format!("<code>{}</code>", spelt(foreign))
}

fn cut(foreign: &str, longest: usize) -> String {
    let text = safe(foreign);
    if text.chars().count() <= longest {
        return text;
    }
    text.chars().take(longest).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for (place, c) in text.char_indices() {
        let rest = &text[place + c.len_utf8()..];
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => escaped.extend(['\\', c]),
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            // Else what is between two of them is mathematics, in the source as in one piece of rendered text.
            '$' => escaped += "<span>&#36;</span>",
            '@' => escaped.extend(["@", APART]),
            '#' => escaped.extend(["\\#", APART]),
            ':' if rest.starts_with("//") => escaped.extend([":", APART]),
            'w' | 'W' if rest.get(..3).is_some_and(|rest| rest.eq_ignore_ascii_case("ww.")) => {
                escaped.push(c);
                escaped += APART;
            }
            '-' if text[..place].to_ascii_lowercase().ends_with("gh")
                && rest.starts_with(|c: char| c.is_ascii_digit()) =>
            {
                escaped.extend(["-", APART]);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_nothing_but_text() {
        assert_eq!(text("a|b `c` *d* _e_ ~f~ [g](h) !"), "a\\|b \\`c\\` \\*d\\* \\_e\\_ \\~f\\~ \\[g\\](h) !");
        assert_eq!(text("<img src=x> &amp; 5 < 6"), "&lt;img src=x&gt; &amp;amp; 5 &lt; 6");
        assert_eq!(
            text("@team #12 GH-3 $x$"),
            "@&#8203;team \\#&#8203;12 GH-&#8203;3 <span>&#36;</span>x<span>&#36;</span>"
        );
        assert_eq!(text("see http://x.test or www.x.test"), "see http:&#8203;//x.test or w&#8203;ww.x.test");
        assert_eq!(text("one\ntwo\u{202e}"), "one\\\\ntwo\\\\u{202e}");
        assert_eq!(text(&"x".repeat(500)).chars().count(), 401);
    }

    #[test]
    fn no_line_begins_as_a_list() {
        let begins = ["- a", "+ a", "= a", "12. a", "1) a", "12 a", "p95 < 1s"];
        let shown = ["\\- a", "\\+ a", "\\= a", "12\\. a", "1\\) a", "12 a", "p95 &lt; 1s"];
        assert_eq!(begins.map(paragraph), shown);
    }

    #[test]
    fn code_is_fenced_by_more_ticks_than_it_has() {
        assert_eq!(code_in_table("p95(latency) < 1s"), "`p95(latency) < 1s`");
        assert_eq!(code_in_table("a `` b|c"), "```a `` b\\|c```");
        assert_eq!(code_in_table("`a"), "`` `a ``");
        assert_eq!(code_in_table("a\\|b"), "a\\\\\\|b");
        assert_eq!(code_in_table(" "), "");
        assert_eq!(code("a\\|b </code>"), "<code>a&#92;&#124;b &#60;/code&#62;</code>");
    }
}
