//! A report in a bucket of anything that speaks S3.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use clap::Args;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{Attribute, Attributes, Error, ObjectStore, PutOptions, RetryConfig};

use super::wire::{NoAnswer, Wire};
use super::{Failed, Object};

/// Which bucket, and where.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Its name.
    #[arg(long)]
    bucket: String,
    /// Where it is, if not at AWS.
    #[arg(long)]
    endpoint: Option<String>,
    /// Its region.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// The Secret that the credentials are of, for messages.
    #[arg(long)]
    secret: String,
    /// The directory that the Secret is mounted into.
    #[arg(long)]
    credentials: PathBuf,
}

/// A bucket.
pub(super) struct Bucket {
    store: AmazonS3,
    name: String,
    /// Where it is, in words.
    place: String,
    secret: String,
}

impl Bucket {
    /// Reads the credentials; nothing is sent.
    pub(super) fn open(arguments: &Arguments) -> Result<Self, Failed> {
        let Arguments { bucket, endpoint, region, secret, credentials } = arguments;
        let required = |key: &str| {
            credential(credentials, secret, key)?.ok_or_else(|| {
                let words = format!("Secret {secret} has no key {key}, or there is no such Secret in this namespace");
                Failed::lasting(words)
            })
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_access_key_id(required("AWS_ACCESS_KEY_ID")?)
            .with_secret_access_key(required("AWS_SECRET_ACCESS_KEY")?)
            // It is tried again here, where each failure is told.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        if let Some(token) = credential(credentials, secret, "AWS_SESSION_TOKEN")? {
            builder = builder.with_token(token);
        }
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/')).with_allow_http(true);
        }
        let ca = credential(credentials, secret, "ca.crt")?;
        let wire = Wire::new(ca.as_deref().map(str::as_bytes))
            .map_err(|error| Failed::lasting(format!("key ca.crt of Secret {secret}: {error}")))?;
        let store = builder.with_http_connector(wire).build();
        let place = endpoint.clone().unwrap_or_else(|| format!("AWS, {region}"));
        // What the builder finds wrong may repeat what it was given.
        let store = store.map_err(|_| Failed::lasting(format!("{place} cannot be the address of a bucket")))?;
        Ok(Self { store, name: bucket.clone(), place, secret: secret.clone() })
    }

    /// Puts all objects below `to`.
    pub(super) async fn write(&self, to: &str, objects: &[Object]) -> Result<(), Failed> {
        for object in objects {
            let key = Key::parse(format!("{to}/{}", object.name));
            let key = key.map_err(|error| Failed::lasting(format!("no name for an object: {error}")))?;
            let attributes = Attributes::from_iter([(Attribute::ContentType, object.kind)]);
            let options = PutOptions { attributes, ..PutOptions::default() };
            let put = self.store.put_opts(&key, object.bytes.clone().into(), options).await;
            put.map_err(|error| self.words(&error))?;
        }
        Ok(())
    }

    /// What went wrong. Of an answer only its code is told: the rest is whatever the server likes to say, and S3 repeats
    /// a part of the credentials.
    fn words(&self, error: &Error) -> Failed {
        let (name, place, secret) = (&self.name, &self.place, &self.secret);
        let mut chain = std::iter::successors(error.source(), |&error| error.source());
        if let Some(NoAnswer(why)) = chain.find_map(|error| error.downcast_ref()) {
            return Failed::passing(format!("cannot reach {place}: {why}"));
        }
        let text = error.to_string();
        let (code, status) = (code(&text), status(&text));
        match (code, error) {
            ("NoSuchBucket", _) | ("", Error::NotFound { .. }) => {
                Failed::lasting(format!("bucket {name} does not exist at {place}: make it"))
            }
            ("InvalidAccessKeyId", _) => {
                Failed::lasting(format!("{place} does not know the AWS_ACCESS_KEY_ID of Secret {secret}"))
            }
            ("SignatureDoesNotMatch", _) => Failed::lasting(format!(
                "the AWS_SECRET_ACCESS_KEY of Secret {secret} is not the one of its AWS_ACCESS_KEY_ID at {place}"
            )),
            ("ExpiredToken" | "TokenRefreshRequired", _) => {
                Failed::lasting(format!("the credentials of Secret {secret} have expired"))
            }
            ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _) => {
                Failed::lasting(format!("bucket {name} is in another region: set results.store.s3.region"))
            }
            ("RequestTimeTooSkewed", _) => Failed::passing(format!(
                "the clock of this node is not that of {place}: they should share a time service"
            )),
            (code, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => {
                let code = if code.is_empty() || code == "AccessDenied" { String::new() } else { format!(" ({code})") };
                Failed::lasting(format!(
                    "access denied{code}: the credentials of Secret {secret} may not write to bucket {name} at {place}"
                ))
            }
            (code, _) => {
                let said = [status, code].into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(" ");
                let said = if said.is_empty() { "with something that is no answer of S3".to_owned() } else { said };
                let words = format!("{place} answered {said} when the report was put into bucket {name}");
                // The server's own trouble, or too many at once.
                let passes = status.starts_with('5') || status == "429" || code == "SlowDown";
                Failed { words, passing: passes }
            }
        }
    }
}

/// A file of the Secret; nothing if the Secret has no such key.
fn credential(directory: &Path, secret: &str, key: &str) -> Result<Option<String>, Failed> {
    match std::fs::read_to_string(directory.join(key)) {
        // `echo` and editors end what they write with a line break.
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failed::lasting(format!("cannot read key {key} of Secret {secret}: {}", error.kind()))),
    }
}

/// The code of S3's answer, such as `NoSuchBucket`; empty if there is none.
fn code(text: &str) -> &str {
    // As `object_store` words an answer whose code it throws away.
    if text.contains("redirect without LOCATION") {
        return "PermanentRedirect";
    }
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |(code, _)| code);
    let is_one = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_one { code } else { "" }
}

/// The status of an answer, as `object_store` words it; empty if there was none.
fn status(text: &str) -> &str {
    let rest = text.split_once("status code: ").map_or("", |(_, rest)| rest);
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 3 { &rest[..digits] } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_server_says_only_its_code_is_told() {
        let text = "Server returned non-2xx status code: 403 Forbidden: <Error><Code>InvalidAccessKeyId</Code>\
                    <AWSAccessKeyId>AKIASECRET</AWSAccessKeyId></Error>";
        assert_eq!((code(text), status(text)), ("InvalidAccessKeyId", "403"));
        assert_eq!(code("<Code>your <b>key</b> AKIASECRET</Code>"), "");
        assert_eq!(code("<Code>never ended"), "");
        assert_eq!(code("Error performing PUT: Received redirect without LOCATION, this"), "PermanentRedirect");
        assert_eq!((status("status code: 50"), status("no answer")), ("", ""));
    }
}
