//! The same response is understood in the same way however it is cut, and no bytes make the parser panic.

use proptest::prelude::*;

use super::*;
use crate::buffers::Buffers;
use crate::http1::{MAX_BODY, Wants, values};

/// What a response came to: how many bytes are its own, its status, whether it is complete and keeps alive.
type Meaning = Result<Whole, Violation>;
type Whole = (usize, Option<u16>, bool, bool);

/// Everything is wanted.
const ALL: Wants = Wants { head: true, cookies: true, location: true, body: true };

/// Follows the pieces in turn, then the end of the connection.
fn follow<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, to_head: bool) -> Meaning {
    keep(pieces, to_head).map(|(meaning, ..)| meaning)
}

/// The same, and what was kept: the head, the body.
fn keep<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, to_head: bool) -> Result<(Whole, Vec<u8>, Vec<u8>), Violation> {
    let (mut response, buffers) = (Response::new(to_head), Buffers::default());
    let mut kept = Kept::new(ALL, &buffers);
    let mut used = 0;
    for piece in pieces {
        used += response.follow(piece, &mut kept)?;
    }
    let complete = response.end()?;
    let (head, body) = (kept.whole_head().to_vec(), kept.whole_body().unwrap().to_vec());
    Ok(((used, response.status(), complete, response.keeps_alive()), head, body))
}

fn whole(bytes: &str) -> Meaning {
    follow([bytes.as_bytes()], false)
}

#[test]
fn a_body_ends_as_its_head_says() {
    assert_eq!(whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP"), Ok((40, Some(200), true, true)));
    assert_eq!(whole("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"), Ok((40, Some(200), false, true)));
    assert_eq!(whole("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n"), Ok((46, Some(204), true, true)));
    assert_eq!(whole("HTTP/1.1 200 OK\r\n\r\nanything"), Ok((27, Some(200), true, false)));
    assert_eq!(whole("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), Ok((38, Some(200), true, false)));
    let keep = "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(whole(keep), Ok((keep.len(), Some(200), true, true)));
    let close = "HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(whole(close), Ok((close.len(), Some(200), true, false)));
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(follow([head.as_bytes()], true), Ok((head.len(), Some(200), true, true)));
}

#[test]
fn lengths_count_only_where_they_frame_a_body() {
    let of = |status: &str, headers: &str| {
        whole(&format!("{status}\r\n{headers}\r\n")).map(|meaning| (meaning.2, meaning.3))
    };
    assert_eq!(of("HTTP/1.1 200 OK", "Content-Length: 0, 0\r\nContent-Length: 00\r\n"), Ok((true, true)));
    assert!(of("HTTP/1.1 200 OK", "Content-Length: 0, 1\r\n").is_err());
    assert_eq!(of("HTTP/1.1 204 No Content", "Content-Length: x\r\n"), Ok((true, true)));
    let both = "Content-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    assert_eq!(of("HTTP/1.1 200 OK", both), Ok((true, true)));
    assert!(of("HTTP/1.0 200 OK", "Transfer-Encoding: chunked\r\n\r\n0\r\n").is_err());
}

#[test]
fn chunks_may_have_extensions_and_trailers() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
    let body = "3\r\nabc\r\n00A ;x=\"y\"\r\n0123456789\r\n0\r\nSum: 1\r\n\r\n";
    let text = format!("{head}{body}");
    assert_eq!(whole(&text), Ok((text.len(), Some(200), true, true)));
    assert_eq!(whole(&format!("{head}3\r\nabc\r\n0\r\n")).map(|meaning| meaning.2), Ok(false));
    let zeros = "0".repeat(1000);
    assert_eq!(whole(&format!("{head}{zeros}1\r\na\r\n{zeros}\r\n\r\n")).map(|meaning| meaning.2), Ok(true));
    for trailers in [
        "no colon\r\n",
        "A: b\nC: d\r\n",
        "A: \0\r\n",
        &"A: b\r\n".repeat(257),
        &format!("A: {}\r\n", "b".repeat(MAX_HEAD)),
    ] {
        assert!(whole(&format!("{head}0\r\n{trailers}\r\n")).is_err(), "{trailers:?}");
    }
    for bad in ["x\r\n", "\r\n", "3\nabc", "3\r\nabcd\r\n", "11111111111111111\r\n", "3;a\nb\r\nabc"] {
        assert!(whole(&format!("{head}{bad}")).is_err(), "{bad:?}");
    }
}

#[test]
fn interim_responses_are_skipped() {
    let text =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 201 C\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(whole(text), Ok((text.len(), Some(201), true, true)));
    let switched = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    assert_eq!(whole(&format!("{switched}\x05")), Ok((switched.len(), Some(101), true, false)));
}

#[test]
fn what_is_not_http_is_a_violation() {
    let lengths = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
    let minus = "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n";
    let huge = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n";
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(MAX_HEAD));
    for bad in ["SSH-2.0-x\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 099 X\r\n\r\n", lengths, minus, huge, &endless] {
        assert!(whole(bad).is_err(), "{bad:?}");
    }
    assert_eq!(whole("HTTP/1.1 2"), Ok((10, None, false, false)));
    assert_eq!(whole(""), Ok((0, None, false, false)));
}

/// Responses that are mostly right, with what may be wrong in them, and anything at all.
fn responses() -> impl Strategy<Value = Vec<u8>> {
    let status = prop::sample::select(vec!["100", "103", "200", "204", "304", "404", "099"]);
    let version = prop::sample::select(vec!["HTTP/1.1", "HTTP/1.0"]);
    let header = prop::sample::select(vec![
        "Content-Length: 3\r\n",
        "Content-Length: 0\r\n",
        "content-length:  12 \r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "A: b\r\n",
        "Bare: lf\n",
        "Bad\r\n",
    ]);
    let body = prop::sample::select(vec![
        "",
        "abc",
        "3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nT: u\r\n\r\nmore",
        "A;b=c\r\n0123456789\r\n",
        "\n",
        "0\r\n\r\n",
    ]);
    let one =
        (version, status, prop::collection::vec(header, 0..4), body).prop_map(|(version, status, headers, body)| {
            format!("{version} {status} Any\r\n{}\r\n{body}", headers.concat())
        });
    let several = prop::collection::vec(one, 1..4).prop_map(|all| all.concat().into_bytes());
    prop_oneof![4 => several, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #[test]
    fn the_meaning_does_not_depend_on_how_it_is_cut(
        bytes in responses(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        to_head: bool,
    ) {
        let meaning = keep([&bytes[..]], to_head);
        for at in 0..=bytes.len() {
            let (begin, end) = bytes.split_at(at);
            prop_assert_eq!(keep([begin, end], to_head), meaning.clone(), "cut at {}", at);
        }
        prop_assert_eq!(keep(bytes.chunks(1), to_head), meaning.clone(), "byte by byte");
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        prop_assert_eq!(keep(cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]), to_head), meaning);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), to_head: bool) {
        let _ = follow(bytes.chunks(7), to_head);
        let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        chunked.extend(bytes);
        let _ = follow([&chunked[..]], to_head);
    }
}

#[test]
fn what_is_wanted_is_kept_and_chunks_are_put_together() {
    let interim = "HTTP/1.1 103 Hints\r\nSet-Cookie: no=1\r\n\r\n";
    let head = "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nSet-Cookie:  b=2 \r\nTransfer-Encoding: chunked\r\n\r\n";
    let text = format!("{interim}{head}3\r\nabc\r\n00A ;x=\"y\"\r\n0123456789\r\n0\r\nSum: 1\r\n\r\nHTTP/1.1");
    let (_, kept, body) = keep([text.as_bytes()], false).unwrap();
    assert_eq!((kept.as_slice(), body.as_slice()), (head.as_bytes(), &b"abc0123456789"[..]));
    assert_eq!(values(&kept, "SET-COOKIE"), [&b"a=1"[..], b"b=2"]);
    assert_eq!(values(&kept, "location"), Vec::<&[u8]>::new());
}

#[test]
fn nothing_is_kept_that_is_not_wanted() {
    let buffers = Buffers::default();
    let of = |wants: Wants, status: u16, body: usize| {
        let mut kept = Kept::new(wants, &buffers);
        let head = format!("HTTP/1.1 {status} X\r\nSet-Cookie: a=1\r\n\r\n");
        let mut response = Response::new(false);
        response.follow(head.as_bytes(), &mut kept).unwrap();
        response.follow(&vec![b'x'; body], &mut kept).unwrap();
        (!kept.whole_head().is_empty(), kept.whole_body().map(<[u8]>::len), kept.length())
    };
    let nothing = Wants::default();
    assert_eq!(of(nothing, 302, 9), (false, Some(0), 9));
    assert_eq!(of(Wants { cookies: true, ..nothing }, 200, 9), (true, Some(0), 9));
    assert_eq!(of(Wants { location: true, ..nothing }, 200, 9), (false, Some(0), 9));
    assert_eq!(of(Wants { location: true, ..nothing }, 302, 9), (true, Some(0), 9));
    assert_eq!(of(Wants { body: true, ..nothing }, 200, MAX_BODY), (false, Some(MAX_BODY), MAX_BODY as u64));
    assert_eq!(of(Wants { body: true, ..nothing }, 200, MAX_BODY + 1), (false, None, MAX_BODY as u64 + 1));
}
