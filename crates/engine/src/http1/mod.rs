//! HTTP/1.1 as a load generator needs it: requests are prebuilt bytes, responses are followed but not kept.
//!
//! Pure: bytes in, facts out. No sockets, no clock.

mod chunked;
mod head;
mod request;
mod response;

pub(crate) use request::{Prepared, prepare};
pub(crate) use response::{Response, Violation};
