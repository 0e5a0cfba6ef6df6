//! Pages of reports of which every foreign string is hostile.

use proofload_results::{Report, html};
use serde_json::{Map, Value};

use crate::browser::{Look, open};
use crate::pages::full;

const HOSTILE: [&str; 5] = [
    "</script></style></pre><img src=http://elsewhere.test/a.png onerror=console.log(1)><script>console.log(2)</script>",
    "\" onmouseover=\"console.log(3)\" style=\"color:red\" '><svg onload=console.log(4)>",
    "\u{202e}\u{2066}\0\u{1b}]0;owned\u{7}\u{2028}\u{feff}\r\n<!--<script>{{constructor.constructor('console.log(5)')()}}",
    "javascript:console.log(6)//&lt;img src=x&gt;",
    "<\u{0}img src=x>\u{fffd}]]>--><base href=http://elsewhere.test/><meta http-equiv=refresh content=0;http://elsewhere.test/>",
];

/// Strings of our own words: a report that has others is refused.
const OWN: [&str; 6] = ["verdict", "severity", "state", "kind", "distribution", "heat"];

/// A report with another string in the place of each foreign one, names of fields of the spec and of counts too.
fn with(hostile: &str) -> Report {
    fn replaced(value: &Value, hostile: &str, is_foreign: bool) -> Value {
        match value {
            Value::String(_) => hostile.into(),
            Value::Array(items) => items.iter().map(|item| replaced(item, hostile, is_foreign)).collect(),
            Value::Object(fields) => {
                // A pointer to it stands in an attribute, which holds no NUL.
                let visible: String = hostile.chars().filter(|c| !c.is_control()).collect();
                let field = |(name, value): (&String, &Value)| {
                    let is_own = OWN.contains(&&name[..]) || name == "outcome" && fields.contains_key("severity");
                    let is_below = is_foreign || ["spec", "outcomes", "statuses"].contains(&&name[..]);
                    let is_kept = is_own && !is_foreign;
                    let value = if is_kept { value.clone() } else { replaced(value, hostile, is_below) };
                    (if is_foreign { format!("{visible}{name}") } else { name.clone() }, value)
                };
                Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }
    let json: Value = serde_json::from_str(&full().to_json()).unwrap();
    Report::from_json(replaced(&json, hostile, false).to_string().as_bytes()).unwrap()
}

/// What stands between the tags of a page, but for its own scripts and styles.
fn texts(page: &str) -> impl Iterator<Item = &str> {
    let body = page.split_once("<body>").unwrap().1.split("<script").next().unwrap();
    body.split('<').filter_map(|tag| Some(tag.split_once('>')?.1))
}

#[test]
fn no_foreign_string_breaks_out_of_its_place() {
    let tags = |page: &str| page.matches('<').count();
    for hostile in HOSTILE {
        // A line break of a description is one.
        let harmless = tags(&html::render(&with(if hostile.contains('\n') { "harm\nless" } else { "harmless" })));
        let report = with(hostile);
        let page = html::render(&report);
        assert_eq!(tags(&page), harmless, "another number of elements with {hostile:?}");
        let is_control = |c: char| c.is_control() && c != '\n';
        let invisible =
            |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{feff}');
        assert!(!texts(&page).any(|text| text.contains(|c| is_control(c) || invisible(c))), "{hostile:?}");
        let opened = open(&page, Look::Light);
        assert_eq!((&opened.console[..], &opened.requests[..]), (&[][..], &[][..]), "{hostile:?}");
        for element in ["<img", "<svg", "<base", "http-equiv=\"refresh\"", "<iframe"] {
            assert!(!opened.document.contains(element), "{element} of {hostile:?}");
        }
        assert_eq!(opened.document.matches("<script").count(), 3, "{hostile:?}");
        crate::figures::compare(&opened.document, &report);
    }
}

#[test]
fn a_name_of_10_kilobytes_is_cut() {
    let page = html::render(&with(&"x".repeat(10_000)));
    // The spec is shown as it is.
    let before_spec = page.split_once("id=\"spec\"").unwrap().0;
    let longest = texts(before_spec).map(str::len).max().unwrap();
    assert!(longest <= 4_010, "{longest}");
    let opened = open(&page, Look::Light);
    assert_eq!((&opened.console[..], &opened.requests[..]), (&[][..], &[][..]));
}

#[test]
fn a_page_asks_nobody_for_anything_and_runs_nothing_but_its_own() {
    let page = html::render(&full());
    let policy = page.split_once("Content-Security-Policy\" content=\"").unwrap().1.split_once('"').unwrap().0;
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for attribute in [" src=", " style=", " onclick=", "href=\"http", "<link", "<iframe", "<form"] {
        assert!(!page.contains(attribute), "{attribute}");
    }
    // The policy does hold: what is added to a page does not run.
    let added = page.replace("</body>", "<script>document.title = 'owned'</script></body>");
    let opened = open(&added, Look::Light);
    assert!(!opened.document.contains("<title>owned"), "a foreign script ran");
    assert!(opened.console.iter().any(|line| line.contains("Content Security Policy")), "{:?}", opened.console);
}
