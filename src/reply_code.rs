//! The codes of error replies, in one table: commands and the greeting of a connection read the same.

use redis::ServerError;

/// An error reply of a server: its code, which is its first word, and the text after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ErrorReply<'a> {
    pub(crate) code: &'a str,
    pub(crate) text: &'a str,
}

impl<'a> From<&'a ServerError> for ErrorReply<'a> {
    fn from(error: &'a ServerError) -> Self {
        Self {
            code: error.code(),
            text: error.details().unwrap_or_default(),
        }
    }
}

/// The meaning of an error reply, by its first word.
///
/// Source: the shared error objects and the calls of `addReplyError` in the code of Redis 8 and Valkey 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyCode {
    /// The server loads its dataset.
    Loading,
    /// A script or a function keeps the server busy.
    Busy,
    /// A replica has lost its primary, or a cluster some of its slots.
    PrimaryDown,
    /// The keys of the command are on the move between two nodes.
    TryAgain,
    /// Too few replicas are in step for a write.
    NoReplicas,
    /// A replica takes no writes.
    ReadOnly,
    /// The connection has not logged in.
    NotAuthenticated,
    /// The server cannot save, and so takes no writes.
    CannotSave,
    /// The server has reached its memory limit.
    OutOfMemory,
    /// The user may not run the command.
    NoPermission,
    /// The server refuses the client: its password, or its address.
    Rejected,
    /// The server does not speak this version of the protocol.
    NoProtocol,
    /// The command was ended by `CLIENT UNBLOCK`.
    Unblocked,
    /// The general error of a command.
    General,
    /// Another error that the command itself causes.
    Deserved,
    /// Of a module, a script or a newer server.
    Unknown,
}

impl ReplyCode {
    pub(crate) fn of(code: &str) -> Self {
        match code {
            "LOADING" => Self::Loading,
            "BUSY" => Self::Busy,
            "MASTERDOWN" | "CLUSTERDOWN" => Self::PrimaryDown,
            "TRYAGAIN" => Self::TryAgain,
            "NOREPLICAS" => Self::NoReplicas,
            "READONLY" => Self::ReadOnly,
            "NOAUTH" => Self::NotAuthenticated,
            "MISCONF" => Self::CannotSave,
            "OOM" => Self::OutOfMemory,
            "NOPERM" => Self::NoPermission,
            "WRONGPASS" | "DENIED" => Self::Rejected,
            "NOPROTO" => Self::NoProtocol,
            "UNBLOCKED" => Self::Unblocked,
            "ERR" => Self::General,
            "WRONGTYPE" | "MOVED" | "ASK" | "CROSSSLOT" | "EXECABORT" | "BUSYGROUP" | "BUSYKEY"
            | "NOGROUP" | "NOTBUSY" | "UNKILLABLE" | "INPROG" | "INDEX" | "NOQUORUM"
            | "NOSCRIPT" => Self::Deserved,
            _ => Self::Unknown,
        }
    }
}
