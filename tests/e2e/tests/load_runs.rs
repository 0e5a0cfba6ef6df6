//! Every shape of load on a real cluster with three runners: exact arrivals, a search, an abort, a live change, setup and
//! teardown once, unique rows, secrets that nobody sees, data that is wrong.

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::api::{ListParams, ObjectList};
use proofload_api::status::CriterionOutcome;
use proofload_api::{LoadTest, Verdict};
use proofload_e2e::{Run, Site, faults, load_test, proofload, until};
use serde_json::{Value, json};

/// A test of one scenario, by three runners, with these criteria.
fn test_of(site: &Site, name: &str, scenario: &Value, criteria: &Value) -> Value {
    let mut test = load_test(site, name, 3, 1, 1);
    test["spec"]["scenarios"] = json!([scenario]);
    test["spec"]["criteria"] = criteria.clone();
    test
}

#[tokio::test]
async fn e2e_arrivals_of_300_a_second_for_20_s_arrive_as_6000() -> Result<()> {
    let site = Site::new("arrivals").await?;
    let scenario = json!({
        "name": "orders",
        "arrivals": {"stages": [{"to": "300/s", "hold": "20s"}], "maxUsers": 300},
        "steps": [{"name": "order", "request": {"path": "/fast?user={{user.id}}"}}],
    });
    let criteria = json!([{"expr": "count(requests) == 6000"}, {"expr": "count(dropped) == 0"}]);
    let run = Run::create(&site, &test_of(&site, "exact", &scenario, &criteria)).await?;
    run.ends_as(Verdict::Passed, 120).await?;
    let (counts, report) = (site.counts().await?, run.report().await?);
    assert_eq!((counts.requests, report.summary.requests), (6000, 6000));
    // A third of the arrivals each, and all of them all of the time.
    assert_eq!(counts.peers.values().map(|peer| peer.requests).collect::<Vec<_>>(), [2000, 2000, 2000]);
    let seconds = &counts.by_second;
    assert!(
        (20..=21).contains(&seconds.len()) && seconds[1..19].iter().all(|n| (200..=400).contains(n)),
        "{seconds:?}"
    );
    site.close().await
}

#[tokio::test]
async fn e2e_a_search_finds_a_capacity_of_40_though_the_operator_is_killed() -> Result<()> {
    let site = Site::new("search").await?;
    let scenario = json!({
        "name": "capacity",
        "search": {"users": {"from": 10, "factor": 2, "limit": 200}, "stage": "5s", "settle": "2s",
                   "until": "rate(errors) < 1%", "precision": "5%"},
        "steps": [{"name": "buy", "request": {"path": "/crowded/40/50"}}],
    });
    let run = Run::create(&site, &test_of(&site, "how-much", &scenario, &json!([]))).await?;
    until("the third step of the search", 90, || async {
        let search = run.status().await?.search;
        let steps = search.first().map_or(0, |search| search.steps.len());
        Ok(if steps >= 3 { Ok(()) } else { Err(format!("it is {search:?}")) })
    })
    .await?;
    faults::kill_operator(&site.client).await?;
    let status = run.ends_as(Verdict::Unjudged, 180).await?;
    let report = run.report().await?;
    let search = report.scenarios[0].search.as_ref().context("the report tells of the search")?;
    let answer = search.answer.and_then(|level| level.users).context("an answer in users")?;
    assert!(search.finished && (38..=41).contains(&answer), "{search:#?}");
    assert_eq!(
        (status.search[0].scenario.as_str(), &status.search[0].answer),
        ("capacity", &format!("{answer} users"))
    );
    // No level was tried twice: the search went on at the step that it was in.
    let tried: Vec<_> = search.steps.iter().filter_map(|step| step.level.users).collect();
    assert_eq!(tried, [10, 20, 40, 80, 60, 50, 45, 42], "{search:#?}");
    assert!(search.steps.iter().all(|step| step.held == Some(step.level.users <= Some(40))), "{search:#?}");
    assert_eq!(report.summary.requests, site.counts().await?.requests);
    site.close().await
}

fn unix_micros() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?)
}

#[tokio::test]
async fn e2e_a_criterion_aborts_within_two_windows_and_teardown_is_done_all_the_same() -> Result<()> {
    const WINDOW: u64 = 4;
    let site = Site::new("abort").await?;
    let mut test = load_test(&site, "broken", 3, 12, 300);
    test["spec"]["criteria"] =
        json!([{"expr": "rate(errors) < 10%", "abort": {"window": format!("{WINDOW}s"), "after": "1s"}}]);
    test["spec"]["setup"] = json!([{"name": "begin", "request": {"method": "POST", "path": "/setup"}}]);
    test["spec"]["teardown"] = json!([{"name": "end", "request": {"method": "POST", "path": "/teardown"}}]);
    let run = Run::create(&site, &test).await?;
    run.sends(1000, 60).await?;
    let switched = unix_micros()?;
    site.target_answers(Some(500)).await?;
    let status = run.ends_as(Verdict::Failed, 60).await?;
    let counts = site.counts().await?;
    // The last request is the teardown's, which follows the abort.
    let took = counts.last_request_unix_micros.context("requests came")?.saturating_sub(switched);
    assert!(took <= 2 * WINDOW * 1_000_000, "the load ended {took} us after the target broke");
    assert_eq!((counts.by_path["/setup"], counts.by_path["/teardown"]), (1, 1));
    let criterion = &status.criteria[0];
    assert_eq!(criterion.outcome, CriterionOutcome::Fail);
    assert!(criterion.observed.ends_with('%') && criterion.observed != "0%", "{criterion:?}");
    assert!(status.message.contains("rate(errors) < 10%"), "it says why: {}", status.message);
    assert_eq!(run.report().await?.verdict_from_parts(), Verdict::Failed);
    site.close().await
}

#[tokio::test]
async fn e2e_the_load_of_a_run_can_be_changed() -> Result<()> {
    let site = Site::new("scale").await?;
    // The command is built before the run, which lasts for less than that may take.
    proofload(&["version"]).await?;
    let run = Run::create(&site, &load_test(&site, "live", 3, 3, 45)).await?;
    run.sends(100, 60).await?;
    proofload(&["scale", "live", "--namespace", &site.namespace, "--to", "12"]).await?;
    until("12 users", 35, || async {
        let users = run.status().await?.live.map_or(0, |live| live.users);
        Ok(if users == 12 { Ok(()) } else { Err(format!("there are {users}")) })
    })
    .await?;
    run.ends_as(Verdict::Passed, 90).await?;
    let report = run.report().await?;
    assert_eq!(report.summary.requests, site.counts().await?.requests);
    assert_eq!(report.load.peak_users, 12);
    let changes: Vec<_> = report.changes.iter().map(|change| (change.from.users, change.to.users)).collect();
    assert_eq!(changes, [(Some(3), Some(12))], "the change is in the report");
    site.close().await
}

#[tokio::test]
async fn e2e_load_follows_a_headless_service_that_scales() -> Result<()> {
    let site = Site::new("headless-service").await?;
    let mut test = load_test(&site, "follower", 3, 12, 40);
    test["spec"]["target"]["baseUrl"] = site.headless_service().await?.into();
    test["spec"]["target"]["connections"] = json!({"maxAge": "1s"});
    let run = Run::create(&site, &test).await?;
    run.sends(200, 60).await?;
    let second = site.start_target("target-2").await?;
    until("a good share for the second target", 30, || async {
        let requests = site.counts_at(&second).await?.requests;
        Ok(if requests >= 500 { Ok(()) } else { Err(format!("it has {requests} requests")) })
    })
    .await?;
    run.ends_as(Verdict::Passed, 90).await?;
    let both = site.counts().await?.requests + site.counts_at(&second).await?.requests;
    assert_eq!(run.report().await?.summary.requests, both);
    site.close().await
}

#[tokio::test]
async fn e2e_setup_and_teardown_are_done_once_and_every_runner_has_what_setup_found() -> Result<()> {
    let site = Site::new("setup").await?;
    let scenario = json!({
        "name": "main", "iterations": {"users": 6, "perUser": 20},
        "steps": [{"name": "get", "request": {"path": "/private/x", "auth": {"bearer": "{{token}}"}}}],
    });
    let criteria = json!([{"expr": "count(errors) == 0"}, {"expr": "count(requests) == 120"},
                          {"expr": "count(success) == 1", "of": "setup"}, {"expr": "count(success) == 1", "of": "teardown"}]);
    let mut test = test_of(&site, "once", &scenario, &criteria);
    test["spec"]["setup"] = json!([{"name": "login", "request": {"method": "POST", "path": "/login"},
                                    "extract": {"token": {"json": "$.token"}}}]);
    test["spec"]["teardown"] =
        json!([{"name": "logout", "request": {"path": "/logout", "auth": {"bearer": "{{token}}"}}}]);
    let run = Run::create(&site, &test).await?;
    run.ends_as(Verdict::Passed, 90).await?;
    let counts = site.counts().await?;
    assert_eq!((counts.by_path["/login"], counts.by_path["/logout"], counts.by_path["/private/x"]), (1, 1, 120));
    assert_eq!(counts.action("status-401"), 0);
    site.close().await
}

#[tokio::test]
async fn e2e_a_setup_that_fails_ends_as_error_without_any_load() -> Result<()> {
    let site = Site::new("bad-setup").await?;
    let mut test = load_test(&site, "never", 3, 6, 30);
    test["spec"]["setup"] = json!([{"name": "login", "request": {"path": "/status/500"}}]);
    test["spec"]["teardown"] = json!([{"name": "end", "request": {"path": "/teardown"}}]);
    let run = Run::create(&site, &test).await?;
    let status = run.ends_as(Verdict::Error, 60).await?;
    assert!(status.message.contains("setup"), "{}", status.message);
    let counts = site.counts().await?;
    assert_eq!((counts.requests, counts.by_path["/status/500"], counts.by_path["/teardown"]), (2, 1, 1));
    site.close().await
}

#[tokio::test]
async fn e2e_unique_rows_are_used_once_each_over_all_runners() -> Result<()> {
    let site = Site::new("unique").await?;
    let rows: Vec<String> = (0..60).map(|row| format!("r{row},\"a, {row}\"\n")).collect();
    site.config_map("accounts", "rows.csv", &format!("id,text\n{}", rows.concat())).await?;
    let scenario = json!({
        "name": "main", "iterations": {"users": 6, "perUser": 10},
        "steps": [{"name": "get", "request": {"path": "/fast?row={{rows.id}}&text={{rows.text}}"}}],
    });
    let mut test = test_of(&site, "rows", &scenario, &json!([{"expr": "count(success) == 60"}]));
    test["spec"]["data"] = json!({"rows": {"configMap": {"name": "accounts", "key": "rows.csv"}, "pick": "Unique"}});
    let run = Run::create(&site, &test).await?;
    run.ends_as(Verdict::Passed, 90).await?;
    let counts = site.counts().await?;
    let (ids, texts) = (counts.values("row"), counts.values("text"));
    assert!(ids.len() == 60 && ids.values().all(|times| *times == 1), "{ids:?}");
    assert!(texts.len() == 60 && texts.contains_key("a, 59"), "{texts:?}");
    site.close().await
}

#[tokio::test]
async fn e2e_examples_with_data_files_and_secrets_run_as_they_are() -> Result<()> {
    let site = Site::new("examples").await?;
    site.config_map("accounts", "users.csv", include_str!("../../../examples/users.csv")).await?;
    site.config_map("products", "products.jsonl", include_str!("../../../examples/products.jsonl")).await?;
    site.config_map("uploads", "receipt.txt", include_str!("../../../examples/receipt.txt")).await?;
    site.secret("shop-login", "password", include_str!("../../../examples/shop-login/password")).await?;
    for (name, example) in [
        ("data", include_str!("../../../examples/data.yaml")),
        ("uploads", include_str!("../../../examples/uploads.yaml")),
        ("secrets", include_str!("../../../examples/secrets.yaml")),
        ("flow", include_str!("../../../examples/flow.yaml")),
    ] {
        let mut test: Value = serde_saphyr::from_str(example)?;
        test["spec"]["target"]["baseUrl"] = site.target_url().into();
        let before = site.counts().await?.requests;
        let run = Run::create(&site, &test).await?;
        run.ends_as(Verdict::Passed, 120).await?;
        let report = run.report().await?;
        let once = [&report.setup, &report.teardown].into_iter().flatten().map(|phase| phase.figures.requests);
        let counted = report.summary.requests + once.sum::<u64>();
        assert_eq!(counted, site.counts().await?.requests - before, "{name}");
    }
    site.close().await
}

#[tokio::test]
async fn e2e_data_that_is_wrong_ends_as_error_with_its_place() -> Result<()> {
    let site = Site::new("bad-data").await?;
    site.config_map("ragged", "rows.csv", "id,text\n1,a\n2,b,c\n").await?;
    site.config_map("few", "rows.csv", "id\n1\n2\n3\n").await?;
    for (map, parts) in [("ragged", ["spec.data.rows", "line 3"]), ("few", ["spec.data.rows", "60"])] {
        let scenario = json!({
            "name": "main", "iterations": {"users": 6, "perUser": 10},
            "steps": [{"name": "get", "request": {"path": "/fast?row={{rows.id}}"}}],
        });
        let mut test = test_of(&site, map, &scenario, &json!([]));
        test["spec"]["data"] = json!({"rows": {"configMap": {"name": map, "key": "rows.csv"}, "pick": "Unique"}});
        let run = Run::create(&site, &test).await?;
        let status = run.ends_as(Verdict::Error, 90).await?;
        assert!(parts.iter().all(|part| status.message.contains(part)), "{map}: {}", status.message);
        run.leaves_no_pod(60).await?;
    }
    assert_eq!(site.counts().await?.requests, 0);
    site.close().await
}

#[tokio::test]
async fn e2e_a_secret_without_a_header_is_wrong_but_not_shown() -> Result<()> {
    const CANARY: &str = "canary-51c2ee-in-line-1";
    let site = Site::new("headless").await?;
    site.secret("accounts", "rows.csv", &format!("{CANARY},x\nb,y\n")).await?;
    let scenario = json!({
        "name": "main", "iterations": {"users": 1, "perUser": 1},
        "steps": [{"name": "get", "request": {"path": "/fast?row={{rows.id}}"}}],
    });
    let mut test = test_of(&site, "headless", &scenario, &json!([]));
    test["spec"]["data"] = json!({"rows": {"secret": {"name": "accounts", "key": "rows.csv"}}});
    let run = Run::create(&site, &test).await?;
    let status = run.ends_as(Verdict::Error, 90).await?;
    assert!(status.message.contains("spec.data.rows") && status.message.contains("line 1"), "{}", status.message);
    let events = format!("{:?}", site.events(&run.name).await?);
    for text in [run.json().await?.to_string(), events, faults::operator_log(&site.client).await?] {
        assert!(!text.contains(CANARY), "{text}");
    }
    site.close().await
}

/// Everything in a namespace that a reader without access to Secrets can see, and what the processes logged.
async fn all_that_can_be_read(site: &Site, run: &Run<'_>) -> Result<Vec<(&'static str, String)>> {
    let everything = ListParams::default();
    let tests: ObjectList<LoadTest> = site.api().list(&everything).await?;
    let jobs: ObjectList<Job> = site.api().list(&everything).await?;
    let events: ObjectList<Event> = site.api().list(&everything).await?;
    let maps: ObjectList<ConfigMap> = site.api().list(&everything).await?;
    let mut seen = vec![
        ("status", serde_json::to_string(&tests.items)?),
        ("Job", serde_json::to_string(&jobs.items)?),
        ("pods", serde_json::to_string(&site.runners(&run.name).await?)?),
        ("events", serde_json::to_string(&events.items)?),
        ("report", String::from_utf8(run.report_json().await?)?),
        ("the operator's log", faults::operator_log(&site.client).await?),
    ];
    for map in maps.items {
        for packed in map.binary_data.iter().flatten().map(|(_, bytes)| &bytes.0[..]) {
            let mut unpacked = Vec::new();
            GzDecoder::new(packed).read_to_end(&mut unpacked)?;
            seen.push(("ConfigMap", String::from_utf8_lossy(&unpacked).into_owned()));
        }
        seen.push(("ConfigMap", serde_json::to_string(&map)?));
    }
    let logs = site.logs(&run.name).await?;
    assert!(!logs.is_empty(), "runners have logged");
    seen.extend(logs.into_iter().map(|log| ("a runner's log", log)));
    Ok(seen)
}

#[tokio::test]
async fn e2e_secrets_reach_the_target_and_nobody_else() -> Result<()> {
    const CANARIES: [&str; 2] = ["canary-4f1d9c-in-env", "canary-82ab07-in-data"];
    let site = Site::new("secrets").await?;
    site.secret("login", "password", CANARIES[0]).await?;
    site.secret("accounts", "rows.csv", &format!("pin\n{}\n", CANARIES[1])).await?;
    let scenario = json!({
        "name": "main", "iterations": {"users": 3, "perUser": 5},
        "steps": [
            {"name": "good", "request": {"path": "/fast?env={{env.PASSWORD}}&row={{accounts.pin}}"}},
            // Errors are described, which must not be by what was sent or what came back.
            {"name": "refused", "request": {"path": "/private?pin={{accounts.pin}}", "auth": {"bearer": "{{env.PASSWORD}}"}}},
            {"name": "echoed", "request": {"method": "POST", "path": "/echo", "json": {"password": "{{env.PASSWORD}}"}},
             "expect": {"json": {"$.json.password": "something else"}, "body": {"contains": "not there"}},
             "extract": {"again": {"json": "$.json.password"}}},
            {"name": "cut", "request": {"method": "POST", "path": "/garbage?{{again}}", "body": "{{accounts.pin}}"}},
        ],
    });
    let mut test = test_of(&site, "discreet", &scenario, &json!([{"expr": "rate(errors) < 1%"}]));
    test["spec"]["env"] =
        json!([{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}}]);
    test["spec"]["data"] = json!({"accounts": {"secret": {"name": "accounts", "key": "rows.csv"}}});
    let run = Run::create(&site, &test).await?;
    run.ends_as(Verdict::Failed, 90).await?;
    let counts = site.counts().await?;
    assert_eq!((counts.values("env")[CANARIES[0]], counts.values("row")[CANARIES[1]]), (15, 15));
    assert_eq!((counts.by_path["/garbage"], counts.action("status-401")), (15, 15));
    for (place, text) in all_that_can_be_read(&site, &run).await? {
        for canary in CANARIES {
            assert!(!text.contains(canary), "{canary} is in {place}: {text}");
        }
    }
    site.close().await
}
