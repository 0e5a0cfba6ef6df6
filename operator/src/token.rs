//! Tokens for the control API of runners: Ed25519, one run, valid for a short time.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proofload_conductor::control::{Claims, TOKEN_SECONDS};

/// Signs tokens.
pub(crate) struct Signer {
    key: EncodingKey,
    public_key: String,
}

impl Signer {
    /// From a private key as PKCS #8 in PEM.
    pub(crate) fn new(pem: &str) -> anyhow::Result<Self> {
        let expected = "expected an Ed25519 private key as PKCS #8 in PEM (openssl genpkey -algorithm ed25519)";
        let key = EncodingKey::from_ed_pem(pem.as_bytes()).context(expected)?;
        let public = SigningKey::from_pkcs8_pem(pem).map_err(anyhow::Error::msg).context(expected)?.verifying_key();
        Ok(Self { key, public_key: URL_SAFE_NO_PAD.encode(public.as_bytes()) })
    }

    /// The public counterpart, as runners get it: 32 bytes in unpadded base64url.
    pub(crate) fn public_key(&self) -> &str {
        &self.public_key
    }

    /// A token for one run.
    pub(crate) fn token(&self, run: &str) -> anyhow::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
        let claims = Claims { aud: run.to_owned(), exp: now + TOKEN_SECONDS };
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.key).context("cannot sign a token")
    }
}
