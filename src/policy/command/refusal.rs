//! Why a command does not run.

use std::fmt;

/// Why a command may not run on a connection.
///
/// `Display` says why, and what to do instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It changes the state of the connection, or ends it: `SELECT`, `AUTH`, `MULTI`, `CLIENT
    /// SETNAME` …
    Session,
    /// It turns the connection into a stream of messages: `SUBSCRIBE` …
    Subscription,
    /// It takes away the replies by which commands and answers are matched: `MONITOR`, `SYNC`,
    /// `CLIENT REPLY`, `SCRIPT DEBUG` … Not even a connection of your own may run it.
    Replies,
    /// It asks whether the writes before it on the same connection have reached replicas or the disk:
    /// `WAIT`, `WAITAOF`. On a plain handle, and at the head of a pipeline, there are none before it.
    Alone,
    /// It administers the server: `CONFIG SET`, `FLUSHALL`, `SHUTDOWN` …
    Administrative,
    /// It has no name. The server does not answer an empty command, so every later reply would go
    /// to the wrong caller.
    Empty,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => {
                "it changes the state of a connection that other callers share; lease one of your own \
                 for it, or use an atomic pipeline or a transaction in place of MULTI, WATCH and EXEC"
            }
            Self::Subscription => {
                "it turns a connection that other callers share into a subscriber, and what is published \
                 would reach nobody; subscribe by other means"
            }
            Self::Replies => {
                "it would take from the connection the replies that later commands wait for; reach \
                 the server by other means for it"
            }
            Self::Alone => {
                "it asks about what was written before it on the same connection; put it behind the \
                 writes in a pipeline, or lease a connection for both"
            }
            Self::Administrative => {
                "it administers the server; set allow_admin for this database to permit it"
            }
            Self::Empty => "it is empty, and the server would not answer it; give it a name",
        })
    }
}
