//! Buffers that a thread lends for as long as a request needs them, so that in the long run none is allocated, and a
//! user that waits has none.

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};

/// How many bytes a thread keeps for later.
const KEPT: usize = 4 << 20;

/// The buffers of one thread that nobody uses.
#[derive(Default)]
pub(crate) struct Buffers {
    idle: RefCell<Vec<Vec<u8>>>,
    /// The capacity of all of them.
    held: Cell<usize>,
}

/// A buffer in use; it goes back when dropped.
pub(crate) struct Lent<'a> {
    bytes: Vec<u8>,
    home: &'a Buffers,
}

impl Buffers {
    /// An empty buffer.
    pub(crate) fn lend(&self) -> Lent<'_> {
        let bytes = self.idle.borrow_mut().pop().unwrap_or_default();
        self.held.set(self.held.get() - bytes.capacity());
        Lent { bytes, home: self }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let held = self.home.held.get() + bytes.capacity();
        if bytes.capacity() > 0 && held <= KEPT {
            bytes.clear();
            self.home.held.set(held);
            self.home.idle.borrow_mut().push(bytes);
        }
    }
}

impl Deref for Lent<'_> {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_unless_too_much_is_kept() {
        let buffers = Buffers::default();
        let mut first = buffers.lend();
        first.extend_from_slice(b"abc");
        drop(first);
        let again = buffers.lend();
        assert!(again.is_empty() && again.capacity() >= 3 && buffers.held.get() == 0);
        let mut large = buffers.lend();
        large.reserve(KEPT + 1);
        drop((again, large));
        assert_eq!(buffers.idle.borrow().len(), 1, "the large one is gone");
    }
}
