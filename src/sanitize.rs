//! Text from a server is untrusted: it may carry terminal escapes, be very long, and echo the caller's
//! arguments, passwords included.

use redis::{ServerError, Value};

const MAX_BYTES: usize = 256;
/// After these words a server repeats the caller's arguments.
const ECHOES: [&str; 2] = ["with args beginning with:", "unknown subcommand"];

/// The same reply, with every error text in it made safe to print and to log.
pub(crate) fn reply(value: Value) -> Value {
    let all = |values: Vec<Value>| values.into_iter().map(reply).collect();
    let pairs = |pairs: Vec<(Value, Value)>| {
        let pairs = pairs.into_iter();
        pairs
            .map(|(key, value)| (reply(key), reply(value)))
            .collect()
    };
    match value {
        Value::ServerError(error) => Value::ServerError(server_error(error)),
        Value::Array(values) => Value::Array(all(values)),
        Value::Set(values) => Value::Set(all(values)),
        Value::Map(map) => Value::Map(pairs(map)),
        Value::Attribute { data, attributes } => Value::Attribute {
            data: Box::new(reply(*data)),
            attributes: pairs(attributes),
        },
        Value::Push { kind, data } => Value::Push {
            kind,
            data: all(data),
        },
        other => other,
    }
}

fn server_error(error: ServerError) -> ServerError {
    let line = match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    };
    let clean = text(&line);
    if clean == line {
        return error;
    }
    from_line(&clean)
}

/// The error reply with this text, which has no line breaks. It is parsed, because the `redis` crate has
/// no constructor.
pub(crate) fn from_line(line: &str) -> ServerError {
    match redis::parse_redis_value(format!("-{line}\r\n").as_bytes()) {
        Ok(Value::ServerError(error)) => error,
        _ => unreachable!("BUG: a line of printable text is not an error reply"),
    }
}

/// `text` in at most 256 bytes, with control characters escaped and echoed arguments masked.
pub(crate) fn text(text: &str) -> String {
    let ends = ECHOES
        .iter()
        .filter_map(|echo| Some(text.find(echo)? + echo.len()));
    let (text, masked) = match ends.min() {
        Some(end) => (&text[..end], " ***"),
        None => (text, ""),
    };
    let mut clean = String::new();
    for character in text.chars() {
        if clean.len() >= MAX_BYTES {
            clean.push('…');
            break;
        }
        if character.is_control() {
            clean.extend(character.escape_default());
        } else {
            clean.push(character);
        }
    }
    clean + masked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[u8]) -> ServerError {
        match redis::parse_redis_value(line) {
            Ok(Value::ServerError(error)) => error,
            other => panic!("not an error reply: {other:?}"),
        }
    }

    #[test]
    fn echoed_arguments_are_masked_and_the_code_stays() {
        let error = parsed(
            b"-ERR unknown command 'AUTHX', with args beginning with: 'user' 'hunter2secret' \r\n",
        );
        let nested = Value::Array(vec![Value::Int(1), Value::ServerError(error)]);
        let Value::Array(clean) = reply(nested) else {
            panic!("still an array");
        };
        let Value::ServerError(clean) = &clean[1] else {
            panic!("still an error");
        };
        assert_eq!(clean.code(), "ERR");
        assert_eq!(
            clean.details(),
            Some("unknown command 'AUTHX', with args beginning with: ***")
        );
    }

    #[test]
    fn control_characters_are_escaped_and_long_texts_cut() {
        assert_eq!(text("\u{1b}[31mred"), "\\u{1b}[31mred");
        assert!(text(&"x".repeat(10_000)).len() < MAX_BYTES + 4);
    }

    #[test]
    fn a_harmless_error_is_left_alone() {
        let error = parsed(b"-WRONGTYPE Operation against a key\r\n");
        assert_eq!(server_error(error.clone()), error);
    }
}
