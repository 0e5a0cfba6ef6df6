//! Exit codes: what a script or a CI job sees of a run.

use std::process::ExitCode;

use proofload_api::Verdict;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Passed, or there were no criteria, or the command was no run and did what it should.
    Passed = 0,
    /// Anything that is none of the others.
    Error = 1,
    /// The figures cannot be trusted.
    Inconclusive = 98,
    /// A criterion did not hold.
    Failed = 99,
    /// The file is not a valid load test. Nothing was run.
    Invalid = 104,
    /// The user stopped the run.
    Aborted = 105,
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passed | Verdict::Unjudged => Self::Passed,
            Verdict::Failed => Self::Failed,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::Error => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
