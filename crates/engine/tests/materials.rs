//! Data sets, files and variables are read once, or everything that is wrong with them is said, and no value of them.

mod common;

use std::net::SocketAddr;

use common::{InMemory, data_set, plan, source};
use proofload_api::data::{KeyRef, Per, Pick};
use proofload_engine::{Materials, Mounted};
use proofload_plan::{DataSet, Place, Plan, Variable};

fn with_data(set: DataSet) -> Plan {
    let mut plan = plan(SocketAddr::from(([127, 0, 0, 1], 1)), Vec::new());
    plan.data = vec![set];
    plan
}

/// What is wrong with a data set that uses the columns `id` and `name`.
fn problem(name: &'static str, content: &[u8]) -> String {
    let plan = with_data(data_set(name, Pick::Sequential, Per::Iteration, &["id", "name"]));
    let shelf = InMemory(vec![(name, content.to_vec())]);
    let problems = Materials::load(&plan, &shelf).expect_err("something is wrong");
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

#[test]
fn what_is_wrong_with_a_csv_is_said_with_its_line_and_no_value() {
    let ragged = problem("x.csv", b"id,name\r\n1,a\r\n\r\n2,secret,x\r\n3,c\r\n");
    assert_eq!(
        ragged,
        "spec.data.x.csv: expected 2 values on each line, as on the first, got 3 on line 4 (a value with a comma in it \
         needs quotes)"
    );
    let multi_line = problem("x.csv", b"id,name\n1,\"a\nb\"\n2\n");
    assert!(multi_line.contains("got 1 on line 4"), "{multi_line}");
    let missing = problem("x.csv", b"\xEF\xBB\xBFid,Nmae,other\n1,a,secret\n");
    assert_eq!(
        missing,
        "spec.data.x.csv: expected a column \"name\", which a template uses, got the columns Nmae, id, other in line 1 \
         (did you mean \"Nmae\"?)"
    );
    let bytes = problem("x.csv", b"id,name\n1,a\n2,\xFFsecret\n");
    assert_eq!(bytes, "spec.data.x.csv: expected text in UTF-8, got other bytes in the column \"name\" of line 3");
    let empty = problem("x.csv", b"id,name\n\n");
    assert!(empty.starts_with("spec.data.x.csv: expected at least one row, got none"), "{empty}");
    let twice = problem("x.csv", b"id,name,id\n1,a,2\n");
    assert_eq!(twice, "spec.data.x.csv: expected one column \"id\", got several of this name in line 1");
    assert!(problem("x.csv", b"\n").contains("at least one row, got none (the first line names the columns"));
}

#[test]
fn what_is_wrong_with_lines_of_json_is_said_with_the_line_and_no_value() {
    let missing = problem("x.jsonl", b"{\"id\":1,\"name\":\"a\"}\n\n{\"id\":2,\"nam\":\"secret\"}\n");
    assert_eq!(
        missing,
        "spec.data.x.jsonl: expected a column \"name\", which a template uses, got the columns id, nam in line 3 (did \
         you mean \"nam\"?)"
    );
    let array = problem("x.jsonl", b"[\"secret\"]\n");
    assert!(array.starts_with("spec.data.x.jsonl: expected a JSON object on each line, got something else on line 1"));
    let cut = problem("x.jsonl", b"{\"id\":1,\"name\":\"a\"}\r\n{\"id\":2,\"name\":\"sec");
    assert!(cut.contains("got one that ends too early on line 2"), "{cut}");
    let bad = problem("x.jsonl", b"{\"id\":1,\"name\":secret}");
    assert!(bad.contains("got no valid JSON on line 1") && !bad.contains("secret"), "{bad}");
    assert!(problem("x.jsonl", b"\n \n").contains("at least one row"));
}

#[test]
fn too_few_rows_to_be_used_once_each_are_a_problem() {
    let mut set = data_set("x.csv", Pick::Unique, Per::Iteration, &["id"]);
    set.needs = Some(3);
    let shelf = |rows: &str| InMemory(vec![("x.csv", format!("id\n{rows}").into_bytes())]);
    let problems = Materials::load(&with_data(set.clone()), &shelf("1\n2\n")).expect_err("too few");
    assert_eq!(
        problems[0].to_string(),
        "spec.data.x.csv: expected 3 rows, each to be used once, got 2 (add rows, plan less, or pick Sequential or \
         Random)"
    );
    assert!(Materials::load(&with_data(set.clone()), &shelf("1\n2\n3\n")).is_ok());
    set.pick = Pick::Sequential;
    assert!(Materials::load(&with_data(set), &shelf("1\n")).is_ok());
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let mut plan = with_data(data_set("x.csv", Pick::Random, Per::User, &[]));
    plan.files = vec![source("picture")];
    let secret = Place::Secret(KeyRef { name: "db".to_owned(), key: "password".to_owned() });
    let variable = |name: &str, value: Option<&str>, place: Option<Place>| Variable {
        name: name.to_owned(),
        value: value.map(str::to_owned),
        place,
    };
    plan.env = vec![
        variable("GIVEN", Some("a"), None),
        variable("FOUND", None, None),
        variable("PASSWORD", None, Some(secret)),
    ];
    let shelf = InMemory(vec![("FOUND", b"b".to_vec())]);
    let problems = Materials::load(&plan, &shelf).expect_err("nearly all is missing");
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "spec.data.x.csv: expected a source that can be read, got cannot read x.csv: no such file",
            "spec.files.picture: expected a source that can be read, got cannot read picture: no such file",
            "spec.env[PASSWORD]: expected a value of the variable PASSWORD, got none (put the key password into the \
             Secret db; for proofload run, set PASSWORD in its environment)",
        ]
    );
}

#[test]
fn a_pod_finds_its_materials_where_the_kubelet_mounts_them() {
    let dir = std::env::temp_dir().join(format!("proofload-materials-{}", std::process::id()));
    for (folder, name, content) in [("data", "same", "id\n1\n"), ("files", "same", "bytes")] {
        std::fs::create_dir_all(dir.join(folder)).unwrap();
        std::fs::write(dir.join(folder).join(name), content).unwrap();
    }
    let mut plan = with_data(data_set("same", Pick::Random, Per::User, &["id"]));
    plan.files = vec![source("same")];
    // Any process has this one.
    plan.env = vec![Variable { name: "PATH".to_owned(), value: None, place: None }];
    let loaded = Materials::load(&plan, &Mounted(&dir)).unwrap();
    let shown = format!("{loaded:?}");
    std::fs::remove_file(dir.join("files/same")).unwrap();
    let problems = Materials::load(&plan, &Mounted(&dir)).expect_err("the file is gone");
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(shown, "Materials { tables: 1, files: 1, env: 1 }");
    assert!(problems[0].to_string().contains("files/same: No such file"), "{problems:?}");
}
