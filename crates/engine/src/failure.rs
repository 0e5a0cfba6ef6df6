//! Why a request failed: its outcome, and the words for it.

use std::io;
use std::sync::Arc;

use proofload_api::Outcome;
use rustix::io::Errno;

use crate::http1::Violation;
use crate::http2;

const NO_PORT: &str = "no local port free";

/// A request that got no complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) outcome: Outcome,
    pub(crate) detail: Detail,
}

/// What happened, without allocating where it happens often. Never a part of a response's body.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detail {
    Status(u16),
    Text(&'static str),
    /// Words that need no others, whatever the outcome.
    Plainly(&'static str),
    /// An error number of the operating system.
    Os(i32),
    /// The target's timeout has passed.
    Timeout,
    /// The resolver's words.
    Dns(Box<str>),
    /// A stream of HTTP/2 was reset, with a code.
    StreamReset(u32),
    /// The target has closed a connection of HTTP/2, or takes no more over it and has not seen the request.
    GoAway(u32),
    /// What came is no HTTP/2; the code that the target was told.
    Frames(u32),
    /// What is wrong with the secure connection, in the words of the TLS library.
    Tls(Box<str>),
    /// The target has closed a web socket: the code, if it gave one, and the begin of its reason.
    Farewell(Option<u16>, Box<str>),
    /// What came over a web socket is none of its messages.
    Frame(&'static str),
    /// A check did not hold.
    Check(Arc<CheckText>, Why),
}

/// What this process has too little of, where a failure is its own and not the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    Files,
    Ports,
}

/// A check in words, as the plan has it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CheckText {
    pub(crate) name: String,
    pub(crate) expected: String,
}

/// Why a check did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// The answer is otherwise than expected.
    Expected,
    /// The body is too long to be looked at.
    TooLong,
    /// The body is no JSON.
    NotJson,
    /// What was found is too long to be kept.
    LongValue,
}

impl Failure {
    pub(crate) fn connect(error: &io::Error) -> Self {
        Self { outcome: Outcome::Connect, detail: Detail::of(error) }
    }

    /// An error of a connection that was open. The kernel says EPIPE to who writes after a reset. A target may refuse
    /// our certificate after we took the handshake for done (RFC 8446, 4.4.2.4).
    pub(crate) fn broken(error: &io::Error) -> Self {
        if let Some(words) = words_of_tls(error) {
            return Self::tls(words);
        }
        let detail = match error.kind() {
            io::ErrorKind::BrokenPipe => Detail::Text("connection reset by peer"),
            _ => Detail::of(error),
        };
        Self { outcome: Outcome::Reset, detail }
    }

    /// An error of a handshake.
    pub(crate) fn handshake(error: &io::Error) -> Self {
        let words = match error.kind() {
            io::ErrorKind::ConnectionReset => Some("connection reset within the handshake".to_owned()),
            io::ErrorKind::UnexpectedEof => Some("connection closed within the handshake".to_owned()),
            _ => words_of_tls(error),
        };
        Self::tls(words.unwrap_or_else(|| error.to_string()))
    }

    fn tls(words: impl Into<String>) -> Self {
        Self { outcome: Outcome::Tls, detail: Detail::Tls(bounded(&words.into())) }
    }

    /// The target has not chosen HTTP/2, which it must.
    pub(crate) fn no_http2() -> Self {
        Self { outcome: Outcome::Protocol, detail: Detail::Plainly("the target does not speak HTTP/2") }
    }

    /// A request that a protocol has no form for.
    pub(crate) fn formless(why: &'static str) -> Self {
        Self { outcome: Outcome::Protocol, detail: Detail::Plainly(why) }
    }

    pub(crate) fn closed(has_begun: bool) -> Self {
        let text =
            if has_begun { "connection closed within the response" } else { "connection closed without a response" };
        Self { outcome: Outcome::Closed, detail: Detail::Text(text) }
    }

    /// An error of a request over HTTP/2, or of its whole connection.
    pub(crate) fn http2(error: &h2::Error, has_begun: bool) -> Self {
        if let Some(error) = error.get_io() {
            // Of an error within an error the library has only the words. An end of the connection has its own.
            return match (error.kind(), error.get_ref()) {
                (io::ErrorKind::BrokenPipe, Some(_)) | (io::ErrorKind::UnexpectedEof, _) => Self::closed(has_begun),
                (io::ErrorKind::InvalidData, Some(words)) => Self::tls(words.to_string()),
                _ => Self::broken(error),
            };
        }
        let code = error.reason().map_or(0, u32::from);
        let (outcome, detail) = match (error.is_remote(), error.is_go_away()) {
            (true, true) => return Self::gone_away(code),
            (true, false) => (Outcome::Reset, Detail::StreamReset(code)),
            (false, _) => (Outcome::Protocol, Detail::Frames(code)),
        };
        Self { outcome, detail }
    }

    /// The target has closed a web socket, with a code and a reason or without both. The reason is the one thing in
    /// the target's own words that is shown, cut and on one line: there is no telling a deploy from a crash without it.
    pub(crate) fn farewell(words: Option<(u16, &str)>) -> Self {
        const MAX: usize = 100;
        let visible = |char: char| if char.is_control() { ' ' } else { char };
        let reason: String = words.unwrap_or_default().1.chars().take(MAX).map(visible).collect();
        let detail = Detail::Farewell(words.map(|(code, _)| code), reason.into());
        Self { outcome: Outcome::Closed, detail }
    }

    /// The target has closed a web socket's connection, and not the web socket before.
    pub(crate) fn unannounced() -> Self {
        Self { outcome: Outcome::Closed, detail: Detail::Text("connection closed without a close frame") }
    }

    /// What came over a web socket breaks its rules.
    pub(crate) fn frame(text: &'static str) -> Self {
        Self { outcome: Outcome::Protocol, detail: Detail::Frame(text) }
    }

    /// The target closed a connection of HTTP/2, with a code.
    pub(crate) fn gone_away(code: u32) -> Self {
        Self { outcome: Outcome::Closed, detail: Detail::GoAway(code) }
    }

    pub(crate) fn dns(error: &dyn std::fmt::Display) -> Self {
        Self { outcome: Outcome::Dns, detail: Detail::Dns(bounded(&error.to_string())) }
    }
}

/// Words that may be of any length, and a name server's or a target's.
fn bounded(words: &str) -> Box<str> {
    const MAX: usize = 200;
    words.chars().take(MAX).collect::<String>().into()
}

/// What TLS has to say, if it is TLS that failed.
fn words_of_tls(error: &io::Error) -> Option<String> {
    Some(error.get_ref()?.downcast_ref::<tokio_rustls::rustls::Error>()?.to_string())
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Self { outcome: Outcome::Protocol, detail: Detail::Text(violation.0) }
    }
}

impl Detail {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Text("connection refused"),
            io::ErrorKind::ConnectionReset => Self::Text("connection reset by peer"),
            io::ErrorKind::AddrNotAvailable => Self::Text(NO_PORT),
            io::ErrorKind::HostUnreachable => Self::Text("host unreachable"),
            io::ErrorKind::NetworkUnreachable => Self::Text("network unreachable"),
            _ => error.raw_os_error().map_or(Self::Text("connection failed"), Self::Os),
        }
    }

    /// What this process had too little of, if that is what happened.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        let is = |number: i32, errno: Errno| number == errno.raw_os_error();
        match self {
            Self::Text(text) if *text == NO_PORT => Some(Shortage::Ports),
            // Of the process, and of the machine.
            Self::Os(number) if is(*number, Errno::MFILE) || is(*number, Errno::NFILE) => Some(Shortage::Files),
            _ => None,
        }
    }

    /// In words; `timeout` is the target's, as the plan's reader would write it.
    pub(crate) fn message(&self, outcome: Outcome, timeout: &str) -> String {
        match self {
            Self::Status(status) => format!("status {status}"),
            Self::Text(text) if outcome == Outcome::Protocol => format!("not a valid response: {text}"),
            Self::Text(text) | Self::Plainly(text) => (*text).to_owned(),
            Self::Os(number) => io::Error::from_raw_os_error(*number).to_string().to_lowercase(),
            Self::Timeout => format!("timeout after {timeout}"),
            Self::Farewell(code, reason) => {
                let code = code.map_or_else(|| " without a code".to_owned(), |code| format!(": code {code}"));
                let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                format!("web socket closed by the target{code}{reason}")
            }
            Self::Frame(text) => format!("not a valid message: {text}"),
            Self::Dns(words) => format!("name not resolved: {words}"),
            Self::StreamReset(code) => format!("stream reset: {}", http2::code_name(*code)),
            Self::GoAway(code) => format!("connection closed by the target (GOAWAY {})", http2::code_name(*code)),
            Self::Frames(code) => format!("not a valid response: broken frames ({})", http2::code_name(*code)),
            Self::Tls(words) => format!("TLS: {words}"),
            Self::Check(text, why) => {
                let CheckText { name, expected } = &**text;
                let got = match why {
                    Why::Expected => "",
                    Why::TooLong => ", got a body over 1 MiB",
                    Why::NotJson => ", got a body that is not JSON",
                    Why::LongValue => ", got one over 64 KiB, which is too long to be kept",
                };
                format!("check \"{name}\" failed: expected {expected}{got}")
            }
        }
    }
}
