//! Who may steer this runner: the holder of the operator's private key, for this run only.

use anyhow::Context;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use proofload_conductor::control::Claims;

/// Checks the token of a request.
#[derive(Clone)]
pub(crate) struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// Accepts tokens for this run, signed by the private counterpart of this key.
    pub(crate) fn new(public_key: &str, run: &str) -> anyhow::Result<Self> {
        let key = DecodingKey::from_ed_components(public_key)
            .context("expected an Ed25519 public key of 32 bytes in unpadded base64url in PROOFLOAD_PUBLIC_KEY")?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[run]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        // The only other clock involved is the operator's; a minute covers clocks that are reasonably set.
        validation.leeway = 60;
        Ok(Self { key, validation })
    }

    fn check(&self, request: &Request) -> Result<(), String> {
        let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer ")).ok_or("no bearer token")?;
        jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation).map(drop).map_err(|e| e.to_string())
    }
}

/// Refuses what carries no valid token.
pub(crate) async fn require_token(State(verifier): State<Verifier>, request: Request, next: Next) -> Response {
    match verifier.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            tracing::warn!(path = request.uri().path(), error, "refused a request");
            (StatusCode::UNAUTHORIZED, format!("expected a token of this run's operator: {error}\n")).into_response()
        }
    }
}
