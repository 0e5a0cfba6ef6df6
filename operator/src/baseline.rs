//! Baseline: reads the run that a test is held against. It reads and says what there is; what follows is decided by others.
//!
//! It is read before the start, since an hour of load is wasted where there is nothing to hold it against, and once more
//! at the end, when the report is built: nothing is remembered in between.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use proofload_api::data::KeyRef;
use proofload_api::{LoadTest, LoadTestSchedule, Problem};
use proofload_results::report::InvalidReport;
use proofload_results::{Baseline, Earlier, Report};
use serde::de::DeserializeOwned;

use crate::build::config_map::REPORT_KEY;

/// The most bytes that an earlier report can unpack to: some times what the largest has. Whoever may make a `ConfigMap` may
/// name one that unpacks to far more.
const MAX_UNPACKED: u64 = 16 << 20;

/// Why an earlier run was not read.
#[derive(Debug)]
enum Unread {
    /// It is gone, or never was.
    NotThere(String),
    /// It is there, and cannot be used.
    Unusable(String),
    /// The API server cannot be asked just now.
    Later(kube::Error),
}

/// What a test is to be held against; none if against nothing. An error is worth another try.
pub(crate) async fn read(client: &Client, test: &LoadTest) -> Result<Option<Baseline>, kube::Error> {
    let Some(asked) = &test.spec.baseline else { return Ok(None) };
    let cluster = Cluster { client, namespace: test.namespace().unwrap_or_default() };
    let found = match (&asked.load_test, &asked.schedule, &asked.config_map) {
        (Some(name), ..) => cluster.run(name).await.map(|report| Earlier::Run(Box::new(report))),
        (_, Some(name), _) => cluster.last_passed(name).await,
        (.., Some(key)) => cluster.stored(key).await.map(|report| Earlier::Run(Box::new(report))),
        (None, None, None) => Err(Unread::Unusable("it is a file, which a cluster does not know".to_owned())),
    };
    match found {
        Ok(earlier) => Ok(Some(Baseline { tolerance: asked.tolerance, earlier })),
        Err(Unread::NotThere(why) | Unread::Unusable(why)) => Ok(missing(test, why)),
        Err(Unread::Later(error)) => Err(error),
    }
}

/// What a test is to be held against, where it cannot be read, and why; none if against nothing.
pub(crate) fn missing(test: &LoadTest, why: String) -> Option<Baseline> {
    let tolerance = test.spec.baseline.as_ref()?.tolerance;
    Some(Baseline { tolerance, earlier: Earlier::Missing(why) })
}

/// What is wrong with a baseline that should be there before the run is begun, and is not.
pub(crate) fn problem(test: &LoadTest, baseline: Option<&Baseline>) -> Option<Problem> {
    let (asked, Earlier::Missing(why)) = (test.spec.baseline.as_ref()?, &baseline?.earlier) else { return None };
    let field = match (&asked.load_test, &asked.schedule) {
        (Some(_), _) => "loadTest",
        (_, Some(_)) => "schedule",
        _ => "configMap",
    };
    let problem = Problem::new(format!("spec.baseline.{field}"), "a run that is over and has a report", why.clone());
    Some(problem.hint("nothing else could come of this run than that it cannot be held against it"))
}

/// What is read of a cluster: one namespace, that of the test.
struct Cluster<'a> {
    client: &'a Client,
    namespace: String,
}

impl Cluster<'_> {
    async fn get<K>(&self, name: &str, what: &str) -> Result<Option<K>, Unread>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        api.get_opt(name).await.map_err(|error| unread(error, &format!("{what} {name}")))
    }

    /// The last run of a schedule that passed. That there is none, or none any more, must not keep the next one from
    /// passing: none would ever again.
    async fn last_passed(&self, name: &str) -> Result<Earlier, Unread> {
        let schedule = self.get::<LoadTestSchedule>(name, "LoadTestSchedule").await?;
        let schedule = schedule.ok_or_else(|| Unread::Unusable(format!("there is no LoadTestSchedule {name}")))?;
        let Some(last) = schedule.status.and_then(|status| status.last_passed) else {
            return Ok(Earlier::NoneYet(format!("no run of LoadTestSchedule {name} has passed yet")));
        };
        match self.run(&last).await {
            Ok(report) => Ok(Earlier::Run(Box::new(report))),
            Err(Unread::NotThere(why)) => {
                Ok(Earlier::NoneYet(format!("the last run of LoadTestSchedule {name} that passed is gone: {why}")))
            }
            Err(other) => Err(other),
        }
    }

    /// The report of a run that is over.
    async fn run(&self, name: &str) -> Result<Report, Unread> {
        let test = self.get::<LoadTest>(name, "LoadTest").await?;
        let test = test.ok_or_else(|| Unread::NotThere(format!("there is no LoadTest {name}")))?;
        let status = test.status.unwrap_or_default();
        let Some(reference) = status.report else {
            return Err(if status.verdict.is_some() {
                Unread::NotThere(format!("LoadTest {name} has ended without a report"))
            } else {
                Unread::Unusable(format!("LoadTest {name} has no report: it is not over"))
            });
        };
        let map = reference.config_map;
        let stored = self.get::<ConfigMap>(&map, "ConfigMap").await?;
        let stored = stored.ok_or_else(|| Unread::NotThere(format!("ConfigMap {map} with its report is gone")))?;
        report_of(stored, &map, REPORT_KEY)
    }

    /// A report that somebody stored.
    async fn stored(&self, KeyRef { name, key }: &KeyRef) -> Result<Report, Unread> {
        let stored = self.get::<ConfigMap>(name, "ConfigMap").await?;
        let stored = stored.ok_or_else(|| Unread::NotThere(format!("there is no ConfigMap {name}")))?;
        report_of(stored, name, key)
    }
}

/// What to make of an error: what the API server refuses, it will refuse again, and every run has an end.
fn unread(error: kube::Error, what: &str) -> Unread {
    match error {
        kube::Error::Api(refusal) if matches!(refusal.code, 400 | 403 | 404 | 405 | 422) => {
            Unread::Unusable(format!("{what} cannot be read: {}", refusal.message))
        }
        kube::Error::SerdeError(_) => Unread::Unusable(format!("{what} cannot be read: it is of another version")),
        error => Unread::Later(error),
    }
}

fn report_of(stored: ConfigMap, name: &str, key: &str) -> Result<Report, Unread> {
    let binary = stored.binary_data.and_then(|mut data| data.remove(key)).map(|bytes| bytes.0);
    let text = stored.data.and_then(|mut data| data.remove(key)).map(String::into_bytes);
    let bytes = binary.or(text).ok_or_else(|| Unread::Unusable(format!("ConfigMap {name} has no key {key}")))?;
    parse(&bytes).map_err(|why| Unread::Unusable(format!("key {key} of ConfigMap {name}, which {why}")))
}

/// A report as JSON, compressed or not. What is said of anything else has nothing in it of what was read: not everybody
/// who can make a test can read each `ConfigMap`.
fn parse(bytes: &[u8]) -> Result<Report, String> {
    let mut json = Vec::new();
    let read = if bytes.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(bytes).take(MAX_UNPACKED + 1).read_to_end(&mut json)
    } else {
        bytes.take(MAX_UNPACKED + 1).read_to_end(&mut json)
    };
    if read.is_err() {
        return Err("is damaged".to_owned());
    }
    if json.len() as u64 > MAX_UNPACKED {
        return Err(format!("unpacks to more than {} MiB", MAX_UNPACKED >> 20));
    }
    Report::from_json(&json).map_err(|error| match error {
        InvalidReport::NotAReport(_) => "is no report of Proofload".to_owned(),
        InvalidReport::Damaged(_) => "is a damaged report".to_owned(),
        InvalidReport::Version(version) => {
            format!("is a report of version {version}, which a newer Proofload can read")
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use k8s_openapi::ByteString;
    use proofload_results::report::Input;
    use proofload_results::{Circumstances, SnapshotSet};
    use serde_json::json;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn report() -> Vec<u8> {
        let spec = json!({
            "target": {"baseUrl": "http://shop.svc"},
            "scenarios": [{"name": "main", "users": {"stages": [{"to": 1, "hold": "1s"}]},
                           "steps": [{"name": "get", "request": {"path": "/"}}]}],
        });
        let compiled = proofload_plan::compile(&serde_json::from_value(spec).unwrap(), "shop/checkout-1").unwrap();
        let report = Report::build(&Input {
            plan: &compiled.plan,
            criteria: &compiled.criteria,
            spec: &json!({}),
            name: "checkout-1",
            namespace: Some("shop"),
            start: None,
            runners: 1,
            totals: &SnapshotSet::new(&compiled.plan, 1).totals(&compiled.plan),
            circumstances: &Circumstances::default(),
            baseline: None,
        });
        report.to_json().into_bytes()
    }

    #[test]
    fn a_report_is_read_as_json_and_as_gzip_of_either_kind_of_data() {
        let named = |map: ConfigMap| report_of(map, "old", "report").map(|report| report.name).unwrap();
        let text = String::from_utf8(report()).unwrap();
        let data = Some(BTreeMap::from([("report".to_owned(), text)]));
        assert_eq!(named(ConfigMap { data, ..ConfigMap::default() }), "checkout-1");
        for bytes in [report(), gzip(&report())] {
            let binary_data = Some(BTreeMap::from([("report".to_owned(), ByteString(bytes))]));
            assert_eq!(named(ConfigMap { binary_data, ..ConfigMap::default() }), "checkout-1");
        }
    }

    #[test]
    fn what_is_no_report_is_said_without_what_is_in_it() {
        let canary = br#"{"version": "canary"}"#.to_vec();
        let damaged = br#"{"version": 2, "name": ["canary"]}"#.to_vec();
        let later = br#"{"version": 99}"#.to_vec();
        let bomb = gzip(&vec![b' '; MAX_UNPACKED as usize + 1]);
        for (bytes, expected) in [
            (&canary, "is no report of Proofload"),
            (&damaged, "is a damaged report"),
            (&later, "is a report of version 99, which a newer Proofload can read"),
            (&bomb, "unpacks to more than 16 MiB"),
            (&gzip(&report())[..40].to_vec(), "is damaged"),
        ] {
            assert_eq!(parse(bytes).unwrap_err(), expected);
        }
        let why = |map| match report_of(map, "old", "report").unwrap_err() {
            Unread::Unusable(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(ConfigMap::default()), "ConfigMap old has no key report");
    }

    #[test]
    fn what_the_api_server_refuses_is_not_asked_for_again_and_what_fails_is() {
        let api = |code| {
            let status = kube::core::Status { code, message: "no".to_owned(), ..kube::core::Status::default() };
            unread(kube::Error::Api(Box::new(status)), "LoadTest a")
        };
        assert!(matches!(api(403), Unread::Unusable(why) if why == "LoadTest a cannot be read: no"));
        for code in [401, 409, 429, 500, 503] {
            assert!(matches!(api(code), Unread::Later(_)), "{code}");
        }
    }
}
