//! The numbers of a page against those of the report.

use std::collections::BTreeSet;

use proofload_results::Report;
use serde_json::Value;

/// A number of a page.
struct Shown<'a> {
    value: String,
    path: String,
    unit: &'a str,
    text: String,
}

/// Figures that a page leaves out: of steps, stages and groups it shows the ones that are asked for, and what follows
/// from others, or is nobody's question, it does not show at all.
const LEFT_OUT: [&str; 15] = [
    // Its changes are in the words of a comparison.
    "/baseline/comparison/",
    "/version",
    "/seed",
    "/spec/",
    "/ok",
    "/bytesIn",
    "/bytesOut",
    "/serviceTime/",
    "/stddev",
    "/outcomes/",
    "/statuses/",
    "/failedStatuses/",
    "/abort/",
    "/index",
    "/runner",
];
const PERCENTILES_LEFT_OUT: [&str; 4] = ["/min", "/p75", "/p90", "/p99.9"];
/// What a step of a search saw is in its words.
const IN_WORDS: [&str; 2] = ["/dropped", "/observed"];

/// Every number of a page is that of the report, in value and in words, and none that is asked for is missing.
pub(crate) fn compare(document: &str, report: &Report) {
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    let shown = shown(document);
    for one in &shown {
        let Shown { value, path, unit, text } = one;
        let truth = json.pointer(path).unwrap_or_else(|| panic!("{path} is not in the report"));
        let (truth, value) = (truth.as_f64().expect("a number"), value.parse::<f64>().unwrap());
        assert!(truth.to_bits() == value.to_bits(), "{path}: {value} on the page, {truth} in the report");
        assert!(is_said(truth, unit, text), "{path}: {truth} is shown as {text:?}");
    }
    let paths: BTreeSet<&str> = shown.iter().map(|shown| &shown.path[..]).collect();
    let mut all = Vec::new();
    numbers(&json, "", &mut all);
    let missing: Vec<_> = all.iter().filter(|path| !paths.contains(&path[..]) && is_wanted(path, &json)).collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
    compare_charts(document, &json);
}

/// What charts are drawn from is what the report says.
fn compare_charts(document: &str, report: &Value) {
    let data = document.split_once("<script type=\"application/json\" id=\"data\">").unwrap().1;
    let data: Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    let buckets = report["timeline"]["buckets"].as_array().unwrap();
    for (column, field) in [
        ("users", "users"),
        ("plannedUsers", "plannedUsers"),
        ("rate", "rate"),
        ("p50", "p50"),
        ("p95", "p95"),
        ("p99", "p99"),
        ("failed", "errors"),
    ] {
        let truth: Value = buckets.iter().map(|bucket| bucket[field].clone()).collect();
        assert_eq!(data[column], truth, "{column}");
    }
    let heat = |(place, bucket): (usize, &Value)| {
        let bands = bucket["heat"].as_array().cloned().unwrap_or_default();
        bands.into_iter().map(|band| serde_json::json!([place, band[0], band[1]])).collect::<Vec<_>>()
    };
    assert_eq!(data["heat"], buckets.iter().enumerate().flat_map(heat).collect::<Value>());
}

fn is_wanted(path: &str, json: &Value) -> bool {
    let number = |path: &str| json.pointer(path).and_then(Value::as_f64);
    let ends = |all: &[&str]| all.iter().any(|end| path.ends_with(end));
    let begins = |all: &[&str]| all.iter().any(|begin| path.starts_with(begin));
    // Of the run and of each scenario a page shows all of the times.
    let is_of_whole = begins(&["/summary/"]) || begins(&["/scenarios/"]) && path.matches('/').count() == 4;
    let is_time_of_whole =
        is_of_whole && (["/latency/", "/serviceTime/", "/timeToEnd/"].iter().any(|times| path.contains(times)));
    let is_left_out = LEFT_OUT.iter().any(|part| path.contains(part)) || ends(&PERCENTILES_LEFT_OUT);
    // Of steps within stages and of groups there are the same figures of latency.
    let is_end_of_part = path.contains("/timeToEnd/") && (path.contains("/groups/") || path.matches("/st").count() > 1);
    let is_band = path.contains("/heat/") && path.ends_with("/0");
    let is_of_search = path.contains("/search/steps/") && ends(&IN_WORDS);
    let is_lateness = begins(&["/generator/lateness/"]) && !ends(&["/p50", "/p99", "/max"]);
    let is_unchanged = path.contains("/stages/") && number(path) == number(&path.replace("/to/", "/from/"));
    let is_same = path.contains("/to/") && is_unchanged;
    let nothing_sent = json["summary"]["requests"] == 0 && begins(&["/timeline/", "/generator/"]);
    // What did not happen is not told.
    let is_nothing = number(path) == Some(0.0) && (path.contains("/load/") || path == "/duration");
    is_time_of_whole
        || !(is_left_out
            || is_end_of_part
            || is_band
            || is_of_search
            || is_lateness
            || is_same
            || nothing_sent
            || is_nothing)
}

/// The pointer of every number.
fn numbers(json: &Value, path: &str, found: &mut Vec<String>) {
    match json {
        Value::Number(_) => found.push(path.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, item)| numbers(item, &format!("{path}/{place}"), found));
        }
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            numbers(field, &format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }),
        _ => {}
    }
}

/// The numbers of a document, as a browser writes it down.
fn shown(document: &str) -> Vec<Shown<'_>> {
    let read = |rest: &str| rest.split_once('"').map(|(value, rest)| (plain(value), rest.len())).unwrap();
    let one = |rest| {
        let (value, left) = read(rest);
        let rest = &rest[rest.len() - left..];
        let rest = rest.strip_prefix(" data-path=\"").expect("a value has a path");
        let (path, left) = read(rest);
        let rest = rest[rest.len() - left..].strip_prefix(" data-unit=\"").expect("a value has a unit");
        let (unit, rest) = rest.split_once("\">").unwrap();
        Shown { value, path, unit, text: plain(rest.split_once('<').unwrap().0) }
    };
    document.split(" data-value=\"").skip(1).map(one).collect()
}

fn plain(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&nbsp;", "\u{a0}")
        .replace("&amp;", "&")
}

/// Whether a text says a number: as exact as three digits are.
fn is_said(truth: f64, unit: &str, text: &str) -> bool {
    let text = text.replace(',', "");
    let near = |said: f64, least: f64, part: f64| (said - truth).abs() <= f64::max(truth.abs() * part, least);
    match unit {
        "count" => text.parse() == Ok(truth),
        "time" => near(time(&text), 0.5, 0.0051),
        "rate" => near(text.strip_suffix("/s").unwrap().parse().unwrap(), 0.000_51, 0.0051),
        "share" => match text.strip_suffix('%').unwrap() {
            "<0.01" => truth > 0.0 && truth < 0.0001,
            ">99.99" => truth > 0.9999 && truth < 1.0,
            percent => near(percent.parse::<f64>().unwrap() / 100.0, 0.000_051, 0.0051),
        },
        "size" => near(size(&text), 0.5, 0.051),
        // What a criterion saw is in the unit of the criterion.
        "own" => {
            let said = match text.as_str() {
                time_text if time_text.ends_with('s') && !time_text.ends_with("/s") => time(time_text),
                share if share.ends_with('%') => share.trim_matches(['%', '<', '>']).parse::<f64>().unwrap() / 100.0,
                rate => rate.trim_end_matches("/s").parse().unwrap(),
            };
            near(said, 0.000_51, 0.0051)
        }
        unit => panic!("a unit that nobody knows: {unit}"),
    }
}

/// Reads `1m40s`, `1.23s`, `250us` in microseconds.
fn time(text: &str) -> f64 {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        let end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |place| digits + place);
        let unit = match &rest[digits..end] {
            "us" => 1.0,
            "ms" => 1e3,
            "s" => 1e6,
            "m" => 60e6,
            "h" => 3600e6,
            "d" => 86_400e6,
            unit => panic!("{unit} in {text}"),
        };
        sum += rest[..digits].parse::<f64>().unwrap() * unit;
        rest = &rest[end..];
    }
    sum
}

fn size(text: &str) -> f64 {
    let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "" => 0,
        "Ki" => 10,
        "Mi" => 20,
        "Gi" => 30,
        unit => panic!("{unit} in {text}"),
    };
    text[..digits].parse::<f64>().unwrap() * f64::from(1 << unit)
}

#[test]
fn a_number_that_is_not_the_reports_is_found_out() {
    assert!(is_said(1_234_567.0, "time", "1.23s") && is_said(100_000_000.0, "time", "1m40s"));
    assert!(!is_said(1_234_567.0, "time", "1.25s") && !is_said(1_234_567.0, "time", "1.23ms"));
    assert!(is_said(0.0123, "share", "1.23%") && !is_said(0.0123, "share", "0.01%"));
    assert!(is_said(12_345.0, "count", "12,345") && !is_said(12_345.0, "count", "12,346"));
    let page = r#"<td data-value="3" data-path="/a~1b" data-unit="count">3</td>"#;
    assert_eq!(shown(page)[0].path, "/a~1b");
}
