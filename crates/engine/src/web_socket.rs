//! Web sockets: what a step does with one, made ready; the handshake, and the session that follows from it.
//!
//! HTTP is our own here too, so that the handshake has the cookies, limits and outcomes of every other request, and its
//! answer is held to nothing but the RFC. Frames are tungstenite's.

mod handshake;
mod session;

use std::time::Duration;

use proofload_plan::{Plan, Template, WebSocket};

use crate::materials::Materials;
use crate::render::Text;

pub(crate) use handshake::Handshake;
pub(crate) use session::{Session, Wanted};

/// What a step does with its user's web socket, made ready.
pub(crate) enum Action {
    /// Opens it.
    Connect(Handshake),
    /// Sends a message, waits for one, or both.
    Message {
        send: Option<Text>,
        receive: bool,
        until: Option<Text>,
    },
    Ping,
    /// Holds it open for so long.
    Hold(Duration),
    /// Closes it with a code.
    Close(u16),
}

impl Action {
    /// An action of a plan, or what is wrong with it.
    pub(crate) fn new(planned: &WebSocket, plan: &Plan, materials: &Materials) -> Result<Self, String> {
        let text = |template: &Option<Template>| -> Result<Option<Text>, String> {
            template.as_ref().map(|template| Text::new(template, plan, materials)).transpose()
        };
        Ok(match planned {
            WebSocket::Connect { path, headers } => Self::Connect(Handshake::new(path, headers, plan, materials)?),
            WebSocket::Message { send: None, receive: false, .. } => return Err("a message to nobody".to_owned()),
            WebSocket::Message { send, receive, until } => {
                Self::Message { send: text(send)?, receive: *receive, until: text(until)? }
            }
            WebSocket::Ping => Self::Ping,
            WebSocket::Hold(time) => Self::Hold((*time).into()),
            WebSocket::Close(code) => Self::Close(*code),
        })
    }

    pub(crate) fn is_handshake(&self) -> bool {
        matches!(self, Self::Connect(_))
    }
}
