//! What to do with a request, as its path says.

use std::borrow::Cow;
use std::time::Duration;

use tokio::time::sleep;

use crate::counts::Ledger;
use crate::cut::Cut;
use crate::fault::Fault;
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
    KeepAliveOff,
    Http10,
    Fault(Fault),
    Cut(Cut),
    /// Of HTTP/2: a reset of this stream with this code.
    RstStream(u32),
    /// Of HTTP/2: a GOAWAY with this code, and the end; the second is the last stream that it says was worked on.
    GoAway(u32, Option<u32>),
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
        let words: Vec<&str> = path[1..].split('/').collect();
        if let Some(action) = Fault::of(&words).map(Self::Fault).or_else(|| Cut::of(&words).map(Self::Cut)) {
            return action;
        }
        let mut rest = words.into_iter();
        let name = rest.next().unwrap_or_default();
        let numbers: Vec<Option<u64>> = rest.map(|number| number.parse().ok()).collect();
        let (number, second) = match numbers[..] {
            [] => (None, None),
            [first] => (first, None),
            [first, second] => (first, second),
            _ => return Self::Json,
        };
        let millis = |n: u64| Duration::from_millis(n.min(MAX_DELAY));
        let code = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let size = |n: u64| n.min(MAX_BODY) as usize;
        if let (Some(places), Some(time)) = (number, second) {
            return match name {
                "capacity" | "crowded" if gate.enter(places) => Self::Serve(millis(time)),
                "capacity" => Self::Status(503),
                "crowded" => Self::Refuse(millis(time)),
                "queue" => Self::Queue(size(places), millis(time)),
                "goaway" => Self::GoAway(code(places), Some(code(time))),
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
            ("rst", Some(n)) => Self::RstStream(code(n)),
            ("goaway", Some(n)) => Self::GoAway(code(n), None),
            ("keepalive-off", None) => Self::KeepAliveOff,
            ("http10", None) => Self::Http10,
            ("mix", None) => MIX[ledger.next_mixed() % MIX.len()],
            _ => Self::Json,
        }
    }

    /// A complete answer, when it is time for it: status, content type and body; none where more is asked for than that.
    pub(crate) async fn plain(self, gate: &Gate) -> Option<(u16, &'static str, &'static [u8])> {
        const OK: &[u8] = b"ok\n";
        let status = match self {
            Self::Ok => 200,
            Self::Json => return Some((200, "application/json", b"{\"ok\":true}\n")),
            Self::Status(code) => code,
            Self::Delay(time) => {
                sleep(time).await;
                200
            }
            Self::Serve(time) => {
                sleep(time).await;
                // Before the answer: who has it may ask again at once, and finds the place free.
                gate.leave();
                200
            }
            Self::Refuse(time) => {
                sleep(time).await;
                503
            }
            Self::Queue(places, time) => {
                let queue = gate.queue(places);
                // Nobody closes a queue.
                let _place = queue.acquire().await;
                sleep(time).await;
                200
            }
            _ => return None,
        };
        Some((status, "text/plain", OK))
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
            Self::Fault(fault) => fault.name(),
            Self::Cut(cut) => cut.name(),
            Self::RstStream(_) => "rst",
            Self::GoAway(..) => "goaway",
            _ => "ok",
        })
    }
}
