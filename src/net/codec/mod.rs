//! Bytes of RESP2 and RESP3 in, [`redis::Value`]s out, as the bytes arrive.
//!
//! `redis::parse_redis_value` is the oracle: every valid reply decodes to the value that it gives
//! (see `oracle.rs` and the fuzz target `decode`). The differences are deliberate:
//!
//! - An error (`-` or `!`) that is not UTF-8 is decoded lossily instead of failing, because the
//!   server echoes callers' raw bytes in error texts, and the bytes of one caller must not end a
//!   connection that all callers share.
//! - A simple string (`+`) that is not UTF-8 becomes a [`redis::Value::BulkString`] with the raw
//!   bytes, for the same reason: a Lua script can return one.
//! - A reply is bounded by [`Limits`], and nothing is allocated for a length that is only
//!   announced. A reply that exceeds a limit is read over without being kept, so that the bytes that one
//!   caller asked for do not end a connection that all callers share.
//! - A verbatim string or blob error of negative length is refused at once; the oracle would wait
//!   for ever.
//!
//! Where the oracle is harmlessly lenient, this decoder is too: any negative length of a bulk string,
//! array or set is nil, a push of negative length is empty, numbers may be padded with white space, a null
//! may carry text. A negative length of a map or attribute is an error in both. The streamed types of
//! RESP3 (`$?`, `*?`), which no server sends, are an error in both.

mod aggregate;
mod cursor;
mod decoder;
mod error;
#[cfg(test)]
mod oracle;
mod scalar;
mod skip;
#[cfg(any(test, feature = "internals"))]
mod whole;

pub(crate) use decoder::{Decoded, Decoder};
pub(crate) use error::{Oversized, ProtocolError, ReplyLimit};
#[cfg(any(test, feature = "internals"))]
pub(crate) use whole::decode_all;

/// Limits on one reply, so that a broken or hostile server cannot bring down the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Wire bytes of one top-level reply.
    pub(crate) max_bytes: usize,
    /// Levels of nesting; a top-level value is at level 1. Values are dropped by recursion, so this must
    /// stay far below the depth that a small stack can hold.
    pub(crate) max_depth: usize,
    /// Elements of one reply, over all its nested aggregates. A map entry counts as two.
    pub(crate) max_elements: usize,
}

/// The most characters of a length. A longer one is no number, and without it the end of the reply is
/// unknown.
const MAX_LENGTH: usize = 64 * 1024;

impl Default for Limits {
    /// One bulk string of Redis' default `proto-max-bulk-len` fits. The depth is the limit of the `redis`
    /// crate.
    fn default() -> Self {
        Self {
            max_bytes: 512 * 1024 * 1024 + 1024,
            max_depth: 100,
            max_elements: 16 * 1024 * 1024,
        }
    }
}
