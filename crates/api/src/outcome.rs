//! What became of a request: exactly one outcome for each request sent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What became of a request. Every request sent is counted once, in one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A response came, and all that the step expects of it held.
    Ok,
    /// A response came, with another status.
    UnexpectedStatus,
    /// A response came with an expected status, and something else that the step expects did not hold.
    FailedCheck,
    /// A complete response did not come within the timeout.
    Timeout,
    /// No connection could be made: refused, unreachable, no local port.
    Connect,
    /// The target reset the connection after the request was sent.
    Reset,
    /// The target closed the connection before the response was complete.
    Closed,
    /// The target's name could not be resolved.
    Dns,
    /// No secure connection could be made: a certificate that is not trusted, no protocol in common.
    Tls,
    /// What came is not a response that the protocol allows.
    Protocol,
    /// The generator itself cut the request off, since the run was stopped. Neither a success nor an error.
    Interrupted,
}

impl Outcome {
    /// How many outcomes there are.
    pub const COUNT: usize = 11;

    /// Every outcome, in the order of [`Outcome::index`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::Ok,
        Self::UnexpectedStatus,
        Self::FailedCheck,
        Self::Timeout,
        Self::Connect,
        Self::Reset,
        Self::Closed,
        Self::Dns,
        Self::Tls,
        Self::Protocol,
        Self::Interrupted,
    ];

    /// This outcome's place in [`Outcome::ALL`], for counters kept in an array.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in reports and criteria, e.g. `unexpected-status`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::UnexpectedStatus => "unexpected-status",
            Self::FailedCheck => "failed-check",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether the target (or the way to it) is to blame.
    pub const fn is_error(self) -> bool {
        !matches!(self, Self::Ok | Self::Interrupted)
    }

    /// Whether a latency exists: a response came, or its timeout passed.
    pub const fn has_latency(self) -> bool {
        matches!(self, Self::Ok | Self::UnexpectedStatus | Self::FailedCheck | Self::Timeout)
    }

    /// Whether a time to the end exists: that of the outcomes with a latency, and how long it took until a request failed
    /// that went over a connection. Of a request that had none (`connect`, `dns`, `tls`) or that the generator itself cut off,
    /// a time would tell nothing of the target.
    pub const fn has_end(self) -> bool {
        self.has_latency() || matches!(self, Self::Reset | Self::Closed | Self::Protocol)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Outcome {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_and_name_agree_with_the_list_of_all() {
        for (i, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome.index(), i);
            assert_eq!(outcome.name().parse(), Ok(outcome));
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.name());
        }
    }
}
