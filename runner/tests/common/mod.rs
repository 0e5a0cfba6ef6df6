//! The real binary on a loopback port, a target that counts, and a conductor's side of the control API.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proofload_api::admission::admit;
use proofload_conductor::control::{self, BeginRequest, Claims, LevelRequest};
use proofload_plan::{Plan, compile};
use proofload_results::{RunnerState, Snapshot, StopNote};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the plan's run is called.
pub(crate) const RUN: &str = "shop/checkout";
/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The plan of a scenario with this load on a target.
pub(crate) fn plan(target: &str, (kind, load): &(&str, Value)) -> Plan {
    let test = json!({
        "apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTest", "metadata": {"name": "checkout"},
        "spec": {
            "target": {"baseUrl": target},
            "scenarios": [{
                "name": "main", *kind: load, "thinkTime": {"min": "1ms", "max": "2ms"},
                "steps": [{"name": "get", "request": {"path": "/fast"}}],
            }],
        },
    });
    compile(&admit(&test).unwrap().spec, RUN).unwrap().plan
}

/// Four users for five minutes: longer than any test.
pub(crate) fn long() -> (&'static str, Value) {
    ("users", json!({"stages": [{"to": 4, "hold": "5m"}]}))
}

/// The key of a conductor. Any 32 bytes are one.
pub(crate) fn key(secret: u8) -> SigningKey {
    SigningKey::from_bytes(&[secret; 32])
}

/// A token for a run, valid for so many seconds from now.
pub(crate) fn token(key: &SigningKey, run: &str, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = Claims { aud: run.to_owned(), exp: now.saturating_add_signed(seconds) };
    let key = EncodingKey::from_ed_pem(key.to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key).unwrap()
}

/// Asks until there is an answer, or fails with what was there instead.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    loop {
        ticks.tick().await;
        match ask().await {
            Ok(answer) => return answer,
            Err(instead) => assert!(tokio::time::Instant::now() < deadline, "waited for {what}: {instead}"),
        }
    }
}

/// A running runner; dropping it kills it.
pub(crate) struct Runner {
    child: Child,
    directory: TempDir,
    lines: Receiver<String>,
    log: Arc<Mutex<String>>,
    http: reqwest::Client,
    pub(crate) address: String,
    pub(crate) token: String,
}

impl Runner {
    /// Starts the only runner of a plan, and waits until it answers.
    pub(crate) fn start(plan: &Plan) -> Self {
        Self::launch(&serde_json::to_value(plan).unwrap()).answering()
    }

    /// Waits until it answers.
    pub(crate) fn answering(mut self) -> Self {
        let answering = |line: &String| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            (line["fields"]["message"] == "answering").then(|| line["fields"]["address"].as_str().unwrap().to_owned())
        };
        let found = std::iter::from_fn(|| self.lines.recv_timeout(PATIENCE).ok()).find_map(|line| answering(&line));
        self.address = found.unwrap_or_else(|| panic!("it does not answer:\n{}", self.log.lock().unwrap()));
        self
    }

    /// Starts the binary with a plan, whatever that is.
    pub(crate) fn launch(plan: &Value) -> Self {
        Self::launch_in(TempDir::new().unwrap(), plan, &[])
    }

    /// The same in a directory that holds data and files, with variables in the environment.
    pub(crate) fn launch_in(directory: TempDir, plan: &Value, environment: &[(&str, &str)]) -> Self {
        let path = directory.path().join("plan.json");
        std::fs::write(&path, plan.to_string()).unwrap();
        // The kubelet makes it, too.
        std::fs::write(directory.path().join("termination-log"), "").unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_proofload-runner"))
            .envs(environment.iter().copied())
            .env("PROOFLOAD_PLAN", &path)
            .env("PROOFLOAD_MATERIALS", directory.path())
            .env("PROOFLOAD_TERMINATION_LOG", directory.path().join("termination-log"))
            .env("JOB_COMPLETION_INDEX", "0")
            .env("PROOFLOAD_RUNNERS", "1")
            .env("PROOFLOAD_PUBLIC_KEY", URL_SAFE_NO_PAD.encode(key(1).verifying_key().as_bytes()))
            .env("PROOFLOAD_LISTEN", "127.0.0.1:0")
            .env("PROOFLOAD_THREADS", "2")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (said, lines) = channel();
        let log = Arc::new(Mutex::new(String::new()));
        let copy = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                copy.lock().unwrap().extend([&line, "\n"]);
                let _ = said.send(line);
            }
        });
        let token = token(&key(1), RUN, 300);
        Self { child, directory, lines, log, http: reqwest::Client::new(), address: String::new(), token }
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Response {
        let request = self.http.request(method, format!("http://{}{path}", self.address)).timeout(PATIENCE);
        let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        body.into_iter().fold(request, |request, body| request.json(&body)).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: Option<Value>) -> (StatusCode, String) {
        let response = self.request(Method::POST, path, Some(&self.token), body).await;
        (response.status(), response.text().await.unwrap())
    }

    pub(crate) async fn begin(&self, scenarios: &[usize], in_micros: u64) -> (StatusCode, String) {
        self.begin_with(scenarios, in_micros, &[]).await
    }

    /// Begins with what setup extracted.
    pub(crate) async fn begin_with(
        &self,
        scenarios: &[usize],
        in_micros: u64,
        variables: &[(u32, String)],
    ) -> (StatusCode, String) {
        let request = BeginRequest { scenarios: scenarios.to_vec(), in_micros, variables: variables.to_vec() };
        self.post(control::BEGIN, Some(serde_json::to_value(request).unwrap())).await
    }

    pub(crate) async fn stop(&self, why: &str) -> (StatusCode, String) {
        let note = StopNote { reason: why.to_owned(), aborted: None };
        self.post(control::STOP, Some(serde_json::to_value(note).unwrap())).await
    }

    pub(crate) async fn take_levels(&self, request: &LevelRequest) -> (StatusCode, String) {
        self.post(control::LEVEL, Some(serde_json::to_value(request).unwrap())).await
    }

    pub(crate) async fn acknowledge(&self) -> StatusCode {
        self.post(control::ACKNOWLEDGE, None).await.0
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        let response = self.request(Method::GET, control::SNAPSHOT, Some(&self.token), None).await;
        assert_eq!(response.status(), StatusCode::OK);
        Snapshot::decode(&response.bytes().await.unwrap()).unwrap()
    }

    /// Its last snapshot.
    pub(crate) async fn ended(&self) -> Snapshot {
        until("the load to end", async || {
            let snapshot = self.snapshot().await;
            match snapshot.state {
                RunnerState::Ended(_) => Ok(snapshot),
                state => Err(format!("it is {state:?}")),
            }
        })
        .await
    }

    pub(crate) async fn metrics(&self) -> String {
        let response = self.request(Method::GET, "/metrics", None, None).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.text().await.unwrap()
    }

    /// What a scrape gets that asks for a form: what that is called, and the answer.
    pub(crate) async fn scrape(&self, accept: &str) -> (String, Vec<u8>) {
        let request = self.http.get(format!("http://{}/metrics", self.address)).header("Accept", accept);
        let response = request.timeout(PATIENCE).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let called = response.headers()["content-type"].to_str().unwrap().to_owned();
        (called, response.bytes().await.unwrap().to_vec())
    }

    /// What the kubelet does to a pod that must go.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// What the kubelet would put into the pod's status.
    pub(crate) fn last_words(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("termination-log")).unwrap()
    }

    /// How it ended, and what it said.
    pub(crate) async fn exits(&mut self) -> (ExitStatus, String) {
        let child = &mut self.child;
        let status = until("the runner to end", async || child.try_wait().unwrap().ok_or("it runs".to_owned())).await;
        // Everything was read once the reader lets go of its end.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        (status, self.log.lock().unwrap().clone())
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Requests that a runner has counted.
pub(crate) fn requests(snapshot: &Snapshot) -> u64 {
    snapshot.cells.iter().flat_map(|cell| cell.outcomes).sum()
}
