//! Every shape of load, run from this machine against a target that counts.
#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use common::{code, proofload, report, signal, text, wait_until};
use proofload_target::TestTarget;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// A directory with a load test in it, named `shapes`, and whatever belongs to it.
struct Site {
    directory: TempDir,
    target: TestTarget,
}

impl Site {
    fn new(spec: &str) -> Self {
        let site = Self { directory: TempDir::new().unwrap(), target: TestTarget::start().unwrap() };
        let head = "apiVersion: proofload.dev/v1alpha1\nkind: LoadTest\nmetadata: {name: shapes}\nspec:\n  \
                    target: {baseUrl: 'http://127.0.0.1:1'}\n";
        site.put("test.yaml", &format!("{head}{spec}"));
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = proofload(arguments);
        // No run and no cluster but those of this test.
        let nowhere = self.path("no-kubeconfig");
        command.current_dir(self.directory.path()).env("XDG_RUNTIME_DIR", self.directory.path());
        command.env("KUBECONFIG", nowhere).env_remove("KUBERNETES_SERVICE_HOST");
        command
    }

    fn run_command(&self) -> Command {
        self.command(&["run", "test.yaml", "--target", &self.target.url(), "--output", "json"])
    }

    fn run(&self) -> Output {
        self.run_command().output().unwrap()
    }

    fn start(&self) -> Child {
        self.run_command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn requests_of(&self, path: &str) -> u64 {
        self.target.counts().by_path.get(path).copied().unwrap_or(0)
    }
}

#[test]
fn arrivals_arrive_as_many_as_planned_with_1_and_3_runners() {
    for runners in [1, 3] {
        let site = Site::new(&format!(
            "  scenarios:\n  - name: open\n    arrivals: {{stages: [{{to: 100/s, over: 1s}}, {{hold: 2s}}]}}\n    \
             steps: [{{name: get, request: {{path: /fast}}}}]\n  runners: {{count: {runners}}}\n"
        ));
        let output = site.run();
        let report = report(&output);
        assert_eq!((code(&output), site.target.counts().requests), (0, 250), "{report}");
        assert_eq!(report["summary"]["requests"], 250);
    }
}

/// With a canary wherever a secret can be, and steps that fail while they send one.
const SECRETS: &str = "  \
  env: [{name: CANARY_OF_PROCESS, valueFrom: {secretKeyRef: {name: logins, key: nowhere}}},
        {name: CANARY_OF_FILE, valueFrom: {secretKeyRef: {name: logins, key: token}}}]
  data: {accounts: {secret: {name: logins, key: users.csv}, pick: Unique}}
  files: {letter: {secret: {name: logins, key: letter.txt}}}
  setup: [{name: login, request: {path: '/echo?token={{env.CANARY_OF_FILE}}'}, extract: {token: {json: $.query.token}}}]
  teardown: [{name: logout, request: {path: '/fast?out={{token}}'}}]
  scenarios:
  - name: once
    iterations: {users: 2, perUser: 3}
    steps:
    - {name: get, request: {path: '/fast?user={{accounts.user}}&in={{token}}', headers: {X-A: '{{env.CANARY_OF_PROCESS}}'}}}
    - {name: letter, request: {method: POST, path: /upload, file: letter}}
    - {name: fails, request: {path: '/status/500?with={{env.CANARY_OF_PROCESS}}'}}
    - {name: differs, request: {path: '/echo?with={{accounts.user}}'}, expect: {body: {contains: no such text}}}
  runners: {count: 3}
";

fn with_secrets() -> Site {
    let site = Site::new(SECRETS);
    site.put("logins/token", "canary-token\n");
    site.put("logins/users.csv", "user\ncanary-1\ncanary-2\ncanary-3\ncanary-4\ncanary-5\ncanary-6\n");
    site.put("letter.txt", "canary-letter");
    site
}

#[test]
fn secrets_reach_the_target_and_nothing_else() {
    let site = with_secrets();
    let stored = site.path("report.json");
    let mut command = site.run_command();
    command.args(["--report", stored.to_str().unwrap()]).env("CANARY_OF_PROCESS", "canary-process");
    let output = command.output().unwrap();
    let (said, warned) = (text(&output.stdout), text(&output.stderr));
    let report = report(&output);
    assert_eq!(code(&output), 0, "{warned}{said}");
    let counts = site.target.counts();
    let values = |name: &str| counts.by_query.get(name).cloned().unwrap_or_default();
    // Each row once, and what setup extracted on every runner and in the teardown.
    assert_eq!(values("user").into_values().collect::<Vec<_>>(), [1; 6], "{:?}", values("user"));
    assert_eq!(values("in").into_iter().collect::<Vec<_>>(), [("canary-token".to_owned(), 6)]);
    assert_eq!(values("out").into_iter().collect::<Vec<_>>(), [("canary-token".to_owned(), 1)]);
    assert_eq!(values("with")["canary-process"], 6);
    assert_eq!(counts.uploads.files, 6);
    assert_eq!(report["summary"]["outcomes"]["failed-check"], 6);
    for (what, text) in [("stdout", said), ("stderr", warned), ("report", std::fs::read_to_string(&stored).unwrap())] {
        assert!(!text.contains("canary-"), "{what}: {text}");
    }
    let shown = text(&site.command(&["report", "report.json"]).output().unwrap().stdout);
    assert!(shown.contains("once") && !shown.contains("canary-"), "{shown}");
}

#[test]
fn data_that_is_wrong_is_told_with_its_line_before_any_load_and_secrets_are_not_told() {
    let site = with_secrets();
    site.put("logins/users.csv", "user,password\ncanary-1,x\ncanary-2\n");
    let output = site.run();
    let said = text(&output.stderr);
    assert_eq!((code(&output), site.target.counts().requests), (104, 0), "{said}");
    assert!(said.lines().any(|line| line.starts_with("test.yaml:") && line.contains("on line 3")), "{said}");
    assert!(said.contains("CANARY_OF_PROCESS") && !said.contains("canary-"), "{said}");
    // A cluster may have what is not here, apart from what is here and wrong.
    let checked = site.command(&["validate", "test.yaml"]).output().unwrap();
    assert_eq!(code(&checked), 104);
    assert!(!text(&checked.stderr).contains("CANARY_OF_PROCESS"));
    std::fs::remove_file(site.path("logins/users.csv")).unwrap();
    let checked = site.command(&["validate", "test.yaml"]).output().unwrap();
    let said = text(&checked.stderr);
    assert_eq!(code(&checked), 0, "{said}");
    assert!(said.contains("note: spec.data.accounts: not checked: ") && said.contains("from Secret logins"), "{said}");
    let elsewhere = site.command(&["validate", "test.yaml", "--files", "logins"]).output().unwrap();
    assert!(text(&elsewhere.stderr).contains("logins/users.csv"));
}

#[test]
fn a_setup_that_fails_sends_no_load_and_is_an_error() {
    let site = Site::new(
        "  setup: [{name: login, request: {path: /status/500}}]\n  \
         teardown: [{name: logout, request: {path: /fast?out=1}}]\n  scenarios:\n  - name: main\n    \
         iterations: {users: 1, perUser: 1}\n    steps: [{name: get, request: {path: /load}}]\n",
    );
    let output = site.run();
    let report = report(&output);
    assert_eq!((code(&output), &report["verdict"]), (1, &Value::from("Error")), "{report}");
    assert!(report["reason"].as_str().unwrap().contains("setup failed"), "{report}");
    assert_eq!((site.requests_of("/load"), site.requests_of("/fast")), (0, 1));
}

#[test]
fn ctrl_c_ends_the_load_and_does_the_teardown() {
    let site = Site::new(
        "  teardown: [{name: logout, request: {path: /logout}}]\n  scenarios:\n  - name: main\n    \
         users: {stages: [{to: 2, hold: 60s}]}\n    steps: [{name: get, request: {path: /delay/5}}]\n",
    );
    let child = site.start();
    wait_until("load", || site.target.counts().requests > 3);
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), site.requests_of("/logout")), (105, 1), "{}", text(&output.stderr));
}

#[test]
fn a_criterion_that_breaks_in_a_window_ends_the_run_as_failed() {
    let site = Site::new(
        "  scenarios:\n  - name: main\n    users: {stages: [{to: 2, hold: 60s}]}\n    \
         steps: [{name: get, request: {path: /good-for/1000}}]\n    thinkTime: {constant: 5ms}\n  \
         criteria: [{expr: rate(errors) < 50%, abort: {window: 1s}}]\n",
    );
    let output = site.run();
    let report = report(&output);
    assert_eq!((code(&output), &report["verdict"]), (99, &Value::from("Failed")), "{report}");
    assert_eq!(report["criteria"][0]["aborted"], true, "{report}");
    assert!(report["criteria"][0]["observed"].as_f64().unwrap() >= 0.5, "{report}");
    assert!(report["duration"].as_u64().unwrap() < 20_000_000, "{report}");
}

#[test]
fn a_run_is_scaled_over_its_socket_which_is_gone_with_it() {
    let site = Site::new(
        "  scenarios:\n  - name: main\n    users: {stages: [{to: 1, hold: 60s}]}\n    \
         steps: [{name: get, request: {path: /delay/20}}]\n",
    );
    // Left by a run that was killed.
    drop(std::os::unix::net::UnixListener::bind({
        site.put("proofload/here", "");
        std::fs::set_permissions(site.path("proofload"), std::fs::Permissions::from_mode(0o700)).unwrap();
        site.path("proofload/shapes.sock")
    }));
    let child = site.start();
    wait_until("load", || site.target.counts().requests > 3);
    assert_eq!(std::fs::metadata(site.path("proofload/shapes.sock")).unwrap().permissions().mode() & 0o777, 0o600);
    let scale = |arguments: &[&str]| {
        let output = site.command(&[&["scale"], arguments].concat()).output().unwrap();
        (code(&output), text(&output.stdout) + &text(&output.stderr))
    };
    let said = "shapes on this machine: scenario main goes from what its plan says to 7 users\n";
    assert_eq!(scale(&["shapes", "--to", "7"]), (0, said.to_owned()));
    wait_until("seven users", || site.target.counts().in_flight.max == 7);
    let (status, said) = scale(&["shapes", "--rate", "5/s"]);
    assert!(status == 1 && said.contains("expected --to with a number of users"), "{said}");
    signal(&child, Signal::INT);
    let output = child.wait_with_output().unwrap();
    let report = report(&output);
    assert_eq!(report["changes"][0]["from"]["users"], 1, "{report}");
    assert_eq!(report["changes"][0]["to"]["users"], 7, "{report}");
    assert!(!site.path("proofload/shapes.sock").exists());
    let (status, said) = scale(&["shapes", "--to", "7"]);
    assert!(status == 1 && said.contains("no run of that name on this machine"), "{said}");
    assert_eq!(scale(&["shapes"]).0, 1);
}

#[test]
fn a_search_finds_the_highest_load_that_holds() {
    let site = Site::new(
        "  scenarios:\n  - name: capacity\n    search: {users: {from: 3, limit: 24}, stage: 1s, until: rate(errors) < 1%}\n    \
         steps: [{name: get, request: {path: /crowded/6/20}}]\n",
    );
    let output = site.run();
    let report = report(&output);
    let search = &report["scenarios"][0]["search"];
    assert_eq!((&search["finished"], &search["answer"]["users"]), (&true.into(), &6.into()), "{search}");
}
