//! The errors of a dial.

use std::{io, sync::Arc, time::Duration};

use redis::ServerError;

use crate::{
    config::Address, events::Reason, net::codec::ProtocolError, reply_code::ReplyCode,
    rounded::Rounded, sanitize, tls::TlsError,
};

pub(super) const LOOKING_UP: &str = "looking up the name of the server";
pub(super) const CONNECTING: &str = "connecting";
pub(super) const SECURING: &str = "negotiating TLS with the server";
pub(super) const GREETING: &str = "greeting the server";
pub(super) const PROVING: &str = "waiting for the answer to a PING";

/// Why no connection could be opened. No variant holds a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("cannot connect: {0}")]
    Connect(Arc<io::Error>),
    #[error("no answer within {} while {step}", Rounded(*.limit))]
    TimedOut { step: &'static str, limit: Duration },
    #[error("the connection broke while {step}: {error}")]
    Broken {
        step: &'static str,
        error: Arc<io::Error>,
    },
    #[error("the server closed the connection while {step}")]
    Closed { step: &'static str },
    #[error("there are no credentials: {0}")]
    Credentials(String),
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("this is no Redis server: {0}")]
    Protocol(#[from] ProtocolError),
    #[error("this is no Redis server: it answers {command} with something else")]
    Unexpected { command: &'static str },
    /// The sentinels name a server that says that it is none, for instance because a failover is under way.
    #[error("the sentinels name {0}, which is no primary")]
    NotPrimary(Address),
    #[error("the server is loading its dataset")]
    Loading,
    #[error("the server refuses {command}: {code} {text}")]
    Refused {
        command: &'static str,
        code: String,
        text: String,
    },
    #[error("no task could be started: {0}")]
    Spawn(Arc<io::Error>),
    /// The task was aborted, or the runtime that it ran on has ended.
    #[error("the task that dialled was cancelled")]
    Cancelled,
    #[error("the task that dialled panicked")]
    Panicked,
}

impl DialError {
    /// An open connection has not answered when it was to authenticate again.
    pub(crate) fn unauthenticated(limit: Duration) -> Self {
        let step = "authenticating again";
        Self::TimedOut { step, limit }
    }

    /// The transport failed in a phase.
    pub(super) fn broken(step: &'static str, error: io::Error) -> Self {
        match TlsError::within(&error) {
            Some(error) => error.clone().into(),
            None => Self::Broken {
                step,
                error: Arc::new(error),
            },
        }
    }

    pub(crate) fn refused(command: &'static str, error: &ServerError) -> Self {
        Self::Refused {
            command,
            code: sanitize::text(error.code()),
            text: sanitize::text(error.details().unwrap_or_default()),
        }
    }

    /// Whether the peer did not accept the greeting, so that it may accept a shorter one.
    pub(super) fn is_about_the_greeting(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Closed { .. })
    }

    /// Whether the peer has answered, if only to refuse this client.
    pub(super) fn is_an_answer(&self) -> bool {
        matches!(
            self,
            Self::Protocol(_)
                | Self::Unexpected { .. }
                | Self::NotPrimary(_)
                | Self::Loading
                | Self::Refused { .. }
        )
    }

    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Connect(_)
            | Self::Broken { .. }
            | Self::Closed { .. }
            | Self::Spawn(_)
            | Self::Cancelled
            | Self::Panicked => Reason::Unreachable,
            Self::TimedOut { step, .. } if [LOOKING_UP, CONNECTING].contains(step) => {
                Reason::Unreachable
            }
            Self::TimedOut { .. } => Reason::Unresponsive,
            Self::Credentials(_) => Reason::NoCredentials,
            Self::Tls(TlsError::Refused(_)) => Reason::Rejected,
            Self::Tls(TlsError::Closed) => Reason::Unreachable,
            Self::Tls(TlsError::Wanted) => Reason::NotRedis,
            Self::Tls(_) => Reason::TlsFailed,
            Self::Protocol(_) | Self::Unexpected { .. } => Reason::NotRedis,
            Self::NotPrimary(_) => Reason::PrimaryDown,
            Self::Loading => Reason::Loading,
            Self::Refused {
                command,
                code,
                text,
            } => reason_of_refusal(command, code, text),
        }
    }
}

/// Only refusals of credentials, or of commands of the handshake, concern this client. Any other refusal
/// may be a temporary failure of a proxy.
fn reason_of_refusal(command: &str, code: &str, text: &str) -> Reason {
    match ReplyCode::of(code) {
        ReplyCode::Loading => Reason::Loading,
        ReplyCode::Busy => Reason::Busy,
        ReplyCode::PrimaryDown => Reason::PrimaryDown,
        ReplyCode::General if text.starts_with("max number of clients") => Reason::ServerFull,
        ReplyCode::General if matches!(command, "AUTH" | "SELECT") => Reason::Rejected,
        ReplyCode::Rejected | ReplyCode::NoPermission | ReplyCode::NotAuthenticated => {
            Reason::Rejected
        }
        _ => Reason::Unreachable,
    }
}
