//! Where the report is to be kept: nothing of it is in the plan, but what is wrong with it is said before the run.

use proofload_api::LoadTestSpec;

use super::Problems;
use super::request::base_url;

const PATH: &str = "spec.results.store";

pub(super) fn store(spec: &LoadTestSpec, problems: &mut Problems) {
    let Some(store) = &spec.results.store else { return };
    if store.s3.is_some() == store.volume.is_some() {
        let came = if store.s3.is_some() { "both" } else { "neither" };
        problems.add(PATH, "exactly one of s3 and volume", came);
    }
    if let Some(s3) = &store.s3 {
        directory(s3.prefix.as_deref(), &format!("{PATH}.s3.prefix"), problems);
        if let Some(endpoint) = &s3.endpoint {
            base_url(endpoint, &format!("{PATH}.s3.endpoint"), problems);
        }
    }
    if let Some(volume) = &store.volume {
        directory(volume.path.as_deref(), &format!("{PATH}.volume.path"), problems);
    }
}

/// A way that leads out of itself would end in the reports of others.
fn directory(directory: Option<&str>, path: &str, problems: &mut Problems) {
    let Some(directory) = directory else { return };
    if directory.split('/').any(|part| part == "." || part == "..") {
        problems.add(path, "names of directories, without . and ..", format!("{directory:?}"));
    }
}

#[cfg(test)]
mod tests {
    use proofload_api::history::{S3, Store, Volume};

    use super::*;

    fn told(store: Store) -> Vec<String> {
        let yaml = "{target: {baseUrl: http://t}, scenarios: []}";
        let mut spec: LoadTestSpec = serde_saphyr::from_str(yaml).unwrap();
        spec.results.store = Some(store);
        let mut problems = Problems::default();
        super::store(&spec, &mut problems);
        problems.0.iter().map(ToString::to_string).collect()
    }

    fn s3(prefix: &str, endpoint: &str) -> Store {
        let s3 = S3 {
            bucket: "reports".to_owned(),
            prefix: Some(prefix.to_owned()),
            endpoint: Some(endpoint.to_owned()),
            region: None,
            secret: "reports-s3".to_owned(),
        };
        Store { s3: Some(s3), volume: None }
    }

    #[test]
    fn a_bucket_or_a_volume_is_as_good_as_the_other() {
        assert!(told(s3("/a/b..c/", "http://minio.storage.svc:9000")).is_empty());
        let volume = Volume { claim: "reports".to_owned(), path: Some("a/b".to_owned()) };
        assert!(told(Store { s3: None, volume: Some(volume) }).is_empty());
    }

    #[test]
    fn a_place_outside_of_the_store_is_a_problem() {
        let found = told(s3("a/../../b", "minio:9000"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("spec.results.store.s3.prefix: expected names of directories"), "{found:?}");
        assert!(found[1].starts_with("spec.results.store.s3.endpoint: "), "{found:?}");
        let volume = Volume { claim: "reports".to_owned(), path: Some("..".to_owned()) };
        let found = told(Store { s3: None, volume: Some(volume) });
        assert!(found[0].starts_with("spec.results.store.volume.path: "), "{found:?}");
    }

    #[test]
    fn credentials_in_an_endpoint_are_refused_and_not_repeated() {
        let found = told(s3("a", "http://key:s3cr3t@minio:9000"));
        assert!(found.len() == 1 && !found[0].contains("s3cr3t"), "{found:?}");
    }

    #[test]
    fn a_store_is_exactly_one_of_two() {
        let found = told(Store { s3: None, volume: None });
        assert_eq!(found, ["spec.results.store: expected exactly one of s3 and volume, got neither"]);
    }
}
