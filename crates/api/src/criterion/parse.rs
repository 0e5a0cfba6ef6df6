//! Parses a criterion, by hand: an error points at the column and says what would have been right there.

use std::str::FromStr;

use super::{AGGREGATES, Aggregate, Ended, Expr, METRICS, Metric, OPERATORS, ParseError, Value, units_of};
use crate::outcome::Outcome;
use crate::problem::did_you_mean;

/// The rest of the input, and where it begins.
struct Cursor<'a> {
    whole: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.whole[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// The longest run of such characters, which may be empty.
    fn take(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// All up to the bracket that closes an open one, which may be more than the next: the names of checks can have
    /// brackets in them. Nothing if there is none.
    fn until_closed(&mut self) -> &'a str {
        let (rest, mut open) = (self.rest(), 1_usize);
        for (at, c) in rest.char_indices() {
            match c {
                '(' => open += 1,
                ')' => open -= 1,
                _ => {}
            }
            if open == 0 {
                self.at += at;
                return &rest[..at];
            }
        }
        ""
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), ParseError> {
        if self.eat(token) { Ok(()) } else { Err(self.error(self.at, format!("`{token}`"))) }
    }

    /// An error at a byte offset, with what stands there up to the next space.
    fn error(&self, at: usize, expected: impl Into<String>) -> ParseError {
        let found: String = self.whole[at..].chars().take_while(|c| !c.is_whitespace()).take(30).collect();
        ParseError {
            column: self.whole[..at].chars().count() + 1,
            expected: expected.into(),
            found: if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") },
        }
    }
}

impl FromStr for Expr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut cursor = Cursor { whole: text, at: 0 };
        cursor.skip_space();
        let start = cursor.at;
        let aggregate = aggregate(&mut cursor)?;
        cursor.expect("(")?;
        let metric = metric(&mut cursor)?;
        cursor.expect(")")?;
        check_pair(aggregate, &metric).map_err(|expected| cursor.error(start, expected))?;
        cursor.skip_space();
        let operator = OPERATORS.iter().find(|(token, _)| cursor.eat(token)).map(|(_, operator)| *operator);
        let operator = operator.ok_or_else(|| cursor.error(cursor.at, "one of < <= > >= == !="))?;
        let limit = limit(&mut cursor, aggregate, &metric)?;
        cursor.skip_space();
        if cursor.rest().is_empty() {
            return Ok(Self { aggregate, metric, operator, limit });
        }
        Err(cursor.error(cursor.at, "the end of the criterion"))
    }
}

fn aggregate(cursor: &mut Cursor<'_>) -> Result<Aggregate, ParseError> {
    let start = cursor.at;
    let name = cursor.take(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
    if let Some((_, aggregate)) = AGGREGATES.iter().find(|(known, _)| *known == name) {
        return Ok(*aggregate);
    }
    let percentile = name.strip_prefix('p').filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()));
    match percentile.and_then(|digits| digits.parse::<f64>().ok()) {
        Some(p) if p > 0.0 && p < 100.0 => Ok(Aggregate::Percentile(p)),
        Some(_) => Err(cursor.error(start, "a percentile between 0 and 100, such as p95 or p99.9")),
        None => {
            let known = AGGREGATES.iter().map(|(name, _)| *name);
            let meant = did_you_mean(name, known).map(|meant| format!(" (did you mean {meant}?)"));
            let expected = "an aggregate: min max avg med stddev p50..p99.999 count rate last slope";
            Err(cursor.error(start, format!("{expected}{}", meant.unwrap_or_default())))
        }
    }
}

fn metric(cursor: &mut Cursor<'_>) -> Result<Metric, ParseError> {
    cursor.skip_space();
    let start = cursor.at;
    let name = cursor.take(|c| c.is_ascii_alphanumeric() || c == '_');
    match name {
        "latency" if cursor.eat("[") => {
            let ended = ended(cursor)?;
            cursor.expect("]")?;
            Ok(Metric::Latency(ended))
        }
        "latency" => Ok(Metric::Latency(Ended::Answered)),
        "service_time" => Ok(Metric::ServiceTime),
        "lateness" => Ok(Metric::Lateness),
        "requests" => Ok(Metric::Requests),
        "errors" => Ok(Metric::Errors(without(cursor)?)),
        "success" => Ok(Metric::Success(without(cursor)?)),
        "bytes_in" => Ok(Metric::BytesIn),
        "bytes_out" => Ok(Metric::BytesOut),
        "status" => {
            cursor.expect("(")?;
            let code = status(cursor)?;
            cursor.expect(")")?;
            Ok(Metric::Status(code))
        }
        "outcome" => {
            cursor.expect("(")?;
            let outcome = outcome(cursor)?;
            cursor.expect(")")?;
            Ok(Metric::Outcome(outcome))
        }
        "dropped" => Ok(Metric::Dropped),
        "check" => {
            cursor.expect("(")?;
            let name = cursor.until_closed().trim().to_owned();
            if name.is_empty() {
                let expected = "the name of a check, such as latency or `json $.state`, and `)`";
                return Err(cursor.error(cursor.at, expected));
            }
            cursor.expect(")")?;
            Ok(Metric::Check(name))
        }
        "server" => {
            if !cursor.rest().starts_with('.') {
                return Err(cursor.error(cursor.at, "`.` and the name of a server metric, such as server.memory"));
            }
            cursor.at += 1;
            let name = cursor.take(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).to_owned();
            if name.is_empty() {
                return Err(cursor.error(cursor.at, "the name of a server metric, such as memory"));
            }
            Ok(Metric::Server(name))
        }
        _ => {
            let meant = did_you_mean(name, METRICS).map(|meant| format!(" (did you mean {meant}?)"));
            let known = METRICS.map(|name| match name {
                "status" => "status(CODE)",
                "outcome" => "outcome(NAME)",
                "check" => "check(NAME)",
                "server" => "server.NAME",
                name => name,
            });
            let known = known.join(" ");
            Err(cursor.error(start, format!("a metric: {known}{}", meant.unwrap_or_default())))
        }
    }
}

fn status(cursor: &mut Cursor<'_>) -> Result<u16, ParseError> {
    cursor.skip_space();
    let at = cursor.at;
    let code = cursor.take(|c| c.is_ascii_alphanumeric()).parse().ok();
    let code = code.filter(|code| (100..600).contains(code));
    code.ok_or_else(|| cursor.error(at, "a status code, 100 to 599"))
}

/// The status whose answers are left out: `[!429]`, or nothing.
fn without(cursor: &mut Cursor<'_>) -> Result<Option<u16>, ParseError> {
    if !cursor.eat("[") {
        return Ok(None);
    }
    if !cursor.eat("!") {
        return Err(cursor.error(cursor.at, "`!` and the status to leave out, such as !429"));
    }
    let code = status(cursor)?;
    cursor.expect("]")?;
    Ok(Some(code))
}

/// How the requests ended whose latency is asked for: `any`, or an outcome.
fn ended(cursor: &mut Cursor<'_>) -> Result<Ended, ParseError> {
    cursor.skip_space();
    let start = cursor.at;
    if cursor.take(|c| c.is_ascii_alphanumeric() || c == '-') == "any" {
        return Ok(Ended::Any);
    }
    cursor.at = start;
    match outcome(cursor)? {
        outcome if outcome.has_end() => Ok(Ended::As(outcome)),
        _ => {
            let timed = Outcome::ALL.into_iter().filter(|outcome| outcome.has_end()).map(Outcome::name);
            let timed = timed.collect::<Vec<_>>().join(" ");
            Err(cursor.error(start, format!("any, or an outcome of requests that went over a connection: {timed}")))
        }
    }
}

fn outcome(cursor: &mut Cursor<'_>) -> Result<Outcome, ParseError> {
    cursor.skip_space();
    let start = cursor.at;
    let name = cursor.take(|c| c.is_ascii_alphanumeric() || c == '-');
    name.parse().map_err(|()| {
        let known = Outcome::ALL.map(Outcome::name).join(" ");
        cursor.error(start, format!("an outcome: {known}"))
    })
}

fn check_pair(aggregate: Aggregate, metric: &Metric) -> Result<(), &'static str> {
    match (aggregate, metric) {
        (Aggregate::Min | Aggregate::Max | Aggregate::Avg | Aggregate::Last | Aggregate::Slope, Metric::Server(_)) => {
            Ok(())
        }
        (_, Metric::Server(_)) => Err("min, max, avg, last or slope: a server metric has no other aggregate"),
        (Aggregate::Last | Aggregate::Slope, _) => {
            Err("another aggregate: last and slope are of server metrics, such as slope(server.memory)")
        }
        (Aggregate::Count, metric) if metric.is_distribution() => {
            Err("count of requests, errors, success, bytes, status, outcome, dropped or check: times are not counted")
        }
        (Aggregate::Rate, metric) if metric.is_distribution() => {
            Err("rate of requests, errors, success, bytes, status, outcome, dropped or check: times have no rate")
        }
        (Aggregate::Count | Aggregate::Rate, _) => Ok(()),
        (_, metric) if metric.is_distribution() => Ok(()),
        _ => Err("count or rate: this metric is counted, and has no other aggregate"),
    }
}

fn limit(cursor: &mut Cursor<'_>, aggregate: Aggregate, metric: &Metric) -> Result<Value, ParseError> {
    cursor.skip_space();
    let start = cursor.at;
    let units = units_of(aggregate, metric);
    // What is counted is never below zero; what the target says of itself, and a slope, may be.
    let sign = if units.len() > 1 && cursor.eat("-") { -1.0 } else { 1.0 };
    let number = cursor.take(|c| c.is_ascii_digit() || c == '.');
    let suffix = cursor.take(|c| c.is_ascii_alphabetic() || c == '%' || c == '/');
    let number = number.parse::<f64>().ok().filter(|n| n.is_finite());
    let of_suffix = units.iter().find_map(|unit| Some((*unit, unit.of_suffix(suffix)?)));
    // 0 is 0 in every unit, but a share and a rate are clearer with theirs: a bare number is refused otherwise.
    let (Some(number), Some((unit, factor))) = (number, of_suffix) else {
        let examples: Vec<&str> = units.iter().map(|unit| unit.example()).collect();
        return Err(cursor.error(start, examples.join(", or ")));
    };
    Ok(Value { unit, amount: sign * number * factor })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::criterion::{Operator, Unit};
    use proptest::prelude::*;

    #[test]
    fn criteria_of_the_design_are_read() {
        let expr: Expr = "p95(latency) < 500ms".parse().unwrap();
        assert_eq!(expr.aggregate, Aggregate::Percentile(95.0));
        assert_eq!((expr.metric, expr.operator), (Metric::Latency(Ended::Answered), Operator::Less));
        assert_eq!(expr.limit, Value { unit: Unit::Time, amount: 500_000.0 });
        for text in [
            "rate(errors) < 1%",
            "rate(requests) >= 10000/s",
            "p99.999(service_time)<=1.5s",
            "count(status(429)) == 0",
            "rate(outcome(timeout)) < 0.1%",
            " max( latency[ok] ) < 2s ",
            "rate(bytes_in) > 10Mi/s",
            "count(requests) == 7300",
            "stddev(lateness) < 200us",
            "rate(dropped) < 0.1%",
            "count(dropped) == 0",
            "rate(check(header X-Id)) >= 99.9%",
            "count(check( body contains )) > 10",
            "rate(success[!429]) > 50%",
            "count( errors [ ! 503 ] ) == 0",
            "max(server.cpu) < 80%",
            "slope(server.memory) < 1%/h",
            "avg( server.heap-used_2 ) <= 512Mi",
        ] {
            assert!(text.parse::<Expr>().is_ok(), "{text}: {:?}", text.parse::<Expr>());
        }
    }

    #[test]
    fn an_error_points_at_the_column_and_says_what_would_be_right() {
        let said = |text: &str| text.parse::<Expr>().unwrap_err().to_string();
        let starts = |text: &str, expected: &str| assert!(said(text).starts_with(expected), "{text}: {}", said(text));
        starts("p95(latncy) < 500ms", "column 5: expected a metric");
        assert!(said("p95(latncy) < 500ms").contains("did you mean latency?"));
        starts("p95(latency) < 500", "column 16: expected a time such as 500ms");
        starts("p95(latency) = 500ms", "column 14: expected one of < <= > >= == !=, got `=`");
        starts("p100(latency) < 1s", "column 1: expected a percentile between 0 and 100");
        starts("rate(errors) < 1", "column 16: expected a share such as 1%, got `1`");
        starts("rate(errors) < 1% and more", "column 19: expected the end of the criterion");
        starts("count(latency) < 5", "column 1: expected count of requests");
        starts("avg(errors) < 5", "column 1: expected count or rate");
        starts("rate(outcome(tmeout)) < 5%", "column 14: expected an outcome: ok");
        starts("max(latency[connect]) < 5s", "column 13: expected any, or an outcome of requests that went over");
        starts("max(latency[anything]) < 5s", "column 13: expected an outcome: ok");
        starts("max(latency[any) < 5s", "column 16: expected `]`, got `)`");
        starts("rate(errors[any]) < 5%", "column 13: expected `!`");
        starts("", "column 1: expected an aggregate");
        starts("p95", "column 4: expected `(`, got the end");
        starts("p95(latency) < -5ms", "column 16: expected a time");
        starts("rate(check()) > 1%", "column 12: expected the name of a check");
        starts("rate(check(latency > 1%", "column 12: expected the name of a check");
        starts("rate(check(a) > 1%", "column 15: expected `)`, got `>`");
        starts("avg(dropped) > 1", "column 1: expected count or rate");
        starts("count(status(999)) < 5", "column 14: expected a status code");
        starts("rate(success[429]) > 50%", "column 14: expected `!` and the status to leave out");
        starts("rate(success[!ok]) > 50%", "column 15: expected a status code");
        starts("rate(errors[!429) < 1%", "column 17: expected `]`, got `)`");
        starts("rate(status[!429](500)) < 1%", "column 12: expected `(`");
        starts("max(server) < 5", "column 11: expected `.` and the name of a server metric");
        starts("max(server.) < 5", "column 12: expected the name of a server metric");
        starts("p95(server.cpu) < 5", "column 1: expected min, max, avg, last or slope");
        starts("slope(latency) < 1%/h", "column 1: expected another aggregate: last and slope are of server metrics");
        starts("slope(server.memory) < 1%", "column 24: expected a share per hour such as 1%/h, or a number per hour");
        starts("max(server.cpu) < 1%/h", "column 19: expected a number such as 100, or a share such as 1%");
        starts("last(server.memory) < 5x", "column 23: expected a number");
        assert!(said("max(servr.cpu) < 5").contains("did you mean server?"));
    }

    #[test]
    fn the_limit_of_a_server_metric_says_its_unit() {
        for (text, unit, amount, shown) in [
            ("last(server.x) < 5", Unit::Count, 5.0, "5"),
            ("min(server.x) > -2.5", Unit::Count, -2.5, "-2.500"),
            ("max(server.x) < 80%", Unit::Share, 0.8, "80%"),
            ("avg(server.x) < 250ms", Unit::Time, 250_000.0, "250ms"),
            ("max(server.x) < 512Mi", Unit::Bytes, 536_870_912.0, "512Mi"),
            ("slope(server.x) < 1%/h", Unit::SharePerHour, 0.01, "1%/h"),
            ("slope(server.x) > -1%/m", Unit::SharePerHour, -0.6, "-60%/h"),
            ("slope(server.x) < 4%/m", Unit::SharePerHour, 2.4, "240%/h"),
            ("slope(server.x) < 10Mi/h", Unit::BytesPerHour, 10_485_760.0, "10Mi/h"),
            ("slope(server.x) < 24/d", Unit::PerHour, 1.0, "1/h"),
            ("slope(server.x) < 5ms/h", Unit::TimePerHour, 5_000.0, "5ms/h"),
        ] {
            let expr: Expr = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((expr.unit(), expr.limit.unit), (unit, unit), "{text}");
            assert!((expr.limit.amount - amount).abs() <= amount.abs() * 1e-12, "{text}: {}", expr.limit.amount);
            assert_eq!(expr.limit.to_string(), shown, "{text}");
        }
    }

    #[test]
    fn the_name_of_a_check_ends_at_the_bracket_that_closes_it() {
        let expr: Expr = "rate(check(json $.a[?(@.b > 1)])) > 99%".parse().unwrap();
        assert_eq!(expr.metric, Metric::Check("json $.a[?(@.b > 1)]".to_owned()));
        assert_eq!((expr.unit(), expr.limit.amount), (Unit::Share, 0.99));
        assert_eq!("count(dropped) < 5".parse::<Expr>().unwrap().unit(), Unit::Count);
    }

    #[test]
    fn a_share_read_from_a_decimal_equals_the_same_share_counted() {
        assert!(Operator::LessOrEqual.holds(3.0 / 300.0, 1.0 * 0.01));
        assert!(!Operator::Less.holds(3.0 / 300.0, 1.0 * 0.01));
        assert!(Operator::Equal.holds(0.0, 0.0));
    }

    #[test]
    fn a_status_that_is_left_out_is_of_errors_and_success_alone() {
        let expr: Expr = "rate(success[!429]) > 50%".parse().unwrap();
        assert_eq!((&expr.metric, expr.unit()), (&Metric::Success(Some(429)), Unit::Share));
        let expr: Expr = "count(errors[!429]) < 5".parse().unwrap();
        assert_eq!((&expr.metric, expr.unit()), (&Metric::Errors(Some(429)), Unit::Count));
        assert!("rate(requests[!429]) > 5/s".parse::<Expr>().is_err());
    }

    fn metrics() -> impl Strategy<Value = Metric> {
        let outcome = || proptest::sample::select(Outcome::ALL.to_vec());
        let status = || proptest::option::of(100_u16..600);
        prop_oneof![
            outcome().prop_map(|outcome| match outcome {
                outcome if outcome.has_end() => Metric::Latency(Ended::As(outcome)),
                Outcome::Connect => Metric::Latency(Ended::Any),
                _ => Metric::Latency(Ended::Answered),
            }),
            proptest::sample::select(vec![
                Metric::ServiceTime,
                Metric::Lateness,
                Metric::Requests,
                Metric::BytesIn,
                Metric::BytesOut,
                Metric::Dropped,
                Metric::Check("json $.a[?(@.b > 1)]".to_owned()),
            ]),
            status().prop_map(Metric::Errors),
            status().prop_map(Metric::Success),
            (100_u16..600).prop_map(Metric::Status),
            outcome().prop_map(Metric::Outcome),
            "[a-zA-Z0-9_-]{1,20}".prop_map(Metric::Server),
        ]
    }

    proptest! {
        #[test]
        fn what_is_measured_is_written_as_it_is_read(metric in metrics(), number in 1_u32..99_999) {
            let aggregate = match &metric {
                metric if metric.is_distribution() => Aggregate::Percentile(f64::from(number) / 1000.0),
                Metric::Server(_) if number % 2 == 0 => Aggregate::Slope,
                Metric::Server(_) => Aggregate::Last,
                _ => Aggregate::Count,
            };
            let limit = if metric.is_distribution() { "5ms" } else { "5Ki" };
            let limit = if units_of(aggregate, &metric)[0] == Unit::Count { "5" } else { limit };
            let limit = if aggregate == Aggregate::Slope { "-5%/h" } else { limit };
            let text = format!("{aggregate}({metric}) < {limit}");
            let expr: Expr = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            prop_assert_eq!((expr.aggregate, expr.metric), (aggregate, metric));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            let _ = text.parse::<Expr>();
        }

        #[test]
        fn parsing_near_misses_never_panics(
            text in "(p9?9|rate|count|slope)[(]?(latency|errors|status|check|dropped|server[.]?)[(\\[]?[a-zé0-9]{0,3}[)\\]]{0,2} ?[<>=!]{0,2} ?[0-9.]{0,4}[a-z%/]{0,2}"
        ) {
            let _ = text.parse::<Expr>();
        }
    }
}
