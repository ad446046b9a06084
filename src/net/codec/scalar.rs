//! Values without elements: from a complete line or blob to a [`Value`].

use redis::{Value, VerbatimFormat};

use super::ProtocolError;

/// Reads a number in the plain form in which servers send it, with its CR LF. Returns it with its length
/// in bytes.
///
/// After `None` the number may still be valid: it is incomplete, or needs [`integer`].
pub(super) fn plain_number(text: &[u8]) -> Option<(i64, usize)> {
    // The 19th byte is the last that can be CR, and 19 digits still fit into 64 bits without a sign.
    const MAX_DIGITS: usize = 18;
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut magnitude = 0_u64;
    for (index, &byte) in text.iter().enumerate().skip(start).take(MAX_DIGITS + 1) {
        match byte {
            b'0'..=b'9' => magnitude = magnitude * 10 + u64::from(byte - b'0'),
            b'\r' if index > start && text.get(index + 1) == Some(&b'\n') => {
                let magnitude = i64::try_from(magnitude).ok()?;
                return Some((if negative { -magnitude } else { magnitude }, index));
            }
            _ => return None,
        }
    }
    None
}

/// Reads any integer that the oracle accepts, `+5` and padding included.
pub(super) fn integer(line: &[u8]) -> Result<i64, ProtocolError> {
    trimmed(line, "an integer")
}

/// Reads the length of a blob or an aggregate.
pub(super) fn length(line: &[u8]) -> Result<i64, ProtocolError> {
    if line == b"?" {
        return Err(ProtocolError::Streamed);
    }
    trimmed(line, "a length")
}

pub(super) fn simple_string(line: &[u8]) -> Result<Value, ProtocolError> {
    if line == b"OK" {
        return Ok(Value::Okay);
    }
    Ok(match str::from_utf8(line) {
        Ok(text) => Value::SimpleString(text.to_owned()),
        Err(_) => Value::BulkString(line.to_vec()),
    })
}

pub(super) fn null(line: &[u8]) -> Result<Value, ProtocolError> {
    utf8(line, "a null").map(|_| Value::Nil)
}

pub(super) fn double(line: &[u8]) -> Result<Value, ProtocolError> {
    trimmed(line, "a double").map(Value::Double)
}

pub(super) fn boolean(line: &[u8]) -> Result<Value, ProtocolError> {
    match line {
        b"t" => Ok(Value::Boolean(true)),
        b"f" => Ok(Value::Boolean(false)),
        _ => Err(ProtocolError::Malformed { what: "a boolean" }),
    }
}

/// Reads a big number by the `redis` crate. The type inside [`Value::BigNumber`] depends on its feature
/// `num-bigint`, which any crate of the build may enable, so only that crate can build the value.
pub(super) fn big_number(line: &[u8]) -> Result<Value, ProtocolError> {
    redis::parse_redis_value(&[b"(", line, b"\r\n"].concat()).map_err(|_| {
        ProtocolError::Malformed {
            what: "a big number",
        }
    })
}

/// Reads an error by the `redis` crate, because `redis::ServerError` has no constructor. That crate refuses
/// a line that is not UTF-8, but accepts a blob error of the same text, lossily.
pub(super) fn error_line(line: &[u8]) -> Result<Value, ProtocolError> {
    redis::parse_redis_value(&[b"-", line, b"\r\n"].concat()).or_else(|_| blob_error(line))
}

/// Reads a blob error by the `redis` crate, as in [`error_line`].
pub(super) fn blob_error(body: &[u8]) -> Result<Value, ProtocolError> {
    let header = format!("!{}\r\n", body.len());
    redis::parse_redis_value(&[header.as_bytes(), body, b"\r\n"].concat())
        .map_err(|_| ProtocolError::Malformed { what: "an error" })
}

pub(super) fn verbatim_string(body: &[u8]) -> Result<Value, ProtocolError> {
    let body = String::from_utf8_lossy(body);
    let Some((format, text)) = body.split_once(':') else {
        return Err(ProtocolError::Malformed {
            what: "a verbatim string",
        });
    };
    let format = match format {
        "txt" => VerbatimFormat::Text,
        "mkd" => VerbatimFormat::Markdown,
        other => VerbatimFormat::Unknown(other.to_owned()),
    };
    Ok(Value::VerbatimString {
        format,
        text: text.to_owned(),
    })
}

fn trimmed<T: std::str::FromStr>(line: &[u8], what: &'static str) -> Result<T, ProtocolError> {
    utf8(line, what)?
        .trim()
        .parse()
        .map_err(|_| ProtocolError::Malformed { what })
}

fn utf8<'a>(line: &'a [u8], what: &'static str) -> Result<&'a str, ProtocolError> {
    str::from_utf8(line).map_err(|_| ProtocolError::Malformed { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_take_the_fast_path() {
        assert_eq!(plain_number(b"0\r\n"), Some((0, 1)));
        assert_eq!(plain_number(b"-12\r\n:"), Some((-12, 3)));
        assert_eq!(
            plain_number(b"999999999999999999\r\n"),
            Some((999_999_999_999_999_999, 18))
        );
        for left in [
            "",
            "-",
            "\r\n",
            "-\r\n",
            "1",
            "1\r",
            "1\rx",
            "+1\r\n",
            " 1\r\n",
            "9223372036854775807\r\n",
        ] {
            assert_eq!(plain_number(left.as_bytes()), None, "{left:?}");
        }
        assert_eq!(plain_number(&[b'9'; 64]), None);
    }

    #[test]
    fn the_slow_path_reads_padded_numbers_like_the_oracle() {
        assert_eq!(integer(b"-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(integer(b" +7\t"), Ok(7));
        assert_eq!(
            integer(b"9223372036854775808"),
            Err(ProtocolError::Malformed { what: "an integer" })
        );
        assert_eq!(length(b"?"), Err(ProtocolError::Streamed));
    }
}
