//! Which commands may not run on a connection that callers share.
//!
//! Replies carry no name: the server answers in order, and a connection hands the next reply to the
//! next caller. A command that changes how a connection answers, or for whom, therefore hands one
//! caller's replies to another. After `CLIENT REPLY SKIP` everyone gets the reply of the one behind
//! them; after `MONITOR` they get other people's commands; after `MULTI`, `QUEUED`. So these
//! commands are refused before a byte is written, in pipelines and atomic pipelines too.

use std::fmt;

/// Why a command may not run on a shared connection.
///
/// `Display` says why, and what to do instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It changes the state of the connection, or ends it: `SELECT`, `AUTH`, `MULTI`, `CLIENT
    /// REPLY` …
    Session,
    /// It makes the connection wait, and everyone behind it: `BLPOP`, `XREAD BLOCK`, `WAIT` …
    Blocking,
    /// It turns the connection into a stream of messages: `SUBSCRIBE` …
    Subscription,
    /// It administers the server: `CONFIG`, `FLUSHALL`, `SHUTDOWN` …
    Administrative,
    /// It has no name. The server does not answer an empty command, so every later reply would go
    /// to the wrong caller.
    Empty,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => {
                "it changes the state of a connection that other callers share; use a connection of \
                 your own for it"
            }
            Self::Blocking => {
                "it would make every other caller of the connection wait; use a connection of your \
                 own for it"
            }
            Self::Subscription => {
                "it turns a connection that other callers share into a subscriber; use a connection \
                 of your own for it"
            }
            Self::Administrative => {
                "it administers the server; set allow_admin for this database to permit it"
            }
            Self::Empty => "it is empty, and the server would not answer it; give it a name",
        })
    }
}

/// The reason not to run a command on a shared connection; `None` if it may run. The name comes
/// first in `args`.
///
/// Runs for every command, so it allocates nothing and looks at each byte of the name once.
pub(crate) fn refuse_on_shared<'a>(
    mut args: impl Iterator<Item = &'a [u8]>,
    allow_admin: bool,
) -> Option<Refusal> {
    let Some(name) = args.next() else {
        return Some(Refusal::Empty);
    };
    let refusal = match rule(name)? {
        Rule::Always(refusal) => refusal,
        Rule::Client => client(args.next()?)?,
        Rule::Script => script(args.next()?)?,
        Rule::Function => function(args.next()?)?,
        Rule::Cluster => cluster(args.next()?)?,
        Rule::StreamRead => stream_read(args)?,
    };
    Some(refusal).filter(|refusal| *refusal != Refusal::Administrative || !allow_admin)
}

/// Whether a command runs a script or a function, which can have an effect and fail afterwards.
pub(crate) fn runs_script<'a>(mut args: impl Iterator<Item = &'a [u8]>) -> bool {
    let name = args.next().unwrap_or_default();
    matches!(
        Upper::of(name).as_bytes(),
        b"EVAL" | b"EVALSHA" | b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL" | b"FCALL_RO"
    )
}

/// The name of a command for an error message: its first word, in capitals and without what a
/// terminal would obey, because it is the caller's and may be anything.
pub(crate) fn display_name<'a>(mut args: impl Iterator<Item = &'a [u8]>) -> String {
    let name = args.next().unwrap_or_default();
    let name = &name[..name.len().min(Upper::LONGEST)];
    name.to_ascii_uppercase().escape_ascii().to_string()
}

/// What decides about a listed command.
#[derive(Clone, Copy)]
enum Rule {
    /// Its name alone.
    Always(Refusal),
    /// Its subcommand.
    Client,
    Script,
    Function,
    Cluster,
    /// Its options.
    StreamRead,
}

/// The rule for a command, if it is listed.
fn rule(name: &[u8]) -> Option<Rule> {
    use Refusal::{Administrative, Blocking, Session, Subscription};
    use Rule::Always;
    let rule = match Upper::of(name).as_bytes() {
        // Who the connection is, which protocol it speaks, and which database it uses: the
        // handshake's business. All of it would hold for every later caller.
        b"AUTH" | b"HELLO" | b"SELECT" | b"RESET" => Always(Session),
        // The connection ends, with everyone's requests on it. POST and HOST: are the server's trap
        // for web browsers (`securityWarningCommand` in Redis' server code), which hangs up as
        // well.
        b"QUIT" | b"POST" | b"HOST:" => Always(Session),
        // Other callers' commands would be queued into the transaction, or run inside the wrong
        // one, or undo its watches. An atomic pipeline brings its own MULTI and EXEC, in one piece
        // with what stands between.
        b"MULTI" | b"EXEC" | b"DISCARD" | b"WATCH" | b"UNWATCH" => Always(Session),
        // The connection stops answering requests and becomes a stream of what others do, or a
        // replica's link.
        b"MONITOR" | b"SYNC" | b"PSYNC" | b"REPLCONF" => Always(Session),
        // How a cluster node treats the next commands on this connection.
        b"ASKING" | b"READONLY" | b"READWRITE" => Always(Session),
        // Messages arrive between replies, there are as many confirmations as channels, and with
        // RESP2 most other commands fail. Leaving a channel answers in the same way.
        b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" | b"UNSUBSCRIBE" | b"PUNSUBSCRIBE"
        | b"SUNSUBSCRIBE" => Always(Subscription),
        // Nobody behind them gets a reply before they have theirs. (In a transaction they do not
        // block; but whether they stand in one should not decide whether a command is acceptable.)
        b"BLPOP" | b"BRPOP" | b"BLMOVE" | b"BRPOPLPUSH" | b"BLMPOP" | b"BZPOPMIN" | b"BZPOPMAX"
        | b"BZMPOP" | b"WAIT" | b"WAITAOF" => Always(Blocking),
        b"XREAD" | b"XREADGROUP" => Rule::StreamRead,
        // They stop, empty, stall or reconfigure the server for all its clients, those of other
        // applications included.
        b"ACL" | b"BGREWRITEAOF" | b"BGSAVE" | b"CONFIG" | b"DEBUG" | b"FAILOVER" | b"FLUSHALL"
        | b"FLUSHDB" | b"MODULE" | b"PFDEBUG" | b"PFSELFTEST" | b"REPLICAOF" | b"SAVE"
        | b"SHUTDOWN" | b"SLAVEOF" | b"SWAPDB" => Always(Administrative),
        // Families of which some members are harmless.
        b"CLIENT" => Rule::Client,
        b"CLUSTER" => Rule::Cluster,
        b"FUNCTION" => Rule::Function,
        b"SCRIPT" => Rule::Script,
        _ => return None,
    };
    Some(rule)
}

/// The subcommands that only ask, or speak of other connections. All others are refused, also those
/// that this list does not know: this is the family in which servers put new connection state
/// (`CAPA` and `IMPORT-SOURCE` are Valkey's).
fn client(subcommand: &[u8]) -> Option<Refusal> {
    match Upper::of(subcommand).as_bytes() {
        b"GETNAME" | b"GETREDIR" | b"HELP" | b"ID" | b"INFO" | b"LIST" | b"TRACKINGINFO"
        | b"UNBLOCK" => None,
        b"PAUSE" | b"UNPAUSE" | b"KILL" => Some(Refusal::Administrative),
        // REPLY, TRACKING, CACHING, NO-EVICT, NO-TOUCH, SETNAME, SETINFO …
        _ => Some(Refusal::Session),
    }
}

fn script(subcommand: &[u8]) -> Option<Refusal> {
    match Upper::of(subcommand).as_bytes() {
        // The connection would stop in the debugger at its next script.
        b"DEBUG" => Some(Refusal::Session),
        b"KILL" => Some(Refusal::Administrative),
        _ => None,
    }
}

fn function(subcommand: &[u8]) -> Option<Refusal> {
    match Upper::of(subcommand).as_bytes() {
        b"KILL" | b"FLUSH" => Some(Refusal::Administrative),
        _ => None,
    }
}

/// The subcommands that only ask. All others change the cluster (`FAILOVER`, `RESET`, `SETSLOT`,
/// `MEET` …).
fn cluster(subcommand: &[u8]) -> Option<Refusal> {
    match Upper::of(subcommand).as_bytes() {
        b"COUNT-FAILURE-REPORTS"
        | b"COUNTKEYSINSLOT"
        | b"GETKEYSINSLOT"
        | b"GETSLOTMIGRATIONS"
        | b"HELP"
        | b"INFO"
        | b"KEYSLOT"
        | b"LINKS"
        | b"MYID"
        | b"MYSHARDID"
        | b"NODES"
        | b"REPLICAS"
        | b"SHARDS"
        | b"SLAVES"
        | b"SLOT-STATS"
        | b"SLOTS" => None,
        _ => Some(Refusal::Administrative),
    }
}

/// `XREAD` and `XREADGROUP` wait if they have the option `BLOCK`. Options end at `STREAMS`, and are
/// read as the server reads them: a group may well be called BLOCK, or STREAMS.
fn stream_read<'a>(mut options: impl Iterator<Item = &'a [u8]>) -> Option<Refusal> {
    while let Some(option) = options.next() {
        match Upper::of(option).as_bytes() {
            b"BLOCK" => return Some(Refusal::Blocking),
            b"STREAMS" => return None,
            b"GROUP" => drop(options.nth(1)),
            b"COUNT" | b"CLAIM" => drop(options.next()),
            _ => {}
        }
    }
    None
}

/// A word in upper case, up to the first NUL: servers compare some names and all options as C
/// strings, so that to them `BLOCK\0x` is `BLOCK`.
pub(super) struct Upper {
    bytes: [u8; Self::LONGEST],
    len: usize,
}

impl Upper {
    /// `COUNT-FAILURE-REPORTS` is the longest word listed here.
    const LONGEST: usize = 21;

    /// The word; nothing if it is longer than any that is listed.
    pub(super) fn of(word: &[u8]) -> Self {
        let mut upper = Self {
            bytes: [0; Self::LONGEST],
            len: 0,
        };
        for byte in word.iter().take_while(|byte| **byte != 0) {
            if upper.len == Self::LONGEST {
                upper.len = 0;
                break;
            }
            upper.bytes[upper.len] = byte.to_ascii_uppercase();
            upper.len += 1;
        }
        upper
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(command: &str, allow_admin: bool) -> Option<Refusal> {
        refuse_on_shared(command.split(' ').map(str::as_bytes), allow_admin)
    }

    /// In lower, upper and mixed case, with and without permission to administer.
    fn assert_refusal(command: &str, expected: Option<Refusal>) {
        let mixed: String = command
            .char_indices()
            .map(|(at, c)| {
                if at % 2 == 0 {
                    c.to_ascii_lowercase()
                } else {
                    c
                }
            })
            .collect();
        for command in [command, &command.to_ascii_lowercase(), &mixed] {
            assert_eq!(refuse(command, false), expected, "{command:?}");
            let permitted = expected.filter(|refusal| *refusal != Refusal::Administrative);
            assert_eq!(refuse(command, true), permitted, "{command:?}, permitted");
        }
    }

    #[test]
    fn names_decide() {
        for (names, refusal) in [
            (
                "AUTH HELLO SELECT RESET QUIT POST HOST: MULTI EXEC DISCARD WATCH UNWATCH \
                 MONITOR SYNC PSYNC REPLCONF ASKING READONLY READWRITE",
                Refusal::Session,
            ),
            (
                "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE",
                Refusal::Subscription,
            ),
            (
                "BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF",
                Refusal::Blocking,
            ),
            (
                "ACL BGREWRITEAOF BGSAVE CONFIG DEBUG FAILOVER FLUSHALL FLUSHDB MODULE PFDEBUG \
                 PFSELFTEST REPLICAOF SAVE SHUTDOWN SLAVEOF SWAPDB",
                Refusal::Administrative,
            ),
        ] {
            for name in names.split_whitespace() {
                assert_refusal(name, Some(refusal));
                assert_refusal(&format!("{name} ARGUMENT"), Some(refusal));
                assert_refusal(&format!("{name}X"), None);
            }
        }
    }

    #[test]
    fn ordinary_commands_run() {
        for command in [
            "GET k",
            "SET k v",
            "PING",
            "EVAL s 0",
            "PUBLISH c m",
            "SPUBLISH c m",
            "LPOP k",
            "ZPOPMIN k",
            "INFO",
            "SORT k",
            "KEYS *",
            "PUBSUB CHANNELS",
            "SLOWLOG GET",
            "LATENCY LATEST",
            "MEMORY USAGE k",
            "COMMAND",
            "OBJECT FREQ k",
            "X",
            "é",
            "CLIENT|REPLY OFF",
            " MULTI",
        ] {
            assert_refusal(command, None);
        }
    }

    #[test]
    fn subcommands_decide_about_families() {
        use Refusal::{Administrative, Session};
        for (commands, expected) in [
            (
                "CLIENT REPLY SKIP,CLIENT TRACKING ON,CLIENT CACHING YES,CLIENT NO-EVICT ON,\
                 CLIENT NO-TOUCH ON",
                Some(Session),
            ),
            (
                "CLIENT SETNAME x,CLIENT SETINFO LIB-NAME x,CLIENT CAPA redirect,CLIENT NEW",
                Some(Session),
            ),
            (
                "CLIENT PAUSE 1,CLIENT UNPAUSE,CLIENT KILL ID 1",
                Some(Administrative),
            ),
            (
                "CLIENT,CLIENT ID,CLIENT INFO,CLIENT LIST,CLIENT GETNAME,CLIENT UNBLOCK 1",
                None,
            ),
            ("SCRIPT DEBUG YES", Some(Session)),
            (
                "SCRIPT KILL,FUNCTION KILL,FUNCTION FLUSH",
                Some(Administrative),
            ),
            (
                "SCRIPT,SCRIPT LOAD x,SCRIPT EXISTS x,SCRIPT FLUSH,FUNCTION,FUNCTION LOAD x",
                None,
            ),
            (
                "CLUSTER FAILOVER,CLUSTER RESET HARD,CLUSTER SETSLOT 1,CLUSTER SET-CONFIG-EPOCH 1",
                Some(Administrative),
            ),
            (
                "CLUSTER,CLUSTER SLOTS,CLUSTER SHARDS,CLUSTER COUNT-FAILURE-REPORTS x",
                None,
            ),
            (
                "CONFIG,CONFIG GET x,ACL WHOAMI,MODULE LIST,DEBUG SLEEP 1",
                Some(Administrative),
            ),
        ] {
            commands
                .split(',')
                .for_each(|command| assert_refusal(command, expected));
        }
    }

    #[test]
    fn reading_streams_is_refused_if_it_blocks() {
        for command in [
            "XREAD BLOCK 0 STREAMS k $",
            "XREAD COUNT 1 BLOCK 5 STREAMS k $",
            "XREADGROUP GROUP g c BLOCK 0 NOACK STREAMS k >",
            "XREADGROUP GROUP STREAMS c BLOCK 0 STREAMS k >",
            "XREADGROUP GROUP g STREAMS CLAIM 9 BLOCK 0 STREAMS k >",
        ] {
            assert_refusal(command, Some(Refusal::Blocking));
        }
        for command in [
            "XREAD",
            "XREAD COUNT 1",
            "XREAD STREAMS BLOCK 0",
            "XREAD COUNT 1 STREAMS k BLOCK 0 0",
            "XREADGROUP GROUP BLOCK BLOCK COUNT 1 STREAMS k >",
        ] {
            assert_refusal(command, None);
        }
    }

    #[test]
    fn only_a_command_without_a_name_is_empty() {
        assert_eq!(
            refuse_on_shared(std::iter::empty(), true),
            Some(Refusal::Empty)
        );
        // The server answers this one: it is an unknown command like any other.
        assert_refusal("", None);
    }

    #[test]
    fn names_of_any_length_and_content_are_looked_up() {
        for byte in 0..=u8::MAX {
            assert_eq!(refuse_on_shared([&[byte][..]].into_iter(), false), None);
        }
        for len in 1..100 {
            assert_eq!(refuse(&"M".repeat(len), false), None);
        }
        assert_eq!(
            refuse_on_shared([&b"client"[..], &[b'A'; 1 << 20][..]].into_iter(), false),
            Some(Refusal::Session)
        );
    }

    #[test]
    fn a_nul_ends_a_word_as_it_does_for_the_server() {
        for command in [
            "POST\0x",
            "QUIT\0 x",
            "XREAD BLOCK\0zzzzzzzzzzzzzzzzzzzzzzzzzz 0 STREAMS k $",
            "CLIENT REPLY\0 OFF",
        ] {
            assert!(refuse(command, false).is_some(), "{command:?}");
        }
        assert_eq!(refuse("XREAD STREAMS\0x BLOCK 0", false), None);
    }
}
