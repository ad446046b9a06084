//! Errors that are about a command itself.

use redis::ServerError;

use crate::reply_code::ReplyCode;

/// Parts of the texts with which servers and proxies say that they do not know or allow a command. Sources:
/// Redis and Valkey (`rejectCommandFormat`, `addReplySubcommandSyntaxError`), KeyDB, Dragonfly, Kvrocks,
/// Garnet, Envoy, Predixy, and the managed services that rename or disable commands.
const ABOUT_THE_COMMAND: [&str; 14] = [
    "unknown command",
    "unknown subcommand",
    "unknown sub-command",
    "unsupported",
    "not supported",
    "not support",
    "unrecognized",
    "invalid command",
    "not implemented",
    "not allowed",
    "disabled",
    "forbidden",
    "wrong number of arguments",
    "syntax error",
];

/// Whether the server has understood the command and refuses it, or does not know it, so that it will say
/// the same again. Other errors may be over in a moment, or concern this client.
pub(super) fn is_about_the_command(error: &ServerError) -> bool {
    match ReplyCode::of(error.code()) {
        ReplyCode::NoPermission | ReplyCode::NoProtocol | ReplyCode::Deserved => true,
        ReplyCode::General | ReplyCode::Unknown => {
            // Some servers send no code, so the first word belongs to the text.
            let text = format!("{} {}", error.code(), error.details().unwrap_or_default());
            let text = text.to_ascii_lowercase();
            ABOUT_THE_COMMAND.iter().any(|part| text.contains(part))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::codec::{Decoded, Limits, decode_all};

    fn error(line: &str) -> ServerError {
        let bytes = format!("-{line}\r\n");
        let (values, _) = decode_all(bytes.as_bytes(), &[], Limits::default());
        match values.into_iter().next() {
            Some((Decoded::Value(redis::Value::ServerError(error)), _)) => error,
            other => panic!("no error: {other:?}"),
        }
    }

    #[test]
    fn errors_about_the_command_are_told_from_those_that_may_be_over_soon() {
        for (line, expected) in [
            (
                "ERR unknown command 'PING', with args beginning with: 'x'",
                true,
            ),
            (
                "ERR unknown command `HELLO`, with args beginning with: `3`, ",
                true,
            ),
            (
                "ERR Unknown subcommand or wrong number of arguments for 'SETINFO'",
                true,
            ),
            ("ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.", true),
            ("unsupported command", true),
            ("ERR Command is not allowed", true),
            ("ERR Command PING is disabled", true),
            ("ERR wrong number of arguments for 'ping' command", true),
            (
                "ERR Syntax error, try CLIENT (LIST | KILL | GETNAME | SETNAME)",
                true,
            ),
            (
                "NOPERM this user has no permissions to run the 'ping' command",
                true,
            ),
            ("NOPROTO unsupported protocol version", true),
            ("LOADING Redis is loading the dataset in memory", false),
            ("BUSY Redis is busy running a script", false),
            ("MASTERDOWN Link with MASTER is down", false),
            ("NOAUTH Authentication required.", false),
            (
                "DENIED Redis is running in protected mode: it is disabled",
                false,
            ),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                false,
            ),
            ("MISCONF Redis is configured to save RDB snapshots", false),
            ("ERR max number of clients reached", false),
            ("ERR operation not permitted", false),
            ("ERR Connection timed out", false),
            ("no upstream host", false),
        ] {
            assert_eq!(is_about_the_command(&error(line)), expected, "{line}");
        }
    }
}
