//! Text from a server is untrusted: it may carry terminal escapes, be very long, and echo the caller's
//! arguments, passwords included.

use std::borrow::Cow;

use redis::{ServerError, Value};

use crate::policy::command;

const MAX_BYTES: usize = 256;
/// After these words a server repeats the caller's arguments.
const ECHOES: [&str; 2] = ["with args beginning with:", "Unsupported CONFIG parameter:"];
const QUOTES: [char; 3] = ['\'', '`', '"'];
const MASK: &str = "***";
/// Quoted texts that are the server's own: in the errors of `OOM`, `DENIED` and `DEBUG`.
const OWN: [&str; 4] = [
    "maxmemory",
    "CONFIG SET protected-mode no",
    "--protected-mode no",
    "local",
];

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
    let end = |echo: &str| text.find(echo).map(|at| at + echo.len());
    let (text, echoed) = match ECHOES.iter().filter_map(|echo| end(echo)).min() {
        Some(end) => (&text[..end], " ***"),
        None => (text, ""),
    };
    let text = without_quoted(text);
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
    clean + echoed
}

/// `text` with every quoted part masked, because servers put quotes around what the caller has sent: its
/// arguments, and the name of a command that they do not know. The names of known commands and the server's
/// own words stay.
fn without_quoted(text: &str) -> Cow<'_, str> {
    if !text.contains(QUOTES) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut first_mask = None;
    let mut rest = text;
    while let Some(at) = rest.find(QUOTES) {
        let quote = rest.as_bytes()[at] as char;
        clean.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let opens = !clean.ends_with(char::is_alphanumeric);
        clean.push(quote);
        if opens {
            let quoted = quoted(rest, quote);
            if is_harmless(quoted) {
                clean.push_str(quoted);
            } else {
                first_mask.get_or_insert(clean.len());
                clean.push_str(MASK);
            }
            rest = &rest[quoted.len()..];
            if let Some(behind) = rest.strip_prefix(quote) {
                clean.push(quote);
                rest = behind;
            }
        } else if let Some(from) = first_mask
            && ends_word(rest)
        {
            // It is within an argument, which only seemed to end before.
            clean.truncate(from);
            clean.push_str(MASK);
            clean.push(quote);
        }
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

/// The text up to the quote that closes it. An apostrophe within a word closes nothing.
fn quoted(text: &str, quote: char) -> &str {
    let mut closing = text.match_indices(quote).map(|(at, _)| at);
    let end = closing.find(|at| ends_word(&text[at + 1..]));
    &text[..end.unwrap_or(text.len())]
}

fn ends_word(rest: &str) -> bool {
    !rest.starts_with(char::is_alphanumeric)
}

fn is_harmless(quoted: &str) -> bool {
    quoted.is_empty() || OWN.contains(&quoted) || command::is_known_name(quoted)
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
            b"-ERR unknown command 'AUTH', with args beginning with: 'user' 'hunter2secret' \r\n",
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
            Some("unknown command 'AUTH', with args beginning with: ***")
        );
    }

    #[test]
    fn quoted_parts_are_masked_and_the_text_around_them_stays() {
        for (line, clean) in [
            (
                "ERR unknown command 'hunter2', with args beginning with: 'a' 'b' ",
                "ERR unknown command '***', with args beginning with: ***",
            ),
            (
                "ERR unknown command `hunter2`, with args beginning with: ",
                "ERR unknown command `***`, with args beginning with: ***",
            ),
            (
                "ERR unknown subcommand 'hunter2'. Try CONFIG HELP.",
                "ERR unknown subcommand '***'. Try CONFIG HELP.",
            ),
            (
                "ERR Unknown subcommand or wrong number of arguments for 'hunter2'. Try ACL HELP.",
                "ERR Unknown subcommand or wrong number of arguments for '***'. Try ACL HELP.",
            ),
            (
                "ERR Unknown option or number of arguments for CONFIG SET - 'hunter2'",
                "ERR Unknown option or number of arguments for CONFIG SET - '***'",
            ),
            (
                "NOGROUP No such key 'hunter2' or consumer group 'hunter3' in XREADGROUP",
                "NOGROUP No such key '***' or consumer group '***' in XREADGROUP",
            ),
            (
                "ERR Unknown `hunter2` parameter \"hunter3\"",
                "ERR Unknown `***` parameter \"***\"",
            ),
            ("ERR unknown command 'hunter2", "ERR unknown command '***"),
            ("ERR bad 'it's hunter2' here", "ERR bad '***' here"),
            ("ERR bad 'a'b' c' here", "ERR bad '***' here"),
            ("ERR bad 'AUTH hunter2'", "ERR bad '***'"),
            ("ERR bad 'get\0hunter2'", "ERR bad '***'"),
            ("ERR bad 'client|hunter2'", "ERR bad '***'"),
        ] {
            assert_eq!(text(line), clean, "{line}");
        }
    }

    #[test]
    fn the_words_of_the_server_stay() {
        for line in [
            "ERR unknown command 'GET', with args beginning with: ***",
            "ERR wrong number of arguments for 'get' command",
            "ERR wrong number of arguments for 'client|setname' command",
            "ERR unknown command ''",
            "READONLY You can't write against a read only replica.",
            "ERR Can't execute 'get': only PING is allowed in this context, don't",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "ERR the replicas' state",
        ] {
            assert_eq!(text(line), line);
        }
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
