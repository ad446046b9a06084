//! Messages of channels, and everything that can happen to them on their way, as subscribers see it.

use std::{fmt, sync::Arc, time::SystemTime};

use bytes::Bytes;

use super::Reason;

/// The next thing that a [`Subscription`](crate::Subscription) tells.
///
/// Redis keeps no message for a client that is away. So a subscriber cannot be promised all messages, but it is told of
/// every one that it may have missed: a message that was published while the channel was subscribed is delivered, or it
/// is covered by a [`Gap`](Self::Gap) or a [`Lagged`](Self::Lagged).
///
/// Actix actors get it as a message without a reply; see
/// [`Subscription::deliver_to`](crate::Subscription::deliver_to).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PubSubEvent {
    /// A message was published.
    Message {
        /// The channel that it was published to.
        channel: Bytes,
        /// The pattern that matched the channel, if the message comes by a pattern. A subscriber with several patterns
        /// that match, or with a pattern and the channel itself, gets the message once for each.
        pattern: Option<Bytes>,
        /// The message. It shares its memory with that of other subscribers.
        payload: Bytes,
    },
    /// From now on no messages come. It is told at once, and a [`Gap`](Self::Gap) follows when they come again.
    ///
    /// There may be several in a row, for instance if the circuit opens after a connection was lost.
    Interrupted {
        /// The time at which it was noticed.
        at: SystemTime,
        /// Why.
        cause: GapCause,
    },
    /// Messages may have been lost here: after the event before this one, and before the event behind it. All channels
    /// are subscribed again, so a state that is read now is not older than the messages that follow.
    Gap {
        /// The time at which the interruption was noticed. The connection may have been silent since a few seconds
        /// before.
        from: SystemTime,
        /// The time at which the server had confirmed all channels again.
        to: SystemTime,
        /// Why there were no messages; the first cause, if there were several.
        cause: GapCause,
    },
    /// So many messages were dropped here, because the queue of this subscriber was full. The number is exact.
    Lagged(u64),
    /// The server does not permit this channel or pattern any more, which it did before. This subscription goes on
    /// without it.
    Refused {
        /// The channel or the pattern.
        topic: Topic,
        /// The server's answer, such as `NOPERM …`. It contains no secret.
        error: Arc<str>,
    },
    /// The last event.
    Ended(EndCause),
}

impl PubSubEvent {
    /// Whether messages may be missing here: a [`Gap`](Self::Gap) or a [`Lagged`](Self::Lagged). A state that is kept by
    /// means of the messages is to be [read anew](crate::Subscription#a-state-and-its-changes) then.
    pub fn misses_messages(&self) -> bool {
        matches!(self, Self::Gap { .. } | Self::Lagged(_))
    }
}

impl actix::Message for PubSubEvent {
    type Result = ();
}

/// A channel, or a pattern of channels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// A channel, as by `SUBSCRIBE`.
    Channel(Bytes),
    /// A pattern, as by `PSUBSCRIBE`.
    Pattern(Bytes),
    /// A sharded channel, as by `SSUBSCRIBE`. It is another one than the channel of the same name.
    ShardChannel(Bytes),
}

impl Topic {
    /// Its name, or the text of a pattern.
    pub fn name(&self) -> &Bytes {
        match self {
            Self::Channel(name) | Self::Pattern(name) | Self::ShardChannel(name) => name,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Channel(_) => "channel",
            Self::Pattern(_) => "pattern",
            Self::ShardChannel(_) => "sharded channel",
        };
        write!(f, "{kind} {:?}", String::from_utf8_lossy(self.name()))
    }
}

/// Why a subscriber may have missed messages. `Display` gives a sentence without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapCause {
    /// The connection was lost, with the reason in words.
    ConnectionLost(Arc<str>),
    /// The connection was lost, and no other could be opened, with the reason in words.
    DialFailed(Arc<str>),
    /// The circuit of the database is open, and no connection is tried until the server answers again.
    CircuitOpen(Reason),
    /// [`Supervisor::isolate`](crate::Supervisor::isolate) has taken the database out of use.
    Isolated,
    /// The pool of the database was given up.
    Failed,
    /// The sentinels have named another primary; or in a cluster, a slot has moved, or a node has come.
    Moved,
    /// [`Supervisor::apply`](crate::Supervisor::apply) has changed settings that a connection has from its opening on.
    Reconfigured,
    /// The connection speaks RESP2, in which a subscriber cannot authenticate again, and its credentials have changed.
    CredentialsChanged,
    /// The server has ended the subscription of a sharded channel, for instance because it has moved to another node.
    EndedByServer,
}

impl fmt::Display for GapCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionLost(why) => write!(f, "the connection was lost: {why}"),
            Self::DialFailed(why) => write!(f, "no connection can be opened: {why}"),
            Self::CircuitOpen(reason) => write!(f, "the circuit is open ({reason})"),
            Self::Isolated => f.write_str("the database is isolated"),
            Self::Failed => f.write_str("the pool of the database was given up"),
            Self::Moved => f.write_str("the primary is another server"),
            Self::Reconfigured => f.write_str("the settings have changed"),
            Self::CredentialsChanged => f.write_str("the credentials have changed"),
            Self::EndedByServer => f.write_str("the server has ended a subscription"),
        }
    }
}

/// Why a subscription has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndCause {
    /// The supervisor was shut down.
    ShuttingDown,
    /// [`Supervisor::apply`](crate::Supervisor::apply) has removed the database.
    Removed,
    /// The queue was full, and the subscription has [`WhenFull::End`]. All messages before are delivered.
    Overflowed,
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ShuttingDown => "the supervisor was shut down",
            Self::Removed => "the database was removed",
            Self::Overflowed => "the queue of the subscriber was full",
        })
    }
}

/// What happens to a message for which the queue of a subscriber has no room.
///
/// Reading from the server never waits for a subscriber: the server would close the connection, and with it the
/// subscriptions of all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest messages in the queue make room for it: for subscribers that want the present state. The default.
    #[default]
    DropOldest,
    /// It is dropped: for subscribers that want an unbroken beginning.
    DropNewest,
    /// The subscription ends with [`EndCause::Overflowed`], after what is in the queue.
    End,
}
