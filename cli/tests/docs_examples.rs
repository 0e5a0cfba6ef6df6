//! The examples of docs/loadtest.md and of examples/ are true: they are admitted, compiled, run; what the document says of
//! wrong ones is what is said; and no field of the API is without words or without an example.
//!
//! A fence's info string says what the block is: `yaml` a whole `LoadTest`, `yaml run` one that is run against the demo
//! target (`run=Failed`: with this verdict), `yaml spec.PATH` a fragment that is put into a small test at this place,
//! `yaml wrong spec.PATH` one that is refused with what the next `text` block says, `csv FILE` (or any other language) a
//! file beside the blocks that follow.
#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use proofload_api::admission::admit;
use proofload_api::{LoadTest, Problem};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where steps stand beside `spec.scenarios[].steps[]`, and other types that are described once.
const SAME_AS: [(&str, &str); 8] = [
    ("spec.setup[].", "spec.scenarios[].steps[]."),
    ("spec.teardown[].", "spec.scenarios[].steps[]."),
    ("spec.scenarios[].onStart[].", "spec.scenarios[].steps[]."),
    ("spec.scenarios[].onStop[].", "spec.scenarios[].steps[]."),
    ("spec.scenarios[].steps[].request.auth.", "spec.target.auth."),
    ("spec.scenarios[].steps[].webSocket.connect.auth.", "spec.target.auth."),
    ("spec.files.NAME.", "spec.data.NAME."),
    ("spec.prometheus.auth.", "spec.target.auth."),
];

/// Examples that tests of their own run (`five.rs`, `five_more.rs`, `soak.rs`), which say more of them than a verdict; some need the
/// machine for themselves.
const ELSEWHERE: [&str; 14] = [
    "ambient-api",
    "ambient-search",
    "concurrency-suite",
    "deployments",
    "soak",
    "suite-pool",
    "suite-recovery",
    "suite-rise",
    "suite-sequential",
    "suite-soak",
    "suite-websockets",
    "ten-thousand-users",
    "threads-api",
    "threads-api-staged",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn document() -> String {
    std::fs::read_to_string(repository().join("docs/loadtest.md")).unwrap()
}

/// A fenced block.
struct Block {
    line: usize,
    info: Vec<String>,
    text: String,
}

impl Block {
    fn says(&self, word: &str) -> bool {
        self.info.iter().any(|known| known == word)
    }

    /// Where a fragment belongs.
    fn place(&self) -> Option<&str> {
        self.info.iter().map(String::as_str).find(|word| word.starts_with("spec"))
    }

    fn value(&self) -> Value {
        serde_saphyr::from_str(&self.text).unwrap_or_else(|error| panic!("line {}: not YAML: {error}", self.line))
    }

    /// The test that it is, or that it belongs to.
    fn test(&self) -> Value {
        let value = self.value();
        let Some(place) = self.place() else { return value };
        let mut test = json!({
            "apiVersion": "proofload.dev/v1alpha1", "kind": "LoadTest", "metadata": {"name": "example"},
            "spec": {
                "target": {"baseUrl": "http://shop.example:8080"},
                "scenarios": [{"name": "shop", "steps": [{"name": "list", "request": {"path": "/"}}]}],
                "runners": {},
            },
        });
        let pointer = format!("/{}", place.replace("[0]", ".0").replace('.', "/"));
        let at = test.pointer_mut(&pointer).unwrap_or_else(|| panic!("line {}: there is no {place}", self.line));
        for (field, value) in value.as_object().unwrap_or_else(|| panic!("line {}: not an object", self.line)) {
            at[field] = value.clone();
        }
        for scenario in test["spec"]["scenarios"].as_array_mut().unwrap() {
            let has_load = ["users", "arrivals", "iterations", "search"].iter().any(|load| !scenario[load].is_null());
            let nulls = scenario.as_object_mut().unwrap();
            nulls.retain(|_, value| !value.is_null());
            if !has_load {
                scenario["users"] = json!({"stages": [{"to": 2, "hold": "1s"}]});
            }
        }
        test
    }
}

/// Every block, with its place.
fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (index, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), is_open) {
            (Some(info), false) => {
                let info = info.split_whitespace().map(str::to_owned).collect();
                blocks.push(Block { line: index + 1, info, text: String::new() });
                is_open = true;
            }
            (Some(_), true) => is_open = false,
            (None, true) => {
                let text = &mut blocks.last_mut().unwrap().text;
                text.push_str(line);
                text.push('\n');
            }
            (None, false) => {}
        }
    }
    blocks
}

fn yaml_blocks(document: &str, wrong: bool) -> Vec<Block> {
    let mut blocks = blocks(document);
    blocks.retain(|block| block.says("yaml") && block.says("wrong") == wrong);
    assert!(blocks.len() > 5, "the document has its examples");
    blocks
}

fn ready(test: &Value) -> Result<LoadTest, Vec<Problem>> {
    let test = admit(test)?;
    proofload_plan::compile(&test.spec, "example")?;
    Ok(test)
}

fn proofload(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proofload"));
    command.args(arguments).current_dir(directory).env("NO_COLOR", "1").stdin(Stdio::null()).output().unwrap()
}

/// Runs a file against the demo target; the report, and what else was said.
fn run(directory: &Path, file: &str) -> (Value, String) {
    let output = proofload(directory, &["run", file, "--demo-target", "--quiet", "--output", "json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{file}: no report: {said}"));
    (report, said)
}

/// The verdict is this one. A busy machine can leave figures in doubt, which is no fault of an example.
fn ends_as(verdict: &str, report: &Value, whose: &str) {
    let doubts = report["doubts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_busy = doubts.iter().all(|doubt| ["Saturated", "Skew"].iter().any(|kind| doubt["kind"] == *kind));
    let is_doubted = report["verdict"] == "Inconclusive" && !doubts.is_empty() && is_busy;
    assert!(report["verdict"] == verdict || is_doubted, "{whose}: expected {verdict}, got {report:#}");
}

/// A directory with the files that the blocks before this one name.
fn files_before(document: &str, line: usize) -> TempDir {
    let directory = TempDir::new().unwrap();
    for file in blocks(document).iter().take_while(|block| block.line < line) {
        if let [language, name] = &file.info[..]
            && language != "yaml"
        {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &file.text).unwrap();
        }
    }
    directory
}

#[test]
fn every_example_of_the_document_is_admitted_and_compiles() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let of_readme = blocks(&readme).into_iter().filter(|block| block.says("yaml"));
    for block in yaml_blocks(&document(), false).into_iter().chain(of_readme) {
        if let Err(problems) = ready(&block.test()) {
            panic!("line {}: {problems:#?}", block.line);
        }
    }
}

#[test]
fn the_examples_of_the_document_that_say_so_run_and_end_as_they_say() {
    let document = document();
    for block in yaml_blocks(&document, false) {
        let expected = block.info.iter().find_map(|word| match word.as_str() {
            "run" => Some("Passed"),
            word => word.strip_prefix("run="),
        });
        let Some(expected) = expected else { continue };
        let directory = files_before(&document, block.line);
        std::fs::write(directory.path().join("test.yaml"), &block.text).unwrap();
        let (report, _) = run(directory.path(), "test.yaml");
        ends_as(expected, &report, &format!("line {}", block.line));
    }
}

#[test]
fn what_the_document_says_of_wrong_ones_is_what_is_said() {
    let document = document();
    let all = blocks(&document);
    let mut failures = String::new();
    for block in yaml_blocks(&document, true) {
        let after = all.iter().find(|other| other.line > block.line && other.info == ["text"]);
        let expected = &after.unwrap_or_else(|| panic!("line {}: what is said?", block.line)).text;
        let directory = files_before(&document, block.line);
        std::fs::write(directory.path().join("test.yaml"), block.test().to_string()).unwrap();
        for command in [&["validate", "test.yaml"][..], &["run", "test.yaml", "--demo-target"]] {
            let output = proofload(directory.path(), command);
            let said = String::from_utf8_lossy(&output.stderr);
            if output.status.code() != Some(104) || !expected.lines().all(|line| said.contains(line)) {
                let line = block.line;
                let _ = writeln!(failures, "line {line}: expected\n{expected}{} ended so:\n{output:?}\n", command[0]);
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Every file of examples/, with its verdict: what `# ... as Failed` in it says, else Passed.
fn examples() -> Vec<(PathBuf, &'static str)> {
    let mut examples: Vec<_> = std::fs::read_dir(repository().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let verdict = if text.starts_with("# Ends by design as Failed") { "Failed" } else { "Passed" };
            (path, verdict)
        })
        .collect();
    examples.sort();
    assert!(examples.len() >= 10, "{examples:?}");
    examples
}

#[test]
fn every_file_of_examples_runs_as_it_is_against_the_demo_target() {
    let directory = repository();
    // Each takes some seconds, most of which it waits: a few at once.
    let mut examples = examples();
    examples.retain(|(path, _)| !ELSEWHERE.iter().any(|name| path.file_stem().unwrap() == *name));
    std::thread::scope(|scope| {
        for some in examples.chunks(examples.len().div_ceil(3)) {
            let directory = &directory;
            scope.spawn(move || {
                for (path, verdict) in some {
                    let (report, _) = run(directory, path.to_str().unwrap());
                    ends_as(verdict, &report, &path.display().to_string());
                }
            });
        }
    });
}

#[test]
fn the_index_of_examples_is_complete_and_each_says_how_to_run_it() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    for (path, _) in examples() {
        let name = format!("examples/{}", path.file_name().unwrap().to_str().unwrap());
        assert!(readme.contains(&format!("({name})")), "README.md has a link to {name}");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("proofload run {name} --demo-target")), "{name} says how to run it");
        assert!(text.contains(&format!("kubectl apply -f {name}")), "{name} says how to apply it");
    }
}

fn schema() -> Value {
    let crd = serde_json::to_value(&proofload_api::crds()[0]).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

/// The place where a path is described.
fn described(path: &str) -> String {
    let mut path = path.to_owned();
    for (place, same) in SAME_AS {
        if let Some(rest) = path.strip_prefix(place) {
            path = format!("{same}{rest}");
        }
    }
    path
}

/// The schemas right below a schema, with the paths to them: fields, `NAME` for what users name, `[]` for items.
fn below<'a>(schema: &'a Value, path: &str) -> Vec<(String, &'a Value)> {
    let fields = schema["properties"].as_object().into_iter().flatten();
    let fields = fields.map(|(name, schema)| (format!("{path}.{name}"), schema));
    let named = schema.get("additionalProperties").filter(|schema| schema.is_object());
    let items = schema.get("items");
    let named = named.map(|schema| (format!("{path}.NAME"), schema));
    fields.chain(named).chain(items.map(|schema| (format!("{path}[]"), schema))).collect()
}

/// Every field of the API, as it is described.
fn fields(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (path, schema) in below(schema, path) {
        let last = path.rsplit('.').next().unwrap();
        if last != "NAME" && !last.ends_with("[]") {
            found.insert(described(&path));
        }
        fields(schema, &path, found);
    }
}

/// Every field that a value has.
fn used(value: &Value, schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let below = below(schema, path);
    let at = |wanted: &str| below.iter().find(|(path, _)| path == wanted);
    match value {
        Value::Object(values) => {
            for (name, value) in values {
                let Some((path, schema)) = at(&format!("{path}.{name}")).or_else(|| at(&format!("{path}.NAME"))) else {
                    continue;
                };
                found.insert(described(path));
                used(value, schema, path, found);
            }
        }
        Value::Array(items) => {
            for (item, (path, schema)) in items.iter().zip(at(&format!("{path}[]")).into_iter().cycle()) {
                used(item, schema, path, found);
            }
        }
        _ => {}
    }
}

/// Every field that the document describes: names in the first cells of tables, below the path in the heading.
fn described_fields(document: &str) -> BTreeSet<String> {
    let quoted = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut found = BTreeSet::new();
    let mut place = None;
    for line in document.lines() {
        if line.starts_with('#') {
            place = quoted(line).into_iter().find(|word| word.starts_with("spec"));
        } else if let (Some(place), Some(cell)) = (&place, line.strip_prefix("| `")) {
            let cell = format!("`{}", cell.split(" | ").next().unwrap_or_default());
            found.extend(quoted(&cell).into_iter().map(|name| format!("{place}.{name}")));
        }
    }
    found
}

#[test]
fn every_field_of_the_api_is_described_and_no_other() {
    let mut fields_of_the_api = BTreeSet::new();
    fields(&schema(), "spec", &mut fields_of_the_api);
    assert!(fields_of_the_api.contains("spec.scenarios[].steps[].request.multipart[].contentType"));
    let described = described_fields(&document());
    let missing: Vec<_> = fields_of_the_api.difference(&described).collect();
    let unknown: Vec<_> = described.difference(&fields_of_the_api).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not described: {missing:#?}\nno such field: {unknown:#?}");
}

#[test]
fn every_field_of_the_api_has_an_example() {
    let schema = schema();
    let (mut fields_of_the_api, mut shown) = (BTreeSet::new(), BTreeSet::new());
    fields(&schema, "spec", &mut fields_of_the_api);
    for block in yaml_blocks(&document(), false) {
        used(&block.test()["spec"], &schema, "spec", &mut shown);
    }
    let missing: Vec<_> = fields_of_the_api.difference(&shown).collect();
    assert!(missing.is_empty(), "without an example: {missing:#?}");
}
