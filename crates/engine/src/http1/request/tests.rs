//! A request is what its plan says, to the byte, and never more than one.

use proofload_plan::Value;
use proptest::prelude::*;

use super::*;
use crate::render::Variables;
use crate::render::tests::{a_plan, known};

fn request(headers: &[(&str, Template)], body: Body) -> Request {
    Request {
        method: Method::Post,
        path: Template::text("/a?b=c"),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        body,
        redirects: Redirects::Never,
    }
}

fn value(value: Value, escape: Escape) -> Template {
    Template(vec![Part::Value(value, escape)])
}

fn files(files: &[&[u8]]) -> Materials {
    Materials { files: files.iter().map(|file| Arc::from(*file)).collect(), ..Materials::default() }
}

/// All bytes of a message, as they are written.
fn written(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < message.length() {
        // In small pieces, so that every place of every piece is asked for.
        let rest = message.rest(bytes.len());
        bytes.extend_from_slice(&rest[..rest.len().min(3)]);
    }
    bytes
}

/// A request as it is sent by a user with one variable.
fn sent(request: &Request, materials: &Materials, variable: &str, jar: Option<&Jar>) -> Result<String, String> {
    let plan = a_plan();
    let prepared = Prepared::new(request, &plan, materials)?;
    let mut variables = Variables::new(1, Arc::new([]));
    variables.set(0, Some(variable.to_owned()));
    let (mut choices, buffers) = (fastrand::Rng::with_seed(1), Buffers::default());
    let cookies = jar.map(|jar| (jar, Instant::now()));
    let mut known = known(materials, &[], &variables, &mut choices);
    let message = prepared.message(&mut known, cookies, &buffers).map_err(|Unset| "unset".to_owned())?;
    Ok(String::from_utf8_lossy(&written(&message)).into_owned())
}

#[test]
fn a_request_is_its_head_and_body() {
    let headers = [("Host", Template::text("a:8080")), ("Connection", Template::text("Close"))];
    let with_body = request(&headers, Body::Text(Template::text("hi")));
    let expected = "POST /a?b=c HTTP/1.1\r\nHost: a:8080\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(sent(&with_body, &Materials::default(), "", None).unwrap(), expected);
    let prepared = Prepared::new(&with_body, &a_plan(), &Materials::default()).unwrap();
    assert!(prepared.closes && matches!(prepared.kind, Kind::Fixed(..)));
    let bare = sent(&request(&[], Body::None), &Materials::default(), "", None).unwrap();
    assert_eq!(bare, "POST /a?b=c HTTP/1.1\r\n\r\n");
}

#[test]
fn pieces_and_files_follow_each_other_and_are_counted_once() {
    let materials = files(&[b"first file", b"", b"2"]);
    let text = |text: &str| proofload_plan::Piece::Text(Template::text(text));
    let name = proofload_plan::Piece::Text(value(Value::Variable(0), Escape::None));
    let file = proofload_plan::Piece::File;
    let pieces = vec![text("--x\r\n"), file(0), name, file(1), file(2), text("\r\n--x--")];
    let request = request(&[("Host", Template::text("a"))], Body::Pieces(pieces));
    let body = "--x\r\nfirst fileNAME2\r\n--x--";
    let expected = format!("POST /a?b=c HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(sent(&request, &materials, "NAME", None).unwrap(), expected);
    let one = sent(&super::tests::request(&[], Body::File(0)), &materials, "", None).unwrap();
    assert!(one.ends_with("Content-Length: 10\r\n\r\nfirst file"), "{one}");
}

#[test]
fn cookies_are_added_unless_the_request_has_its_own() {
    let mut jar = Jar::default();
    jar.take(b"a=1; Path=/", "/", Instant::now(), std::time::SystemTime::now());
    for body in [Template::text("hi"), value(Value::Variable(0), Escape::None)] {
        let request = request(&[("Host", Template::text("a"))], Body::Text(body));
        let expected = "POST /a?b=c HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(sent(&request, &Materials::default(), "hi", Some(&jar)).unwrap(), expected);
    }
    let own = request(&[("cookie", Template::text("b=2"))], Body::None);
    let expected = "POST /a?b=c HTTP/1.1\r\ncookie: b=2\r\n\r\n";
    assert_eq!(sent(&own, &Materials::default(), "", Some(&jar)).unwrap(), expected);
}

#[test]
fn a_request_goes_elsewhere_with_its_body_or_without() {
    let materials = files(&[b"file"]);
    let headers = [("Host", Template::text("a")), ("Content-Type", Template::text("text/plain"))];
    let request = request(&headers, Body::File(0));
    let prepared = Prepared::new(&request, &a_plan(), &materials).unwrap();
    let (variables, mut choices, buffers) = (Variables::new(1, Arc::new([])), fastrand::Rng::new(), Buffers::default());
    let message = prepared.message(&mut known(&materials, &[], &variables, &mut choices), None, &buffers);
    let message = message.ok().unwrap();
    assert_eq!(message.path(), "/a?b=c");
    let same = message.again(Method::Post, "/x", None, &buffers);
    let expected = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfile";
    assert_eq!(String::from_utf8(written(&same)).unwrap(), expected);
    let get = same.again(Method::Get, "/y", None, &buffers);
    assert_eq!(String::from_utf8(written(&get)).unwrap(), "GET /y HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn a_plan_that_would_be_no_request_or_two_is_refused() {
    let refused = |request: &Request| sent(request, &Materials::default(), "x", None).unwrap_err();
    let header = |name: &str, value: Template| request(&[(name, value)], Body::None);
    assert!(refused(&header("A", Template::text("b\r\nC: d"))).contains("header \"A\""));
    assert!(refused(&header("A: b\r\nC", Template::text("d"))).contains("name"));
    assert!(refused(&header("A", value(Value::Variable(0), Escape::None))).contains("escaped"));
    let path = |path: Template| Request { path, ..request(&[], Body::None) };
    assert!(refused(&path(Template::text("/a b"))).contains("path"));
    assert!(refused(&path(Template::text(""))).contains("empty"));
    assert!(refused(&path(value(Value::Variable(0), Escape::Header))).contains("escaped"));
    assert!(refused(&request(&[], Body::File(0))).contains("file"));
    assert!(refused(&request(&[], Body::Text(value(Value::Variable(1), Escape::None)))).contains("variable"));
}

proptest! {
    /// Whatever an answer, a row or the environment says: what is sent is one request, with its path, its headers and
    /// its body where they belong.
    #[test]
    fn no_value_splits_a_request(text in any::<String>(), percent in any::<bool>()) {
        let escape = if percent { Escape::Percent } else { Escape::Header };
        let basic = Template(vec![Part::Base64(value(Value::Variable(0), Escape::None))]);
        let request = Request {
            path: Template(vec![Part::Text("/p/".to_owned()), Part::Value(Value::Variable(0), Escape::Percent)]),
            ..request(&[("X", value(Value::Variable(0), escape)), ("Y", basic)],
                Body::Text(value(Value::Variable(0), Escape::None)))
        };
        let sent = sent(&request, &Materials::default(), &text, None).unwrap();
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut head = httparse::Request::new(&mut headers);
        let parsed = head.parse(sent.as_bytes()).unwrap();
        let httparse::Status::Complete(length) = parsed else { panic!("{sent:?}") };
        prop_assert_eq!(head.method, Some("POST"));
        prop_assert!(head.path.is_some_and(|path| path.starts_with("/p/")));
        let names: Vec<_> = head.headers.iter().map(|header| header.name).collect();
        prop_assert_eq!(names, ["X", "Y", "Content-Length"]);
        prop_assert_eq!(&sent[length..], &text);
        prop_assert_eq!(std::str::from_utf8(head.headers[2].value).unwrap(), text.len().to_string());
    }
}
