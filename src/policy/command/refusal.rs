//! The reasons to refuse a command.

use std::fmt;

/// The reason why a command is refused with [`Error::CommandRefused`](crate::Error::CommandRefused),
/// before a byte is written.
///
/// The server answers in order and replies carry no name. A command that changes how a connection
/// answers would therefore hand the replies of one caller to another. All commands of redis-server 7.0,
/// and those of later servers and modules, are on reviewed lists. The server is asked about other
/// names: see [Unknown commands](crate::Database#unknown-commands).
///
/// `Display` gives the reason and the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The command changes the state of its connection, or ends it: `SELECT` of another number, `AUTH`,
    /// `MULTI`, `WATCH`, `CLIENT SETNAME` … It may run on a [`Lease`](crate::Lease).
    Session,
    /// The command turns its connection into a stream of messages: `SUBSCRIBE` … It may run on a
    /// [`Lease`](crate::Lease), which confirms it but drops the messages.
    Subscription,
    /// After the command, replies could not be matched to commands any more: `MONITOR`, `SYNC`,
    /// `CLIENT REPLY`, `SCRIPT DEBUG` …, a `SUBSCRIBE` inside of a pipeline, and unknown commands that
    /// the server describes as publish/subscribe. It is refused on a [`Lease`](crate::Lease) too.
    Replies,
    /// `WAIT` or `WAITAOF` without a write before it. They ask whether the earlier writes of their
    /// connection have reached replicas or the disk. Run them in a pipeline behind the writes, or on a
    /// [`Lease`](crate::Lease).
    Alone,
    /// The command administers the server: `CONFIG SET`, `FLUSHALL`, `SHUTDOWN` …
    /// [`allow_admin`](crate::DatabaseConfig::allow_admin) permits it.
    Administrative,
    /// The command may write, and replicas only read. Run it on the [`Database`](crate::Database) itself. Commands that
    /// are on no list count as writes.
    Writes,
    /// The keys of the command are in several slots of a cluster, and it is none that can be split. Keys with a common
    /// [hash tag](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags) are in one slot:
    /// `{user:1}:name` and `{user:1}:visits`.
    Slots {
        /// A key, and its slot.
        first: KeySlot,
        /// A key in another slot.
        other: KeySlot,
    },
    /// `SCAN` in a cluster: a cursor is one of a single node. [`Database::scan`](crate::Database::scan) goes through all.
    Cursor,
    /// In a cluster the command concerns a single node or a single connection, and nothing says which:
    /// `CONFIG SET`, `CLUSTER FAILOVER`, `CLIENT KILL` … Send it to that node by a database of its own.
    Node,
    /// In a cluster the command goes to all nodes, and so is none for a transaction: `FLUSHALL`, `DBSIZE` …
    EachNode,
    /// The command has no name, or the pipeline no command. The server does not answer an empty command, so
    /// that every later reply would reach the wrong caller. As a [`redis::RedisError`] it is the one of the
    /// `redis` crate: "empty command", of [`ErrorKind::Client`](redis::ErrorKind::Client).
    Empty,
}

/// A key among the words of a command, and its slot in a cluster. The key itself may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeySlot {
    /// The position of the command in its pipeline, counted from 0; 0 for a single command.
    pub command: usize,
    /// The position of the key among the words of its command, counted from 0, which is the name.
    pub word: usize,
    /// The slot of the key.
    pub slot: u16,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Slots { first, other } = self {
            return slots(f, first, other);
        }
        f.write_str(match self {
            Self::Session => {
                "it would change a connection that other callers share; run it on a lease, or use an \
                 atomic pipeline or a transaction instead of MULTI, WATCH and EXEC"
            }
            Self::Subscription => {
                "it would turn a connection that other callers share into a subscriber, and no caller \
                 would get the messages; subscribe with another client"
            }
            Self::Replies => {
                "its connection could no longer match replies to commands; send it with another client"
            }
            Self::Alone => {
                "it asks about earlier writes on its connection, and there are none; put it behind the \
                 writes in a pipeline, or run both on a lease"
            }
            Self::Administrative => {
                "it administers the server; set allow_admin for this database to permit it"
            }
            Self::Writes => {
                "it may write, and replicas only read; run it on the database itself"
            }
            Self::Cursor => {
                "its cursor would be one of a single node of the cluster; go through all keys with Database::scan"
            }
            Self::Node => {
                "it concerns a single node or a single connection of the cluster; send it to that node by a database \
                 of its own"
            }
            Self::EachNode => {
                "it goes to all nodes of the cluster, and a transaction runs at one; run it on its own"
            }
            Self::Slots { .. } => "its keys are in several slots",
            Self::Empty => "there is nothing to send, and the server would not answer",
        })
    }
}

fn slots(f: &mut fmt::Formatter<'_>, first: &KeySlot, other: &KeySlot) -> fmt::Result {
    f.write_str("its keys are in several slots of the cluster: ")?;
    for (at, key) in [first, other].into_iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        if first.command != other.command {
            write!(f, "of command {} ", key.command)?;
        }
        write!(f, "word {} in slot {}", key.word, key.slot)?;
    }
    f.write_str("; give them a common hash tag, as in {user:1}:name, or make several calls")
}
