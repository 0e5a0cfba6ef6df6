//! A head says over HTTP/2 what it does over HTTP/1.1.

use std::sync::Arc;

use proofload_api::step::{Method, Redirects};
use proofload_plan::{Body, Plan, Protocol, Template};
use proptest::prelude::*;

use super::*;
use crate::buffers::Buffers;
use crate::http1::{Kept, Prepared, Wants, values};
use crate::materials::Materials;
use crate::render::Variables;
use crate::render::tests::{a_plan, known};

fn plan() -> Plan {
    let mut plan = a_plan();
    plan.target.protocol = Protocol::Http2;
    plan
}

fn head(path: &str, headers: &[(&str, &str)], body: Body) -> Result<Head, String> {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Template::text(*value))).collect();
    let request = proofload_plan::Request {
        method: Method::Post,
        path: Template::text(path),
        headers,
        body,
        redirects: Redirects::Never,
    };
    let (materials, buffers) = (Materials::default(), Buffers::default());
    let prepared = Prepared::new(&request, &plan(), &materials)?;
    let variables = Variables::new(1, Arc::new([]));
    let mut choices = fastrand::Rng::with_seed(1);
    let message = prepared.message(&mut known(&materials, &[], &variables, &mut choices), None, &buffers);
    let Ok(message) = message else { return Err("unset".to_owned()) };
    let translated = Head::translate(&message)?;
    let prepared = Head::of(&message).map_err(|failure| format!("{failure:?}"))?;
    assert_eq!(format!("{translated:?}"), format!("{prepared:?}"), "what is prepared is what would be made");
    Ok(prepared)
}

#[test]
fn a_requests_head_has_the_same_fields_but_those_of_the_connection() {
    let headers = [
        ("Host", "shop:8080"),
        ("Connection", "close"),
        ("Keep-Alive", "5"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("TE", "trailers"),
        ("Transfer-Encoding", "chunked"),
    ];
    let head = head("/a?b=c", &headers, Body::Text(Template::text("hi"))).unwrap();
    let request = &head.request;
    assert_eq!((request.uri().to_string().as_str(), request.method().as_str()), ("http://shop:8080/a?b=c", "POST"));
    let fields: Vec<_> = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    assert_eq!(fields, [("x-twice", &b"1"[..]), ("x-twice", b"2"), ("te", b"trailers"), ("content-length", b"2")]);
    let names = ":method:scheme:authority:pathx-twicex-twicetecontent-length".len();
    assert_eq!(head.size, FRAME + (names + "POSThttpshop:8080/a?b=c12trailers2".len()) as u64);
}

#[test]
fn what_no_uri_has_is_escaped() {
    let path = |path| head(path, &[("Host", "a")], Body::None).map(|head| head.request.uri().to_string());
    assert_eq!(
        path("/a\"<b>?c=^`\\").unwrap(),
        "http://a/a%22%3Cb%3E?c=^%60\\".replace('^', "%5E").replace('\\', "%5C")
    );
    assert_eq!(path("/a#b").unwrap(), "http://a/a%23b");
    assert!(head("/", &[("X", "y")], Body::None).unwrap_err().contains("without a Host"));
    assert!(head("/", &[("Host", "a b")], Body::None).is_err());
}

proptest! {
    #[test]
    fn any_path_that_http1_sends_has_a_form(path in "/[!-~]{0,20}") {
        let head = head(&path, &[("Host", "a")], Body::None);
        prop_assert!(head.is_ok(), "{head:?}");
    }

    #[test]
    fn a_response_is_kept_as_http1_has_it(values_of in prop::collection::vec("[ -~]{0,20}", 0..4), status in 200_u16..600) {
        let mut headers = HeaderMap::new();
        for value in &values_of {
            headers.append("set-cookie", HeaderValue::from_str(value).unwrap());
        }
        let buffers = Buffers::default();
        let mut kept = Kept::new(Wants { head: true, ..Wants::default() }, &buffers);
        kept.head_by(status, true, |out| write(status, &headers, out));
        let trimmed: Vec<_> = values_of.iter().map(|value| value.trim().as_bytes()).collect();
        prop_assert_eq!(values(kept.whole_head(), "Set-Cookie"), trimmed);
    }
}
