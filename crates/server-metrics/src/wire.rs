//! How Prometheus is reached: hyper, with the TLS of the load engine, so that there is one library for TLS and one list of
//! authorities in each binary. `reqwest` with TLS would change what it is to the other crates of the workspace: each of
//! its clients would then want authorities that an image need not have.

use std::error::Error;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use proofload_engine::client_config;
use url::Url;

use crate::answer::NoSamples;

/// The most bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;

/// A client of one Prometheus. It follows no redirect and knows no proxy: neither may see a token.
pub(crate) struct Wire(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Wire {
    /// Trusts the authorities in `ca`, or those of the system.
    pub(crate) fn new(ca: Option<&[u8]>) -> Result<Self, String> {
        let tls = client_config(ca)?;
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        // Questions are seconds apart, and may be asked from more than one runtime.
        Ok(Self(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)))
    }

    /// One question; the status and the body of its answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: String,
    ) -> Result<(u16, Vec<u8>), NoSamples> {
        let address = url.as_str().parse::<Uri>().map_err(|_| NoSamples::Final("its address is none".to_owned()))?;
        let mut request = Request::new(Full::new(Bytes::from(body)));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, address, headers);
        let answer = self.0.request(request).await.map_err(|error| away(&error))?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let what =
                    "expected at most 1 MiB, got more: make one series of those that there are, e.g. by sum(...)";
                return NoSamples::Final(what.to_owned());
            }
            away(&*error)
        })?;
        Ok((parts.status.as_u16(), body.to_bytes().into()))
    }
}

/// Why there is no answer, with its causes. None of them has the address, in which there may be a secret.
fn away(error: &(dyn Error + 'static)) -> NoSamples {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    NoSamples::Later(format!("Prometheus cannot be reached: {}", words.join(": ")))
}
