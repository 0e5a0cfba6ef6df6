//! The dashboard of one run.

use serde_json::Value;

use super::board::Board;
use super::expr::{buckets, last, once, quantile, rate};
use super::panel::Panel;

/// What the other dashboard links to.
pub(super) const UID: &str = "proofload-run";

/// Series of the run.
const RUN: &str = r#"namespace="$namespace",loadtest="$loadtest""#;
/// Series of the scenarios that are chosen.
const SCENARIO: &str = r#"namespace="$namespace",loadtest="$loadtest",scenario=~"$scenario""#;
/// Series of the steps that are chosen.
const STEP: &str = r#"namespace="$namespace",loadtest="$loadtest",scenario=~"$scenario",step=~"$step""#;
/// Containers of the target's pods.
const TARGET: &str = r#"namespace=~"$target_namespace",pod=~"$target_pod",container!="""#;

fn of(name: &str, matchers: &str) -> String {
    format!("proofload_{name}{{{matchers}}}")
}

/// Series of the requests that count in a share of errors.
fn ended() -> String {
    format!(r#"{STEP},status!="interrupted""#)
}

/// What the operator tells of the run; of one that was deleted, what it told last. An earlier one of the same name may be in
/// the time that is looked at, too.
fn told(name: &str) -> String {
    let series = of(name, RUN);
    format!("{series} or ({} unless on () {})", last(&series), of("loadtest_info", RUN))
}

/// As JSON.
pub(super) fn dashboard() -> Value {
    let labels = |selector: String, label: &str| format!("label_values({selector}, {label})");
    let board = Board::new(
        UID,
        "Proofload / one run",
        "A load test of Proofload: its load, its figures, its verdict.",
        "now-1h",
    )
    .one_of("namespace", "Namespace", "label_values(proofload_loadtest_info, namespace)")
    .one_of(
        "loadtest",
        "Load test",
        &labels(r#"proofload_loadtest_info{namespace="$namespace"}"#.to_owned(), "loadtest"),
    )
    .any_of("scenario", "Scenario", &labels(of("requests_total", RUN), "scenario"))
    .any_of("step", "Step", &labels(of("requests_total", SCENARIO), "step"))
    .any_of("target_namespace", "Target's namespace", "label_values(container_memory_working_set_bytes, namespace)")
    .typed("target_pod", "Target's pods", ".+")
    .moment("Start", "green", &once("loadtest", &of("loadtest_start_timestamp_seconds", RUN)), "{{loadtest}} starts")
    .moment(
        "End",
        "red",
        &once("loadtest", &of("loadtest_completion_timestamp_seconds", RUN)),
        "{{loadtest}} has its verdict",
    )
    .period(
        "Stages",
        "blue",
        &format!("max by (scenario, stage) ({}) == 1", of("stage", SCENARIO)),
        "{{scenario}}: {{stage}}",
    )
    .link("All runs", super::runs::UID);
    [verdict, load, latency, errors, generator, target].into_iter().fold(board, |board, part| part(board)).finished()
}

fn verdict(board: Board) -> Board {
    let by_verdict = format!("max by (verdict) ({})", told("loadtest_verdict"));
    let by_phase = format!("max by (phase) ({})", of("loadtest_info", RUN));
    let (start, end) = (of("loadtest_start_timestamp_seconds", RUN), of("loadtest_completion_timestamp_seconds", RUN));
    let took = format!("max(({end} - {start}) or (time() - {start}))");
    let requests = format!("sum({})", last(&of("requests_total", STEP)));
    let errors = format!(
        "(sum({}) or vector(0)) / sum({})",
        last(&of("request_errors_total", STEP)),
        last(&of("requests_total", &ended()))
    );
    let skew = format!("max({})", told("loadtest_start_skew_seconds"));
    board
        .row("Verdict")
        .panel(
            Panel::word("Verdict", "What the run came to. Empty until it has ended; no figure is judged by Grafana.")
                .ask_now("{{verdict}}", &by_verdict)
                .colored_by_verdict()
                .otherwise("none yet"),
        )
        .panel(
            Panel::word("Phase", "Where the run is: Pending, Starting, Running, Finishing or Finished.")
                .ask_now("{{phase}}", &by_phase),
        )
        .panel(
            Panel::stat("Took", "From the first load to the verdict, or to now while there is none.", "s")
                .ask_now("took", &took),
        )
        .panel(
            Panel::stat(
                "Requests",
                "Requests sent by all runners, each counted once. At the end it is the report's count, or the sum of all \
                 runs of this name in the time that is looked at.",
                "locale",
            )
            .ask_now("requests", &requests),
        )
        .panel(
            Panel::stat(
                "Errors",
                "Share of the requests that failed, over the whole run; without those that its end cut off.",
                "percentunit",
            )
            .ask_now("errors", &errors)
            .red_from(0.01),
        )
        .panel(
            Panel::stat(
                "Start skew",
                "How far apart the runners began. More than a second makes a run inconclusive.",
                "s",
            )
            .ask_now("skew", &skew)
            .red_from(1.0),
        )
        .panel(criteria())
        .panel(held_against())
        .panel(change())
}

fn criteria() -> Panel {
    let by = "criterion, of, during";
    let value = format!("max by ({by}) ({})", told("loadtest_criterion_value"));
    let ok = format!("min by ({by}) ({})", told("loadtest_criterion_ok"));
    Panel::table(
        "Criteria",
        "What must hold, and what was observed, in base units: seconds, shares of 1, bytes, per second. A criterion \
         without samples has no value.",
    )
    .sized(24, 7)
    .ask_rows(&value)
    .ask_rows(&ok)
    .merged(&["Time"])
    .column("criterion", "Criterion", "string")
    .column("of", "Of", "string")
    .column("during", "During", "string")
    .column("Value #A", "Observed", "short")
    .yes_or_no("Value #B", "Holds", "yes", "no")
}

fn held_against() -> Panel {
    Panel::stat(
        "Held against",
        "The run that this one was held against (spec.baseline), and whether this one is worse: beyond what is tolerated, \
         and beyond chance. Of runs that cannot be compared nothing good is said.",
        "none",
    )
    .sized(8, 4)
    .ask_now("{{baseline}}", &format!("max by (baseline) ({})", told("loadtest_baseline_ok")))
    .good_or_bad("not worse", "worse, or not known")
    .otherwise("no baseline")
}

fn change() -> Panel {
    Panel::stat(
        "Change since then",
        "How much the figures of the whole run are above those of that run, as a share of what they were; of errors the \
         difference of both shares. What of it is a regression, the report says.",
        "percentunit",
    )
    .sized(16, 4)
    .ask_now("{{figure}}", &format!("max by (figure) ({})", told("loadtest_baseline_change_ratio")))
    .otherwise("no baseline")
}

fn load(board: Board) -> Board {
    let by_step = rate("scenario, step", &of("requests_total", STEP));
    board
        .row("Load")
        .panel(
            Panel::series(
                "Load asked and served",
                "Iterations per second: what the plan asks for at this moment, what was done, and what had to be dropped \
                 since no user was free. Only scenarios with arrivals have a plan here.",
                "iops",
            )
            .ask("asked, {{scenario}}", &format!("sum by (scenario) ({})", of("planned_rate", SCENARIO)))
            .ask("done, {{scenario}}", &rate("scenario", &of("iterations_total", SCENARIO)))
            .ask("dropped, {{scenario}}", &rate("scenario", &of("dropped_iterations_total", SCENARIO))),
        )
        .panel(
            Panel::series("Users asked and at work", "Users that the plan has at this moment, and those that are at work.", "short")
                .ask("asked, {{scenario}}", &format!("sum by (scenario) ({})", of("target_users", SCENARIO)))
                .ask("at work, {{scenario}}", &format!("sum by (scenario) ({})", of("users", SCENARIO))),
        )
        .panel(
            Panel::series("Requests by step", "Requests per second, of each step.", "reqps")
                .ask("{{scenario}}/{{step}}", &by_step)
                .stacked(),
        )
        .panel(
            Panel::series("Traffic", "Bytes per second that the runners sent and received, heads and bodies.", "Bps")
                .sized(24, 6)
                .ask("sent", &rate("", &of("sent_bytes_total", STEP)))
                .ask("received", &rate("", &of("received_bytes_total", STEP))),
        )
}

fn latency(board: Board) -> Board {
    const NAME: &str = "proofload_request_duration_seconds";
    let mut percentiles = Panel::series(
        "Latency",
        "Percentiles of the chosen steps over all runners, counted from when a request was due: a target that stalls \
         cannot hide. Taken from histograms that were summed first.",
        "s",
    )
    .sized(12, 9);
    for (share, legend) in [(0.5, "p50"), (0.9, "p90"), (0.95, "p95"), (0.99, "p99")] {
        percentiles = percentiles.ask(legend, &quantile(share, "", NAME, STEP));
    }
    board
        .row("Latency")
        .panel(percentiles)
        .panel(
            Panel::heatmap("Distribution", "How many requests took how long: two humps are two kinds of answers, which no percentile tells.")
                .sized(12, 9)
                .ask_buckets(&buckets(NAME, STEP)),
        )
        .panel(
            Panel::series("p95 by step", "The 95th percentile of latency of each step.", "s")
                .sized(12, 8)
                .ask("{{scenario}}/{{step}}", &quantile(0.95, "scenario, step", NAME, STEP)),
        )
        .panel(
            Panel::series(
                "Latency and service time",
                "p99 from when a request was due, and from when it was sent. Where they part, requests waited for a user \
                 or a connection to be free.",
                "s",
            )
            .sized(12, 8)
            .ask("latency p99", &quantile(0.99, "", NAME, STEP))
            .ask("service time p99", &quantile(0.99, "", "proofload_service_time_seconds", STEP)),
        )
}

fn errors(board: Board) -> Board {
    let errors = of("request_errors_total", STEP);
    let share = format!("({} or vector(0)) / {}", rate("", &errors), rate("", &of("requests_total", &ended())));
    let failed = format!(r#"proofload_checks_total{{{STEP},result="fail"}}"#);
    board
        .row("Errors")
        .panel(
            Panel::series("Share of errors", "Share of the requests that failed at this moment.", "percentunit")
                .sized(6, 8)
                .ask("errors", &share),
        )
        .panel(
            Panel::series("Errors by outcome", "Failed requests per second, by what became of them.", "reqps")
                .sized(6, 8)
                .ask("{{outcome}}", &rate("outcome", &errors))
                .stacked(),
        )
        .panel(
            Panel::series("Errors by step", "Failed requests per second, by step.", "reqps")
                .sized(6, 8)
                .ask("{{scenario}}/{{step}}", &rate("scenario, step", &errors))
                .stacked(),
        )
        .panel(
            Panel::series(
                "Answers by status",
                "Requests per second by the class of their status; none: there was no answer; interrupted: the end of the \
                 run cut them off.",
                "reqps",
            )
            .sized(6, 8)
            .ask("{{status}}", &rate("status", &of("requests_total", STEP)))
            .stacked(),
        )
        .panel(
            Panel::series("Failed checks", "Checks of answers that failed, per second.", "ops")
                .sized(24, 6)
                .ask("{{step}}: {{check}}", &rate("step, check", &failed)),
        )
}

fn generator(board: Board) -> Board {
    let worst = |name: &str| format!("topk(10, max by (instance, pod) ({}))", of(name, RUN));
    board
        .row("Generator")
        .panel(
            Panel::series(
                "CPU of the runners",
                "Share of its CPUs that each runner used, the ten busiest. Above 90% it measures itself, and the run is \
                 inconclusive.",
                "percentunit",
            )
            .sized(6, 8)
            .ask("{{pod}} {{instance}}", &worst("generator_cpu_ratio"))
            .red_from(0.9),
        )
        .panel(
            Panel::series("Throttled", "Share of the time in which the kernel held a runner back by its CPU limit, the ten worst.", "percentunit")
                .sized(6, 8)
                .ask("{{pod}} {{instance}}", &worst("generator_throttled_ratio"))
                .red_from(0.1),
        )
        .panel(
            Panel::series("Lateness", "How late requests were sent: the generator's own fault. p99 above 50 ms makes a run inconclusive.", "s")
                .sized(6, 8)
                .ask("p50", &quantile(0.5, "", "proofload_lateness_seconds", RUN))
                .ask("p99", &quantile(0.99, "", "proofload_lateness_seconds", RUN)),
        )
        .panel(
            Panel::series("Runners", "Runner pods that are at work for this run, and those that Prometheus reaches.", "short")
                .sized(6, 8)
                .ask("in use", &once("loadtest", &of("loadtest_runners", RUN)))
                .ask("reached", &format!("count({})", of("runner_info", RUN))),
        )
}

fn target(board: Board) -> Board {
    let top = |expression: &str| format!("topk(10, {expression})");
    let by_pod = "namespace, pod";
    let cpu = top(&rate(by_pod, &format!("container_cpu_usage_seconds_total{{{TARGET}}}")));
    let memory = top(&format!("sum by ({by_pod}) (container_memory_working_set_bytes{{{TARGET}}})"));
    let throttled = rate(by_pod, &format!("container_cpu_cfs_throttled_periods_total{{{TARGET}}}"));
    let periods = rate(by_pod, &format!("container_cpu_cfs_periods_total{{{TARGET}}}"));
    board
        .row("Target")
        .panel(
            Panel::series(
                "CPU of the target",
                "CPUs that the target's pods used, the ten busiest. Choose its namespace and pods at the top. From the \
                 kubelets' cAdvisor, which Prometheus must scrape.",
                "short",
            )
            .ask("{{namespace}}/{{pod}}", &cpu),
        )
        .panel(
            Panel::series(
                "Memory of the target",
                "Memory that the target's pods cannot give back, the ten largest.",
                "bytes",
            )
            .ask("{{namespace}}/{{pod}}", &memory),
        )
        .panel(
            Panel::series(
                "Throttling of the target",
                "Share of the periods in which the target's pods wanted more CPU than their limit.",
                "percentunit",
            )
            .ask("{{namespace}}/{{pod}}", &top(&format!("{throttled} / {periods}"))),
        )
}
