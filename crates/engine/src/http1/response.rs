//! Follows a response from its first byte to its last, in whatever pieces it comes.

use super::chunked::Chunks;
use super::head::{self, Framing, Head};
use super::kept::Kept;

/// The most bytes of a response's head.
const MAX_HEAD: usize = 64 << 10;

/// Bytes that are not the response that HTTP/1.1 allows; says what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Violation(pub(crate) &'static str);

/// A response being followed. What of it is wanted goes to a [`Kept`]; a head is held only while it is incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    state: State,
    head: Option<Head>,
    /// Whether it answers a HEAD request.
    to_head: bool,
    /// The begin of a head that is not complete: rare, since most come in one piece. Later, of trailers: rarer still.
    held: Vec<u8>,
    /// At which length of `held` parsing it again is worth the while.
    parse_again_at: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Head,
    Body { left: u64 },
    Chunked(Chunks),
    UntilClose,
    Done,
}

impl Response {
    /// A response of which nothing has come.
    pub(crate) const fn new(to_head: bool) -> Self {
        Self { state: State::Head, head: None, to_head, held: Vec::new(), parse_again_at: 0 }
    }

    /// Follows the response through these bytes; how many are its own. Fewer than all only if it is complete.
    pub(crate) fn follow(&mut self, bytes: &[u8], kept: &mut Kept<'_>) -> Result<usize, Violation> {
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            used += match &mut self.state {
                State::Head => self.follow_head(rest, kept)?,
                State::Body { left } => {
                    let here = (*left).min(rest.len() as u64);
                    *left -= here;
                    kept.body(&rest[..here as usize]);
                    if *left == 0 {
                        self.state = State::Done;
                    }
                    here as usize
                }
                State::Chunked(chunks) => {
                    let here = chunks.follow(rest, &mut self.held, |data| kept.body(data))?;
                    if chunks.is_done() {
                        self.state = State::Done;
                    }
                    here
                }
                State::UntilClose => {
                    kept.body(rest);
                    rest.len()
                }
                State::Done => break,
            };
        }
        Ok(used)
    }

    /// The connection has ended: whether that completes the response. Bytes that never became a head are a violation
    /// if no further byte could have made them one.
    pub(crate) fn end(&mut self) -> Result<bool, Violation> {
        if self.state == State::Head && !self.held.is_empty() {
            head::parse(&self.held).map_err(Violation)?;
        }
        if self.state == State::UntilClose {
            self.state = State::Done;
        }
        Ok(self.is_complete())
    }

    /// Whether all of it has come.
    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::Done
    }

    /// The status, once the head has come.
    pub(crate) fn status(&self) -> Option<u16> {
        self.head.map(|head| head.status)
    }

    /// Whether the connection can be used again after a complete response.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.head.is_some_and(|head| head.keep_alive)
    }

    /// How many of the bytes are the head's. Parses in place where the head comes in one piece.
    fn follow_head(&mut self, bytes: &[u8], kept: &mut Kept<'_>) -> Result<usize, Violation> {
        if self.held.is_empty() {
            return match head::parse(bytes).map_err(Violation)? {
                Some((head, length)) => self.begin_body(head, &bytes[..length], kept),
                None => self.hold(bytes),
            };
        }
        let held_before = self.held.len();
        self.held.extend_from_slice(bytes);
        // Parsing again from the start with every byte would be quadratic in what a hostile target sends.
        let may_end =
            self.held[held_before.saturating_sub(3)..].windows(2).any(|pair| pair == b"\n\n" || pair == b"\n\r");
        if !may_end && self.held.len() < self.parse_again_at.min(MAX_HEAD) {
            return Ok(bytes.len());
        }
        let Some((head, length)) = head::parse(&self.held).map_err(Violation)? else {
            self.held.truncate(held_before);
            return self.hold(bytes);
        };
        let whole = std::mem::take(&mut self.held);
        self.begin_body(head, &whole[..length], kept)?;
        Ok(length - held_before)
    }

    /// Keeps an incomplete head.
    fn hold(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= MAX_HEAD {
            return Err(Violation("a head over 64 KiB"));
        }
        self.parse_again_at = self.held.len() * 2;
        Ok(bytes.len())
    }

    /// How many bytes the head took, which is what it was given.
    fn begin_body(&mut self, mut head: Head, bytes: &[u8], kept: &mut Kept<'_>) -> Result<usize, Violation> {
        let length = bytes.len();
        if length > MAX_HEAD {
            return Err(Violation("a head over 64 KiB"));
        }
        let framing = match head.status {
            101 => {
                // What follows is another protocol, whether it was asked for or not.
                head.keep_alive = false;
                Framing::Length(0)
            }
            // An interim response: the real one follows.
            100..200 => return Ok(length),
            // There is no body, whatever the head says of one.
            204 | 304 => Framing::Length(0),
            _ if self.to_head => Framing::Length(0),
            _ => head.framing.map_err(Violation)?,
        };
        kept.head(bytes, head.status, head.sets_cookies);
        self.state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(left) => State::Body { left },
            Framing::Chunked => State::Chunked(Chunks::new()),
            Framing::UntilClose => {
                head.keep_alive = false;
                State::UntilClose
            }
        };
        self.head = Some(head);
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
