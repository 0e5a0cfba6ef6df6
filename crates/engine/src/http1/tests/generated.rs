//! Responses that are mostly right, with a little that is wrong in them.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Responses, some of them damaged, and some that are anything at all.
pub(super) fn responses() -> impl Strategy<Value = Vec<u8>> {
    let damaged = (sound(), prop::collection::vec(damage(), 1..4));
    prop_oneof![
        4 => sound(),
        6 => damaged.prop_map(|(bytes, damage)| damage.iter().fold(bytes, apply)),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

/// Interim responses, a response, and perhaps another that nobody asked for.
fn sound() -> impl Strategy<Value = Vec<u8>> {
    let next = prop_oneof![4 => Just(Vec::new()), 1 => response()];
    (prop::collection::vec(interim(), 0..2), response(), next)
        .prop_map(|(interim, response, next)| [interim.concat().into_bytes(), response, next].concat())
}

/// A change of one place.
#[derive(Debug, Clone)]
enum Damage {
    Insert(Index, u8),
    Replace(Index, u8),
    Remove(Index),
    Truncate(Index),
    /// What lies between these, once more.
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = || prop_oneof![3 => select(b"\r\n\t\0 :;,0159afAFx\"\x7f\x80\xff".to_vec()), 1 => any::<u8>()];
    prop_oneof![
        3 => (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        3 => (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        2 => any::<Index>().prop_map(Damage::Remove),
        1 => any::<Index>().prop_map(Damage::Truncate),
        1 => any::<(Index, Index)>().prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn apply(mut bytes: Vec<u8>, damage: &Damage) -> Vec<u8> {
    let length = bytes.len();
    match damage {
        Damage::Insert(at, byte) => bytes.insert(at.index(length + 1), *byte),
        Damage::Replace(at, byte) if length > 0 => bytes[at.index(length)] = *byte,
        Damage::Remove(at) if length > 0 => drop(bytes.remove(at.index(length))),
        Damage::Truncate(at) => bytes.truncate(at.index(length + 1)),
        Damage::Repeat(from, to) => {
            let (from, to) = (from.index(length + 1), to.index(length + 1));
            let again = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.splice(to..to, again);
        }
        Damage::Replace(..) | Damage::Remove(_) => {}
    }
    bytes
}

fn interim() -> impl Strategy<Value = String> {
    let status = select(vec!["100 Continue", "102 Processing", "103 Early Hints", "199 x"]);
    (status, headers()).prop_map(|(status, headers)| format!("HTTP/1.1 {status}\r\n{headers}\r\n"))
}

fn response() -> impl Strategy<Value = Vec<u8>> {
    let version =
        prop_oneof![8 => Just("HTTP/1.1"), 2 => Just("HTTP/1.0"), 1 => select(vec!["HTTP/2", "HTTP/1.2", "http/1.1"])];
    let status = prop_oneof![
        8 => Just("200 OK"),
        4 => select(vec!["204 No Content", "304 Not Modified", "404 Not Found", "500 ", "999 \u{e4}", "101 Switching Protocols"]),
        1 => select(vec!["099 x", "20 x", "2000 x", "200", "-12 x"]),
    ];
    (version, status, headers(), framed(), headers()).prop_map(|(version, status, before, (framing, body), after)| {
        let mut bytes = format!("{version} {status}\r\n{before}{framing}{after}\r\n").into_bytes();
        bytes.extend(body);
        bytes
    })
}

/// Some header lines.
fn headers() -> impl Strategy<Value = String> {
    let plain = || select(vec!["Server: x\r\n", "x-empty:\r\n", "Set-Cookie: a=1\r\n", "X:\u{e4} \t b \r\n"]);
    let line = prop_oneof![
        12 => plain().prop_map(str::to_owned),
        4 => connection(),
        1 => select(vec!["Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n", "Bare: lf\n", " folded\r\n", "No colon\r\n", "Space : x\r\n"])
                .prop_map(str::to_owned),
    ];
    prop::collection::vec(line, 0..4).prop_map(|lines| lines.concat())
}

fn connection() -> impl Strategy<Value = String> {
    let word = select(vec!["close", "keep-alive", "Close", "KEEP-ALIVE", "upgrade", "", "x y", "\u{e4}"]);
    (prop::collection::vec(word, 1..4), select(vec![",", ", ", " ,\t"]))
        .prop_map(|(words, comma)| format!("Connection: {}\r\n", words.join(comma)))
}

/// Header lines that say how a body ends, and such a body.
fn framed() -> impl Strategy<Value = (String, Vec<u8>)> {
    let body = || prop::collection::vec(any::<u8>(), 0..40);
    let by_length = (body(), select(vec!["N", "N, N", " N ,N", "0N", "N\r\nContent-Length: N", "N, 0", "+N", "Nx"]))
        .prop_map(|(body, how)| (format!("Content-Length: {}\r\n", how.replace('N', &body.len().to_string())), body));
    let coding = prop_oneof![6 => Just("chunked"), 1 => select(vec!["gzip, chunked", "Chunked ", "chunked, gzip", "chunked,", "\u{e4}, chunked"])];
    let chunked = (prop::collection::vec((body(), size()), 0..4), end(), coding).prop_map(|(chunks, end, coding)| {
        let mut bytes = Vec::new();
        for (data, size) in chunks.into_iter().filter(|(data, _)| !data.is_empty()) {
            bytes.extend(size.replace('N', &format!("{:x}", data.len())).into_bytes());
            bytes.extend([&b"\r\n"[..], &data, b"\r\n"].concat());
        }
        bytes.extend(end.bytes());
        (format!("Transfer-Encoding: {coding}\r\n"), bytes)
    });
    prop_oneof![3 => by_length, 6 => chunked, 1 => body().prop_map(|body| (String::new(), body))]
}

/// A chunk's size line; N stands for its size.
fn size() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just("N"),
        3 => select(vec!["00N", "N ", "N;a", "N ;a=b;c=\"d;\"", "N\t"]),
        1 => select(vec![" N", "0xN", "N N", "N\n", "1000000000000000N", "N;a\rb", "fffffffffffffffffN"]),
    ]
}

/// The end of a chunked body.
fn end() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just("0\r\n\r\n"),
        4 => select(vec!["000\r\n\r\n", "0;x\r\nSum: 1\r\n\r\n", "0\r\nA: b\r\nC:\r\n\r\n"]),
        2 => select(vec!["0\r\nno colon\r\n\r\n", "0\r\nA: b\nC: d\r\n\r\n", "0\r\n: x\r\n\r\n", "0\r\n\nA: b\r\n\r\n", "0\r\n fold\r\n\r\n", "0\r\nA: \0\r\n\r\n", "0\n\n", ""]),
    ]
}
