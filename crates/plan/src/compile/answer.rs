//! What comes back of a step, and so what can be expected and kept of it: a web socket's steps have no whole answer.

use proofload_api::step::Step;
use proofload_api::websocket::Receive;

use super::Problems;

/// What comes back of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// An HTTP response.
    Whole,
    /// The response to a web socket's handshake, without a body.
    Handshake,
    /// A message: a body and nothing else.
    Message,
    /// Nothing that could be looked at, but it takes a time.
    Time,
    /// Nothing at all.
    Nothing,
}

/// What comes back of a step; of one that is wrong, all that could.
pub(super) fn of(step: &Step) -> Answer {
    let (None, Some(does)) = (&step.request, &step.web_socket) else { return Answer::Whole };
    if does.connect.is_some() {
        Answer::Handshake
    } else if does.hold.is_some() {
        Answer::Nothing
    } else if does.ping.is_some() || does.close.is_some() || does.receive == Some(Receive::Nothing) {
        Answer::Time
    } else if does.send.is_some() || does.receive.is_some() {
        Answer::Message
    } else {
        Answer::Whole
    }
}

impl Answer {
    const fn has_head(self) -> bool {
        matches!(self, Self::Whole | Self::Handshake)
    }

    const fn has_body(self) -> bool {
        matches!(self, Self::Whole | Self::Message)
    }

    const fn has_time(self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// What it is, and what can be expected of it.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Whole => ("an answer", "all of it can be looked at"),
            Self::Handshake => ("a web socket's handshake", "it has a status, headers and a latency"),
            Self::Message => ("a web socket's message", "it is a body, and has a latency"),
            Self::Time => ("a web socket's step that receives no message", "it has a latency only"),
            Self::Nothing => ("a web socket that is held", "nothing comes back"),
        }
    }
}

/// Says what a step expects, or keeps, of something that does not come back.
pub(super) fn check(step: &Step, path: &str, problems: &mut Problems) {
    let answer = of(step);
    let (what, hint) = answer.words();
    let mut refuse = |path: String, field: &str| {
        problems.add_hint(&path, &format!("no {field} of {what}"), "one", hint);
    };
    if let Some(expect) = &step.expect {
        for (field, is_given, is_there) in [
            ("status", expect.status.is_some(), answer.has_head()),
            ("latency", expect.latency.is_some(), answer.has_time()),
            ("headers", !expect.headers.is_empty(), answer.has_head()),
            ("body", expect.body.is_some(), answer.has_body()),
            ("json", !expect.json.is_empty(), answer.has_body()),
            ("jsonExists", !expect.json_exists.is_empty(), answer.has_body()),
            ("size", expect.size.is_some(), answer.has_body()),
        ] {
            if is_given && !is_there {
                refuse(format!("{path}.expect.{field}"), field);
            }
        }
    }
    for (name, extract) in &step.extract {
        for (field, is_given, is_there) in [
            ("json", extract.json.is_some(), answer.has_body()),
            ("regex", extract.regex.is_some(), answer.has_body()),
            // Of a handshake nothing is kept but cookies, by the user itself.
            ("header", extract.header.is_some(), answer == Answer::Whole),
            ("cookie", extract.cookie.is_some(), answer == Answer::Whole),
        ] {
            if is_given && !is_there {
                refuse(format!("{path}.extract.{name}.{field}"), field);
            }
        }
    }
}
