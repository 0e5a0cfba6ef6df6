//! Why a request failed: its outcome, and the words for it.

use std::io;
use std::sync::Arc;

use proofload_api::Outcome;

use crate::http1::Violation;

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
    /// An error number of the operating system.
    Os(i32),
    /// The target's timeout has passed.
    Timeout,
    /// The resolver's words.
    Dns(Box<str>),
    /// A check did not hold.
    Check(Arc<CheckText>, Why),
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

    /// An error of a connection that was open. The kernel says EPIPE to who writes after a reset.
    pub(crate) fn broken(error: &io::Error) -> Self {
        let detail = match error.kind() {
            io::ErrorKind::BrokenPipe => Detail::Text("connection reset by peer"),
            _ => Detail::of(error),
        };
        Self { outcome: Outcome::Reset, detail }
    }

    pub(crate) fn closed(has_begun: bool) -> Self {
        let text =
            if has_begun { "connection closed within the response" } else { "connection closed without a response" };
        Self { outcome: Outcome::Closed, detail: Detail::Text(text) }
    }

    pub(crate) fn dns(error: &dyn std::fmt::Display) -> Self {
        const MAX: usize = 200;
        let words: String = error.to_string().chars().take(MAX).collect();
        Self { outcome: Outcome::Dns, detail: Detail::Dns(words.into()) }
    }
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
            io::ErrorKind::AddrNotAvailable => Self::Text("no local port free"),
            io::ErrorKind::HostUnreachable => Self::Text("host unreachable"),
            io::ErrorKind::NetworkUnreachable => Self::Text("network unreachable"),
            _ => error.raw_os_error().map_or(Self::Text("connection failed"), Self::Os),
        }
    }

    /// In words; `timeout` is the target's, as the plan's reader would write it.
    pub(crate) fn message(&self, outcome: Outcome, timeout: &str) -> String {
        match self {
            Self::Status(status) => format!("status {status}"),
            Self::Text(text) if outcome == Outcome::Protocol => format!("not a valid response: {text}"),
            Self::Text(text) => (*text).to_owned(),
            Self::Os(number) => io::Error::from_raw_os_error(*number).to_string().to_lowercase(),
            Self::Timeout => format!("timeout after {timeout}"),
            Self::Dns(words) => format!("name not resolved: {words}"),
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
