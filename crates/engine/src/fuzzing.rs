//! The engine's parsers, for the targets of fuzz/: each takes any bytes, and panics only where something is wrong with
//! the parser. Compiled for fuzzing, and for the tests that try what fuzzing has found once more.

use proofload_api::data::{Per, Pick};
use proofload_api::{LoadTestSpec, Micros};
use proofload_plan::{DataSet, Format, Place, Plan, Source};
use serde_json::json;

use crate::buffers::Buffers;
use crate::checks::{Answer, Checks};
use crate::http1::{self, Kept, Response, Violation, Wants};
use crate::materials::Table;
use crate::render::Variables;

/// Bytes as a response over HTTP/1.1, cut in different ways.
pub fn response(data: &[u8]) {
    for to_head in [false, true] {
        let whole = follow([data], to_head);
        assert_eq!(follow(data.chunks(1), to_head), whole, "byte by byte");
        let (begin, end) = halves(data);
        assert_eq!(follow([begin, end], to_head), whole, "cut at {}", begin.len());
    }
}

/// Two pieces; where they are cut follows from the last byte.
fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let at = data.last().map_or(0, |last| usize::from(*last) * data.len() / 256);
    data.split_at(at)
}

/// How many bytes are its own, its status, whether it is complete and keeps alive, its head, its body.
type Followed = (usize, Option<u16>, bool, bool, Vec<u8>, Option<Vec<u8>>);

fn follow<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, to_head: bool) -> Result<Followed, Violation> {
    let (mut response, buffers) = (Response::new(to_head), Buffers::default());
    let mut kept = Kept::new(Wants { head: true, cookies: true, location: true, body: true }, &buffers);
    let mut used = 0;
    for piece in pieces {
        let here = response.follow(piece, &mut kept)?;
        assert!(here == piece.len() || response.is_complete(), "what is left over comes after the response");
        used += here;
    }
    let complete = response.end()?;
    let (head, body) = (kept.whole_head().to_vec(), kept.whole_body().map(<[u8]>::to_vec));
    Ok((used, response.status(), complete, response.keeps_alive(), head, body))
}

/// Bytes as a chunked body, cut in different ways.
pub fn chunked(data: &[u8]) {
    let whole = http1::chunks([data]);
    assert_eq!(http1::chunks(data.chunks(1)), whole, "byte by byte");
    let (begin, end) = halves(data);
    assert_eq!(http1::chunks([begin, end]), whole, "cut at {}", begin.len());
}

/// A line as a JSON path, and the rest as a body that it is looked for in.
pub fn json_path(data: &[u8]) {
    let (path, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b"{}"[..]),
    };
    let Some(plan) = std::str::from_utf8(path).ok().and_then(plan_with_path) else { return };
    let step = &plan.scenarios[0].steps[0];
    let checks = Checks::new(step, &plan).expect("the plan's compiler has looked at the path");
    let buffers = Buffers::default();
    let mut kept = Kept::new(checks.wants, &buffers);
    let mut response = Response::new(false);
    response.follow(b"HTTP/1.1 200 OK\r\n\r\n", &mut kept).expect("a response");
    response.follow(body, &mut kept).expect("any body");
    let (mut held, mut variables) = (Vec::new(), Variables::new(plan.variables.len(), [].into()));
    let failed = checks.judge(&Answer::new(&kept, Micros::ZERO), &mut variables, &mut held);
    assert_eq!((held.len(), held.iter().all(|held| *held)), (3, failed.is_none()));
}

/// A plan that looks for a path in the answer to its only request; none if it is no path.
fn plan_with_path(path: &str) -> Option<Plan> {
    let spec: LoadTestSpec = serde_json::from_value(json!({
        "target": {"baseUrl": "http://shop"},
        "scenarios": [{
            "name": "s",
            "users": {"stages": [{"to": 1, "hold": "1s"}]},
            "steps": [{
                "name": "a",
                "request": {"path": "/"},
                "expect": {"json": {path: 1}, "jsonExists": [path]},
                "extract": {"x": {"json": path}},
            }],
        }],
    }))
    .expect("a text fits where a text is");
    proofload_plan::compile(&spec, "a/b").ok().map(|compiled| compiled.plan)
}

/// Bytes as a data set, in each format.
pub fn data(data: &[u8]) {
    for format in [Format::Csv, Format::Jsonl] {
        let source = Source { name: "d".to_owned(), place: Place::File("d".to_owned()) };
        let columns = vec!["a".to_owned(), "b".to_owned()];
        let set = DataSet { source, format, pick: Pick::Unique, per: Per::Iteration, columns, needs: None };
        let Ok(table) = Table::read(data, &set, "spec.data.d") else { continue };
        assert!(table.rows() > 0 && table.columns() == 2);
        let values = (0..table.rows()).flat_map(|row| [table.value(row, 0), table.value(row, 1)]);
        // Escapes of JSON become fewer bytes, never more.
        assert!(values.map(str::len).sum::<usize>() <= data.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_has_found_is_found_no_more() {
        again("responses", response);
        again("chunked", chunked);
        again("json_path", json_path);
        again("data", data);
    }

    /// Every input of a target's corpus.
    fn again(name: &str, target: fn(&[u8])) {
        let folder = format!("{}/../../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "{folder} is empty");
        for file in files {
            target(&std::fs::read(file).unwrap());
        }
    }
}
