//! What a command does, parsed once, and all that follows from it.

use super::{Block, Effect, Place, Refusal};

/// What a command does, to its data and to the connection that it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It has no name, so the server does not answer it.
    Empty,
    /// It is on no list, so the server has to say what it does.
    Unknown,
    /// It only reads, and leaves nothing behind.
    Reads,
    /// It is answered, and leaves nothing behind on the connection.
    Plain,
    /// It can have an effect and fail afterwards.
    RunsScript { only_reads: bool },
    /// No command behind it gets a reply before it has one. (In a transaction it does not block.)
    Blocks(Block),
    /// The same, and it asks about the commands before it on the connection.
    LooksBack(Block),
    /// Keys are watched after it.
    Watches,
    /// Commands are queued after it.
    Queues,
    /// Neither, if the server does as it says.
    EndsTransaction,
    /// It changes how the server treats the connection from now on, or ends it.
    Configures,
    /// Messages arrive between replies, there are as many confirmations as channels, and with RESP2
    /// most other commands fail. Leaving a channel answers in the same way.
    Subscribes { confirmations: usize },
    /// After it, requests are no longer answered one by one.
    TakesReplies,
    /// It stops, empties, stalls or reconfigures the server for all its clients, those of other
    /// applications included, or shows what only its administrators should see.
    Administers,
}

impl Class {
    /// The class of a command that is on no list, by the flags and categories that the server gives it.
    ///
    /// How long it blocks stands somewhere in its arguments, so it may block for ever. It is never taken
    /// for a command that only reads.
    pub(crate) fn of_flags<'a>(flags: impl IntoIterator<Item = &'a str>) -> Self {
        let mut class = Self::Plain;
        for flag in flags {
            match flag {
                "pubsub" | "@pubsub" => return Self::TakesReplies,
                "@connection" => class = Self::Configures,
                "blocking" | "@blocking" if class == Self::Plain => {
                    class = Self::Blocks(Block::Forever);
                }
                _ => {}
            }
        }
        class
    }

    /// Where the command runs that is given to a plain handle.
    pub(crate) fn place(self, allow_admin: bool) -> Place {
        match self {
            Self::Reads | Self::Plain | Self::RunsScript { .. } | Self::Unknown => Place::Shared,
            Self::Administers if allow_admin => Place::Shared,
            Self::Blocks(block) | Self::LooksBack(block) => Place::Leased(block),
            Self::Empty => Place::Refused(Refusal::Empty),
            Self::Watches | Self::Queues | Self::EndsTransaction | Self::Configures => {
                Place::Refused(Refusal::Session)
            }
            Self::Subscribes { .. } => Place::Refused(Refusal::Subscription),
            Self::TakesReplies => Place::Refused(Refusal::Replies),
            Self::Administers => Place::Refused(Refusal::Administrative),
        }
    }

    /// The reason not to run it even on a connection that its caller has to itself; `None` if it may.
    pub(crate) fn refusal_on_lease(self, allow_admin: bool) -> Option<Refusal> {
        match self {
            Self::Empty => Some(Refusal::Empty),
            Self::TakesReplies => Some(Refusal::Replies),
            Self::Administers if !allow_admin => Some(Refusal::Administrative),
            _ => None,
        }
    }

    /// How long the server may keep it.
    pub(crate) fn block(self) -> Option<Block> {
        match self {
            Self::Blocks(block) | Self::LooksBack(block) => Some(block),
            _ => None,
        }
    }

    /// What it leaves behind on the connection.
    pub(crate) fn effect(self) -> Effect {
        match self {
            Self::Empty
            | Self::Unknown
            | Self::Reads
            | Self::Plain
            | Self::RunsScript { .. }
            | Self::Blocks(_)
            | Self::LooksBack(_)
            | Self::Administers => Effect::Nothing,
            Self::Watches => Effect::Watches,
            Self::Queues => Effect::Queues,
            Self::EndsTransaction => Effect::EndsTransaction,
            Self::Configures | Self::Subscribes { .. } | Self::TakesReplies => Effect::Lasting,
        }
    }

    /// How many confirmations answer a command of subscriptions; `None` for any other.
    pub(crate) fn confirmations(self) -> Option<usize> {
        match self {
            Self::Subscribes { confirmations } => Some(confirmations),
            _ => None,
        }
    }

    /// Whether it asks what has become of the commands before it on the same connection.
    pub(crate) fn looks_back(self) -> bool {
        matches!(self, Self::LooksBack(_))
    }

    /// Whether it runs a script or a function, which can have an effect and fail afterwards.
    pub(crate) fn runs_script(self) -> bool {
        matches!(self, Self::RunsScript { .. })
    }

    /// Whether it only reads, and so may run twice.
    pub(crate) fn only_reads(self) -> bool {
        matches!(self, Self::Reads | Self::RunsScript { only_reads: true })
    }
}
