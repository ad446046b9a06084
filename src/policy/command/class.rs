//! The class of a command, parsed once, and the rules that follow from it.

use super::{Block, Effect, Place, Refusal};

/// The effect of a command on data and on the connection that it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A command without a name, which the server does not answer.
    Empty,
    /// It is on no list, so the server is asked for its flags.
    Unknown,
    /// It only reads, and leaves nothing behind.
    Reads,
    /// It may write, and leaves nothing behind on the connection.
    Plain,
    /// It runs a script, a function, or code of a module on no list, which can have an effect and fail afterwards.
    RunsScript { only_reads: bool },
    /// It delays the replies of all commands behind it. (In a transaction it does not block.)
    Blocks(Block),
    /// It blocks as well, and only reads.
    BlocksReading(Block),
    /// It blocks, and runs code of a module, which can have an effect and fail afterwards.
    BlocksInModule(Block),
    /// It blocks, and asks about the commands before it on the connection.
    LooksBack(Block),
    /// It watches keys.
    Watches,
    /// It begins a transaction: later commands are queued.
    Queues,
    /// It ends a transaction: if it succeeds, no keys are watched and no commands queued.
    EndsTransaction,
    /// It forgets the watched keys. On a shared connection there are none, so it does nothing there.
    Unwatches,
    /// It selects the database of this number, if that is one. On a shared connection it does nothing if
    /// that is selected anyway.
    Selects(Option<i64>),
    /// It changes the session of the connection, or ends the connection.
    Configures,
    /// It subscribes or unsubscribes. Messages then arrive between replies, each channel has a confirmation,
    /// and with RESP2 most other commands fail.
    Subscribes { confirmations: usize },
    /// After it, requests no longer have one reply each.
    TakesReplies,
    /// It stops, empties, stalls or reconfigures the server for all its clients, including other
    /// applications, or shows data for administrators only.
    Administers,
}

impl Class {
    /// The class of a command that is on no list, by the flags and categories that the server gives it.
    ///
    /// The position of its timeout is unknown, so it may block for ever. It is never classified as a command
    /// that only reads, because no server holds a module to that flag.
    pub(crate) fn of_flags<'a>(flags: impl IntoIterator<Item = &'a str>) -> Self {
        let mut class = Self::Plain;
        let mut is_of_module = false;
        for flag in flags {
            match flag {
                "module" => is_of_module = true,
                "pubsub" | "@pubsub" => return Self::TakesReplies,
                "admin" => return Self::Administers,
                "@connection" => class = Self::Configures,
                "blocking" | "@blocking" if class == Self::Plain => {
                    class = Self::Blocks(Block::Forever);
                }
                _ => {}
            }
        }
        match class {
            // It may call other commands, as a script does.
            Self::Plain if is_of_module => Self::RunsScript { only_reads: false },
            Self::Blocks(block) if is_of_module => Self::BlocksInModule(block),
            class => class,
        }
    }

    /// The place where a plain handle runs the command.
    pub(crate) fn place(self, allow_admin: bool) -> Place {
        match self {
            Self::Reads
            | Self::Plain
            | Self::RunsScript { .. }
            | Self::Unwatches
            | Self::Unknown => Place::Shared,
            Self::Selects(Some(number)) => Place::SharedOn(number),
            Self::Administers if allow_admin => Place::Shared,
            Self::Blocks(block)
            | Self::BlocksReading(block)
            | Self::BlocksInModule(block)
            | Self::LooksBack(block) => Place::Leased(block),
            Self::Empty => Place::Refused(Refusal::Empty),
            Self::Watches
            | Self::Queues
            | Self::EndsTransaction
            | Self::Selects(None)
            | Self::Configures => Place::Refused(Refusal::Session),
            Self::Subscribes { .. } => Place::Refused(Refusal::Subscription),
            Self::TakesReplies => Place::Refused(Refusal::Replies),
            Self::Administers => Place::Refused(Refusal::Administrative),
        }
    }

    /// The reason to refuse it even on an exclusive connection; `None` if it may run there.
    pub(crate) fn refusal_on_lease(self, allow_admin: bool) -> Option<Refusal> {
        match self {
            Self::Empty => Some(Refusal::Empty),
            Self::TakesReplies => Some(Refusal::Replies),
            Self::Administers if !allow_admin => Some(Refusal::Administrative),
            _ => None,
        }
    }

    /// The time that it may block; `None` if it does not block.
    pub(crate) fn block(self) -> Option<Block> {
        match self {
            Self::Blocks(block)
            | Self::BlocksReading(block)
            | Self::BlocksInModule(block)
            | Self::LooksBack(block) => Some(block),
            _ => None,
        }
    }

    /// Its effect on the connection.
    pub(crate) fn effect(self) -> Effect {
        match self {
            Self::Empty
            | Self::Unknown
            | Self::Reads
            | Self::Plain
            | Self::RunsScript { .. }
            | Self::Blocks(_)
            | Self::BlocksReading(_)
            | Self::BlocksInModule(_)
            | Self::LooksBack(_)
            | Self::Administers => Effect::Nothing,
            Self::Watches => Effect::Watches,
            Self::Queues => Effect::Queues,
            Self::EndsTransaction | Self::Unwatches => Effect::EndsTransaction,
            Self::Selects(_) | Self::Configures | Self::Subscribes { .. } | Self::TakesReplies => {
                Effect::Lasting
            }
        }
    }

    /// The number of confirmations of a subscription; `None` for other commands.
    pub(crate) fn confirmations(self) -> Option<usize> {
        match self {
            Self::Subscribes { confirmations } => Some(confirmations),
            _ => None,
        }
    }

    /// Whether it asks about the commands before it on the same connection.
    pub(crate) fn looks_back(self) -> bool {
        matches!(self, Self::LooksBack(_))
    }

    /// Whether it runs a script, a function or a module, which can have an effect and fail afterwards.
    pub(crate) fn runs_script(self) -> bool {
        matches!(self, Self::RunsScript { .. } | Self::BlocksInModule(_))
    }

    /// Whether each key that it may write is a word of it. Scripts make names up, and some commands write all keys, or
    /// those that were named before.
    pub(crate) fn names_its_keys(self) -> bool {
        match self {
            Self::Empty
            | Self::Reads
            | Self::Plain
            | Self::Blocks(_)
            | Self::BlocksReading(_)
            | Self::LooksBack(_)
            | Self::Watches
            | Self::Queues
            | Self::Unwatches
            | Self::Subscribes { .. } => true,
            Self::RunsScript { only_reads } => only_reads,
            Self::Unknown
            | Self::BlocksInModule(_)
            | Self::EndsTransaction
            | Self::Selects(_)
            | Self::Configures
            | Self::TakesReplies
            | Self::Administers => false,
        }
    }

    /// Whether it only reads, and so may run twice.
    pub(crate) fn only_reads(self) -> bool {
        matches!(
            self,
            Self::Reads | Self::BlocksReading(_) | Self::RunsScript { only_reads: true }
        )
    }
}
