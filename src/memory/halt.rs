//! The reasons for which a command has no reply of its own: an error, or a wait.

use std::borrow::Cow;

use bytes::Bytes;

use super::{reply::Reply, request::Request};

/// The result of a command.
pub(super) type Outcome = Result<Reply, Halt>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Halt {
    /// Begins with its code.
    Error(Cow<'static, str>),
    /// The command blocks until one of its keys has changed, and is then run again.
    Wait(Wait),
    /// EXEC: these are run, one after the other, with nothing in between.
    Transaction(Vec<Request>),
    /// EVAL: this script is run, with nothing in between.
    #[cfg(feature = "memory-lua")]
    Script(Evaluation),
}

/// A wait of a client for keys of its database.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wait {
    pub(super) keys: Vec<Bytes>,
    /// Milliseconds; `None` is no end.
    pub(super) timeout: Option<u64>,
    /// The reply when the time is over.
    pub(super) on_timeout: Reply,
    /// The request to run then, if it is not the one that began to wait: one without words such as `$`, which
    /// stand for the state at that time.
    pub(super) again: Option<Request>,
}

/// A script with what it is given.
#[cfg(feature = "memory-lua")]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Evaluation {
    /// The digest of its source, by which the server knows it.
    pub(super) digest: String,
    pub(super) keys: Vec<Bytes>,
    pub(super) arguments: Vec<Bytes>,
    /// Whether it is to write nothing.
    pub(super) is_read_only: bool,
}

impl Wait {
    pub(super) fn new(keys: Vec<Bytes>, timeout: Option<u64>, on_timeout: Reply) -> Self {
        Self {
            keys,
            timeout,
            on_timeout,
            again: None,
        }
    }
}

impl Halt {
    /// The reply to a command of a transaction, where there is nobody who could end a wait.
    pub(super) fn at_once(self) -> Reply {
        match self {
            Self::Error(text) => Reply::Error(text),
            Self::Wait(wait) => wait.on_timeout,
            Self::Transaction(_) => Reply::error("ERR Command not allowed inside a transaction"),
            #[cfg(feature = "memory-lua")]
            Self::Script(_) => unreachable!("BUG: a script that was not run"),
        }
    }

    pub(super) fn error(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Error(text.into())
    }

    pub(super) const WRONG_TYPE: Self = Self::Error(Cow::Borrowed(
        "WRONGTYPE Operation against a key holding the wrong kind of value",
    ));
    pub(super) const SYNTAX: Self = Self::Error(Cow::Borrowed("ERR syntax error"));
    pub(super) const NOT_INTEGER: Self =
        Self::Error(Cow::Borrowed("ERR value is not an integer or out of range"));
    pub(super) const NOT_FLOAT: Self = Self::Error(Cow::Borrowed("ERR value is not a valid float"));
    pub(super) const OVERFLOW: Self =
        Self::Error(Cow::Borrowed("ERR increment or decrement would overflow"));
    pub(super) const NO_SUCH_KEY: Self = Self::Error(Cow::Borrowed("ERR no such key"));
    pub(super) const OUT_OF_RANGE: Self =
        Self::Error(Cow::Borrowed("ERR value is out of range, must be positive"));

    pub(super) const OUT_OF_MEMORY: Self = Self::Error(Cow::Borrowed(
        "OOM command not allowed when used memory > 'maxmemory'.",
    ));

    pub(super) const READ_ONLY: Self = Self::Error(Cow::Borrowed(
        "READONLY You can't write against a read only replica.",
    ));

    /// A subcommand with options that it does not take.
    pub(super) fn subcommand_syntax(container: &str, subcommand: &[u8]) -> Self {
        let shown = shown(subcommand);
        Self::Error(
            format!(
                "ERR unknown subcommand or wrong number of arguments for '{shown}'. Try {container} HELP."
            )
            .into(),
        )
    }

    /// A subcommand that a container does not have.
    pub(super) fn unknown_subcommand(container: &str, subcommand: &[u8]) -> Self {
        let shown = shown(subcommand);
        let container = container.to_ascii_uppercase();
        Self::Error(format!("ERR unknown subcommand '{shown}'. Try {container} HELP.").into())
    }

    /// A command, or `container|subcommand`, with too few or too many arguments.
    pub(super) fn wrong_arity(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        Self::Error(format!("ERR wrong number of arguments for '{name}' command").into())
    }

    /// An option with a value that it cannot have, such as an expire time of 0.
    pub(super) fn invalid_expire(command: &str) -> Self {
        Self::Error(format!("ERR invalid expire time in '{command}' command").into())
    }
}

/// Errors show no more of an argument.
const SHOWN: usize = 128;

/// The beginning of an argument, as errors show it.
pub(super) fn shown(argument: &[u8]) -> Cow<'_, str> {
    text_of(&argument[..argument.len().min(SHOWN)])
}

/// An argument as errors show it whose whole text they state: up to a zero byte, as in Redis.
pub(super) fn text_of(argument: &[u8]) -> Cow<'_, str> {
    let end = argument.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&argument[..end.unwrap_or(argument.len())])
}
