//! What to do with a request, as its path says.

use std::borrow::Cow;
use std::time::Duration;

use crate::counts::Ledger;
use crate::gate::Gate;

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
    /// Takes a place of the capacity, for so long; the place has been taken.
    Serve(Duration),
    /// Refuses after so long.
    Refuse(Duration),
    /// Waits for one of so many places, and takes it for so long.
    Queue(usize, Duration),
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
    pub(crate) fn of(path: &str, ledger: &Ledger, gate: &Gate) -> Self {
        let mut rest = path[1..].split('/');
        let name = rest.next().unwrap_or_default();
        let numbers: Vec<Option<u64>> = rest.map(|number| number.parse().ok()).collect();
        let (number, second) = match numbers[..] {
            [] => (None, None),
            [first] => (first, None),
            [first, second] => (first, second),
            _ => return Self::Json,
        };
        let millis = |n: u64| Duration::from_millis(n.min(MAX_DELAY));
        let size = |n: u64| n.min(MAX_BODY) as usize;
        if let (Some(places), Some(time)) = (number, second) {
            return match name {
                "capacity" | "crowded" if gate.enter(places) => Self::Serve(millis(time)),
                "capacity" => Self::Status(503),
                "crowded" => Self::Refuse(millis(time)),
                "queue" => Self::Queue(size(places), millis(time)),
                _ => Self::Json,
            };
        }
        match (name, number) {
            _ if numbers.len() > 1 => Self::Json,
            ("" | "fast", None) => Self::Ok,
            ("delay", Some(n)) => Self::Delay(millis(n)),
            ("status", Some(n)) => Self::Status(n.clamp(200, 599) as u16),
            ("bytes", Some(n)) => Self::Bytes(size(n)),
            ("chunked", Some(n)) => Self::Chunked(size(n)),
            ("slow-body", Some(n)) => Self::SlowBody(millis(n)),
            ("good-for", Some(n)) if ledger.good_since().elapsed() < millis(n) => Self::Ok,
            ("good-for", Some(_)) => Self::Status(500),
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
            Self::Refuse(_) => "status-503",
            Self::Close => "close",
            Self::CloseMidBody => "close-mid-body",
            Self::Reset => "reset",
            Self::Hang => "hang",
            Self::Garbage => "garbage",
            _ => "ok",
        })
    }
}
