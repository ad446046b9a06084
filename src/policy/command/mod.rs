//! The place of every command: on a shared connection, on an exclusive one, or nowhere.
//!
//! Replies carry no identifier: the server answers in order, and a connection hands the next reply to the
//! next caller. A command that changes the session of a shared connection therefore changes the replies of
//! all callers. After `SELECT` all callers read another database; after `MULTI` they get `QUEUED`; after
//! `CLIENT REPLY SKIP` each gets the reply of the caller behind it. So these commands are refused before a
//! byte is written, in pipelines and atomic pipelines too.
//!
//! A command that only states how every shared connection is anyway changes nothing, and runs: `UNWATCH`,
//! `READWRITE`, `CLIENT NO-EVICT OFF`, `SELECT` of the database that is selected. Pools of other crates send
//! some of these whenever they lend a connection. A name (`CLIENT SETNAME`) or a login (`AUTH`) would hold for
//! all callers, until the connection is replaced, so these are refused even if they changed nothing.
//!
//! On an exclusive connection most of them do no harm, but some have effects that outlast the lease, and
//! some leave even such a connection without replies.

mod block;
mod class;
mod key_patterns;
mod keys;
mod parse;
mod reads;
mod refusal;
mod special;
mod upper;
mod writes;

#[cfg(test)]
pub(crate) mod described_tests;
#[cfg(test)]
mod keys_tests;
#[cfg(test)]
mod reviewed_tests;
#[cfg(test)]
mod table_tests;

pub(crate) use block::Block;
pub(crate) use class::Class;
pub(crate) use key_patterns::KeyRange;
pub(crate) use keys::keys;
pub use refusal::{KeySlot, Refusal};
pub(crate) use upper::Upper;

/// The place where a plain handle runs a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On a shared connection.
    Shared,
    /// On a shared connection if the database of this number is selected there; otherwise nowhere, because
    /// it would change the connection.
    SharedOn(i64),
    /// On an exclusive connection, because it may delay the commands behind it for so long.
    Leased(Block),
    /// Nowhere, for this reason.
    Refused(Refusal),
}

/// The effect that a command leaves behind on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// None that the next user of the connection would notice.
    Nothing,
    /// Keys are watched until the transaction ends.
    Watches,
    /// Commands are queued until the transaction ends.
    Queues,
    /// No keys are watched any more, and no commands are queued.
    EndsTransaction,
    /// A change that only `RESET` or the end of the connection undoes.
    Lasting,
}

impl Effect {
    /// The effect of two commands in any order. If one begins and the other ends a transaction, a
    /// transaction may be open afterwards, as after `MULTI`.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, effect) | (effect, Self::Nothing) => effect,
            (Self::Lasting, _) | (_, Self::Lasting) => Self::Lasting,
            (effect, other) if effect == other => effect,
            _ => Self::Queues,
        }
    }
}

/// The name of a command for an error message, in capitals: its first word, and in a family also the member.
/// It is escaped, because the words are the caller's and may hold terminal escapes.
pub(crate) fn display_name<'a>(mut args: impl Iterator<Item = &'a [u8]>) -> String {
    let show = |word: &[u8]| {
        let word = &word[..word.len().min(Upper::LONGEST)];
        word.to_ascii_uppercase().escape_ascii().to_string()
    };
    let Some(name) = args.next() else {
        return "an empty command".to_owned();
    };
    let member = if special::is_family(name) {
        args.next()
    } else {
        None
    };
    match member {
        Some(member) => format!("{} {}", show(name), show(member)),
        None => show(name),
    }
}

/// Whether this is the name of a reviewed command, as servers show it: `get`, or `client|setname`.
pub(crate) fn is_known_name(word: &str) -> bool {
    let (name, member) = match word.split_once('|') {
        Some((name, member)) => (name, Some(member)),
        None => (word, None),
    };
    let is_member = |member: &str| {
        let is_of_name = |byte: u8| byte.is_ascii_alphabetic() || byte == b'-';
        special::is_family(name.as_bytes()) && member.bytes().all(is_of_name)
    };
    // A NUL would end the name before the end of the word.
    let is_name =
        !name.contains('\0') && Class::of([name.as_bytes()].into_iter()) != Class::Unknown;
    is_name && member.is_none_or(is_member)
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
    fn unlisted_commands_run_on_a_shared_connection() {
        assert_places(
            "X,é,CLIENT|REPLY OFF, MULTI,MULTIX,GETX k,CONFIGS SET,VERY.LONG.NAMES.OF.MODULES x,",
            Place::Shared,
        );
    }

    #[test]
    fn commands_that_state_how_every_connection_is_change_nothing() {
        assert_places(
            "UNWATCH,READWRITE,HELLO,CLIENT NO-EVICT OFF,client no-touch off,CLIENT TRACKING OFF,\
             CLIENT REPLY ON",
            Place::Shared,
        );
        for command in [
            "READWRITE",
            "HELLO",
            "CLIENT NO-EVICT OFF",
            "CLIENT REPLY ON",
        ] {
            let class = Class::of(args(command));
            assert_eq!(class.effect(), Effect::Nothing, "{command}");
            assert_eq!(class.refusal_on_lease(false), None, "{command}");
        }
        assert_places(
            "READONLY,HELLO 2,HELLO 3,CLIENT NO-EVICT ON,CLIENT NO-TOUCH ON,CLIENT TRACKING ON,AUTH p,\
             CLIENT SETNAME n,CLIENT SETINFO LIB-NAME n,CLIENT NO-EVICT",
            Place::Refused(Refusal::Session),
        );
        assert_places(
            "CLIENT REPLY OFF,CLIENT REPLY SKIP",
            Place::Refused(Refusal::Replies),
        );
    }

    #[test]
    fn a_select_is_shared_with_those_on_the_same_database() {
        assert_places("SELECT 0,select 0", Place::SharedOn(0));
        assert_places("SELECT 15", Place::SharedOn(15));
        assert_places("SELECT,SELECT x,SELECT ", Place::Refused(Refusal::Session));
        assert_eq!(Class::of(args("SELECT 0")).effect(), Effect::Lasting);
    }

    #[test]
    fn a_family_without_a_member_is_left_to_the_server() {
        assert_places(
            "CLIENT,SCRIPT,FUNCTION,CLUSTER,CONFIG,ACL,MODULE,SLOWLOG,LATENCY",
            Place::Shared,
        );
    }

    #[test]
    fn unknown_members_count_as_the_most_dangerous_members_of_their_family() {
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
    fn blocking_reads_of_streams_need_an_exclusive_connection() {
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
        // An empty name is an unknown command, which the server answers.
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
