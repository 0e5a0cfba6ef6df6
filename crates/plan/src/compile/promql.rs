//! What is clearly wrong with a query in `PromQL`: brackets and quotes that are not closed, an end where an operand must
//! stand, characters that no dialect has.
//!
//! This is no parser on purpose. Thanos, Mimir and `VictoriaMetrics` have dialects of their own, and each release of
//! Prometheus has functions that the last one did not: a query that is refused here although its server knows it could
//! not be asked at all. What else is wrong the server itself says, before the load begins.

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) expected: String,
    pub(super) came: String,
    pub(super) hint: Option<String>,
}

/// What ends no query: something has to follow it.
const OPEN_ENDS: &str = "+-*/%^=<>!~,@";
/// What begins none.
const CLOSED_BEGINS: &str = "*/%^=<>!~,)]}";

/// Looks for what is clearly wrong.
pub(super) fn check(query: &str) -> Result<(), Wrong> {
    let mut open: Vec<(char, usize)> = Vec::new();
    let (mut first, mut last) = (None, None);
    let mut chars = query.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c.is_whitespace() => continue,
            '#' => {
                chars.by_ref().find(|(_, c)| *c == '\n');
                continue;
            }
            '"' | '\'' | '`' => quoted(c, &mut chars).ok_or_else(|| {
                let came = format!("none up to the end, after {}", place(query, at));
                Wrong { expected: format!("{c} after the text that it begins"), came, hint: None }
            })?,
            '(' | '[' | '{' => open.push((c, at)),
            ')' | ']' | '}' => match open.pop() {
                Some((begin, _)) if closing(begin) == c => {}
                Some((begin, _)) => return Err(wrong(query, at, format!("`{}`", closing(begin)))),
                None => return Err(wrong(query, at, format!("an opening bracket before `{c}`"))),
            },
            '$' => {
                let hint = "variables of Grafana mean nothing here: write what they stand for, such as [1m]";
                return Err(Wrong { hint: Some(hint.to_owned()), ..wrong(query, at, "PromQL".to_owned()) });
            }
            ';' | '?' | '&' | '|' => return Err(wrong(query, at, "PromQL".to_owned())),
            _ => {}
        }
        first = first.or(Some((at, c)));
        last = Some((at, c));
    }
    if let Some((begin, at)) = open.pop() {
        let came = format!("the end; `{begin}` stands at {}", place(query, at));
        return Err(Wrong { expected: format!("`{}`", closing(begin)), came, hint: None });
    }
    let (Some((begin, first)), Some((end, last))) = (first, last) else {
        return Err(Wrong { expected: "a query".to_owned(), came: "none".to_owned(), hint: None });
    };
    if CLOSED_BEGINS.contains(first) {
        return Err(wrong(query, begin, "an expression".to_owned()));
    }
    if OPEN_ENDS.contains(last) {
        let came = format!("the end, after `{last}` at {}", place(query, end));
        return Err(Wrong { expected: "an expression".to_owned(), came, hint: None });
    }
    Ok(())
}

const fn closing(begin: char) -> char {
    match begin {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

/// Goes to the end of a text in quotes; none if it has no end.
fn quoted(quote: char, chars: &mut std::str::CharIndices<'_>) -> Option<()> {
    loop {
        match chars.next()?.1 {
            '\\' if quote != '`' => drop(chars.next()?),
            c if c == quote => return Some(()),
            _ => {}
        }
    }
}

fn wrong(query: &str, at: usize, expected: String) -> Wrong {
    let found: String = query[at..].chars().take_while(|c| !c.is_whitespace()).take(30).collect();
    Wrong { expected, came: format!("`{found}` at {}", place(query, at)), hint: None }
}

/// `column 12`, or in a query of several lines `line 2, column 5`.
fn place(query: &str, at: usize) -> String {
    let before = &query[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    if query.trim_end().contains('\n') { format!("line {line}, column {column}") } else { format!("column {column}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn queries_of_every_dialect_are_taken() {
        for query in [
            "up",
            "-sum(rate(container_cpu_usage_seconds_total{pod=~\"shop-.*\", container!=''}[5m])) by (pod)",
            "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[1m])))",
            "max_over_time(deriv(process_resident_memory_bytes[5m])[30m:1m] @ end() offset -1m)",
            "a{b=\"}(]\"} # ( a comment\n / on(x) group_left c",
            "WITH (f(x) = rate(x[5m])) f(a) default 0",
            "{__name__=\"a\" or __name__=`b\\`}",
            "1e3 == bool 0x1F",
            "sum(x) by (y) keep_metric_names",
        ] {
            assert_eq!(check(query), Ok(()), "{query}");
        }
    }

    #[test]
    fn what_is_clearly_wrong_is_told_with_its_place() {
        let said = |query: &str| {
            let Wrong { expected, came, .. } = check(query).unwrap_err();
            format!("{expected}, {came}")
        };
        assert_eq!(said("sum(rate(x[5m])"), "`)`, the end; `(` stands at column 4");
        assert_eq!(said("rate(x[5m)"), "`]`, `)` at column 10");
        assert_eq!(said("sum(x))"), "an opening bracket before `)`, `)` at column 7");
        assert_eq!(said("x{job=\"a}"), "\" after the text that it begins, none up to the end, after column 7");
        assert_eq!(said("sum(\n  x +\n) +"), "an expression, the end, after `+` at line 3, column 3");
        assert_eq!(said(" # nothing"), "a query, none");
        assert_eq!(said("* 2"), "an expression, `*` at column 1");
        assert_eq!(said("a && b"), "PromQL, `&&` at column 3");
        assert!(check("rate(x[$__rate_interval])").unwrap_err().hint.unwrap().contains("Grafana"));
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at(query in "\\PC*") {
            let _ = check(&query);
        }

        #[test]
        fn any_brackets_and_quotes_are_looked_at(query in "[(){}\\[\\]\"'`\\\\a+ \n#é]{0,30}") {
            let _ = check(&query);
        }
    }
}
