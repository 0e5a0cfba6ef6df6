//! Reports that outlive their tests, on a real cluster: a bucket of a real server of S3 in this process, and a volume.
//!
//! Pods reach this machine as `host.internal`, and what is in its directory of temporary files the nodes see, too.

#[path = "../../../runner/tests/s3/mod.rs"]
mod s3;

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Secret};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use proofload_api::status::{StorePhase, StoreStatus};
use proofload_api::{LoadTest, Verdict};
use proofload_e2e::{Run, Site, load_test, until};
use proofload_results::Report;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A second of load whose report goes to this store.
fn test_of(site: &Site, name: &str, store: &Value) -> Value {
    let mut test = load_test(site, name, 1, 1, 1);
    test["spec"]["results"] = json!({"store": store});
    test
}

fn bucket(name: &str, address: SocketAddr) -> Value {
    let endpoint = format!("http://host.internal:{}", address.port());
    json!({"s3": {"bucket": name, "prefix": "nightly", "endpoint": endpoint, "secret": "reports-s3"}})
}

/// A listener that pods reach.
fn listener() -> Result<TcpListener> {
    Ok(TcpListener::bind("0.0.0.0:0")?)
}

async fn credentials(site: &Site, secret: &str) -> Result<()> {
    let object = json!({"metadata": {"name": "reports-s3"},
                        "stringData": {"AWS_ACCESS_KEY_ID": s3::KEY, "AWS_SECRET_ACCESS_KEY": secret}});
    site.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

async fn store_of(run: &Run<'_>) -> Result<Option<StoreStatus>> {
    Ok(run.status().await?.report.and_then(|report| report.store))
}

/// Waits until the copy is in this phase with these words.
async fn stores(run: &Run<'_>, phase: StorePhase, words: &str, seconds: u64) -> Result<StoreStatus> {
    until(&format!("the copy to be {phase:?}, {words:?}"), seconds, || async {
        let store = store_of(run).await?;
        let is_so = |store: &StoreStatus| store.phase == phase && store.message.contains(words);
        Ok(store.clone().filter(is_so).ok_or(format!("it is {store:?}")))
    })
    .await
}

/// The stored report is the one of the `ConfigMap`, with its page beside it.
async fn assert_stored(run: &Run<'_>, directory: &Path) -> Result<()> {
    let mut json = Vec::new();
    GzDecoder::new(&std::fs::read(directory.join("report.json.gz"))?[..]).read_to_end(&mut json)?;
    assert_eq!(Report::from_json(&json)?, run.report().await?);
    let page = std::fs::read_to_string(directory.join("report.html"))?;
    assert!(page.contains(&run.name), "{page}");
    Ok(())
}

/// Where a run's report is, below a prefix.
fn place(site: &Site, status: &StoreStatus, begin: &str) -> PathBuf {
    let below = status.location.strip_prefix(begin).unwrap_or_else(|| panic!("{} is not in {begin}", status.location));
    assert!(below.starts_with(&format!("nightly/{}/", site.namespace)), "{below}");
    PathBuf::from(below)
}

/// Waits until neither a Job nor a pod of the copy is left.
async fn leaves_nothing(site: &Site, run: &Run<'_>) -> Result<()> {
    until("the Job that copied to be gone", 60, || async {
        let jobs = site.jobs().await?.items.into_iter().filter_map(|job| job.metadata.name);
        let left: Vec<String> = jobs.filter(|name| name.ends_with("-store")).collect();
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are there")) })
    })
    .await?;
    run.leaves_no_pod(30).await
}

#[tokio::test]
async fn e2e_a_bucket_that_was_down_gets_the_report_when_it_is_up() -> Result<()> {
    let site = Site::new("store-s3").await?;
    let root = TempDir::new()?;
    std::fs::create_dir(root.path().join("reports"))?;
    credentials(&site, s3::SECRET).await?;
    let taken = listener()?;
    let address = taken.local_addr()?;
    drop(taken);
    let run = Run::create(&site, &test_of(&site, "down", &bucket("reports", address))).await?;
    let ended = run.ends_as(Verdict::Passed, 90).await?;
    stores(&run, StorePhase::Retrying, "connection refused", 120).await?;
    run.report().await.context("the ConfigMap is there meanwhile")?;
    s3::serve(TcpListener::bind(address)?, root.path());
    let stored = stores(&run, StorePhase::Stored, "", 180).await?;
    assert_stored(&run, &root.path().join("reports").join(place(&site, &stored, "s3://reports/"))).await?;
    leaves_nothing(&site, &run).await?;
    let now = run.status().await?;
    assert_eq!((now.verdict, now.message, now.summary), (ended.verdict, ended.message, ended.summary));
    let events = site.events("down").await?;
    for reason in ["ReportNotStoredYet", "ReportStored"] {
        let said = events.iter().filter(|(said, _)| said == reason).count();
        assert_eq!(said, 1, "{reason} once: {events:?}");
    }
    let whole = run.json().await?.to_string();
    assert!(!whole.contains(s3::SECRET) && !format!("{events:?}").contains(s3::SECRET), "a secret is in it: {whole}");
    site.close().await
}

#[tokio::test]
async fn e2e_a_bucket_that_does_not_exist_is_said_and_found_once_it_is_made() -> Result<()> {
    let site = Site::new("store-nowhere").await?;
    let root = TempDir::new()?;
    let address = s3::serve(listener()?, root.path());
    let run = Run::create(&site, &test_of(&site, "nowhere", &bucket("nowhere", address))).await?;
    run.ends_as(Verdict::Passed, 90).await?;
    stores(&run, StorePhase::Retrying, "Secret reports-s3 has no key AWS_ACCESS_KEY_ID", 90).await?;
    credentials(&site, s3::SECRET).await?;
    // The kubelet brings the Secret within two minutes; the next try comes after that.
    stores(&run, StorePhase::Retrying, "bucket nowhere does not exist", 300).await?;
    std::fs::create_dir(root.path().join("nowhere"))?;
    let stored = stores(&run, StorePhase::Stored, "", 360).await?;
    assert_stored(&run, &root.path().join("nowhere").join(place(&site, &stored, "s3://nowhere/"))).await?;
    leaves_nothing(&site, &run).await?;
    site.close().await
}

#[tokio::test]
async fn e2e_a_test_is_not_deleted_before_its_report_is_stored() -> Result<()> {
    let site = Site::new("store-ttl").await?;
    let root = TempDir::new()?;
    std::fs::create_dir(root.path().join("reports"))?;
    credentials(&site, s3::SECRET).await?;
    let taken = listener()?;
    let address = taken.local_addr()?;
    drop(taken);
    let mut test = test_of(&site, "ttl", &bucket("reports", address));
    test["spec"]["results"]["ttl"] = json!("1s");
    let run = Run::create(&site, &test).await?;
    stores(&run, StorePhase::Retrying, "connection refused", 180).await?;
    s3::serve(TcpListener::bind(address)?, root.path());
    until("the test to be deleted after its time", 240, || async {
        let tests: Api<LoadTest> = site.api();
        Ok(if tests.get_opt("ttl").await?.is_none() { Ok(()) } else { Err("it is there".to_owned()) })
    })
    .await?;
    let runs = root.path().join("reports/nightly").join(&site.namespace);
    let stored: Vec<_> = std::fs::read_dir(&runs)?.collect::<Result<_, _>>()?;
    assert_eq!(stored.len(), 1, "{stored:?}");
    assert!(stored[0].path().join("report.json.gz").is_file(), "{stored:?}");
    site.close().await
}

#[tokio::test]
async fn e2e_a_volume_gets_the_report_once_its_claim_is_there() -> Result<()> {
    let site = Site::new("store-volume").await?;
    // The nodes have /var and /run of their own, and share the rest of this machine.
    let root = TempDir::new()?;
    std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o777))?;
    let volume = test_of(&site, "volume", &json!({"volume": {"claim": "reports", "path": "nightly"}}));
    let run = Run::create(&site, &volume).await?;
    run.ends_as(Verdict::Passed, 90).await?;
    stores(&run, StorePhase::Pending, "persistentvolumeclaim \"reports\" not found", 90).await?;
    let volumes: Api<PersistentVolume> = Api::all(site.client.clone());
    if volumes.get_opt("e2e-store-volume").await?.is_some() {
        volumes.delete("e2e-store-volume", &DeleteParams::background()).await?;
        until("the old volume to be gone", 60, || async {
            let is_gone = volumes.get_opt("e2e-store-volume").await?.is_none();
            Ok(if is_gone { Ok(()) } else { Err("it is there".to_owned()) })
        })
        .await?;
    }
    let volume = json!({
        "metadata": {"name": "e2e-store-volume"},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": root.path(), "type": "Directory"},
            "claimRef": {"namespace": site.namespace, "name": "reports"},
        },
    });
    volumes.create(&PostParams::default(), &serde_json::from_value(volume)?).await?;
    let claim = json!({
        "metadata": {"name": "reports"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": "e2e-store-volume",
                 "resources": {"requests": {"storage": "1Gi"}}},
    });
    site.api::<PersistentVolumeClaim>().create(&PostParams::default(), &serde_json::from_value(claim)?).await?;
    let stored = stores(&run, StorePhase::Stored, "", 180).await?;
    assert_stored(&run, &root.path().join(place(&site, &stored, "pvc://reports/"))).await?;
    leaves_nothing(&site, &run).await?;
    volumes.delete("e2e-store-volume", &DeleteParams::background()).await?;
    site.close().await
}

#[tokio::test]
async fn admit_a_store_that_leads_out_of_itself_is_refused() -> Result<()> {
    let site = Site::without_target("store-admit").await?;
    let s3 = |field: &str, value: &str| {
        let mut s3 = json!({"bucket": "reports", "secret": "reports-s3"});
        s3[field] = json!(value);
        json!({"s3": s3})
    };
    let wrong = [
        (s3("prefix", "a/../b"), "without . and .."),
        (s3("endpoint", "http://key:secret@minio:9000"), "endpoint"),
        (json!({"volume": {"claim": "reports", "path": ".."}}), "without . and .."),
        (json!({}), "exactly one of s3 and volume"),
    ];
    for (store, words) in wrong {
        let refused = site.create(&test_of(&site, "wrong", &store)).await.expect_err("it is wrong").to_string();
        assert!(refused.contains(words), "{store}: {refused}");
    }
    site.close().await
}
