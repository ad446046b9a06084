//! Replies, and how each protocol writes them.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use super::number;

/// The version of RESP that a client has chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

/// One reply. Types that RESP2 lacks are written as Redis writes them there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Status(Cow<'static, str>),
    /// Begins with its code, without the minus sign.
    Error(Cow<'static, str>),
    Integer(i64),
    Bulk(Bytes),
    /// No value: a null bulk string in RESP2.
    Null,
    /// No list: a null array in RESP2.
    NullArray,
    Array(Vec<Reply>),
    /// In RESP2 a flat array of keys and values.
    Map(Vec<(Reply, Reply)>),
    /// In RESP2 an array.
    Set(Vec<Reply>),
    /// In RESP2 an array.
    Push(Vec<Reply>),
    /// In RESP2 a bulk string.
    Double(f64),
    /// A number with all its digits, up to 17 of them after the point; in RESP2 a bulk string.
    Decimal(f64),
    /// Text; in RESP2 a bulk string.
    Verbatim(Bytes),
    /// Text of a format that three letters name; in RESP2 a bulk string.
    #[cfg(feature = "memory-lua")]
    Formatted([u8; 3], Bytes),
    /// In RESP2 1 or 0.
    #[cfg(feature = "memory-lua")]
    Boolean(bool),
    /// Its digits; in RESP2 a bulk string.
    #[cfg(feature = "memory-lua")]
    BigNumber(String),
    /// Several replies to one command, such as SUBSCRIBE of several channels; or none.
    Several(Vec<Reply>),
}

impl Reply {
    pub(crate) const OK: Self = Self::Status(Cow::Borrowed("OK"));

    pub(crate) fn bulk(bytes: impl Into<Bytes>) -> Self {
        Self::Bulk(bytes.into())
    }

    /// A bulk string of constant text.
    pub(crate) fn text(text: &'static str) -> Self {
        Self::Bulk(Bytes::from_static(text.as_bytes()))
    }

    pub(crate) fn error(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Error(text.into())
    }

    /// A number of elements.
    pub(crate) fn count(count: usize) -> Self {
        Self::Integer(count as i64)
    }

    /// Whether something was so: 1 or 0 in both protocols.
    pub(crate) fn flag(is_so: bool) -> Self {
        Self::Integer(i64::from(is_so))
    }

    /// A value, or none.
    pub(crate) fn optional(bytes: Option<Bytes>) -> Self {
        bytes.map_or(Self::Null, Self::Bulk)
    }

    /// An array of bulk strings.
    pub(crate) fn bulks(items: impl IntoIterator<Item = Bytes>) -> Self {
        Self::Array(items.into_iter().map(Self::Bulk).collect())
    }

    /// Whether it is no reply to a command: it comes even if the client wants none.
    pub(crate) fn is_push(&self) -> bool {
        match self {
            Self::Push(_) => true,
            Self::Several(replies) => replies.iter().all(Self::is_push),
            _ => false,
        }
    }

    pub(crate) fn write(&self, protocol: Protocol, out: &mut BytesMut) {
        let is_resp3 = protocol == Protocol::Resp3;
        match self {
            Self::Status(text) => line(out, b'+', text.as_bytes()),
            Self::Error(text) => line(out, b'-', text.as_bytes()),
            Self::Integer(number) => head(out, b':', *number),
            Self::Bulk(bytes) => bulk(out, b'$', bytes),
            Self::Null | Self::NullArray if is_resp3 => out.put_slice(b"_\r\n"),
            Self::Null => out.put_slice(b"$-1\r\n"),
            Self::NullArray => out.put_slice(b"*-1\r\n"),
            Self::Array(items) => list(out, b'*', items, protocol),
            Self::Set(items) => list(out, if is_resp3 { b'~' } else { b'*' }, items, protocol),
            Self::Push(items) => list(out, if is_resp3 { b'>' } else { b'*' }, items, protocol),
            Self::Map(pairs) => {
                if is_resp3 {
                    head(out, b'%', pairs.len() as i64);
                } else {
                    head(out, b'*', 2 * pairs.len() as i64);
                }
                for (key, value) in pairs {
                    key.write(protocol, out);
                    value.write(protocol, out);
                }
            }
            Self::Double(number) if is_resp3 => line(out, b',', number::text(*number).as_bytes()),
            Self::Double(number) => bulk(out, b'$', number::text(*number).as_bytes()),
            Self::Decimal(number) if is_resp3 => {
                line(out, b',', number::decimal(*number).as_bytes());
            }
            Self::Decimal(number) => bulk(out, b'$', number::decimal(*number).as_bytes()),
            Self::Verbatim(text) if is_resp3 => formatted(out, b"txt", text),
            Self::Verbatim(text) => bulk(out, b'$', text),
            #[cfg(feature = "memory-lua")]
            Self::Formatted(format, text) if is_resp3 => formatted(out, format, text),
            #[cfg(feature = "memory-lua")]
            Self::Formatted(_, text) => bulk(out, b'$', text),
            #[cfg(feature = "memory-lua")]
            Self::Boolean(boolean) if is_resp3 => {
                line(out, b'#', if *boolean { b"t" } else { b"f" })
            }
            #[cfg(feature = "memory-lua")]
            Self::Boolean(boolean) => head(out, b':', i64::from(*boolean)),
            #[cfg(feature = "memory-lua")]
            Self::BigNumber(digits) if is_resp3 => line(out, b'(', digits.as_bytes()),
            #[cfg(feature = "memory-lua")]
            Self::BigNumber(digits) => bulk(out, b'$', digits.as_bytes()),
            Self::Several(replies) => {
                for reply in replies {
                    reply.write(protocol, out);
                }
            }
        }
    }
}

fn list(out: &mut BytesMut, mark: u8, items: &[Reply], protocol: Protocol) {
    head(out, mark, items.len() as i64);
    for item in items {
        item.write(protocol, out);
    }
}

/// A string of any bytes, with its length.
pub(crate) fn bulk(out: &mut BytesMut, mark: u8, bytes: &[u8]) {
    out.reserve(bytes.len() + 16);
    head(out, mark, bytes.len() as i64);
    out.put_slice(bytes);
    out.put_slice(b"\r\n");
}

fn formatted(out: &mut BytesMut, format: &[u8; 3], text: &[u8]) {
    head(out, b'=', text.len() as i64 + 4);
    out.put_slice(format);
    out.put_u8(b':');
    out.put_slice(text);
    out.put_slice(b"\r\n");
}

/// A number, or the number of the elements that follow.
pub(crate) fn head(out: &mut BytesMut, mark: u8, number: i64) {
    out.put_u8(mark);
    number::put(out, number);
    out.put_slice(b"\r\n");
}

/// A line of text.
pub(crate) fn line(out: &mut BytesMut, mark: u8, text: &[u8]) {
    out.put_u8(mark);
    // A line break would end the reply early.
    out.extend(text.iter().map(|byte| match byte {
        b'\r' | b'\n' => b' ',
        byte => *byte,
    }));
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply, protocol: Protocol) -> String {
        let mut out = BytesMut::new();
        reply.write(protocol, &mut out);
        String::from_utf8(out.into()).expect("text")
    }

    #[test]
    fn each_protocol_has_its_types() {
        let map = Reply::Map(vec![(Reply::text("a"), Reply::Double(1.5))]);
        let cases = [
            (Reply::OK, "+OK\r\n", "+OK\r\n"),
            (Reply::error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
            (Reply::Integer(-12), ":-12\r\n", ":-12\r\n"),
            (
                Reply::Integer(i64::MIN),
                ":-9223372036854775808\r\n",
                ":-9223372036854775808\r\n",
            ),
            (Reply::text("ab"), "$2\r\nab\r\n", "$2\r\nab\r\n"),
            (Reply::Null, "$-1\r\n", "_\r\n"),
            (Reply::NullArray, "*-1\r\n", "_\r\n"),
            (
                Reply::Array(vec![Reply::Null]),
                "*1\r\n$-1\r\n",
                "*1\r\n_\r\n",
            ),
            (Reply::Set(vec![]), "*0\r\n", "~0\r\n"),
            (
                Reply::Push(vec![Reply::count(3)]),
                "*1\r\n:3\r\n",
                ">1\r\n:3\r\n",
            ),
            (
                map,
                "*2\r\n$1\r\na\r\n$3\r\n1.5\r\n",
                "%1\r\n$1\r\na\r\n,1.5\r\n",
            ),
            (
                Reply::Decimal(0.1),
                "$19\r\n0.10000000000000001\r\n",
                ",0.10000000000000001\r\n",
            ),
            (
                Reply::Verbatim(Bytes::from_static(b"hi")),
                "$2\r\nhi\r\n",
                "=6\r\ntxt:hi\r\n",
            ),
            (
                Reply::Several(vec![Reply::OK, Reply::count(1)]),
                "+OK\r\n:1\r\n",
                "+OK\r\n:1\r\n",
            ),
        ];
        for (reply, resp2, resp3) in cases {
            assert_eq!(written(&reply, Protocol::Resp2), resp2);
            assert_eq!(written(&reply, Protocol::Resp3), resp3);
        }
    }
}
