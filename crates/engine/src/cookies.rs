//! The cookies of one user, as RFC 6265 has them, for one host: all are sent to the target, since there is no other.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cookie::Cookie;

/// The most cookies of a user; the one that came first goes.
const MAX: usize = 64;

/// The longest cookie.
const MAX_BYTES: usize = 4096;

/// The cookies of one user.
#[derive(Default)]
pub(crate) struct Jar(Vec<Kept>);

struct Kept {
    name: Box<str>,
    value: Box<str>,
    path: Box<str>,
    until: Option<Instant>,
}

impl Jar {
    /// Takes what a `Set-Cookie` header says, in an answer to a request of this path. What is no cookie is ignored.
    pub(crate) fn take(&mut self, header: &[u8], path: &str, now: Instant, today: SystemTime) {
        let Some(cookie) = parse(header) else { return };
        let path = match cookie.path() {
            Some(own) if own.starts_with('/') => own,
            _ => default_path(path),
        };
        self.0.retain(|kept| *kept.name != *cookie.name() || *kept.path != *path);
        let Some(until) = until(&cookie, now, today) else { return };
        if self.0.len() == MAX {
            self.0.remove(0);
        }
        self.0.push(Kept {
            name: cookie.name().into(),
            value: cookie.value().into(),
            path: path.into(),
            until: until.some(),
        });
    }

    /// Whether there is any for this path.
    pub(crate) fn has_any(&self, path: &str, now: Instant) -> bool {
        self.0.iter().any(|kept| kept.is_for(path, now))
    }

    /// Writes the `Cookie` header of a request of this path, if there are any for it.
    pub(crate) fn write(&self, path: &str, now: Instant, out: &mut Vec<u8>) {
        let mut mine: Vec<&Kept> = self.0.iter().filter(|kept| kept.is_for(path, now)).collect();
        // Those of longer paths first, then those that came first.
        mine.sort_by_key(|kept| std::cmp::Reverse(kept.path.len()));
        for (i, kept) in mine.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"Cookie: " } else { b"; " });
            out.extend_from_slice(kept.name.as_bytes());
            out.push(b'=');
            out.extend_from_slice(kept.value.as_bytes());
        }
        if !mine.is_empty() {
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl Kept {
    fn is_for(&self, path: &str, now: Instant) -> bool {
        let path = path.split('?').next().unwrap_or_default();
        let is_below = path
            .strip_prefix(&*self.path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/'));
        is_below && self.until.is_none_or(|until| now < until)
    }
}

/// How long a cookie is kept.
enum Until {
    Ever,
    Then(Instant),
}

impl Until {
    fn some(self) -> Option<Instant> {
        match self {
            Self::Ever => None,
            Self::Then(then) => Some(then),
        }
    }
}

/// None for one that is over: with it, the target takes a cookie back.
fn until(cookie: &Cookie<'_>, now: Instant, today: SystemTime) -> Option<Until> {
    let left = match (cookie.max_age(), cookie.expires_datetime()) {
        (Some(age), _) => age.whole_seconds(),
        (None, Some(date)) => {
            let today = today.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            date.unix_timestamp().saturating_sub(i64::try_from(today).unwrap_or(i64::MAX))
        }
        (None, None) => return Some(Until::Ever),
    };
    let left = u64::try_from(left).ok().filter(|left| *left > 0)?;
    // What is later than any clock can say is never.
    Some(now.checked_add(Duration::from_secs(left)).map_or(Until::Ever, Until::Then))
}

/// A cookie that can be sent as it came.
pub(crate) fn parse(header: &[u8]) -> Option<Cookie<'_>> {
    let cookie = Cookie::parse(std::str::from_utf8(header).ok()?).ok()?;
    let is_name = !cookie.name().is_empty() && cookie.name().bytes().all(|byte| byte.is_ascii_graphic());
    let is_value = cookie.value().bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let fits = header.len() <= MAX_BYTES;
    (is_name && is_value && fits).then_some(cookie)
}

/// The folder of a request's path (RFC 6265, 5.1.4).
fn default_path(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(last) => &path[..last],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(headers: &[&str], path: &str) -> Jar {
        let mut jar = Jar::default();
        for header in headers {
            jar.take(header.as_bytes(), path, Instant::now(), SystemTime::now());
        }
        jar
    }

    fn sent(jar: &Jar, path: &str, after: u64) -> String {
        let mut out = Vec::new();
        jar.write(path, Instant::now() + Duration::from_secs(after), &mut out);
        assert_eq!(jar.has_any(path, Instant::now() + Duration::from_secs(after)), !out.is_empty());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cookies_are_sent_below_their_path_the_longest_first() {
        let jar = jar(&["a=1; Path=/", "b=\"2\"; Path=/shop; Secure; HttpOnly", "c=3"], "/shop/cart?x=/y");
        assert_eq!(sent(&jar, "/", 0), "Cookie: a=1\r\n");
        assert_eq!(sent(&jar, "/shopping", 0), "Cookie: a=1\r\n");
        assert_eq!(sent(&jar, "/shop?q", 0), "Cookie: b=\"2\"; c=3; a=1\r\n");
        assert_eq!(sent(&jar, "/shop/x", 0), "Cookie: b=\"2\"; c=3; a=1\r\n");
    }

    #[test]
    fn a_cookie_is_replaced_and_taken_back_and_ends() {
        let all =
            ["a=1", "a=2", "b=1", "b=; Max-Age=0", "c=1; Max-Age=100", "d=1; Expires=Thu, 01 Jan 1970 00:00:01 GMT"];
        let jar = jar(&all, "/");
        assert_eq!(sent(&jar, "/", 0), "Cookie: a=2; c=1\r\n");
        assert_eq!(sent(&jar, "/", 101), "Cookie: a=2\r\n");
    }

    #[test]
    fn what_cannot_be_sent_is_no_cookie() {
        let long = format!("a={}", "b".repeat(MAX_BYTES));
        let jar = jar(&["", "=", "a", "a b=c", "ä=c", "a=\u{1}", "a=b\r\nX: y", "a=é", &long], "/");
        assert_eq!(sent(&jar, "/", 0), "");
        let many: Vec<String> = (0..MAX + 5).map(|i| format!("k{i}=v")).collect();
        let jar = super::tests::jar(&many.iter().map(String::as_str).collect::<Vec<_>>(), "/");
        assert_eq!(jar.0.len(), MAX);
    }
}
