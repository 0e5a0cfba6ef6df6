//! A real browser, without a screen.

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// A page takes a second; a machine that does much else besides, more.
const DEADLINE: Duration = Duration::from_mins(2);

/// What became of a page.
pub(crate) struct Opened {
    /// The document after its scripts ran.
    pub(crate) document: String,
    /// What was said on the console: by scripts, and by the browser of what it refused.
    pub(crate) console: Vec<String>,
    /// What the page wanted from the network.
    pub(crate) requests: Vec<String>,
}

/// Which of two looks the system prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Light,
    Dark,
}

/// Opens a page, and waits until nothing happens any more.
pub(crate) fn open(page: &str, look: Look) -> Opened {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    fs::write(place("page.html"), page).unwrap();
    let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let mut command = Command::new(&program);
    command
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        // The browser has wishes of its own, which concern nobody here.
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .args(["--virtual-time-budget=5000", "--window-size=1280,1000", "--enable-logging=stderr"])
        .args((look == Look::Dark).then_some("--force-dark-mode"))
        .arg(format!("--user-data-dir={}", place("profile").display()))
        .arg(format!("--log-net-log={}", place("network.json").display()))
        .args(["--dump-dom".to_owned(), format!("file://{}", place("page.html").display())])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(place("log.txt")).unwrap());
    let mut process = command.spawn().unwrap_or_else(|error| {
        panic!("{program}: {error}: this test needs Chromium: apt-get install chromium, or set CHROMIUM to its path")
    });
    let mut output = process.stdout.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut document = Vec::new();
        let read = output.read_to_end(&mut document).map(|_| String::from_utf8_lossy(&document).into_owned());
        // Nobody listens any more where the deadline has passed.
        let _ = sender.send(read);
    });
    let log = || fs::read_to_string(place("log.txt")).unwrap_or_default();
    let Ok(document) = receiver.recv_timeout(DEADLINE) else {
        process.kill().unwrap();
        panic!("the browser did not show the page within {DEADLINE:?}; it said: {}", log());
    };
    assert!(process.wait().unwrap().success(), "the browser failed; it said: {}", log());
    let console = log().lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect();
    let network = fs::read_to_string(place("network.json")).unwrap();
    Opened { document: document.unwrap(), console, requests: requests(&network) }
}

/// What a page asked for, of a log of everything that the browser did.
fn requests(log: &str) -> Vec<String> {
    let log: Value = serde_json::from_str(log).expect("the browser closes its log");
    let of_page = |event: &Value| {
        let parameters = &event["params"];
        // The browser's own requests come from no page.
        let initiator = parameters["initiator"].as_str().filter(|initiator| *initiator != "not an origin");
        initiator.and(parameters["url"].as_str()).map(str::to_owned)
    };
    log["events"].as_array().unwrap().iter().filter_map(of_page).collect()
}

#[test]
fn a_page_that_says_something_or_asks_for_something_is_found_out() {
    let page = "<img src='http://elsewhere.test/a.png'><script>console.warn('noise')</script><p>seen</p>";
    let opened = open(page, Look::Light);
    assert!(opened.document.contains("<p>seen</p>"), "{}", opened.document);
    assert!(opened.console.iter().any(|line| line.contains("noise")), "{:?}", opened.console);
    assert_eq!(opened.requests, ["http://elsewhere.test/a.png"]);
}
