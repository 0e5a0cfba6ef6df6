//! What to do with a request, as its path says.

use std::borrow::Cow;
use std::time::Duration;

use crate::counts::Ledger;

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Ok,
    Json,
    Delay(Duration),
    Status(u16),
    Bytes(usize),
    Chunked(usize),
    Close,
    CloseMidBody,
    Reset,
    Hang,
    SlowBody(Duration),
    Garbage,
    KeepAliveOff,
    Http10,
}

/// What `/mix` does with its i-th request is `MIX[i % 20]`.
const MIX: [Action; 20] = {
    const O: Action = Action::Ok;
    const R: Action = Action::Reset;
    const T: Action = Action::Status(429);
    const E: Action = Action::Status(500);
    [O, O, T, O, R, O, E, O, O, T, O, Action::Hang, O, O, E, O, R, O, T, O]
};

/// The longest delay and the largest body that a path can ask for.
const MAX_DELAY: u64 = 600_000;
const MAX_BODY: u64 = 1 << 30;

impl Action {
    /// What a path, without its query, asks for.
    pub(crate) fn of(path: &str, ledger: &Ledger) -> Self {
        let (name, number) = match path[1..].split_once('/') {
            Some((name, number)) => (name, number.parse::<u64>().ok()),
            None => (&path[1..], None),
        };
        let millis = |n: u64| Duration::from_millis(n.min(MAX_DELAY));
        let size = |n: u64| n.min(MAX_BODY) as usize;
        match (name, number) {
            ("" | "fast", None) => Self::Ok,
            ("delay", Some(n)) => Self::Delay(millis(n)),
            ("status", Some(n)) => Self::Status(n.clamp(200, 599) as u16),
            ("bytes", Some(n)) => Self::Bytes(size(n)),
            ("chunked", Some(n)) => Self::Chunked(size(n)),
            ("slow-body", Some(n)) => Self::SlowBody(millis(n)),
            ("close", None) => Self::Close,
            ("close-mid-body", None) => Self::CloseMidBody,
            ("reset", None) => Self::Reset,
            ("hang", None) => Self::Hang,
            ("garbage", None) => Self::Garbage,
            ("keepalive-off", None) => Self::KeepAliveOff,
            ("http10", None) => Self::Http10,
            ("mix", None) => MIX[ledger.next_mixed() % MIX.len()],
            _ => Self::Json,
        }
    }

    /// The name under which it is counted.
    pub(crate) fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Status(429) => "status-429",
            Self::Status(500) => "status-500",
            Self::Status(code) => return Cow::Owned(format!("status-{code}")),
            Self::Close => "close",
            Self::CloseMidBody => "close-mid-body",
            Self::Reset => "reset",
            Self::Hang => "hang",
            Self::Garbage => "garbage",
            _ => "ok",
        })
    }
}
