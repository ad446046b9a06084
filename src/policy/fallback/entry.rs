//! A change that a journal keeps.

use super::change::Change;

/// Beside key and value, an entry takes about so much.
const ENTRY_BYTES: usize = 192;

/// A change, and its place in the order of all.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) key: Vec<u8>,
    pub(super) change: Change,
    pub(super) bytes: usize,
}

impl Entry {
    pub(super) fn new(number: u64, key: Vec<u8>, change: Change) -> Self {
        let bytes = ENTRY_BYTES + 3 * key.len() + change.bytes();
        Self {
            number,
            key,
            change,
            bytes,
        }
    }

    /// Takes the first piece off a change of more bytes. Both pieces have the same number.
    pub(super) fn split(&mut self, bytes: usize) -> Option<Self> {
        let piece = self.change.split(bytes)?;
        self.bytes -= piece.bytes();
        Some(Self::new(self.number, self.key.clone(), piece))
    }

    /// Puts the rest behind its first piece again.
    pub(super) fn unite(&mut self, rest: Self) {
        let united = self.change.join(rest.change);
        let more = united.expect("BUG: the pieces of a change cannot be joined");
        self.bytes = self.bytes.saturating_add_signed(more);
    }
}
