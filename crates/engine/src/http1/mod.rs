//! HTTP/1.1 as a load generator needs it: requests are bytes, prebuilt where they can be; responses are followed,
//! and kept only as far as somebody wants to look at them.
//!
//! Pure: bytes in, facts out. No sockets, no clock.

mod chunked;
mod head;
mod kept;
mod request;
mod response;

pub(crate) use head::values;
#[cfg(test)]
pub(crate) use kept::MAX_BODY;
pub(crate) use kept::{Kept, Wants};
pub(crate) use request::{Message, Prepared};
pub(crate) use response::{Response, Violation};
