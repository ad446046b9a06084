//! The commands that affect their connection or the whole server, by their name and, in families, their
//! member.

use super::{Block, Class, Upper};

/// Whether the name is that of a family, in which the second word is part of the name.
pub(super) fn is_family(name: &[u8]) -> bool {
    matches!(
        Upper::of(name).as_bytes(),
        b"ACL"
            | b"BACKUP"
            | b"CLIENT"
            | b"CLUSTER"
            | b"COMMANDLOG"
            | b"CONFIG"
            | b"FT.CONFIG"
            | b"FT.DEBUG"
            | b"FUNCTION"
            | b"HOTKEYS"
            | b"LATENCY"
            | b"MODULE"
            | b"SCRIPT"
            | b"SLOWLOG"
            | b"_FT.DEBUG"
    )
}

/// The class of a command that is more than a read or a write; `None` for other commands. `args` are the
/// words after the name.
pub(super) fn special<'a>(name: &Upper, mut args: impl Iterator<Item = &'a [u8]>) -> Option<Class> {
    Some(match name.as_bytes() {
        // The user, protocol and database of the connection are set by the handshake. A change would
        // hold for every later caller.
        b"AUTH" | b"RESET" => Class::Configures,
        // Without a version it only asks.
        b"HELLO" => args.next().map_or(Class::Plain, |_| Class::Configures),
        b"SELECT" => Class::Selects(number(args.next())),
        // The connection ends, with the requests of all callers on it.
        b"QUIT" => Class::Configures,
        // A cluster node treats the next commands on this connection differently.
        b"ASKING" | b"READONLY" => Class::Configures,
        // Every connection begins like this.
        b"READWRITE" => Class::Plain,
        // It names the fields of later hashes, for this connection only.
        b"HIMPORT" => Class::Configures,

        // Commands of other callers would be queued into the transaction, run inside the wrong one, or
        // undo its watches. An atomic pipeline brings its own MULTI and EXEC in one contiguous write.
        b"WATCH" => Class::Watches,
        b"MULTI" => Class::Queues,
        b"EXEC" | b"DISCARD" => Class::EndsTransaction,
        b"UNWATCH" => Class::Unwatches,

        // Each channel has a confirmation of its own. Leaving all channels has one even if there is none.
        b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" | b"UNSUBSCRIBE" | b"PUNSUBSCRIBE"
        | b"SUNSUBSCRIBE" => Class::Subscribes {
            confirmations: args.count().max(1),
        },

        // The connection becomes a stream of other clients' commands, or a replica's link.
        b"MONITOR" | b"SYNC" | b"PSYNC" | b"REPLCONF" => Class::TakesReplies,
        // The server's trap for web browsers (`securityWarningCommand` in Redis' server code),
        // which hangs up.
        b"POST" | b"HOST:" => Class::TakesReplies,

        b"BLPOP" | b"BRPOP" | b"BLMOVE" | b"BRPOPLPUSH" | b"BZPOPMIN" | b"BZPOPMAX" => {
            Class::Blocks(Block::of_seconds(args.last()))
        }
        b"BLMPOP" | b"BZMPOP" => Class::Blocks(Block::of_seconds(args.next())),
        b"BLMOVEM" => Class::Blocks(Block::of_seconds(args.nth(4))),
        b"BZMOVE" => Class::Blocks(Block::of_seconds(args.nth(3))),
        b"WAIT" | b"WAITAOF" => Class::LooksBack(Block::of_millis(args.last())),
        b"XREAD" => Block::of_stream_read(args).map_or(Class::Reads, Class::BlocksReading),
        b"XREADGROUP" => Block::of_stream_read(args).map_or(Class::Plain, Class::Blocks),
        b"TS.READ" => Block::of_series_read(args).map_or(Class::Plain, Class::Blocks),

        b"BGREWRITEAOF" | b"BGSAVE" | b"DEBUG" | b"FAILOVER" | b"FLUSHALL" | b"FLUSHDB"
        | b"PFDEBUG" | b"PFSELFTEST" | b"REPLICAOF" | b"SAVE" | b"SHUTDOWN" | b"SLAVEOF"
        | b"SWAPDB" | b"TRIMSLOTS" => Class::Administers,
        // The shards of the module for time series find each other and talk by these.
        b"TIMESERIES.CLUSTERSET"
        | b"TIMESERIES.CLUSTERSETFROMSHARD"
        | b"TIMESERIES.FORCESHARDSCONNECTION"
        | b"TIMESERIES.HELLO"
        | b"TIMESERIES.INFOCLUSTER"
        | b"TIMESERIES.INNERCOMMUNICATION"
        | b"TIMESERIES.NETWORKTEST"
        | b"TIMESERIES.REFRESHCLUSTER" => Class::Administers,

        // Families of which some members are harmless. Without a member the server complains.
        b"ACL" => args.next().map_or(Class::Plain, acl),
        b"CLIENT" => match args.next() {
            Some(member) => client(member, args.next()),
            None => Class::Plain,
        },
        b"CLUSTER" => args.next().map_or(Class::Plain, cluster),
        b"BACKUP" | b"CONFIG" | b"FT.CONFIG" => args.next().map_or(Class::Plain, configuration),
        // It stops the collection of garbage, and the expiry of documents.
        b"FT.DEBUG" | b"_FT.DEBUG" => args.next().map_or(Class::Plain, configuration),
        b"FUNCTION" => args.next().map_or(Class::Plain, function),
        b"HOTKEYS" => args.next().map_or(Class::Plain, hotkeys),
        b"COMMANDLOG" | b"LATENCY" | b"SLOWLOG" => args.next().map_or(Class::Plain, diagnostic_log),
        b"MODULE" => args.next().map_or(Class::Plain, module),
        b"SCRIPT" => args.next().map_or(Class::Plain, script),
        b"MEMORY" => args.next().map_or(Class::Plain, memory),

        b"EVAL" | b"EVALSHA" | b"FCALL" => Class::RunsScript { only_reads: false },
        // The server keeps these from writing.
        b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL_RO" => Class::RunsScript { only_reads: true },
        _ => return None,
    })
}

fn number(argument: Option<&[u8]>) -> Option<i64> {
    std::str::from_utf8(argument?).ok()?.parse().ok()
}

/// The members that only show the caller's user, the categories, or the rights of a user are plain. All
/// others change users, or show them and the hashes of their passwords.
fn acl(member: &[u8]) -> Class {
    match Upper::of(member).as_bytes() {
        b"CAT" | b"DRYRUN" | b"GENPASS" | b"HELP" | b"WHOAMI" => Class::Plain,
        _ => Class::Administers,
    }
}

/// The members that only query, or that concern other connections. All other members count as changing this
/// connection, unknown ones included: servers add new connection state to this family (`CAPA` and
/// `IMPORT-SOURCE` are Valkey's).
fn client(member: &[u8], argument: Option<&[u8]>) -> Class {
    let is = |word: &[u8]| argument.is_some_and(|argument| Upper::of(argument).as_bytes() == word);
    match Upper::of(member).as_bytes() {
        b"GETNAME" | b"GETREDIR" | b"HELP" | b"ID" | b"INFO" | b"LIST" | b"TRACKINGINFO"
        | b"UNBLOCK" => Class::Plain,
        b"PAUSE" | b"UNPAUSE" | b"KILL" => Class::Administers,
        // Every connection begins with these settings.
        b"REPLY" if is(b"ON") => Class::Plain,
        b"NO-EVICT" | b"NO-TOUCH" | b"TRACKING" if is(b"OFF") => Class::Plain,
        b"REPLY" => Class::TakesReplies,
        // TRACKING, CACHING, NO-EVICT, NO-TOUCH, SETNAME, SETINFO …
        _ => Class::Configures,
    }
}

/// The members that only query are plain. All others change the cluster (`FAILOVER`, `RESET`, `SETSLOT`,
/// `MEET` …).
fn cluster(member: &[u8]) -> Class {
    match Upper::of(member).as_bytes() {
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
        | b"SLOTS" => Class::Plain,
        // One node streams slots to another by it.
        b"SYNCSLOTS" => Class::TakesReplies,
        _ => Class::Administers,
    }
}

/// Reading needs the same permission as writing here: settings include passwords, and a debugger shows the
/// values of other applications.
fn configuration(member: &[u8]) -> Class {
    match Upper::of(member).as_bytes() {
        b"HELP" => Class::Plain,
        _ => Class::Administers,
    }
}

fn function(member: &[u8]) -> Class {
    match Upper::of(member).as_bytes() {
        b"KILL" | b"FLUSH" => Class::Administers,
        _ => Class::Plain,
    }
}

/// Counting keys makes every command of every client cost more.
fn hotkeys(member: &[u8]) -> Class {
    match Upper::of(member).as_bytes() {
        b"GET" | b"HELP" => Class::Plain,
        _ => Class::Administers,
    }
}

fn module(member: &[u8]) -> Class {
    match Upper::of(member).as_bytes() {
        b"HELP" | b"LIST" => Class::Plain,
        _ => Class::Administers,
    }
}

/// The logs of slow commands serve all clients that diagnose the server. Reading them is plain; a reset
/// would take them from the other clients, like `CONFIG RESETSTAT`.
fn diagnostic_log(member: &[u8]) -> Class {
    match Upper::of(member).as_bytes() {
        b"RESET" => Class::Administers,
        _ => Class::Plain,
    }
}

fn script(member: &[u8]) -> Class {
    match Upper::of(member).as_bytes() {
        // The connection would stop in the debugger at its next script.
        b"DEBUG" => Class::TakesReplies,
        b"KILL" => Class::Administers,
        _ => Class::Plain,
    }
}

fn memory(member: &[u8]) -> Class {
    match Upper::of(member).as_bytes() {
        b"USAGE" => Class::Reads,
        _ => Class::Plain,
    }
}
