//! Every metric that there is, once.
//!
//! A name that is here is part of what people write dashboards and alerts on: it changes as an API does.

use crate::family::{Family, Kind};

/// Families, and the list of all of them.
macro_rules! families {
    ($($(#[$words:meta])* $id:ident: $kind:ident $name:literal [$($label:ident),*] $help:literal;)*) => {
        $(
            $(#[$words])*
            #[doc = concat!("`", $name, "`: ", $help)]
            pub static $id: Family =
                Family { name: $name, kind: Kind::$kind, labels: &[$(stringify!($label)),*], help: $help };
        )*
        /// All of them, in the order in which they are shown.
        pub static ALL: &[&Family] = &[$(&$id),*];
    };
}

/// Of a runner. Every one has the labels `namespace` and `loadtest`; those of a runner's whole process have no scenario.
pub mod runner {
    use super::{Family, Kind};

    families! {
        REQUESTS: Counter "proofload_requests_total" [namespace, loadtest, scenario, step, status]
            "Requests that have ended, by the class of their status (`2xx`), `none` where no status came, or `interrupted` where the end of the run cut them off";
        ERRORS: Counter "proofload_request_errors_total" [namespace, loadtest, scenario, step, outcome]
            "Requests that failed, by what became of them; what the end of a run cut off is no error";
        DURATION: Histogram "proofload_request_duration_seconds" [namespace, loadtest, scenario, step]
            "Latency as criteria see it: from the intended time of a request to its end, of all that were answered or timed out";
        SERVICE_TIME: Histogram "proofload_service_time_seconds" [namespace, loadtest, scenario, step]
            "Time from the actual send of a request to its end";
        LATENESS: Histogram "proofload_lateness_seconds" [namespace, loadtest]
            "Actual minus intended send time of every request: how far the generator itself was behind";
        USERS: Gauge "proofload_users" [namespace, loadtest, scenario]
            "Users at work";
        TARGET_USERS: Gauge "proofload_target_users" [namespace, loadtest, scenario]
            "Users that the plan wants at work now, of this runner's share; absent where iterations begin at a rate";
        PLANNED_RATE: Gauge "proofload_planned_rate" [namespace, loadtest, scenario]
            "Iterations per second that the plan wants to begin now, of this runner's share; absent where users loop";
        ITERATIONS: Counter "proofload_iterations_total" [namespace, loadtest, scenario]
            "Iterations done";
        DROPPED: Counter "proofload_dropped_iterations_total" [namespace, loadtest, scenario]
            "Iterations that were due and found no free user";
        CHECKS: Counter "proofload_checks_total" [namespace, loadtest, scenario, step, check, result]
            "Checks of answers, by whether they held: `pass` or `fail`";
        SENT: Counter "proofload_sent_bytes_total" [namespace, loadtest, scenario, step]
            "Bytes sent, heads and bodies";
        RECEIVED: Counter "proofload_received_bytes_total" [namespace, loadtest, scenario, step]
            "Bytes received, heads and bodies";
        STAGE: Gauge "proofload_stage" [namespace, loadtest, scenario, stage]
            "1 for the stage of the load model that is under way";
        CPU: Gauge "proofload_generator_cpu_ratio" [namespace, loadtest]
            "CPU that the runner uses of what it may use, over its latest window of up to 10 s; over the whole run once that has ended";
        THROTTLED: Gauge "proofload_generator_throttled_ratio" [namespace, loadtest]
            "Share of the time for which the runner was throttled by its limit of CPU, over the same time";
        INFO: Gauge "proofload_runner_info" [namespace, loadtest, version, segment, runners]
            "1: the runner's release, which segment of the plan it executes, and how many there are";
    }
}

/// Of the operator.
pub mod operator {
    use super::{Family, Kind};

    families! {
        RECONCILES: Counter "proofload_operator_reconciles_total" [kind, result]
            "Passes over an object, by its kind and by result: `success` or `error`";
        RECONCILE_DURATION: Histogram "proofload_operator_reconcile_duration_seconds" [kind]
            "How long a pass took";
        ERRORS: Counter "proofload_operator_errors_total" [kind]
            "Passes that failed, by where: `observe`, `apply`, `report`, `token`; or `conflict`, where an object had changed meanwhile, or `overdue`, where something did not answer";
        QUEUE: Gauge "proofload_operator_queue_length" []
            "Passes under way, and those whose time has come and that wait for a place";
        API_REQUESTS: Counter "proofload_operator_api_requests_total" [verb, code]
            "Requests to the API server, by verb and status; `error` where none came";
        LEADER: Gauge "proofload_operator_leader" []
            "1 where this operator is the one that acts, 0 where it stands by";
        LOADTESTS: Gauge "proofload_loadtests" [namespace, phase]
            "Load tests that exist, by phase";
        TEST_INFO: Gauge "proofload_loadtest_info" [namespace, loadtest, schedule, phase, verdict]
            "1: where a test is; the verdict is empty before there is one, the schedule where none made it";
        VERDICT: Gauge "proofload_loadtest_verdict" [namespace, loadtest, schedule, verdict]
            "1 for the verdict of a test that has one";
        CRITERION_VALUE: Gauge "proofload_loadtest_criterion_value"
            [namespace, loadtest, schedule, criterion, of, during]
            "What a criterion saw, in seconds, bytes, shares of 1, or plain numbers; absent without samples";
        CRITERION_OK: Gauge "proofload_loadtest_criterion_ok" [namespace, loadtest, schedule, criterion, of, during]
            "1 where a criterion held, 0 where it did not or could not be told";
        SKEW: Gauge "proofload_loadtest_start_skew_seconds" [namespace, loadtest]
            "How far apart the runners of a finished run began";
        RATE: Gauge "proofload_loadtest_requests_per_second" [namespace, loadtest, schedule]
            "Requests per second of a finished run";
        ERROR_RATIO: Gauge "proofload_loadtest_error_ratio" [namespace, loadtest, schedule]
            "Share of the requests of a finished run that failed; absent without requests";
        P95: Gauge "proofload_loadtest_p95_seconds" [namespace, loadtest, schedule]
            "95th percentile of latency of a finished run, of all its runners' histograms merged";
        P99: Gauge "proofload_loadtest_p99_seconds" [namespace, loadtest, schedule]
            "99th percentile of latency of a finished run, of all its runners' histograms merged";
        BASELINE_OK: Gauge "proofload_loadtest_baseline_ok" [namespace, loadtest, schedule, baseline]
            "1 where a finished run is not worse than the run that it was held against, 0 where it is or where that cannot be told";
        BASELINE_CHANGE: Gauge "proofload_loadtest_baseline_change_ratio" [namespace, loadtest, schedule, figure]
            "How much a figure (`rate`, `errors`, `p50`, `p95`, `p99`) of a finished run is above that of its baseline, as a share of what it was; of errors the difference of both shares";
        START: Gauge "proofload_loadtest_start_timestamp_seconds" [namespace, loadtest, schedule]
            "When the load began, in seconds since 1970";
        COMPLETION: Gauge "proofload_loadtest_completion_timestamp_seconds" [namespace, loadtest, schedule]
            "When the verdict was reached, in seconds since 1970";
        RUNNERS: Gauge "proofload_loadtest_runners" [namespace, loadtest]
            "Runners of a test that are ready or at work";
        DUE: Counter "proofload_schedule_due_total" [namespace, schedule]
            "Ticks and wishes for a run that have come, since the operator began";
        STARTED: Counter "proofload_schedule_started_total" [namespace, schedule]
            "Runs made, since the operator began";
        SKIPPED: Counter "proofload_schedule_skipped_total" [namespace, schedule]
            "Ticks that were not run, since an earlier run was still under way";
        MISSED: Counter "proofload_schedule_missed_total" [namespace, schedule]
            "Ticks that were not run, since their deadline was over";
        LAST_VERDICT: Gauge "proofload_schedule_last_verdict" [namespace, schedule, loadtest, verdict]
            "1 for the last run of a schedule that has a verdict, whether the run is still in the cluster or not";
        INCONCLUSIVE: Gauge "proofload_schedule_inconclusive_in_a_row" [namespace, schedule]
            "How many runs in a row, up to the last, were inconclusive";
        FAILURES: Gauge "proofload_schedule_failures_in_a_row" [namespace, schedule]
            "How many runs in a row, up to the last, did not pass";
        PAUSED: Gauge "proofload_schedule_paused" [namespace, schedule]
            "1 where a schedule has paused itself, else 0";
        NEXT: Gauge "proofload_schedule_next_timestamp_seconds" [namespace, schedule]
            "When the next tick is, in seconds since 1970; absent where there is none";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_prometheus_wants_them() {
        let all: Vec<&Family> = runner::ALL.iter().chain(operator::ALL).copied().collect();
        for family in &all {
            assert!(family.name.starts_with("proofload_"), "{family:?}");
            assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{family:?}");
            assert!(family.kind != Kind::Histogram || family.unit() == Some("seconds"), "{family:?}");
            assert!(!family.help.is_empty() && !family.help.ends_with('.'), "{family:?}");
        }
        let mut names: Vec<&str> = all.iter().map(|family| family.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }
}
