//! Why a consumer has ended by itself.

use crate::error::Error;

/// The reason why a [`Consumer`](crate::Consumer) has ended without having been stopped.
///
/// Outages of the server are no such reason: a consumer waits for their end.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The stream or its group does not exist, and the consumer was not to
    /// [create](crate::ConsumerBuilder::create_group) it. A server that has lost its data has lost its groups, too.
    #[error(
        "there is no group {group:?} of the stream {stream:?}; see ConsumerBuilder::create_group"
    )]
    NoGroup {
        /// Name of the stream.
        stream: Box<str>,
        /// Name of the group.
        group: Box<str>,
    },
    /// The database is a cluster, and the stream and its dead letters are in different slots, so that no transaction can
    /// move an entry. Give both a common hash tag, or leave the name of the dead letters to the consumer.
    #[error(
        "the dead letters {dead_letters:?} and the stream {stream:?} are in different slots of the cluster; give them a \
         common hash tag, as in {{orders}} and {{orders}}:dead"
    )]
    DeadLettersElsewhere {
        /// Name of the stream.
        stream: Box<str>,
        /// Name of the stream of the dead letters.
        dead_letters: Box<str>,
    },
    /// The database will run no further command: it was removed, or the supervisor has been shut down; or the key is
    /// no stream.
    #[error(transparent)]
    Database(#[from] Error),
    /// The actor that handles the entries has stopped.
    #[error("the actor that handles the entries has stopped")]
    RecipientStopped,
    /// The runtime in which the consumer or its handlers ran has ended.
    #[error("the runtime of the consumer has ended")]
    Runtime,
}
