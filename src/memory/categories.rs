//! The categories of commands, and the tips of COMMAND.

use super::signature::{Signature, flags};

/// In the order in which COMMAND shows them.
pub(super) const ORDER: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// Names by category, as far as flags do not tell it.
const NAMES: [(&str, &str); 15] = [
    (
        "keyspace",
        "copy dbsize del dump exists expire expireat expiretime flushall flushdb keys move \
         object|encoding object|freq object|help object|idletime object|refcount persist pexpire \
         pexpireat pexpiretime pttl randomkey rename renamenx restore scan swapdb touch ttl type \
         unlink",
    ),
    (
        "set",
        "sadd scard sdiff sdiffstore sinter sintercard sinterstore sismember smembers smismember \
         smove sort sort_ro spop srandmember srem sscan sunion sunionstore",
    ),
    (
        "sortedset",
        "bzmpop bzpopmax bzpopmin sort sort_ro zadd zcard zcount zdiff zdiffstore zincrby zinter \
         zintercard zinterstore zlexcount zmpop zmscore zpopmax zpopmin zrandmember zrange \
         zrangebylex zrangebyscore zrangestore zrank zrem zremrangebylex zremrangebyrank \
         zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion \
         zunionstore",
    ),
    (
        "list",
        "blmove blmpop blpop brpop brpoplpush lindex linsert llen lmove lmpop lpop lpos lpush \
         lpushx lrange lrem lset ltrim rpop rpoplpush rpush rpushx sort sort_ro",
    ),
    (
        "hash",
        "hdel hexists hexpire hexpireat hexpiretime hget hgetall hincrby hincrbyfloat hkeys hlen \
         hmget hmset hpersist hpexpire hpexpireat hpexpiretime hpttl hrandfield hscan hset \
         hsetnx hstrlen httl hvals",
    ),
    (
        "string",
        "append decr decrby get getdel getex getrange getset incr incrby incrbyfloat lcs mget \
         mset msetnx psetex set setex setnx setrange strlen substr",
    ),
    (
        "bitmap",
        "bitcount bitfield bitfield_ro bitop bitpos getbit setbit",
    ),
    ("hyperloglog", "pfadd pfcount pfmerge"),
    (
        "geo",
        "geoadd geodist geohash geopos georadius georadius_ro georadiusbymember \
         georadiusbymember_ro geosearch geosearchstore",
    ),
    (
        "stream",
        "xack xadd xautoclaim xclaim xdel xgroup|create xgroup|createconsumer xgroup|delconsumer \
         xgroup|destroy xgroup|help xgroup|setid xinfo|consumers xinfo|groups xinfo|help \
         xinfo|stream xlen xpending xrange xread xreadgroup xrevrange xsetid xtrim",
    ),
    (
        "connection",
        "asking auth client|caching client|getname client|getredir client|help client|id client|info client|kill \
         client|list client|no-evict client|no-touch client|pause client|reply client|setinfo \
         client|setname client|tracking client|trackinginfo client|unblock client|unpause \
         command command|count command|getkeys command|help command|info command|list echo hello \
         ping quit readonly readwrite reset select wait waitaof",
    ),
    ("transaction", "discard exec multi unwatch watch"),
    (
        "scripting",
        "eval eval_ro evalsha evalsha_ro fcall fcall_ro function|delete function|dump \
         function|flush function|help function|kill function|list function|load function|restore \
         function|stats script|debug script|exists script|flush script|help script|kill \
         script|load",
    ),
    ("admin", "lastsave role"),
    (
        "dangerous",
        "flushall flushdb info keys restore sort sort_ro swapdb",
    ),
];

/// Names by tip.
const TIPS: [(&str, &str); 12] = [
    (
        "nondeterministic_output",
        "client|info client|list cluster|getkeysinslot cluster|info cluster|links cluster|myshardid cluster|nodes \
         cluster|shards cluster|slots dump hrandfield hscan info lastsave latency|graph \
         latency|history latency|latest object|encoding object|freq \
         object|idletime object|refcount pttl randomkey scan slowlog|get slowlog|len spop \
         srandmember sscan time ttl xadd xautoclaim xclaim xinfo|consumers xpending xtrim \
         zrandmember zscan",
    ),
    (
        "nondeterministic_output_order",
        "command command|info command|list hgetall hkeys hvals keys module|list sdiff sinter smembers sunion",
    ),
    (
        "request_policy:all_nodes",
        "config|set latency|graph latency|history latency|latest latency|reset script|flush script|load \
         slowlog|get slowlog|len slowlog|reset",
    ),
    (
        "request_policy:all_shards",
        "dbsize flushall flushdb info keys memory|purge ping randomkey script|exists script|kill wait",
    ),
    (
        "request_policy:multi_shard",
        "del exists mget mset msetnx touch unlink",
    ),
    ("request_policy:special", "scan"),
    ("response_policy:agg_logical_and", "script|exists"),
    ("response_policy:agg_min", "msetnx wait"),
    (
        "response_policy:agg_sum",
        "dbsize del exists slowlog|len touch unlink",
    ),
    (
        "response_policy:all_succeeded",
        "config|set flushall flushdb latency|reset memory|purge mset ping script|flush script|load \
         slowlog|reset",
    ),
    ("response_policy:one_succeeded", "script|kill"),
    (
        "response_policy:special",
        "info latency|graph latency|history latency|latest",
    ),
];

fn is_among(names: &str, command: &Signature) -> bool {
    names
        .split_ascii_whitespace()
        .any(|name| name == command.name)
}

/// The categories of a command.
pub(super) fn of(command: &Signature) -> Vec<&'static str> {
    let is_named = |category: &str| {
        NAMES
            .iter()
            .any(|(name, names)| *name == category && is_among(names, command))
    };
    let is_admin = command.has(flags::ADMIN) || is_named("admin");
    let is_in = |category: &str| match category {
        "read" => command.has(flags::READONLY) && !is_named("scripting"),
        "write" => command.has(flags::WRITE),
        "pubsub" => command.has(flags::PUBSUB),
        "admin" => is_admin,
        "dangerous" => is_admin || is_named("dangerous"),
        "fast" => command.has(flags::FAST),
        "slow" => !command.has(flags::FAST),
        "blocking" => command.has(flags::BLOCKING),
        category => is_named(category),
    };
    ORDER
        .into_iter()
        .filter(|category| is_in(category))
        .collect()
}

/// The tips of a command for clients.
pub(super) fn tips(command: &Signature) -> impl Iterator<Item = &'static str> {
    TIPS.iter()
        .filter(|(_, names)| is_among(names, command))
        .map(|(tip, _)| *tip)
}
