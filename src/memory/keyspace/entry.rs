//! A key's value, and what is known about it.

use super::{Millis, Value};

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) expires_at: Option<Millis>,
    /// The time at which the next field of a hash expires, when it was last looked up.
    pub(super) field_expires_at: Option<Millis>,
    /// The number of the last use, in the order of uses, for the eviction of the least recently used.
    pub(super) used: u64,
    /// The time of the last use, for OBJECT IDLETIME.
    pub(super) used_at: Millis,
    /// Bytes of key and value when they were last counted.
    pub(super) bytes: usize,
}
