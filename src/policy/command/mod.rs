//! Where every command belongs: on the connection that callers share, on one of its own, or nowhere.
//!
//! Replies carry no name: the server answers in order, and a connection hands the next reply to the
//! next caller. A command that changes how a connection answers, or for whom, therefore hands one
//! caller's replies to another. After `SELECT` everyone reads another database; after `MULTI` they
//! get `QUEUED`; after `CLIENT REPLY SKIP` everyone gets the reply of the one behind them. So these
//! commands are refused before a byte is written, in pipelines and atomic pipelines too.
//!
//! On a connection that one caller has to itself most of them do no harm, but some outlast the
//! caller, and some leave even such a connection without replies.

mod block;
mod class;
mod parse;
mod reads;
mod refusal;
mod special;
mod upper;
mod writes;

#[cfg(test)]
mod reviewed_tests;
#[cfg(test)]
mod table_tests;

pub(crate) use block::Block;
pub(crate) use class::Class;
pub use refusal::Refusal;
use upper::Upper;

/// Where a command runs that is given to a plain handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the connection that all callers share.
    Shared,
    /// On a connection of its own, because it may make those behind it wait for so long.
    Leased(Block),
    /// Nowhere.
    Refused(Refusal),
}

/// What a command leaves behind on the connection that it ran on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing that the next user of the connection would notice.
    Nothing,
    /// Keys are watched until the transaction ends.
    Watches,
    /// Commands are queued until the transaction ends.
    Queues,
    /// No keys are watched any more, and no commands are queued.
    EndsTransaction,
    /// Something that only `RESET` or the end of the connection undoes.
    Lasting,
}

impl Effect {
    /// Of both, in whatever order. Where one opens and another ends a transaction there may be another
    /// than before, as there is after `MULTI`.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, effect) | (effect, Self::Nothing) => effect,
            (Self::Lasting, _) | (_, Self::Lasting) => Self::Lasting,
            (effect, other) if effect == other => effect,
            _ => Self::Queues,
        }
    }
}

/// The name of a command for an error message: its first word, in a family also its member's, in
/// capitals and without what a terminal would obey, because it is the caller's and may be anything.
pub(crate) fn display_name<'a>(mut args: impl Iterator<Item = &'a [u8]>) -> String {
    let show = |word: &[u8]| {
        let word = &word[..word.len().min(Upper::LONGEST)];
        word.to_ascii_uppercase().escape_ascii().to_string()
    };
    let Some(name) = args.next() else {
        return "a command without a name".to_owned();
    };
    let member = match special::is_family(name) {
        true => args.next(),
        false => None,
    };
    match member {
        Some(member) => format!("{} {}", show(name), show(member)),
        None => show(name),
    }
}

#[cfg(test)]
mod tests {
    use std::{iter, time::Duration};

    use super::*;

    fn args(command: &str) -> impl Iterator<Item = &[u8]> {
        command.split(' ').map(str::as_bytes)
    }

    fn place_of(command: &str) -> Place {
        Class::of(args(command)).place(false)
    }

    #[track_caller]
    fn assert_places(commands: &str, expected: Place) {
        for command in commands.split(',') {
            assert_eq!(place_of(command), expected, "{command:?}");
        }
    }

    #[test]
    fn what_is_not_listed_runs() {
        assert_places(
            "X,é,CLIENT|REPLY OFF, MULTI,MULTIX,GETX k,CONFIGS SET,VERY.LONG.NAMES.OF.MODULES x,",
            Place::Shared,
        );
    }

    #[test]
    fn a_family_without_a_member_is_left_to_the_server() {
        assert_places(
            "CLIENT,SCRIPT,FUNCTION,CLUSTER,CONFIG,ACL,MODULE,SLOWLOG,LATENCY",
            Place::Shared,
        );
    }

    #[test]
    fn unknown_members_count_as_the_dangerous_kind_of_their_family() {
        assert_places("CLIENT NEW", Place::Refused(Refusal::Session));
        assert_eq!(Class::of(args("CLIENT NEW")).effect(), Effect::Lasting);
        assert_places(
            "CLUSTER NEW,CONFIG NEW,ACL NEW,MODULE NEW,HOTKEYS NEW",
            Place::Refused(Refusal::Administrative),
        );
        assert_places(
            "SCRIPT NEW,FUNCTION NEW,MEMORY NEW,OBJECT NEW",
            Place::Shared,
        );
    }

    #[test]
    fn reading_streams_needs_a_connection_if_it_blocks() {
        assert_places(
            "XREAD BLOCK 0 STREAMS k $,XREADGROUP GROUP STREAMS c BLOCK 0 STREAMS k >",
            Place::Leased(Block::Forever),
        );
        assert_places(
            "XREAD COUNT 1 BLOCK 5 STREAMS k $,TS.READ BLOCK + MAX_COUNT 9 block 5 1",
            Place::Leased(Block::AtMost(Duration::from_millis(5))),
        );
        assert_places(
            "XREAD,XREAD COUNT 1,XREAD STREAMS BLOCK 0,XREAD COUNT 1 STREAMS k BLOCK 0 0,\
             XREADGROUP GROUP BLOCK BLOCK COUNT 1 STREAMS k >,TS.READ BLOCK BLOCK MAX_COUNT 9",
            Place::Shared,
        );
    }

    #[test]
    fn only_a_command_without_a_name_is_empty() {
        for allow_admin in [false, true] {
            let empty = Class::of(iter::empty());
            assert_eq!(empty.place(allow_admin), Place::Refused(Refusal::Empty));
            assert_eq!(empty.refusal_on_lease(allow_admin), Some(Refusal::Empty));
        }
        assert_eq!(Class::of(iter::empty()).effect(), Effect::Nothing);
        // The server answers this one: it is an unknown command like any other.
        assert_eq!(place_of(""), Place::Shared);
        assert_eq!(Class::of(args("")).refusal_on_lease(false), None);
    }

    #[test]
    fn names_of_any_length_and_content_are_looked_up() {
        for byte in 0..=u8::MAX {
            let class = Class::of([&[byte][..]].into_iter());
            assert_eq!(class.place(false), Place::Shared);
        }
        for len in 1..100 {
            assert_eq!(place_of(&"M".repeat(len)), Place::Shared);
        }
        assert_eq!(
            Class::of([&b"client"[..], &[b'A'; 1 << 20][..]].into_iter()).place(false),
            Place::Refused(Refusal::Session)
        );
    }

    #[test]
    fn a_nul_ends_a_word_as_it_does_for_the_server() {
        assert_places("QUIT\0 x", Place::Refused(Refusal::Session));
        assert_places(
            "POST\0x,CLIENT REPLY\0 OFF",
            Place::Refused(Refusal::Replies),
        );
        assert_places(
            "XREAD BLOCK\0zzzzzzzzzzzzzzzzzzzzzzzzzz 0 STREAMS k $",
            Place::Leased(Block::Forever),
        );
        assert_places("XREAD STREAMS\0x BLOCK 0", Place::Shared);
    }
}
