//! The errors of a server's bytes.

use std::ascii::escape_default;

use redis::PushKind;

/// The bytes from the server are not RESP. The stream is out of step and must be closed.
///
/// A reply can be a secret, so no variant carries more of it than the type byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtocolError {
    #[error("the peer answers like an HTTP server, not like Redis: check the host and port")]
    Http,
    #[error(
        "a reply starts with '{}', which is no RESP type: \
         check that the address is a Redis port{}",
        escape_default(*byte),
        tls_hint(*byte)
    )]
    UnknownType { byte: u8 },
    #[error("the server sent {what} that cannot be read: the stream is out of step")]
    Malformed { what: &'static str },
    #[error(
        "the server sent a negative length for a type that has no null form: \
         the stream is out of step"
    )]
    NegativeLength,
    #[error(
        "a bulk string does not end with CR LF where its length says: the stream is out of step"
    )]
    Unterminated,
    #[error("the server sent a reply of streamed type (length '?'), which is not supported")]
    Streamed,
    #[error("the length of a reply has more than {limit} characters: the stream is out of step")]
    LengthTooLong { limit: usize },
    /// Only a peer that has not proved to be a Redis server is closed for this.
    #[error(transparent)]
    TooLarge(#[from] ReplyLimit),
}

/// A limit on one reply that the reply exceeds. The stream stays in step: the reply is read over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReplyLimit {
    #[error(
        "the reply is larger than {0} bytes, the limit that max_reply_bytes sets: \
         ask for less at a time, or raise the limit"
    )]
    Bytes(usize),
    #[error("the reply is nested deeper than {0} levels, which is a fixed limit")]
    Depth(usize),
    #[error("the reply has more than {0} elements, which is a fixed limit: ask for less at a time")]
    Elements(usize),
}

/// A reply that exceeded a limit, after it was read over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Oversized {
    /// The first limit that it exceeded.
    pub(crate) limit: ReplyLimit,
    /// The kind of a push; `None` for a reply. Empty if the kind itself was too large.
    pub(crate) push: Option<PushKind>,
}

/// A TLS server answers plain text with an alert record, whose first byte is 0x15.
fn tls_hint(byte: u8) -> &'static str {
    if byte == 0x15 {
        ", and whether it expects TLS"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_byte_is_shown_escaped() {
        let shown = |byte| ProtocolError::UnknownType { byte }.to_string();
        assert!(shown(b'\n').starts_with(r"a reply starts with '\n', which is no RESP type"));
        assert!(shown(0x15).ends_with("and whether it expects TLS"));
        assert!(shown(0xff).contains(r"'\xff'"));
    }
}
