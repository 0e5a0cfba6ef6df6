//! What of a response is kept until it has been looked at.

use crate::buffers::{Buffers, Lent};

/// The most bytes of a body.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// What of a response is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "any of them may be wanted without the others")]
pub(crate) struct Wants {
    /// Its head.
    pub(crate) head: bool,
    /// Its head if it sets cookies.
    pub(crate) cookies: bool,
    /// Its head if it points elsewhere.
    pub(crate) location: bool,
    /// Its body.
    pub(crate) body: bool,
}

/// What of a response is kept. A response of which nothing is wanted costs two comparisons.
pub(crate) struct Kept<'a> {
    wants: Wants,
    buffers: &'a Buffers,
    head: Option<Lent<'a>>,
    body: Option<Lent<'a>>,
    /// How long the body is, kept or not.
    length: u64,
}

impl<'a> Kept<'a> {
    pub(crate) fn new(wants: Wants, buffers: &'a Buffers) -> Self {
        Self { wants, buffers, head: None, body: None, length: 0 }
    }

    /// The head has come.
    pub(super) fn head(&mut self, bytes: &[u8], status: u16, sets_cookies: bool) {
        self.head_by(status, sets_cookies, |out| out.extend_from_slice(bytes));
    }

    /// The head has come, and can be written as HTTP/1.1 has it.
    pub(crate) fn head_by(&mut self, status: u16, sets_cookies: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let Wants { head, cookies, location, .. } = self.wants;
        if head || (cookies && sets_cookies) || (location && matches!(status, 300..400)) {
            write(self.head.get_or_insert_with(|| self.buffers.lend()));
        }
    }

    /// A piece of the body has come.
    pub(crate) fn body(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if self.length > MAX_BODY as u64 {
            // It will not be looked at, and there may be as many as there are users.
            self.body = None;
        } else if self.wants.body {
            self.body.get_or_insert_with(|| self.buffers.lend()).extend_from_slice(bytes);
        }
    }

    /// The head, if it was wanted.
    pub(crate) fn whole_head(&self) -> &[u8] {
        self.head.as_ref().map_or(&[], |head| head)
    }

    /// The body, if it was wanted; none if it was too long.
    pub(crate) fn whole_body(&self) -> Option<&[u8]> {
        (self.length <= MAX_BODY as u64).then(|| self.body.as_ref().map_or(&[][..], |body| body))
    }

    /// How long the body is.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}
