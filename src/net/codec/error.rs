//! The errors of a server's bytes.

use std::ascii::escape_default;

/// The bytes from the server are not RESP, or exceed a limit. The stream is out of step and must be closed.
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
    #[error(
        "a reply is larger than the limit of {limit} bytes: \
         ask for less at a time, or raise the limit"
    )]
    TooLarge { limit: usize },
    #[error("a reply is nested deeper than the limit of {limit} levels")]
    TooDeep { limit: usize },
    #[error(
        "a reply has more than the limit of {limit} elements: \
         ask for less at a time, or raise the limit"
    )]
    TooManyElements { limit: usize },
    #[error("a line of a reply is longer than the limit of {limit} bytes")]
    LineTooLong { limit: usize },
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
