//! Asks, again and again until the values are there or the time for it is over.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use proofload_api::Problem;
use proofload_engine::Materials;
use proofload_plan::{Plan, ServerQuery};
use proofload_results::ServerAnswer;
use proofload_results::server::MAX_SAMPLES;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use crate::answer::{NoSamples, bad_query, samples};
use crate::wire::Wire;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the look at the queries before the run may take: a Prometheus that is away must not keep a run from beginning.
const CHECK_PATIENCE: Duration = Duration::from_secs(3);
/// Between the first two questions; each time twice as long, up to [`MAX_PAUSE`].
const PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// The most characters of what Prometheus says that are passed on.
const MAX_SAID: usize = 400;

/// Knows whom to ask for what, and has the credentials for it.
pub struct Asker {
    wire: Wire,
    /// Up to and with `/api/v1/`.
    base: Url,
    headers: HeaderMap,
    queries: Vec<ServerQuery>,
    wait: Duration,
    /// What must be in no error.
    secrets: Vec<String>,
}

impl std::fmt::Debug for Asker {
    /// Without address and headers, which may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("queries", &self.queries).field("wait", &self.wait).finish_non_exhaustive()
    }
}

/// A time that is asked about.
#[derive(Debug, Clone, Copy)]
struct Range {
    /// When the run began, in seconds since 1970.
    began: f64,
    /// From when to when, in microseconds from the run's begin.
    from: u64,
    to: u64,
    /// Between two samples, in seconds.
    step: u64,
}

impl Range {
    fn new(began: SystemTime, (from, to): (u64, u64)) -> Self {
        let began = began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let seconds = to.saturating_sub(from).div_ceil(1_000_000);
        Self { began, from, to, step: seconds.div_ceil(MAX_SAMPLES as u64 - 1).max(1) }
    }

    /// A moment of the run in seconds since 1970.
    fn at(&self, micros: u64) -> f64 {
        self.began + micros as f64 / 1e6
    }

    /// A moment in microseconds from the run's begin.
    fn micros(&self, at: f64) -> u64 {
        ((at - self.began) * 1e6).round().max(0.0) as u64
    }

    /// Whether there are values up to the end.
    fn is_complete(&self, samples: &[(u64, f64)]) -> bool {
        let latest = self.to.saturating_sub(2 * self.step * 1_000_000).max(self.from);
        samples.last().is_some_and(|(at, _)| *at >= latest)
    }
}

impl Asker {
    /// Of a plan that asks something, with what its credentials are made of; or what is wrong with those.
    pub fn new(plan: &Plan, materials: &Materials) -> Result<Option<Self>, Vec<Problem>> {
        let Some(server) = &plan.server else { return Ok(None) };
        let url = materials.fill(plan, &server.url).unwrap_or_default();
        let mut problems = Vec::new();
        let base = Url::parse(&format!("{}/api/v1/", url.trim_end_matches('/'))).ok();
        let base = base.filter(|base| matches!(base.scheme(), "http" | "https") && base.has_host());
        if base.is_none() {
            let path = "spec.prometheus.url";
            problems.push(Problem::new(path, "an address such as http://prometheus:9090", "something else"));
        }
        let mut headers = HeaderMap::new();
        let mut secrets = materials.secrets();
        for (name, value) in &server.headers {
            let filled = materials.fill(plan, value).unwrap_or_default();
            if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(&filled)) {
                value.set_sensitive(true);
                headers.append(name, value);
            } else {
                let path = format!("spec.prometheus.headers.{name}");
                problems.push(Problem::new(path, "visible characters on one line", "other characters"));
            }
            // What follows `Bearer` and `Basic`, too.
            secrets.extend(filled.split_once(' ').map(|(_, rest)| rest.to_owned()));
            secrets.push(filled);
        }
        secrets.retain(|secret| secret.len() >= 4);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let wire = Wire::new(server.ca.map(|ca| materials.file(ca).unwrap_or_default()));
        match (base, wire) {
            (Some(base), Ok(wire)) if problems.is_empty() => {
                let (queries, wait) = (server.queries.clone(), server.wait.into());
                Ok(Some(Self { wire, base, headers, queries, wait, secrets }))
            }
            (_, Err(error)) => {
                let expected = "certificates of authorities, in PEM";
                problems.push(Problem::new("spec.prometheus.ca", expected, error));
                Err(problems)
            }
            _ => Err(problems),
        }
    }

    /// Asks whether the queries can be read at all, before any load is on. A Prometheus that is away or says anything else
    /// is no problem yet.
    pub async fn check(&self) -> Vec<Problem> {
        let one = async |query: &ServerQuery| {
            let form = encoded(&[("query", &query.query)]);
            let answer = timeout(CHECK_PATIENCE, self.fetch("query", &form)).await.ok()?.ok()?;
            let wrong = bad_query(answer.0, &answer.1)?;
            let path = format!("spec.serverMetrics.{}.query", query.name);
            Some(Problem::new(path, "a query that Prometheus can read", self.without_secrets(&wrong)))
        };
        join_all(self.queries.iter().map(one)).await.into_iter().flatten().collect()
    }

    /// Asks for every metric in a window of the run, in microseconds from its begin, which was at `began` by the clock of
    /// this machine. Comes back once all values are there up to the window's end, at the latest a question's patience
    /// after the time to wait is over.
    pub async fn ask(&self, began: SystemTime, window: (u64, u64)) -> Vec<ServerAnswer> {
        let range = Range::new(began, window);
        join_all(self.queries.iter().map(|query| self.one(query, range))).await
    }

    async fn one(&self, query: &ServerQuery, range: Range) -> ServerAnswer {
        let deadline = Instant::now() + self.wait;
        let mut pause = PAUSE;
        let name = query.name.clone();
        let mut best: Result<Vec<(u64, f64)>, String> = Ok(Vec::new());
        loop {
            match self.range(&query.query, range).await {
                Ok(samples) if range.is_complete(&samples) => return ServerAnswer { name, samples, error: None },
                // Less than was there before is of no use.
                Ok(samples) if best.as_ref().is_ok_and(|best| best.len() > samples.len()) => {}
                Ok(samples) => best = Ok(samples),
                Err(NoSamples::Later(why)) if best.as_ref().is_ok_and(|best| !best.is_empty()) => drop(why),
                Err(NoSamples::Later(why)) => best = Err(why),
                Err(refused) => {
                    return ServerAnswer {
                        name,
                        samples: Vec::new(),
                        error: Some(self.without_secrets(&refused.to_string())),
                    };
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
        match best {
            Ok(samples) => ServerAnswer { name, samples, error: None },
            Err(why) => ServerAnswer { name, samples: Vec::new(), error: Some(self.without_secrets(&why)) },
        }
    }

    async fn range(&self, query: &str, range: Range) -> Result<Vec<(u64, f64)>, NoSamples> {
        let (start, end) = (format!("{:.3}", range.at(range.from)), format!("{:.3}", range.at(range.to)));
        let form = encoded(&[("query", query), ("start", &start), ("end", &end), ("step", &range.step.to_string())]);
        let asked = timeout(PATIENCE, self.fetch("query_range", &form)).await;
        let late = |_| NoSamples::Later(format!("Prometheus did not answer within {} s", PATIENCE.as_secs()));
        let (status, body) = asked.map_err(late)??;
        let samples = samples(status, &body)?;
        Ok(samples.into_iter().map(|(at, value)| (range.micros(at), value)).take(MAX_SAMPLES).collect())
    }

    /// A question by POST, since queries may be long; by GET where that is all that is allowed.
    async fn fetch(&self, endpoint: &str, form: &str) -> Result<(u16, Vec<u8>), NoSamples> {
        let (status, body) = self.send(Method::POST, endpoint, form).await?;
        if status == 405 { self.send(Method::GET, endpoint, form).await } else { Ok((status, body)) }
    }

    async fn send(&self, method: Method, endpoint: &str, form: &str) -> Result<(u16, Vec<u8>), NoSamples> {
        let mut url = self.base.join(endpoint).map_err(|error| NoSamples::Final(error.to_string()))?;
        let is_get = method == Method::GET;
        if is_get {
            url.set_query(Some(form));
        }
        let mut headers = self.headers.clone();
        let mut body = String::new();
        if !is_get {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            form.clone_into(&mut body);
        }
        self.wire.send(method, &url, headers, body).await
    }

    /// A text of somebody else, cut to a length, without what must stay secret.
    fn without_secrets(&self, text: &str) -> String {
        let hidden = self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"));
        hidden.chars().take(MAX_SAID).collect()
    }
}

fn encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_a_bounded_number_of_steps_of_whole_seconds() {
        let began = UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
        let range = Range::new(began, (5_000_000, 15_000_000));
        assert_eq!((range.step, format!("{:.3}", range.at(range.from))), (1, "1700000005.250".to_owned()));
        assert_eq!(range.micros(1_700_000_006.25), 6_000_000);
        for hours in [1_u64, 24, 72, 720] {
            let range = Range::new(began, (0, hours * 3_600_000_000));
            assert!(hours * 3600 / range.step < MAX_SAMPLES as u64, "{range:?}");
        }
    }

    #[test]
    fn values_are_complete_once_they_reach_the_end() {
        let range = Range::new(UNIX_EPOCH, (0, 60_000_000));
        let until = |at: u64| range.is_complete(&[(0, 1.0), (at, 1.0)]);
        assert!(until(60_000_000) && until(58_000_000) && !until(57_000_000));
        assert!(!range.is_complete(&[]));
    }
}
