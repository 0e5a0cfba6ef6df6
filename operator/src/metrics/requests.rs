//! Counts what is asked of the API server: a layer around the client, so that watches and events are counted too.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::{Method, Request, Response, Uri};
use futures::future::BoxFuture;
use tower::{Layer, Service};

use super::Metrics;

/// Counts each request of a client.
pub(crate) struct Counting(pub(crate) Arc<Metrics>);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, service: S) -> Counted<S> {
        Counted { service, metrics: Arc::clone(&self.0) }
    }
}

/// A client whose requests are counted.
#[derive(Clone)]
pub(crate) struct Counted<S> {
    service: S,
    metrics: Arc<Metrics>,
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let verb = verb(request.method(), request.uri());
        let (metrics, answer) = (Arc::clone(&self.metrics), self.service.call(request));
        Box::pin(async move {
            let answer = answer.await;
            let code =
                answer.as_ref().map_or_else(|_| "error".to_owned(), |answer| answer.status().as_str().to_owned());
            metrics.asked(verb, code);
            answer
        })
    }
}

/// What Kubernetes calls a request, which is not its method: `list` is a `GET` of a collection.
fn verb(method: &Method, uri: &Uri) -> &'static str {
    let mut segments = uri.path().split('/').filter(|segment| !segment.is_empty());
    let groups = match segments.next() {
        Some("api") => 1,
        Some("apis") => 2,
        // Such as /version: not of a resource.
        _ => return "get",
    };
    let rest: Vec<&str> = segments.skip(groups).collect();
    let of_resource = match rest.as_slice() {
        ["namespaces", _, resource @ ..] if !resource.is_empty() => resource,
        resource => resource,
    };
    let is_one = of_resource.len() > 1;
    let watches = uri
        .query()
        .is_some_and(|query| query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch")));
    match *method {
        Method::GET if watches => "watch",
        Method::GET if is_one => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if is_one => "delete",
        Method::DELETE => "deletecollection",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use proofload_metrics::Format;
    use tower::service_fn;

    use super::*;

    #[test]
    fn a_request_is_called_what_kubernetes_calls_it() {
        let tests = "/apis/proofload.dev/v1alpha1/namespaces/shop/loadtests";
        for (method, path, expected) in [
            (Method::GET, tests.to_owned(), "list"),
            (Method::GET, "/apis/batch/v1/jobs?labelSelector=a%3Dwatch&watch=true".to_owned(), "watch"),
            (Method::GET, "/apis/batch/v1/jobs?labelSelector=watch%3Dtrue".to_owned(), "list"),
            (Method::GET, "/api/v1/namespaces/shop".to_owned(), "get"),
            (Method::GET, "/api/v1/namespaces".to_owned(), "list"),
            (Method::GET, "/version".to_owned(), "get"),
            (Method::PUT, format!("{tests}/checkout/status"), "update"),
            (Method::PATCH, "/api/v1/namespaces/shop/configmaps/plan".to_owned(), "patch"),
            (Method::POST, "/api/v1/namespaces/shop/events".to_owned(), "create"),
            (Method::DELETE, format!("{tests}/checkout"), "delete"),
            (Method::DELETE, tests.to_owned(), "deletecollection"),
        ] {
            assert_eq!(verb(&method, &path.parse().unwrap()), expected, "{method} {path}");
        }
    }

    #[tokio::test]
    async fn answers_are_counted_by_status_and_those_that_never_came_too() {
        let metrics = Arc::new(Metrics::default());
        let answer = |request: Request<u16>| async move {
            match request.into_body() {
                0 => Err("no route to host"),
                status => Ok(Response::builder().status(status).body(()).unwrap()),
            }
        };
        let mut client = Counting(Arc::clone(&metrics)).layer(service_fn(answer));
        for status in [200, 409, 409, 0] {
            let request = Request::put("/apis/batch/v1/namespaces/shop/jobs/run").body(status).unwrap();
            assert_eq!(client.call(request).await.is_ok(), status != 0);
        }
        let text = String::from_utf8(Format::Text.write(&metrics.exposition())).unwrap();
        for (code, count) in [("200", 1), ("409", 2), ("error", 1)] {
            let line = format!("proofload_operator_api_requests_total{{verb=\"update\",code=\"{code}\"}} {count}");
            assert!(text.lines().any(|each| each == line), "{line} is not in\n{text}");
        }
    }
}
