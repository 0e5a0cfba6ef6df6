//! How `object_store` reaches a server: hyper, with the TLS of the load engine. One library for TLS and one list of
//! authorities in the whole binary; and nothing that turns on features of another crate of the workspace.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse};
use object_store::client::{HttpConnector as Connect, HttpService};

/// How long a request may take, from the connection to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes of an answer: those to a write are short.
const MAX_ANSWER: usize = 64 << 10;

/// A client of one store.
#[derive(Clone)]
pub(super) struct Wire(Client<HttpsConnector<HttpConnector>, HttpRequestBody>);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

/// Why there was no answer, in a few words.
#[derive(Debug)]
pub(super) struct NoAnswer(pub(super) String);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NoAnswer {}

impl Wire {
    /// Trusts the authorities in `ca`, or those of the system.
    pub(super) fn new(ca: Option<&[u8]>) -> Result<Self, String> {
        let tls = proofload_engine::client_config(ca)?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }
}

impl Connect for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let failed = |kind, words| HttpError::new(kind, NoAnswer(words));
        let answered = async {
            let answer =
                self.0.request(request).await.map_err(|error| failed(HttpErrorKind::Connect, cause(&error)))?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|error| failed(HttpErrorKind::Interrupted, cause(&*error)))?;
            Ok(HttpResponse::from_parts(parts, body.to_bytes().into()))
        };
        let overdue = || Err(failed(HttpErrorKind::Timeout, format!("no answer within {} s", TIMEOUT.as_secs())));
        tokio::time::timeout(TIMEOUT, answered).await.unwrap_or_else(|_| overdue())
    }
}

/// What is at the bottom of an error: the rest says what was tried, which is known here.
fn cause(error: &(dyn Error + 'static)) -> String {
    let bottom = std::iter::successors(Some(error), |&error| error.source()).last().unwrap_or(error);
    match bottom.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        Some(error) if error.kind() == io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => bottom.to_string(),
    }
}
