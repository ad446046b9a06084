//! The commands that only read, and so may run twice.

use super::Upper;

/// Whether a command only reads.
///
/// These are the commands that a server flags as `readonly` (up to Redis 8.12 and Valkey 9.1, with the
/// modules of Redis 8 and of Redis Stack 7.4), except the few that leave a cursor behind, and some commands
/// that look at the server alone. A command that is not listed counts as a write, so a command that this
/// crate does not know is never run twice.
pub(super) fn only_reads(name: &Upper) -> bool {
    match name.as_bytes() {
        // Keys.
        b"CLUSTERSCAN" | b"DBSIZE" | b"DUMP" | b"EXISTS" | b"EXPIRETIME" | b"KEYS" | b"OBJECT"
        | b"PEXPIRETIME" | b"PTTL" | b"RANDOMKEY" | b"SCAN" | b"SORT_RO" | b"TOUCH" | b"TTL"
        | b"TYPE" => true,
        // Strings and bits.
        b"BITCOUNT" | b"BITFIELD_RO" | b"BITPOS" | b"BITRANGEINTARRAY" | b"DIGEST" | b"GET"
        | b"GETBIT" | b"GETRANGE" | b"LCS" | b"MGET" | b"PFCOUNT" | b"STRALGO" | b"STRLEN"
        | b"SUBSTR" => true,
        // Hashes.
        b"HEXISTS" | b"HEXPIRETIME" | b"HGET" | b"HGETALL" | b"HKEYS" | b"HLEN" | b"HMGET"
        | b"HPEXPIRETIME" | b"HPTTL" | b"HRANDFIELD" | b"HSCAN" | b"HSTRLEN" | b"HTTL"
        | b"HVALS" => true,
        // Arrays.
        b"ARCOUNT" | b"ARGET" | b"ARGETRANGE" | b"ARGREP" | b"ARINFO" | b"ARLASTITEMS"
        | b"ARLEN" | b"ARMGET" | b"ARNEXT" | b"AROP" | b"ARSCAN" => true,
        // Lists and streams.
        b"LINDEX" | b"LLEN" | b"LPOS" | b"LRANGE" | b"XINFO" | b"XLEN" | b"XPENDING"
        | b"XRANGE" | b"XREVRANGE" => true,
        // Sets.
        b"SCARD" | b"SDIFF" | b"SDIFFCARD" | b"SEXPIRETIME" | b"SINTER" | b"SINTERCARD"
        | b"SISMEMBER" | b"SMEMBERS" | b"SMISMEMBER" | b"SPEXPIRETIME" | b"SPTTL"
        | b"SRANDMEMBER" | b"SSCAN" | b"STTL" | b"SUNION" | b"SUNIONCARD" => true,
        // Sorted sets and positions.
        b"ZCARD" | b"ZCOUNT" | b"ZDIFF" | b"ZINTER" | b"ZINTERCARD" | b"ZLEXCOUNT" | b"ZMSCORE"
        | b"ZRANDMEMBER" | b"ZRANGE" | b"ZRANGEBYLEX" | b"ZRANGEBYSCORE" | b"ZRANK"
        | b"ZREVRANGE" | b"ZREVRANGEBYLEX" | b"ZREVRANGEBYSCORE" | b"ZREVRANK" | b"ZSCAN"
        | b"ZSCORE" | b"ZUNION" => true,
        b"GEODIST"
        | b"GEOHASH"
        | b"GEOPOS"
        | b"GEORADIUSBYMEMBER_RO"
        | b"GEORADIUS_RO"
        | b"GEOSEARCH" => true,
        // Vector sets.
        b"VCARD" | b"VDIM" | b"VEMB" | b"VGETATTR" | b"VINFO" | b"VISMEMBER" | b"VLINKS"
        | b"VRANDMEMBER" | b"VRANGE" | b"VSIM" => true,
        // Filters and sketches.
        b"BF.CARD"
        | b"BF.EXISTS"
        | b"BF.INFO"
        | b"BF.MEXISTS"
        | b"CF.COUNT"
        | b"CF.EXISTS"
        | b"CF.INFO"
        | b"CF.MEXISTS"
        | b"CMS.INFO"
        | b"CMS.QUERY"
        | b"TDIGEST.BYRANK"
        | b"TDIGEST.BYREVRANK"
        | b"TDIGEST.CDF"
        | b"TDIGEST.INFO"
        | b"TDIGEST.MAX"
        | b"TDIGEST.MIN"
        | b"TDIGEST.QUANTILE"
        | b"TDIGEST.RANK"
        | b"TDIGEST.REVRANK"
        | b"TDIGEST.TRIMMED_MEAN"
        | b"TOPK.COUNT"
        | b"TOPK.INFO"
        | b"TOPK.LIST"
        | b"TOPK.QUERY" => true,
        // Searches that leave no cursor.
        b"FT._LIST" | b"FT.DICTDUMP" | b"FT.EXPLAIN" | b"FT.EXPLAINCLI" | b"FT.GET"
        | b"FT.INFO" | b"FT.MGET" | b"FT.SEARCH" | b"FT.SPELLCHECK" | b"FT.SUGGET"
        | b"FT.SUGLEN" | b"FT.SYNDUMP" | b"FT.TAGVALS" => true,
        // Documents.
        b"JSON.ARRINDEX" | b"JSON.ARRLEN" | b"JSON.GET" | b"JSON.MGET" | b"JSON.OBJKEYS"
        | b"JSON.OBJLEN" | b"JSON.RESP" | b"JSON.STRLEN" | b"JSON.TYPE" => true,
        // Time series.
        b"TS.GET" | b"TS.INFO" | b"TS.MGET" | b"TS.MRANGE" | b"TS.MREVRANGE" | b"TS.NRANGE"
        | b"TS.NREVRANGE" | b"TS.QUERYINDEX" | b"TS.QUERYLABELS" | b"TS.RANGE" | b"TS.REVRANGE" => {
            true
        }
        // The server itself.
        b"COMMAND" | b"ECHO" | b"INFO" | b"LASTSAVE" | b"LOLWUT" | b"PING" | b"PUBSUB"
        | b"ROLE" | b"TIME" => true,
        _ => false,
    }
}
