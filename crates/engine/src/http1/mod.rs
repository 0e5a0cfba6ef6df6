//! HTTP/1.1 as a load generator needs it: requests are bytes, prebuilt where they can be; responses are followed,
//! and kept only as far as somebody wants to look at them.
//!
//! Pure: bytes in, facts out. No sockets, no clock.

mod chunked;
mod head;
mod kept;
mod request;
mod response;

#[cfg(any(fuzzing, test))]
pub(crate) use chunked::chunks;
pub(crate) use head::values;
pub(crate) use kept::{Kept, MAX_BODY, Wants};
pub(crate) use request::{Message, Prepared};
pub(crate) use response::{Response, Violation};

#[cfg(test)]
mod tests;
