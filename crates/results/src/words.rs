//! Numbers and foreign strings as people read them.

/// A number with its thousands set apart: `48,210`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 runner`, `48,210 requests`.
pub(crate) fn things(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{} {thing}s", grouped(number)) }
}

/// A foreign string that is safe to print: what a terminal would obey, or show in another order than it is, is spelt
/// out.
pub(crate) fn safe(text: &str) -> String {
    let is_hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            // The last two are no characters, and make an XML file none.
            || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

/// The same string, ended as a sentence.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// Rounded to so many decimals: figures are not more exact than that, and reports are shorter.
pub(crate) fn rounded(value: f64, decimals: i32) -> f64 {
    let factor = 10_f64.powi(decimals);
    (value * factor).round() / factor
}

/// A part of a whole, 0 where there is no whole.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_things_are_counted() {
        assert_eq!([0, 999, 1000, 48_210, 1_234_567].map(grouped), ["0", "999", "1,000", "48,210", "1,234,567"]);
        assert_eq!(
            (things(1, "runner"), things(2000, "request")),
            ("1 runner".to_owned(), "2,000 requests".to_owned())
        );
    }

    #[test]
    fn what_a_terminal_would_obey_is_spelt_out() {
        assert_eq!(safe("a\x1b[31mb\n\u{202e}c"), "a\\u{1b}[31mb\\n\\u{202e}c");
        assert_eq!(safe("größe ✓"), "größe ✓");
    }
}
