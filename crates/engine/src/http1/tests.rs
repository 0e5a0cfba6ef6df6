//! The codec beside hyper's: the same bytes mean the same.
//!
//! There are bytes of which hyper itself makes one thing or another, by how they are cut: it looks at how long a head is
//! only where that is not complete, and at what is no head only where a line of it is. To us they are the same always,
//! so of these, ours is one of hyper's two.

mod beside;
mod generated;

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{Kept, Response, Wants};
use crate::buffers::Buffers;

/// What came of a response and its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    status: Option<u16>,
    /// What came of its body.
    body: Vec<u8>,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All of it came; `reusable` is whether the connection can carry another, as known before its end.
    Complete { reusable: bool },
    /// The connection ended within it.
    Closed,
    /// It is none.
    Protocol,
}

/// What we make of these pieces, one after the other, and then the end of the connection.
fn ours(pieces: &[&[u8]], to_head: bool) -> Seen {
    let (mut response, buffers) = (Response::new(to_head), Buffers::default());
    let mut kept = Kept::new(Wants { body: true, ..Wants::default() }, &buffers);
    let end = end_of(pieces, &mut response, &mut kept);
    let body = kept.whole_body().expect("bodies of tests are short").to_vec();
    assert_eq!(body.len() as u64, kept.length());
    Seen { status: response.status(), body, end }
}

fn end_of(pieces: &[&[u8]], response: &mut Response, kept: &mut Kept<'_>) -> End {
    let mut surplus = false;
    for piece in pieces {
        match response.follow(piece, kept) {
            Ok(used) => surplus |= used < piece.len(),
            Err(_) => return End::Protocol,
        }
    }
    let reusable = response.is_complete() && response.keeps_alive() && !surplus;
    match response.end() {
        Ok(true) => End::Complete { reusable },
        Ok(false) => End::Closed,
        Err(_) => End::Protocol,
    }
}

/// What is wrong, if something is.
fn difference(pieces: &[&[u8]], to_head: bool) -> Option<String> {
    let (we, they) = (ours(pieces, to_head), beside::hyper(pieces, to_head));
    if we == they || is_one_of_two(&pieces.concat(), to_head, &we) {
        return None;
    }
    let pieces: Vec<String> = pieces.iter().map(|piece| piece.escape_ascii().to_string()).collect();
    Some(format!("{pieces:?} in answer to {}:\nwe see   {we:?}\nhyper is {they:?}", method(to_head)))
}

/// Whether hyper makes of these bytes one thing if they come at once, another one byte by byte, and we either.
fn is_one_of_two(bytes: &[u8], to_head: bool, we: &Seen) -> bool {
    let at_once = beside::hyper(&[bytes], to_head);
    let one_by_one = beside::hyper(&bytes.chunks(1).collect::<Vec<_>>(), to_head);
    at_once != one_by_one && [at_once, one_by_one].contains(we)
}

fn method(to_head: bool) -> &'static str {
    if to_head { "HEAD" } else { "GET" }
}

/// Every file of the corpus.
fn corpus() -> Vec<(PathBuf, Vec<u8>)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/responses");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() > 100, "a corpus of {}", files.len());
    files
}

/// Longer files are cut only at some places.
const LONG: usize = 4096;

/// Where to cut: everywhere, but for long files only near their ends and now and then between.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    let edge = if length > LONG { 12 } else { LONG };
    (0..=length).filter(move |at| *at < edge || length - at < edge || at % 16381 == 0)
}

#[test]
fn each_file_of_the_corpus_means_what_it_means_to_hyper_wherever_it_is_cut() {
    let differences: Vec<String> = corpus()
        .iter()
        .flat_map(|(path, bytes)| [false, true].map(|to_head| (path, first_difference(bytes, to_head))))
        .filter_map(|(path, difference)| Some(format!("{}: {}", path.display(), difference?)))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

/// What is wrong with these bytes, whole, in two pieces, byte by byte, or (where there is a body) ending too soon.
fn first_difference(bytes: &[u8], to_head: bool) -> Option<String> {
    let in_two = cuts(bytes.len()).find_map(|at| {
        let (begin, end) = bytes.split_at(at);
        let cut_off = || if to_head { None } else { difference(&[begin], to_head) };
        difference(&[begin, end], to_head).or_else(cut_off)
    });
    in_two.or_else(|| difference(&bytes.chunks(1).collect::<Vec<_>>(), to_head)).filter(|_| bytes.len() <= LONG)
}

#[test]
fn a_head_over_64_kib_and_garbage_that_ends_within_a_line_are_to_hyper_what_their_cuts_make_them() {
    let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", format!("A: {}\r\n", "b".repeat(997)).repeat(70));
    for bytes in [head.as_bytes(), b"HTML"] {
        let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_ne!(beside::hyper(&[bytes], false), beside::hyper(&pieces, false));
        assert_eq!((ours(&[bytes], false).end, ours(&pieces, false).end), (End::Protocol, End::Protocol));
    }
}

proptest! {
    #[test]
    fn no_response_means_what_it_does_not_to_hyper(
        bytes in generated::responses(),
        cuts in prop::collection::vec(any::<Index>(), 0..6),
        to_head: bool,
    ) {
        let mut all: Vec<Vec<usize>> = vec![vec![], (1..bytes.len()).collect()];
        all.push(cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect());
        // Every boundary would be most of the time of all tests here; the corpus has that.
        all.extend(cuts.iter().map(|cut| vec![cut.index(bytes.len() + 1)]));
        for mut cuts in all {
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let difference = difference(&pieces, to_head);
            prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
        }
    }
}
