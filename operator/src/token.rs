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

#[cfg(test)]
mod tests {
    use ed25519_dalek::pkcs8::EncodePrivateKey;
    use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
    use jsonwebtoken::{DecodingKey, TokenData, Validation};

    use super::*;

    fn pem(secret: u8) -> String {
        SigningKey::from_bytes(&[secret; 32]).to_pkcs8_pem(LineEnding::LF).unwrap().to_string()
    }

    /// As a runner checks a token.
    fn read(token: &str, signer: &Signer, run: &str) -> Result<TokenData<Claims>, jsonwebtoken::errors::Error> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[run]);
        let key = DecodingKey::from_ed_components(signer.public_key()).unwrap();
        jsonwebtoken::decode(token, &key, &validation)
    }

    #[test]
    fn a_token_is_believed_by_the_runners_of_its_run_for_a_short_time() {
        let signer = Signer::new(&pem(7)).unwrap();
        let token = signer.token("shop/checkout").unwrap();
        let claims = read(&token, &signer, "shop/checkout").unwrap().claims;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(claims.exp > now && claims.exp <= now + TOKEN_SECONDS, "{claims:?}");
        assert!(read(&token, &signer, "shop/other").is_err());
        assert!(read(&token, &Signer::new(&pem(8)).unwrap(), "shop/checkout").is_err());
    }

    #[test]
    fn a_key_as_openssl_writes_it_is_read() {
        // The first test vector of RFC 8032, section 7.1, as `openssl pkey` writes it.
        let pem = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";
        let signer = Signer::new(pem).unwrap();
        assert_eq!(signer.public_key(), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        read(&signer.token("a/b").unwrap(), &signer, "a/b").unwrap();
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_would_be_one() {
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
        for garbage in ["", "garbage", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", public] {
            let error = Signer::new(garbage).err().map(|error| format!("{error:#}")).unwrap_or_default();
            let expected = "expected an Ed25519 private key as PKCS #8 in PEM (openssl genpkey -algorithm ed25519)";
            assert!(error.starts_with(expected), "{garbage:?}: {error}");
        }
    }
}
