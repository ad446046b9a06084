//! Every command of the servers, reviewed: the commands that redis-server 7.0 lists, and later ones up to
//! Redis 8.12 and Valkey 9.1, with the modules of Redis 8 and of Redis Stack 7.4. `STRALGO` was removed in
//! 7.0.
//!
//! A name is in one list. A member of a family is written as by the server, `family|member`.

use std::collections::BTreeMap;

/// The expected class of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It only reads, and may run twice.
    Reads,
    /// It writes.
    Writes,
    /// It runs on a shared connection. The effect of a second run is not reviewed.
    Other,
    /// It may delay the commands behind it.
    Blocks,
    /// It blocks, and only reads.
    BlocksReading,
    Watches,
    Queues,
    EndsTransaction,
    /// It forgets the watched keys, of which a shared connection has none.
    Unwatches,
    /// It changes the session of the connection.
    Session,
    /// It makes the connection a subscriber, or ends that.
    Subscription,
    /// After it, requests no longer have one reply each.
    Stream,
    /// It needs permission.
    Administrative,
}

pub(super) const REVIEWED: &[(Class, &str)] = &[
    (Class::Reads, READS),
    (Class::Reads, LATER_READS),
    (Class::Reads, READS_OF_MODULES),
    (Class::Reads, LOOKS_AT_THE_SERVER),
    (Class::Writes, WRITES),
    (Class::Writes, LATER_WRITES),
    (Class::Writes, WRITES_OF_MODULES),
    (Class::Other, OTHERS),
    (Class::Other, LATER_OTHERS),
    (Class::Other, OTHERS_OF_MODULES),
    (Class::Watches, "watch"),
    (Class::Queues, "multi"),
    (Class::EndsTransaction, "discard exec"),
    (Class::Unwatches, "unwatch"),
    (Class::Session, SESSION),
    (Class::Session, LATER_SESSION),
    (
        Class::Subscription,
        "psubscribe punsubscribe ssubscribe subscribe sunsubscribe unsubscribe",
    ),
    (Class::Stream, STREAM),
    (Class::Administrative, ADMINISTRATIVE),
    (Class::Administrative, LATER_ADMINISTRATIVE),
    (Class::Administrative, ADMINISTRATIVE_OF_MODULES),
];

/// A command that changes the session only with an argument.
const SESSION_BY_ARGUMENT: &str = "hello 3";

/// Blocking commands, with the arguments that make them block.
const BLOCKING: &[&str] = &[
    "blmove a b left left 0",
    "blmovem a b left left 0 count 2 bulk",
    "blmpop 0 1 k left",
    "blpop k 0",
    "brpop k 0",
    "brpoplpush a b 0",
    "bzmove a b min 0 count 2",
    "bzmpop 0 1 k min",
    "bzpopmax k 0",
    "bzpopmin k 0",
    "ts.read k - block 0 1",
    "wait 1 0",
    "waitaof 1 0 0",
    "xreadgroup group g c block 0 streams k >",
];

/// They block and write nothing.
const BLOCKING_READS: &[&str] = &["xread block 0 streams k $"];

/// Every reviewed command by its name, with its class and its words.
pub(super) fn reviewed() -> BTreeMap<&'static str, (Class, Vec<&'static str>)> {
    let listed = REVIEWED
        .iter()
        .flat_map(|(class, names)| names.split_whitespace().map(move |name| (*class, name)))
        .map(|(class, name)| (name, (class, name.split('|').collect())));
    let with_arguments = |class, command: &'static str| {
        let words: Vec<_> = command.split(' ').collect();
        (words[0], (class, words))
    };
    let blocking = BLOCKING
        .iter()
        .map(|command| with_arguments(Class::Blocks, command));
    let reading = BLOCKING_READS
        .iter()
        .map(|command| with_arguments(Class::BlocksReading, command));
    let session = with_arguments(Class::Session, SESSION_BY_ARGUMENT);
    let more = blocking.chain(reading).chain([session]);
    let mut table = BTreeMap::new();
    for (name, row) in listed.chain(more) {
        assert!(table.insert(name, row).is_none(), "{name} is listed twice");
    }
    table
}

/// The server flags them `readonly`.
const READS: &str = "bitcount bitfield_ro bitpos dbsize dump eval_ro evalsha_ro exists expiretime \
    fcall_ro geodist geohash geopos georadius_ro georadiusbymember_ro geosearch get getbit getrange \
    hexists hget hgetall hkeys hlen hmget hrandfield hscan hstrlen hvals keys lcs lindex llen \
    lolwut lpos lrange memory|usage mget object|encoding object|freq object|idletime \
    object|refcount pexpiretime pfcount pttl randomkey scan scard sdiff sinter sintercard sismember \
    smembers smismember sort_ro srandmember sscan stralgo strlen substr sunion touch ttl type \
    xinfo|consumers xinfo|groups xinfo|stream xlen xpending xrange xrevrange zcard zcount zdiff \
    zinter zintercard zlexcount zmscore zrandmember zrange zrangebylex zrangebyscore zrank \
    zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion";

/// Fields that expire are of 7.4, vector sets of 8.0, the digest of 8.4, arrays of 8.8, the
/// cardinalities of 8.10, members that expire of 8.12, and the scan of a cluster is Valkey's.
const LATER_READS: &str = "arcount arget argetrange argrep arinfo arlastitems arlen armget arnext \
    arop arscan bitrangeintarray clusterscan digest hexpiretime hpexpiretime hpttl httl sdiffcard \
    sexpiretime spexpiretime spttl sttl sunioncard vcard vdim vemb vgetattr vinfo vismember vlinks \
    vrandmember vrange vsim";

const READS_OF_MODULES: &str = "bf.card bf.exists bf.info bf.mexists cf.count cf.exists cf.info \
    cf.mexists cms.info cms.query ft._list ft.dictdump ft.explain ft.explaincli ft.get ft.info \
    ft.mget ft.search ft.spellcheck ft.sugget ft.suglen ft.syndump ft.tagvals json.arrindex \
    json.arrlen json.get json.mget json.objkeys json.objlen json.resp json.strlen json.type \
    tdigest.byrank tdigest.byrevrank tdigest.cdf tdigest.info tdigest.max tdigest.min \
    tdigest.quantile tdigest.rank tdigest.revrank tdigest.trimmed_mean topk.count topk.info \
    topk.list topk.query ts.get ts.info ts.mget ts.mrange ts.mrevrange ts.nrange ts.nrevrange \
    ts.queryindex ts.querylabels ts.range ts.revrange";

/// They have no flag, because they look at no key's value.
pub(super) const LOOKS_AT_THE_SERVER: &str = "command command|count command|docs command|getkeys \
    command|getkeysandflags command|help command|info command|list echo info lastsave object \
    object|help ping pubsub pubsub|channels pubsub|help pubsub|numpat pubsub|numsub \
    pubsub|shardchannels pubsub|shardnumsub role time xinfo xinfo|help";

/// The server flags them `write`.
const WRITES: &str = "append bitfield bitop copy decr decrby del expire expireat function|delete \
    function|load function|restore geoadd georadius georadiusbymember geosearchstore getdel getex \
    getset hdel hincrby hincrbyfloat hmset hset hsetnx incr incrby incrbyfloat linsert lmove lmpop \
    lpop lpush lpushx lrem lset ltrim migrate move mset msetnx persist pexpire pexpireat pfadd pfmerge \
    psetex rename renamenx restore restore-asking rpop rpoplpush rpush rpushx sadd sdiffstore set \
    setbit setex setnx setrange sinterstore smove sort spop srem sunionstore unlink xack xadd \
    xautoclaim xclaim xdel xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy \
    xgroup|setid xsetid xtrim zadd zdiffstore zincrby zinterstore zmpop zpopmax zpopmin zrangestore \
    zrem zremrangebylex zremrangebyrank zremrangebyscore zunionstore";

const LATER_WRITES: &str = "ardel ardelrange arinsert armset arring arseek arset bless|clear \
    bless|set delex delifeq hexpire hexpireat hgetdel hgetex hpersist hpexpire hpexpireat hsetex \
    increx lmovem msetex saddex sexpire sexpireat spersist spexpire spexpireat vadd vrem vsetattr \
    xackdel xcfgset xdelex xidmprecord xnack zmove zmovemember";

const WRITES_OF_MODULES: &str = "bf.add bf.insert bf.loadchunk bf.madd bf.reserve cf.add cf.addnx \
    cf.del cf.insert cf.insertnx cf.loadchunk cf.reserve cms.incrby cms.initbydim cms.initbyprob \
    cms.merge ft._aliasaddifnx ft._aliasdelifx ft._alterifnx ft._createifnx ft._dropifx \
    ft._dropindexifx ft.add ft.aliasadd ft.aliasdel ft.aliasupdate ft.alter ft.create ft.del \
    ft.dictadd ft.dictdel ft.drop ft.dropindex ft.safeadd ft.sugadd ft.sugdel ft.synadd \
    ft.synupdate json.arrappend json.arrinsert json.arrpop json.arrtrim json.clear json.del \
    json.forget json.merge json.mset json.numincrby json.nummultby json.numpowby json.set \
    json.strappend json.toggle tdigest.add tdigest.create tdigest.merge tdigest.reset topk.add \
    topk.incrby topk.reserve ts.add ts.alter ts.create ts.createrule ts.decrby ts.del ts.deleterule \
    ts.incrby ts.madd";

/// Families without a member, scripts, messages, and queries whose retry does not matter.
const OTHERS: &str = "readwrite acl acl|cat acl|dryrun acl|genpass acl|help acl|whoami client client|getname \
    client|getredir client|help client|id client|info client|list client|trackinginfo client|unblock \
    cluster cluster|count-failure-reports cluster|countkeysinslot cluster|getkeysinslot cluster|help \
    cluster|info cluster|keyslot cluster|links cluster|myid cluster|nodes cluster|replicas \
    cluster|shards cluster|slaves cluster|slots config config|help eval evalsha fcall function \
    function|dump function|help function|list function|stats latency latency|doctor latency|graph \
    latency|help latency|histogram latency|history latency|latest memory memory|doctor memory|help \
    memory|malloc-stats memory|purge memory|stats module module|help module|list publish script \
    script|exists script|flush script|help script|load slowlog slowlog|get slowlog|help slowlog|len \
    spublish xgroup xgroup|help";

const LATER_OTHERS: &str = "backup backup|help bless bless|get bless|help bless|scan \
    cluster|getslotmigrations cluster|myshardid cluster|slot-stats commandlog commandlog|get \
    commandlog|help commandlog|len hotkeys hotkeys|get hotkeys|help script|show";

/// Commands of searches may leave a cursor behind, or move one. Commands that dump or inspect a filter are
/// for its maintainers.
const OTHERS_OF_MODULES: &str = "_ft.debug _ft.debug|help bf.debug bf.scandump cf.compact cf.debug \
    cf.scandump ft.aggregate ft.aliaslist ft.config ft.config|help ft.cursor ft.cursor|del \
    ft.cursor|read ft.debug ft.debug|help ft.hybrid ft.profile json.debug json.debug|help \
    json.debug|memory";

const SESSION: &str = "asking auth client|caching client|no-evict client|setname client|tracking \
    quit readonly reset select";

const LATER_SESSION: &str = "client|capa client|import-source client|no-touch client|setinfo himport \
    himport|discard himport|discardall himport|prepare himport|set";

/// `HOST:` and `POST`, which begin lines of HTTP requests, are on no server's list.
const STREAM: &str = "client|reply cluster|syncslots host: monitor post psync replconf script|debug \
    sync";

const ADMINISTRATIVE: &str = "acl|deluser acl|getuser acl|list acl|load acl|log acl|save acl|setuser \
    acl|users bgrewriteaof bgsave client|kill client|pause client|unpause cluster|addslots \
    cluster|addslotsrange cluster|bumpepoch cluster|delslots cluster|delslotsrange cluster|failover \
    cluster|flushslots cluster|forget cluster|meet cluster|replicate cluster|reset cluster|saveconfig \
    cluster|set-config-epoch cluster|setslot config|get config|resetstat config|rewrite config|set \
    debug failover flushall flushdb function|flush function|kill latency|reset module|load \
    module|loadex module|unload pfdebug pfselftest replicaof save script|kill shutdown slaveof \
    slowlog|reset swapdb";

const LATER_ADMINISTRATIVE: &str = "backup|abort backup|cleanup backup|list backup|seal \
    backup|start backup|status cluster|cancelslotmigrations cluster|flushslot cluster|migrateslots \
    cluster|migration commandlog|reset hotkeys|reset hotkeys|start hotkeys|stop trimslots";

/// Debuggers, and commands by which the shards of a module find each other.
const ADMINISTRATIVE_OF_MODULES: &str = "_ft.debug|gc_stop_schedule ft.config|get ft.config|set \
    ft.debug|delete_local_cursors ft.debug|docidtoid ft.debug|docinfo ft.debug|dump_geomidx \
    ft.debug|dump_hnsw ft.debug|dump_invidx ft.debug|dump_numidx ft.debug|dump_numidxtree \
    ft.debug|dump_phonetic_hash ft.debug|dump_prefix_trie ft.debug|dump_suffix_trie \
    ft.debug|dump_tagidx ft.debug|dump_terms ft.debug|gc_clean_numeric \
    ft.debug|gc_continue_schedule ft.debug|gc_forcebginvoke ft.debug|gc_forceinvoke \
    ft.debug|gc_stop_schedule ft.debug|gc_wait_for_jobs ft.debug|git_sha ft.debug|idtodocid \
    ft.debug|info_tagidx ft.debug|invidx_summary ft.debug|numidx_summary ft.debug|ttl \
    ft.debug|ttl_expire ft.debug|ttl_pause ft.debug|vecsim_info timeseries.clusterset \
    timeseries.clustersetfromshard timeseries.forceshardsconnection timeseries.hello \
    timeseries.infocluster timeseries.innercommunication timeseries.networktest \
    timeseries.refreshcluster";

/// The server flags them `admin`, and they run without permission, for a reason.
pub(super) const HARMLESS: &[(&str, &str)] = &[
    ("acl|dryrun", "it tells what would happen"),
    ("client|list", "it only asks"),
    (
        "client|unblock",
        "it ends the wait of one command, as its timeout would",
    ),
    ("cluster|count-failure-reports", "it only asks"),
    ("cluster|getslotmigrations", "it only asks"),
    ("cluster|replicas", "it only asks"),
    ("cluster|slaves", "it only asks"),
    ("commandlog|get", "it only asks"),
    ("commandlog|len", "it only asks"),
    ("hotkeys|get", "it only asks"),
    ("latency|doctor", "it only asks"),
    ("latency|graph", "it only asks"),
    ("latency|histogram", "it only asks"),
    ("latency|history", "it only asks"),
    ("latency|latest", "it only asks"),
    ("module|list", "it only asks"),
    ("slowlog|get", "it only asks"),
    ("slowlog|len", "it only asks"),
];

/// The server does not flag them `admin`, and they need permission, for a reason.
pub(super) const HARMFUL: &[(&str, &str)] = &[
    ("flushall", "it empties the server"),
    ("flushdb", "it empties a database"),
    (
        "function|flush",
        "it takes away the functions of all applications",
    ),
    ("function|kill", "it ends what another client runs"),
    ("script|kill", "it ends what another client runs"),
    ("swapdb", "it gives every client of a database another one"),
    ("trimslots", "it empties a part of the server"),
];
