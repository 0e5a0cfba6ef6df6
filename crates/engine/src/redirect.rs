//! Answers that point elsewhere.

use proofload_api::step::Method;
use url::{Position, Url};

/// How to follow an answer with this status to a request with this method; none if it points nowhere (RFC 9110, 15.4).
pub(crate) fn method(status: u16, method: Method) -> Option<Method> {
    match (status, method) {
        (303, Method::Head) => Some(Method::Head),
        (303, _) | (301 | 302, Method::Post) => Some(Method::Get),
        (301 | 302 | 307 | 308, _) => Some(method),
        _ => None,
    }
}

/// The path and query that a `Location` points to, in an answer to a request for `path`; none if it is not on the target
/// itself.
pub(crate) fn path(scheme: &str, authority: &str, path: &str, location: &[u8]) -> Option<String> {
    let here = Url::parse(&format!("{scheme}://{authority}{path}")).ok()?;
    let there = here.join(std::str::from_utf8(location).ok()?).ok()?;
    let path = &there[Position::BeforePath..Position::AfterQuery];
    let can_be_sent = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    (there.origin() == here.origin() && can_be_sent).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_location_is_followed_on_the_target_only() {
        let to = |location: &str| path("http", "shop:8080", "/a/b?c=d", location.as_bytes());
        assert_eq!(to("/x?y=z#w").as_deref(), Some("/x?y=z"));
        assert_eq!(to("c").as_deref(), Some("/a/c"));
        assert_eq!(to("../../c").as_deref(), Some("/c"));
        assert_eq!(to("?e").as_deref(), Some("/a/b?e"));
        assert_eq!(to("http://SHOP:8080/x").as_deref(), Some("/x"));
        assert_eq!(to("//shop:8080").as_deref(), Some("/"));
        assert_eq!(to("/a b\u{e4}").as_deref(), Some("/a%20b%C3%A4"));
        for elsewhere in ["http://shop/x", "https://shop:8080/x", "//other:8080/", "mailto:a@b", "http://", "http://[/"]
        {
            assert_eq!(to(elsewhere), None, "{elsewhere}");
        }
        let to = |location: &str| path("https", "shop", "/a", location.as_bytes());
        assert_eq!(to("https://shop:443/x").as_deref(), Some("/x"));
        assert_eq!(to("http://shop/x"), None, "who asked in secret is not led out of it");
    }

    #[test]
    fn a_post_becomes_a_get_where_it_should() {
        assert_eq!(method(303, Method::Put), Some(Method::Get));
        assert_eq!(method(302, Method::Post), Some(Method::Get));
        assert_eq!(method(302, Method::Put), Some(Method::Put));
        assert_eq!(method(307, Method::Post), Some(Method::Post));
        assert_eq!(method(303, Method::Head), Some(Method::Head));
        assert_eq!(method(304, Method::Get), None);
    }

    proptest! {
        #[test]
        fn a_location_never_splits_a_request(location in any::<Vec<u8>>()) {
            if let Some(path) = path("http", "shop:8080", "/a", &location) {
                prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
