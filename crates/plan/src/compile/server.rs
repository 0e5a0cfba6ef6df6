//! What the target is asked of itself, and the Prometheus that knows it.

use proofload_api::LoadTestSpec;
use proofload_api::server::Prometheus;
use proofload_api::units::Micros;

use super::names::{Names, Put, is_source};
use super::pieces::{Piece, pieces};
use super::promql;
use super::request::{base_url, content, headers};
use super::{Problems, known};
use crate::model::{ServerMetrics, ServerQuery};
use crate::template::Template;

const PATH: &str = "spec.prometheus";
/// The longest query.
const MAX_QUERY: usize = 4096;
/// The longest that values are awaited: a verdict that comes later helps nobody.
const MAX_WAIT: Micros = Micros::from_secs(600);

pub(super) fn server(spec: &LoadTestSpec, problems: &mut Problems) -> Option<ServerMetrics> {
    let queries = queries(spec, problems);
    let Some(prometheus) = &spec.prometheus else {
        if !queries.is_empty() {
            let hint = "name one here; in a cluster the chart's prometheus.url, here --prometheus URL can stand for it";
            problems.add_hint(PATH, "the Prometheus that serverMetrics are asked of", "none", hint);
        }
        // So that criteria find their names all the same.
        let url = Template::default();
        let nobody = ServerMetrics { url, headers: Vec::new(), ca: None, wait: Micros::ZERO, queries };
        return (!nobody.queries.is_empty()).then_some(nobody);
    };
    let url = url(&prometheus.url, spec, problems);
    let headers = headers_of(prometheus, spec, problems);
    let ca = prometheus.ca.as_ref().and_then(|name| {
        let at = spec.files.keys().position(|file| file == name);
        if at.is_none() {
            let hint = known(name, spec.files.keys().map(String::as_str));
            problems.add_hint(&format!("{PATH}.ca"), "the name of a file in spec.files", format!("{name:?}"), hint);
        }
        at
    });
    if ca.is_some() && prometheus.url.starts_with("http://") {
        let hint = "TLS is spoken where url begins with https://";
        problems.add_hint(&format!("{PATH}.ca"), "no ca beside http://", "one", hint);
    }
    if prometheus.wait > MAX_WAIT {
        problems.add(format!("{PATH}.wait"), format!("at most {MAX_WAIT}"), prometheus.wait.to_string());
    }
    (!queries.is_empty()).then_some(ServerMetrics { url, headers, ca, wait: prometheus.wait, queries })
}

fn queries(spec: &LoadTestSpec, problems: &mut Problems) -> Vec<ServerQuery> {
    let mut queries = Vec::with_capacity(spec.server_metrics.len());
    for (name, metric) in &spec.server_metrics {
        let path = format!("spec.serverMetrics.{name}");
        if !is_source(name) {
            let expected = "a name of letters, digits, _ and -, as criteria have it: server.NAME";
            problems.add(&path, expected, format!("{name:?}"));
        }
        let path = format!("{path}.query");
        if metric.query.len() > MAX_QUERY {
            let came = format!("{} bytes", metric.query.len());
            problems.add(&path, format!("a query of at most {MAX_QUERY} bytes"), came);
        } else if let Err(wrong) = promql::check(&metric.query) {
            match wrong.hint {
                Some(hint) => problems.add_hint(&path, &wrong.expected, wrong.came, hint),
                None => problems.add(&path, wrong.expected, wrong.came),
            }
        }
        queries.push(ServerQuery { name: name.clone(), query: metric.query.clone() });
    }
    queries
}

/// The address. Where all of it is known it is checked here, else once it is filled in.
fn url(url: &str, spec: &LoadTestSpec, problems: &mut Problems) -> Template {
    let path = format!("{PATH}.url");
    let is_known = matches!(pieces(url).as_deref(), Ok([Piece::Text(_)] | []));
    if is_known {
        base_url(url, &path, problems);
        return Template::text(url);
    }
    if is_of_environment(url, &path, problems) {
        return Names::new(spec).template(url, Put::Plain, &path, problems);
    }
    Template::default()
}

fn headers_of(prometheus: &Prometheus, spec: &LoadTestSpec, problems: &mut Problems) -> Vec<(String, Template)> {
    let mut names = Names::new(spec);
    let headers = headers(&prometheus.headers, prometheus.auth.as_ref(), PATH, problems);
    let mut compiled = Vec::with_capacity(headers.len());
    for header in &headers {
        if header.texts().into_iter().all(|text| is_of_environment(text, &header.path, problems)) {
            compiled.push((header.name.to_owned(), content(header, &mut names, problems)));
        }
    }
    compiled
}

/// Whether a text has nothing to fill in but variables of the environment: nobody who asks Prometheus is a user that has
/// rows or has extracted anything. What is wrong otherwise is told by whoever compiles it.
fn is_of_environment(text: &str, path: &str, problems: &mut Problems) -> bool {
    let Ok(pieces) = pieces(text) else { return true };
    let foreign = pieces.into_iter().find_map(|piece| match piece {
        Piece::Place(name, _) if !name.starts_with("env.") => Some(name.chars().take(60).collect::<String>()),
        _ => None,
    });
    match foreign {
        Some(name) => {
            let hint = "whoever asks Prometheus is no user: it has no rows, and nothing that was extracted";
            problems.add_hint(path, "{{env.NAME}} as the only template here", format!("{{{{{name}}}}}"), hint);
            false
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::compile::compile;
    use crate::model::Plan;
    use crate::template::Part;

    fn compiled(change: impl FnOnce(&mut Value)) -> Result<Plan, Vec<String>> {
        let mut spec = json!({
            "target": {"baseUrl": "http://t"},
            "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "files": {"authority": {"file": "ca.pem"}},
            "scenarios": [{"name": "main", "users": {"stages": [{"to": 2, "hold": "10s", "name": "high"}]},
                           "steps": [{"name": "get", "request": {"path": "/"}}]}],
            "serverMetrics": {"memory": {"query": "sum(process_resident_memory_bytes{job=\"shop\"})"}},
            "prometheus": {"url": "https://prometheus:9090/p", "auth": {"bearer": "{{env.TOKEN}}"}, "ca": "authority"},
            "criteria": [{"expr": "slope(server.memory) < 1%/h", "during": "high"}],
        });
        change(&mut spec);
        let result = compile(&serde_json::from_value(spec).unwrap(), "shop/tale");
        let said = |problems: Vec<proofload_api::Problem>| problems.iter().map(ToString::to_string).collect();
        result.map(|compiled| compiled.plan).map_err(said)
    }

    #[test]
    fn a_plan_has_what_is_asked_and_no_secret() {
        let server = compiled(|_| {}).unwrap().server.unwrap();
        assert_eq!((server.queries[0].name.as_str(), server.ca), ("memory", Some(0)));
        assert_eq!(server.url.as_text().as_deref(), Some("https://prometheus:9090/p"));
        let (name, value) = &server.headers[0];
        assert!(name == "Authorization" && matches!(&value.0[..], [Part::Text(_), Part::Value(..)]), "{value:?}");
        let without = |spec: &mut Value| {
            (spec["serverMetrics"], spec["criteria"]) = (json!({}), json!([]));
        };
        assert_eq!(compiled(without).unwrap().server, None);
    }

    #[test]
    fn what_cannot_be_asked_is_a_problem_that_says_where() {
        let says = |change: &dyn Fn(&mut Value), expected: &str| {
            let said = compiled(change).unwrap_err();
            assert!(said.len() == 1 && said[0].contains(expected), "{expected}: {said:?}");
        };
        says(&|spec| spec["prometheus"] = Value::Null, "spec.prometheus: expected the Prometheus that serverMetrics");
        says(&|spec| spec["prometheus"]["ca"] = json!("authorty"), "did you mean authority?");
        says(&|spec| spec["prometheus"]["url"] = json!("ftp://x"), "spec.prometheus.url: expected an address");
        says(&|spec| spec["prometheus"]["url"] = json!("https://{{env.TOKN}}"), "did you mean TOKEN?");
        says(&|spec| spec["prometheus"]["url"] = json!("https://{{uuid}}"), "{{env.NAME}} as the only template");
        says(&|spec| spec["prometheus"]["auth"]["bearer"] = json!("{{user.id}}"), "{{env.NAME}} as the only template");
        says(&|spec| spec["prometheus"]["wait"] = json!("2h"), "spec.prometheus.wait: expected at most 10m");
        says(&|spec| spec["serverMetrics"]["a b"] = json!({"query": "up"}), "as criteria have it");
        says(
            &|spec| spec["serverMetrics"]["memory"]["query"] = json!("sum(up"),
            "spec.serverMetrics.memory.query: expected `)`",
        );
        says(&|spec| spec["criteria"][0]["expr"] = json!("max(server.memry) < 5"), "did you mean memory?");
        says(&|spec| spec["criteria"][0]["of"] = json!("main"), "spec.criteria[0].of: expected no of");
        says(&|spec| spec["criteria"][0]["abort"] = json!({"window": "5s"}), "no abort of a server metric");
        says(&|spec| spec["criteria"][0]["during"] = json!("low"), "spec.criteria[0].during");
    }
}
