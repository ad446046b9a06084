//! Text that came from a server is untrusted: it may carry terminal escapes, be endless, and
//! echo what the caller sent, passwords included.

use redis::{ServerError, Value};

const MAX_BYTES: usize = 256;
const ECHO: &str = "with args beginning with:";

/// The same error with a text that is safe to print and to log.
pub(crate) fn server_error(error: ServerError) -> ServerError {
    let Some(details) = error.details() else {
        return error;
    };
    let clean = text(details);
    if clean == details {
        return error;
    }
    let line = format!("-{} {clean}\r\n", text(error.code()));
    match redis::parse_redis_value(line.as_bytes()) {
        Ok(Value::ServerError(clean)) => clean,
        _ => unreachable!("BUG: an error line of printable text is not an error reply"),
    }
}

/// `text` in at most 256 bytes, with control characters escaped and echoed arguments masked.
pub(crate) fn text(text: &str) -> String {
    let (text, masked) = match text.find(ECHO) {
        Some(at) => (&text[..at + ECHO.len()], " ***"),
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
        let clean = server_error(error);
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
