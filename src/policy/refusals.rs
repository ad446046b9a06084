//! The texts by which a server refuses a command before it changes anything.
//!
//! `ERR` is the code of almost any failure. Proxies answer with it when they lost the server after the command
//! had run, `MIGRATE` when it has moved some of its keys, and modules whenever they like. So this code alone
//! proves nothing, and only these texts do.

/// Whether an `ERR` with this text proves that the command had no effect.
pub(super) fn is_proven(text: &str) -> bool {
    let begins = |table: &[&str]| table.iter().any(|prefix| text.starts_with(prefix));
    begins(BEFORE_THE_COMMAND) || begins(OF_ITS_ARGUMENTS) || begins(OF_ITS_VALUE)
}

/// The server does not call the command. Source: `processCommand` and the commands of transactions, in
/// `server.c` and `multi.c`. The capitals and back quotes are those of servers before 7.0.
const BEFORE_THE_COMMAND: &[&str] = &[
    "unknown command",
    "unknown subcommand",
    "Unknown subcommand or wrong number of arguments for",
    "wrong number of arguments",
    "command not allowed when",
    "Can't execute",
    "Command not allowed inside a transaction",
    "MULTI calls can not be nested",
    "WATCH inside MULTI is not allowed",
    "EXEC without MULTI",
    "DISCARD without MULTI",
    "DEBUG command not allowed",
    "MODULE command not allowed",
    "This instance has cluster support disabled",
    "max number of clients reached",
    "operation not permitted",
];

/// A command reads all of its arguments before it changes a key. Source: the shared objects of `server.c`
/// (`syntaxerr`, `sameobjecterr`), the functions `get…FromObjectOrReply` of `object.c`, and the parsers of the
/// commands `t_*.c`, `bitops.c`, `expire.c` and `blocked.c`.
const OF_ITS_ARGUMENTS: &[&str] = &[
    "syntax error",
    "source and destination objects are the same",
    "value is not an integer",
    "value is not a valid float",
    "value is out of range",
    "invalid expire time",
    "min or max is not a float",
    "min or max not valid string range item",
    "weight value is not a float",
    "offset is out of range",
    "bit is not an integer or out of range",
    "bit offset is not an integer or out of range",
    "The bit argument must be 1 or 0",
    "Invalid bitfield type",
    "timeout is not a float or out of range",
    "timeout is not an integer or out of range",
    "timeout is negative",
    "timeout is out of range",
    "invalid cursor",
    "numkeys should be greater than 0",
    "DB index is out of range",
    "invalid DB index",
    "SELECT is not allowed in cluster mode",
    "Invalid stream ID specified as stream command argument",
    "Invalid TTL value",
    "XX and NX options at the same time are not compatible",
    "GT, LT, and/or NX options at the same time are not compatible",
    "NX and XX, GT or LT options at the same time are not compatible",
    "INCR option supports a single increment-element pair",
];

/// A command reads the value of its key before it changes it. Source: the shared objects of `server.c`
/// (`nokeyerr`, `outofrangeerr`), `t_string.c`, `t_hash.c`, `t_stream.c` and `cluster.c`.
const OF_ITS_VALUE: &[&str] = &[
    "no such key",
    "index out of range",
    "increment or decrement would overflow",
    "increment would produce NaN or Infinity",
    "hash value is not an integer",
    "hash value is not a float",
    "string exceeds maximum allowed size",
    "The ID specified in XADD",
    "DUMP payload version or checksum are wrong",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_the_server_are_proofs() {
        for text in [
            "unknown command '***', with args beginning with: ***",
            "unknown command `***`, with args beginning with: ***",
            "unknown subcommand '***'. Try CONFIG HELP.",
            "wrong number of arguments for 'get' command",
            "syntax error",
            "value is not an integer or out of range",
            "value is not a valid float",
            "no such key",
            "index out of range",
            "increment or decrement would overflow",
            "invalid expire time in 'set' command",
            "EXEC without MULTI",
            "max number of clients reached",
        ] {
            assert!(is_proven(text), "{text}");
        }
    }

    #[test]
    fn other_texts_prove_nothing() {
        for text in [
            "",
            "Connection timed out",
            "Target instance replied with error: ERR busy",
            "user_script:1: Script attempted to access nonexistent global variable 'x' script: 0a, on @user_script:1.",
            "Error running script (call to f_0a): @user_script:1: WRONGTYPE Operation against a key",
            "server closed connection",
            "backend failed: syntax error",
            "finished with 2 error(s)",
        ] {
            assert!(!is_proven(text), "{text}");
        }
    }
}
