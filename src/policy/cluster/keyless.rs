//! Where the commands without keys go.

use std::fmt;

use crate::policy::{command::Upper, slots::Slot};

/// Where a command without keys goes.
///
/// Servers advise clients by tips (`request_policy` and `response_policy` in the answer to `COMMAND`), and this follows them.
/// Where they say `all_nodes`, the primaries are asked: functions reach the replicas by replication, scripts are a cache
/// that may be lost at any time, and logs of replicas are not about calls of this client. Settings and users are on no
/// replica unless they are set there. Set at the primaries alone, they would be gone after the next failover, so those
/// commands are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyless {
    /// To any primary.
    Any,
    /// To each primary, and the replies become one.
    EachPrimary(Merge),
    /// To the node of a slot that the command names.
    Slot(Slot),
    Refused(Unroutable),
}

/// How the replies of all primaries become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// The numbers are added up.
    Sum,
    /// The least number; of lists of numbers, the least at each place.
    Min,
    /// The first reply, if none is an error; otherwise the first error.
    AllSucceeded,
    /// The first reply that is no error; otherwise the first error.
    OneSucceeded,
    /// Of lists of zeros and ones, a one at each place where all have one.
    And,
    /// One list of all elements.
    Joined,
}

/// The reason why a cluster does not run a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unroutable {
    /// Its cursor is one of a single node.
    Cursor,
    /// It reads or changes a single node, and no rule says which.
    OneNode,
    /// It reads or changes the state of a single connection.
    OneConnection,
    /// In a transaction it would run on one node, and it concerns all.
    EachNode,
}

impl fmt::Display for Unroutable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cursor => "its cursor would be one of a single node of the cluster",
            Self::OneNode => {
                "it concerns a single node of the cluster; send it to that node by a database of its own"
            }
            Self::OneConnection => "it concerns a single connection to a node of the cluster",
            Self::EachNode => {
                "it concerns all nodes of the cluster, and an atomic pipeline runs on one; send it alone"
            }
        })
    }
}

/// Where a command goes by its words, which hold no key. Commands on no list go to any primary: if they have keys after all,
/// the server tells where they belong.
pub(super) fn keyless<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Keyless {
    let Some(name) = words.next() else {
        return Keyless::Any;
    };
    let name = Upper::of(name);
    let member = Upper::of(words.next().unwrap_or_default());
    match (name.as_bytes(), member.as_bytes()) {
        (b"DBSIZE", _) => Keyless::EachPrimary(Merge::Sum),
        (b"FLUSHALL" | b"FLUSHDB", _) => Keyless::EachPrimary(Merge::AllSucceeded),
        (b"KEYS", _) => Keyless::EachPrimary(Merge::Joined),
        (b"WAIT" | b"WAITAOF", _) => Keyless::EachPrimary(Merge::Min),
        (b"SCAN", _) | (b"BLESS", b"SCAN") | (b"FT.CURSOR", _) => {
            Keyless::Refused(Unroutable::Cursor)
        }

        (_, b"HELP") => Keyless::Any,
        (b"ACL", member) => acl(member),
        (b"CLIENT", member) => client(member),
        (b"CLUSTER", member) => cluster(member, words.next()),
        (b"COMMANDLOG" | b"SLOWLOG", member) => log(member),
        (b"FUNCTION", member) => function(member),
        (b"SCRIPT", member) => script(member),
        (b"LATENCY", b"RESET") => Keyless::EachPrimary(Merge::Sum),
        (b"MEMORY", b"PURGE") => Keyless::EachPrimary(Merge::AllSucceeded),
        (b"MODULE", b"LIST") => Keyless::Any,

        // Without a member the server complains.
        (_, b"") if is_of_one_node(name.as_bytes()) == Some(Family::Yes) => Keyless::Any,
        (name, _) if is_of_one_node(name).is_some() => Keyless::Refused(Unroutable::OneNode),
        (name, _) if is_of_one_connection(name) => Keyless::Refused(Unroutable::OneConnection),
        _ => Keyless::Any,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Yes,
    No,
}

/// The commands that concern a single node, and whether they are families. Subscribers of other nodes are not counted by
/// `PUBSUB`, and no rule puts reports such as `MEMORY STATS` together.
fn is_of_one_node(name: &[u8]) -> Option<Family> {
    if name.starts_with(b"TIMESERIES.") {
        return Some(Family::No);
    }
    Some(match name {
        b"BACKUP" | b"CONFIG" | b"DEBUG" | b"FT.CONFIG" | b"FT.DEBUG" | b"HOTKEYS" | b"LATENCY"
        | b"MEMORY" | b"MODULE" | b"PUBSUB" | b"_FT.DEBUG" => Family::Yes,
        b"BGREWRITEAOF" | b"BGSAVE" | b"FAILOVER" | b"LASTSAVE" | b"PFSELFTEST" | b"REPLICAOF"
        | b"ROLE" | b"SAVE" | b"SHUTDOWN" | b"SLAVEOF" | b"SWAPDB" | b"TRIMSLOTS" => Family::No,
        _ => return None,
    })
}

/// What only states how every connection is anyway goes to any.
fn is_of_one_connection(name: &[u8]) -> bool {
    matches!(
        name,
        b"ASKING"
            | b"AUTH"
            | b"DISCARD"
            | b"EXEC"
            | b"HIMPORT"
            | b"HOST:"
            | b"MONITOR"
            | b"MULTI"
            | b"POST"
            | b"PSYNC"
            | b"QUIT"
            | b"READONLY"
            | b"REPLCONF"
            | b"RESET"
            | b"SYNC"
    )
}

/// Users are not replicated.
fn acl(member: &[u8]) -> Keyless {
    match member {
        b"" | b"CAT" | b"DRYRUN" | b"GENPASS" | b"WHOAMI" => Keyless::Any,
        _ => Keyless::Refused(Unroutable::OneNode),
    }
}

/// Questions about the own connection are answered by any, as by the pool of one server. Clients have their numbers, and
/// are listed, per node.
fn client(member: &[u8]) -> Keyless {
    match member {
        b"KILL" | b"LIST" | b"PAUSE" | b"UNBLOCK" | b"UNPAUSE" => {
            Keyless::Refused(Unroutable::OneNode)
        }
        _ => Keyless::Any,
    }
}

/// All nodes know the cluster. The keys of a slot are known to its node alone.
fn cluster(member: &[u8], argument: Option<&[u8]>) -> Keyless {
    match member {
        b""
        | b"COUNT-FAILURE-REPORTS"
        | b"INFO"
        | b"KEYSLOT"
        | b"LINKS"
        | b"MYID"
        | b"MYSHARDID"
        | b"NODES"
        | b"REPLICAS"
        | b"SHARDS"
        | b"SLAVES"
        | b"SLOTS" => Keyless::Any,
        b"COUNTKEYSINSLOT" | b"GETKEYSINSLOT" => {
            let number = argument.and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
            number
                .and_then(Slot::new)
                .map_or(Keyless::Any, Keyless::Slot)
        }
        _ => Keyless::Refused(Unroutable::OneNode),
    }
}

fn log(member: &[u8]) -> Keyless {
    match member {
        b"GET" => Keyless::EachPrimary(Merge::Joined),
        b"LEN" => Keyless::EachPrimary(Merge::Sum),
        b"RESET" => Keyless::EachPrimary(Merge::AllSucceeded),
        _ => Keyless::Any,
    }
}

/// Each primary has the same functions.
fn function(member: &[u8]) -> Keyless {
    match member {
        b"DELETE" | b"FLUSH" | b"LOAD" | b"RESTORE" => Keyless::EachPrimary(Merge::AllSucceeded),
        b"KILL" => Keyless::EachPrimary(Merge::OneSucceeded),
        b"STATS" => Keyless::Refused(Unroutable::OneNode),
        _ => Keyless::Any,
    }
}

fn script(member: &[u8]) -> Keyless {
    match member {
        b"EXISTS" => Keyless::EachPrimary(Merge::And),
        b"FLUSH" | b"LOAD" => Keyless::EachPrimary(Merge::AllSucceeded),
        b"KILL" => Keyless::EachPrimary(Merge::OneSucceeded),
        b"DEBUG" => Keyless::Refused(Unroutable::OneConnection),
        _ => Keyless::Any,
    }
}
