//! The report as Markdown: what stands in a pull request.

use proofload_results::markdown::render;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::forms::{failed_run, hostile_run};

/// GitHub takes no more.
const MOST: usize = 65_536;

#[test]
fn a_run_that_failed_as_markdown() {
    assert_eq!(render(&failed_run()), include_str!("failed.md"));
}

#[test]
fn a_report_of_any_length_fits_and_says_what_is_left_out() {
    let text = render(&hostile_run());
    assert!(text.len() < MOST, "{}", text.len());
    assert!(text.contains("…and 4"), "{text}");
    let lines = |tag: &str| text.lines().filter(|line| line.starts_with(tag)).count();
    assert_eq!((lines("<details>"), lines("</details>")), (5, 5), "{text}");
}

#[test]
fn hostile_text_stays_text() {
    let text = render(&hostile_run());
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    let ours = ["details", "/details", "summary", "/summary", "sub", "/sub", "br", "span", "/span"];
    let (mut shown, mut is_code) = (String::new(), false);
    for event in Parser::new_ext(&text, Options::all()) {
        match event {
            Event::Start(Tag::Link { .. } | Tag::Image { .. }) => panic!("a link: {event:?}"),
            Event::Start(Tag::CodeBlock(_)) => is_code = true,
            Event::End(TagEnd::CodeBlock) => is_code = false,
            Event::Html(html) | Event::InlineHtml(html) => {
                let mut tags = html.split('<').skip(1).map(|tag| tag.split('>').next().unwrap());
                assert!(tags.all(|tag| ours.contains(&tag)), "{html}");
            }
            Event::Text(part) if !is_code => shown += &part,
            Event::DisplayMath(_) | Event::InlineMath(_) => panic!("mathematics: {event:?}"),
            _ => {}
        }
    }
    // What GitHub itself looks for in the text that is shown.
    assert!(!shown.contains("@team") && !shown.contains("#1") && !shown.contains("http://"), "{shown}");
    let as_it_is = "</td></details><script>alert(1)</script> ``` | @\u{200b}team #\u{200b}1 [x](http:\u{200b}//y.test)";
    assert!(shown.contains(as_it_is), "{shown}");
    // Every row of a table has as many cells as its header.
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let mut header = None;
    for line in text.lines() {
        match (line.starts_with('|'), header) {
            (true, None) => header = Some(cells(line)),
            (true, Some(count)) => assert_eq!(cells(line), count, "{line}"),
            (false, _) => header = None,
        }
    }
}
