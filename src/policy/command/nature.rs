//! What each command does to its connection, by its name and, in families, its member.

use super::{Block, Upper};

/// What a command does to the connection that it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// It has no name, so the server does not answer it.
    Empty,
    /// It is answered, and leaves nothing behind.
    Plain,
    /// Nobody behind it gets a reply before it has one. (In a transaction it does not block.)
    Blocks(Block),
    /// Keys are watched after it.
    Watches,
    /// Commands are queued after it.
    Queues,
    /// Neither, if the server does what it says.
    EndsTransaction,
    /// It changes how the server treats the connection from now on, or ends it.
    Configures,
    /// Messages arrive between replies, there are as many confirmations as channels, and with RESP2
    /// most other commands fail. Leaving a channel answers in the same way.
    Subscribes,
    /// After it, requests are no longer answered one by one.
    TakesReplies,
    /// It stops, empties, stalls or reconfigures the server for all its clients, those of other
    /// applications included, or shows what only its administrators should see.
    Administers,
}

impl Nature {
    /// Whether it is a family, whose second word is part of the name.
    pub(super) fn has_members(name: &[u8]) -> bool {
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

    /// The name comes first in `args`.
    pub(super) fn of<'a>(mut args: impl Iterator<Item = &'a [u8]>) -> Self {
        let Some(name) = args.next() else {
            return Self::Empty;
        };
        match Upper::of(name).as_bytes() {
            // Who the connection is, which protocol it speaks, and which database it uses: the
            // handshake's business. All of it would hold for every later caller.
            b"AUTH" | b"HELLO" | b"SELECT" | b"RESET" => Self::Configures,
            // The connection ends, with everyone's requests on it.
            b"QUIT" => Self::Configures,
            // How a cluster node treats the next commands on this connection.
            b"ASKING" | b"READONLY" | b"READWRITE" => Self::Configures,
            // The fields of the hashes to come, by a name that this connection alone knows.
            b"HIMPORT" => Self::Configures,

            // Other callers' commands would be queued into the transaction, or run inside the wrong
            // one, or undo its watches. An atomic pipeline brings its own MULTI and EXEC, in one
            // piece with what stands between.
            b"WATCH" => Self::Watches,
            b"MULTI" => Self::Queues,
            b"EXEC" | b"DISCARD" | b"UNWATCH" => Self::EndsTransaction,

            b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" | b"UNSUBSCRIBE" | b"PUNSUBSCRIBE"
            | b"SUNSUBSCRIBE" => Self::Subscribes,

            // The connection becomes a stream of what others do, or a replica's link.
            b"MONITOR" | b"SYNC" | b"PSYNC" | b"REPLCONF" => Self::TakesReplies,
            // The server's trap for web browsers (`securityWarningCommand` in Redis' server code),
            // which hangs up.
            b"POST" | b"HOST:" => Self::TakesReplies,

            b"BLPOP" | b"BRPOP" | b"BLMOVE" | b"BRPOPLPUSH" | b"BZPOPMIN" | b"BZPOPMAX" => {
                Self::Blocks(Block::of_seconds(args.last()))
            }
            b"BLMPOP" | b"BZMPOP" => Self::Blocks(Block::of_seconds(args.next())),
            b"BLMOVEM" => Self::Blocks(Block::of_seconds(args.nth(4))),
            b"BZMOVE" => Self::Blocks(Block::of_seconds(args.nth(3))),
            b"WAIT" | b"WAITAOF" => Self::Blocks(Block::of_millis(args.last())),
            b"XREAD" | b"XREADGROUP" => {
                Block::of_stream_read(args).map_or(Self::Plain, Self::Blocks)
            }
            b"TS.READ" => Block::of_series_read(args).map_or(Self::Plain, Self::Blocks),

            b"BGREWRITEAOF" | b"BGSAVE" | b"DEBUG" | b"FAILOVER" | b"FLUSHALL" | b"FLUSHDB"
            | b"PFDEBUG" | b"PFSELFTEST" | b"REPLICAOF" | b"SAVE" | b"SHUTDOWN" | b"SLAVEOF"
            | b"SWAPDB" | b"TRIMSLOTS" => Self::Administers,
            // How the shards of the module for time series find each other and talk.
            b"TIMESERIES.CLUSTERSET"
            | b"TIMESERIES.CLUSTERSETFROMSHARD"
            | b"TIMESERIES.FORCESHARDSCONNECTION"
            | b"TIMESERIES.HELLO"
            | b"TIMESERIES.INFOCLUSTER"
            | b"TIMESERIES.INNERCOMMUNICATION"
            | b"TIMESERIES.NETWORKTEST"
            | b"TIMESERIES.REFRESHCLUSTER" => Self::Administers,

            // Families of which some members are harmless. Without a member the server complains.
            b"ACL" => args.next().map_or(Self::Plain, acl),
            b"CLIENT" => args.next().map_or(Self::Plain, client),
            b"CLUSTER" => args.next().map_or(Self::Plain, cluster),
            b"BACKUP" | b"CONFIG" | b"FT.CONFIG" => args.next().map_or(Self::Plain, configuration),
            // It stops the collection of garbage, and the expiry of documents.
            b"FT.DEBUG" | b"_FT.DEBUG" => args.next().map_or(Self::Plain, configuration),
            b"FUNCTION" => args.next().map_or(Self::Plain, function),
            b"HOTKEYS" => args.next().map_or(Self::Plain, hotkeys),
            b"COMMANDLOG" | b"LATENCY" | b"SLOWLOG" => args.next().map_or(Self::Plain, records),
            b"MODULE" => args.next().map_or(Self::Plain, module),
            b"SCRIPT" => args.next().map_or(Self::Plain, script),
            _ => Self::Plain,
        }
    }
}

/// The members that say who one is, what there is, or what a user could do. All others change users,
/// or show them and the hashes of their passwords.
fn acl(member: &[u8]) -> Nature {
    match Upper::of(member).as_bytes() {
        b"CAT" | b"DRYRUN" | b"GENPASS" | b"HELP" | b"WHOAMI" => Nature::Plain,
        _ => Nature::Administers,
    }
}

/// The members that only ask, or speak of other connections. All others count as changing this one,
/// also those that this list does not know: this is the family in which servers put new connection
/// state (`CAPA` and `IMPORT-SOURCE` are Valkey's).
fn client(member: &[u8]) -> Nature {
    match Upper::of(member).as_bytes() {
        b"GETNAME" | b"GETREDIR" | b"HELP" | b"ID" | b"INFO" | b"LIST" | b"TRACKINGINFO"
        | b"UNBLOCK" => Nature::Plain,
        b"PAUSE" | b"UNPAUSE" | b"KILL" => Nature::Administers,
        b"REPLY" => Nature::TakesReplies,
        // TRACKING, CACHING, NO-EVICT, NO-TOUCH, SETNAME, SETINFO …
        _ => Nature::Configures,
    }
}

/// The members that only ask. All others change the cluster (`FAILOVER`, `RESET`, `SETSLOT`, `MEET`
/// …).
fn cluster(member: &[u8]) -> Nature {
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
        | b"SLOTS" => Nature::Plain,
        // How one node streams slots to another.
        b"SYNCSLOTS" => Nature::TakesReplies,
        _ => Nature::Administers,
    }
}

/// Reading is no less than writing here: among the settings are passwords, and among what a debugger
/// shows are the values of others.
fn configuration(member: &[u8]) -> Nature {
    match Upper::of(member).as_bytes() {
        b"HELP" => Nature::Plain,
        _ => Nature::Administers,
    }
}

fn function(member: &[u8]) -> Nature {
    match Upper::of(member).as_bytes() {
        b"KILL" | b"FLUSH" => Nature::Administers,
        _ => Nature::Plain,
    }
}

/// While keys are counted, every command of every client costs more.
fn hotkeys(member: &[u8]) -> Nature {
    match Upper::of(member).as_bytes() {
        b"GET" | b"HELP" => Nature::Plain,
        _ => Nature::Administers,
    }
}

fn module(member: &[u8]) -> Nature {
    match Upper::of(member).as_bytes() {
        b"HELP" | b"LIST" => Nature::Plain,
        _ => Nature::Administers,
    }
}

/// What the server has noted of slow commands is there for whoever looks into its troubles. Anybody
/// may read it, but not take it away from the others, as `CONFIG RESETSTAT` would.
fn records(member: &[u8]) -> Nature {
    match Upper::of(member).as_bytes() {
        b"RESET" => Nature::Administers,
        _ => Nature::Plain,
    }
}

fn script(member: &[u8]) -> Nature {
    match Upper::of(member).as_bytes() {
        // The connection would stop in the debugger at its next script.
        b"DEBUG" => Nature::TakesReplies,
        b"KILL" => Nature::Administers,
        _ => Nature::Plain,
    }
}
