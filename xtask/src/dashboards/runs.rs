//! The dashboard of all runs, and of the schedules that make them.

use serde_json::Value;

use super::board::Board;
use super::expr::{latest, once, quantile, rate};
use super::panel::{Panel, verdicts};
use super::run;

/// What the other dashboard links to.
pub(super) const UID: &str = "proofload-runs";

/// Series of the tests that are chosen.
const TESTS: &str = r#"namespace=~"$namespace",schedule=~"$schedule",loadtest=~"$loadtest""#;
/// The same, without those that no schedule made.
const SCHEDULED: &str = r#"namespace=~"$namespace",schedule=~"$schedule",schedule!="",loadtest=~"$loadtest""#;
/// Series of the schedules that are chosen.
const SCHEDULES: &str = r#"namespace=~"$namespace",schedule=~"$schedule""#;

fn of(name: &str, matchers: &str) -> String {
    format!("proofload_{name}{{{matchers}}}")
}

/// As JSON.
pub(super) fn dashboard() -> Value {
    let board = Board::new(
        UID,
        "Proofload / all runs",
        "The load tests of Proofload: their verdicts, how they went on from run to run, and their schedules.",
        "now-7d",
    )
    .any_of("namespace", "Namespace", "label_values(proofload_loadtest_info, namespace)")
    .any_of("schedule", "Schedule", r#"label_values(proofload_loadtest_info{namespace=~"$namespace"}, schedule)"#)
    .any_of(
        "loadtest",
        "Load test",
        r#"label_values(proofload_loadtest_info{namespace=~"$namespace",schedule=~"$schedule"}, loadtest)"#,
    )
    .link("One run", run::UID);
    [now, history, trends, schedules, operator].into_iter().fold(board, |board, part| part(board)).finished()
}

/// Runners in use, of each load test.
fn runners() -> String {
    once("namespace, loadtest", &of("loadtest_runners", r#"namespace=~"$namespace""#))
}

fn now(board: Board) -> Board {
    let tests = once("namespace, phase", r#"proofload_loadtests{namespace=~"$namespace",phase!="Finished"}"#);
    let under_way = format!("sum({tests}) or vector(0)");
    let runners = format!("sum({}) or vector(0)", runners());
    let schedule = |name: &str| once("namespace, schedule", &of(name, SCHEDULES));
    let failing = format!("count({} > 0) or vector(0)", schedule("schedule_failures_in_a_row"));
    let paused = format!("sum({}) or vector(0)", schedule("schedule_paused"));
    let stat = |title: &str, description: &str| Panel::stat(title, description, "short").sized(6, 4);
    board
        .row("Now")
        .panel(
            stat("Runs under way", "Load tests that have no verdict yet, those that wait among them.")
                .ask_now("runs", &under_way),
        )
        .panel(stat("Runners in use", "Runner pods of all runs in the chosen namespaces.").ask_now("runners", &runners))
        .panel(
            stat("Failing schedules", "Schedules whose last run did not pass.")
                .ask_now("schedules", &failing)
                .red_from(1.0),
        )
        .panel(
            stat("Paused schedules", "Schedules that paused themselves after too many failures in a row.")
                .ask_now("schedules", &paused)
                .red_from(1.0),
        )
}

/// The verdict of each schedule's last run as a number, see [`verdicts`].
fn verdict_numbers() -> String {
    let one = |(number, verdict): (u64, &str)| {
        let selector = format!(r#"proofload_schedule_last_verdict{{{TESTS},verdict="{verdict}"}}"#);
        format!("{number} * max by (namespace, schedule) ({selector})")
    };
    verdicts().map(one).collect::<Vec<_>>().join(" or ")
}

fn history(board: Board) -> Board {
    board
        .row("Verdicts")
        .panel(
            Panel::timeline("Verdict of each schedule", "The verdict of the last run of each schedule, over time.")
                .sized(16, 8)
                .ask("{{namespace}}/{{schedule}}", &verdict_numbers())
                .numbered_verdicts(),
        )
        .panel(
            Panel::series(
                "Runs by verdict",
                "Finished load tests that are in the cluster, by verdict; those that were removed are not counted.",
                "short",
            )
            .ask(
                "{{verdict}}",
                &format!(
                    "count by (verdict) ({})",
                    once("namespace, loadtest, verdict", &of("loadtest_verdict", TESTS))
                ),
            )
            .stacked()
            .colored_by_verdict(),
        )
        .panel(finished())
}

fn finished() -> Panel {
    let by = "namespace, loadtest, schedule";
    let max = |name: &str| once(by, &of(name, TESTS));
    // The link's times: some before the load, and so much after the verdict that the last scrape is among them.
    let began =
        format!("{} or {}", max("loadtest_start_timestamp_seconds"), max("loadtest_completion_timestamp_seconds"));
    let from = format!("floor(1000 * ({began})) - 60000");
    let to = format!("floor(1000 * {}) + 60000", max("loadtest_completion_timestamp_seconds"));
    let field = |name: &str| format!("${{__data.fields.{name}}}");
    let number = |name: &str| format!("${{__data.fields[\"{name}\"].numeric}}");
    let url = format!(
        "/d/{}?var-namespace={}&var-loadtest={}&from={}&to={}",
        run::UID,
        field("namespace"),
        field("loadtest"),
        number("Value #G"),
        number("Value #H")
    );
    Panel::table("Finished runs", "Load tests that are in the cluster and have a verdict. A name leads to the run.")
        .sized(24, 9)
        .ask_rows(&format!("max by ({by}, verdict) ({})", of("loadtest_verdict", TESTS)))
        .ask_rows(&format!("1000 * {}", max("loadtest_completion_timestamp_seconds")))
        .ask_rows(&max("loadtest_requests_per_second"))
        .ask_rows(&max("loadtest_error_ratio"))
        .ask_rows(&max("loadtest_p95_seconds"))
        .ask_rows(&max("loadtest_p99_seconds"))
        .ask_rows(&from)
        .ask_rows(&to)
        .merged(&["Time", "Value #A"])
        .linked("loadtest", "This run", &url)
        .column("Value #B", "Finished", "dateTimeAsIso")
        .column("Value #C", "Requests per second", "reqps")
        .column("Value #D", "Errors", "percentunit")
        .column("Value #E", "p95", "s")
        .column("Value #F", "p99", "s")
        .unseen("Value #G")
        .unseen("Value #H")
}

fn trends(board: Board) -> Board {
    let trend = |title: &str, description: &str, unit: &str, name: &str| {
        let expression = format!("max by (namespace, schedule) ({} {})", of(name, SCHEDULED), latest(1, SCHEDULED));
        Panel::series(title, description, unit).ask("{{namespace}}/{{schedule}}", &expression)
    };
    let of_p95 = format!(r#"{SCHEDULED},figure="p95""#);
    let changes = format!(
        "max by (namespace, schedule) ({} {})",
        of("loadtest_baseline_change_ratio", &of_p95),
        latest(1, SCHEDULED)
    );
    board
        .row("Trends")
        .panel(trend(
            "p95 from run to run",
            "The 95th percentile of latency of each schedule's last run: a step where a run was other than the one before.",
            "s",
            "loadtest_p95_seconds",
        ))
        .panel(trend("Throughput from run to run", "Requests per second of each schedule's last run.", "reqps", "loadtest_requests_per_second"))
        .panel(trend("Errors from run to run", "Share of failed requests of each schedule's last run.", "percentunit", "loadtest_error_ratio"))
        .panel(
            Panel::series(
                "Change against the baseline",
                "How much longer the 95th percentile of each schedule's last run was than that of the run that it was held \
                 against (spec.baseline), as a share of it.",
                "percentunit",
            )
            .ask("{{namespace}}/{{schedule}}", &changes),
        )
}

fn schedules(board: Board) -> Board {
    let count = |name: &str| format!("sum(increase({}[$__rate_interval]))", of(name, SCHEDULES));
    board
        .row("Schedules")
        .panel(
            Panel::series("Failures in a row", "How many runs of a schedule, up to its last, did not pass.", "short")
                .ask("{{namespace}}/{{schedule}}", &format!("max by (namespace, schedule) ({})", of("schedule_failures_in_a_row", SCHEDULES))),
        )
        .panel(
            Panel::series(
                "Due and started",
                "Ticks of the schedules, the runs that were started, and the ticks that were skipped since a run was under \
                 way or missed since it was too late.",
                "short",
            )
            .ask("due", &count("schedule_due_total"))
            .ask("started", &count("schedule_started_total"))
            .ask("skipped", &count("schedule_skipped_total"))
            .ask("missed", &count("schedule_missed_total")),
        )
        .panel(
            Panel::table("Next runs", "When each schedule runs next. None: it is suspended, paused, or has no times.")
                .ask_rows(&format!("1000 * max by (namespace, schedule) ({})", of("schedule_next_timestamp_seconds", SCHEDULES)))
                .merged(&["Time"])
                .column("Value", "Next", "dateTimeFromNow"),
        )
        .panel(
            Panel::series("Runners over time", "Runner pods in use, by namespace.", "short")
                .sized(24, 6)
                .ask("{{namespace}}", &format!("sum by (namespace) ({})", runners()))
                .stacked(),
        )
}

fn operator(board: Board) -> Board {
    let reconciles = "proofload_operator_reconciles_total";
    board
        .row("Operator")
        .panel(
            Panel::series(
                "Leader",
                "Operators that lead: exactly one. Without one, runs that are under way go on, and none begins.",
                "short",
            )
            .sized(6, 8)
            .ask("leaders", "sum(proofload_operator_leader)"),
        )
        .panel(
            Panel::series("Passes", "Passes over load tests and schedules per second, by result.", "ops")
                .sized(6, 8)
                .ask("{{kind}}, {{result}}", &rate("kind, result", reconciles)),
        )
        .panel(
            Panel::series("Pass takes", "99th percentile of how long a pass takes, by kind.", "s")
                .sized(6, 8)
                .ask("{{kind}}", &quantile(0.99, "kind", "proofload_operator_reconcile_duration_seconds", "")),
        )
        .panel(
            Panel::series(
                "Calls of the API server",
                "Requests of the operator to the API server per second, by verb and status.",
                "reqps",
            )
            .sized(6, 8)
            .ask("{{verb}} {{code}}", &rate("verb, code", "proofload_operator_api_requests_total")),
        )
        .panel(
            Panel::series("Waiting for a pass", "Load tests and schedules that wait for a pass.", "short")
                .sized(12, 6)
                .ask("waiting", "sum(proofload_operator_queue_length)"),
        )
        .panel(
            Panel::series("Failed passes", "Errors of passes per second, by kind.", "ops")
                .sized(12, 6)
                .ask("{{kind}}", &rate("kind", "proofload_operator_errors_total")),
        )
}
