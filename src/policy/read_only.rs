//! Which commands only read, and so may run twice.

use super::command::Upper;

/// Whether a command only reads, by its name, which comes first in `args`.
///
/// These are the commands that a server flags as `readonly` (7.0 and, of later ones, the vector
/// sets' of 8.0), and some that look at the server alone. What is not listed counts as a write, so a
/// command that this crate does not know is never run twice.
pub(crate) fn only_reads<'a>(mut args: impl Iterator<Item = &'a [u8]>) -> bool {
    let name = args.next().unwrap_or_default();
    match Upper::of(name).as_bytes() {
        // Keys.
        b"DBSIZE" | b"DUMP" | b"EXISTS" | b"EXPIRETIME" | b"KEYS" | b"OBJECT" | b"PEXPIRETIME"
        | b"PTTL" | b"RANDOMKEY" | b"SCAN" | b"SORT_RO" | b"TOUCH" | b"TTL" | b"TYPE" => true,
        // Strings and bits.
        b"BITCOUNT" | b"BITFIELD_RO" | b"BITPOS" | b"GET" | b"GETBIT" | b"GETRANGE" | b"LCS"
        | b"MGET" | b"PFCOUNT" | b"STRLEN" | b"SUBSTR" => true,
        // Hashes.
        b"HEXISTS" | b"HEXPIRETIME" | b"HGET" | b"HGETALL" | b"HKEYS" | b"HLEN" | b"HMGET"
        | b"HPEXPIRETIME" | b"HPTTL" | b"HRANDFIELD" | b"HSCAN" | b"HSTRLEN" | b"HTTL"
        | b"HVALS" => true,
        // Lists and streams.
        b"LINDEX" | b"LLEN" | b"LPOS" | b"LRANGE" | b"XINFO" | b"XLEN" | b"XPENDING"
        | b"XRANGE" | b"XREAD" | b"XREVRANGE" => true,
        // Sets.
        b"SCARD" | b"SDIFF" | b"SINTER" | b"SINTERCARD" | b"SISMEMBER" | b"SMEMBERS"
        | b"SMISMEMBER" | b"SRANDMEMBER" | b"SSCAN" | b"SUNION" => true,
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
        // Scripts that the server keeps from writing.
        b"EVALSHA_RO" | b"EVAL_RO" | b"FCALL_RO" => true,
        // The server itself.
        b"COMMAND" | b"ECHO" | b"INFO" | b"LASTSAVE" | b"LOLWUT" | b"PING" | b"PUBSUB"
        | b"ROLE" | b"TIME" => true,
        b"MEMORY" => {
            let subcommand = args.next().unwrap_or_default();
            Upper::of(subcommand).as_bytes() == b"USAGE"
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(command: &str) -> bool {
        only_reads(command.split(' ').map(str::as_bytes))
    }

    #[test]
    fn names_decide_in_any_case() {
        for command in [
            "GET k",
            "get k",
            "ZrAnGe z 0 1",
            "PING",
            "MEMORY USAGE k",
            "TTL k",
        ] {
            assert!(reads(command), "{command}");
        }
        for command in [
            "SET k v",
            "INCR k",
            "GETDEL k",
            "GETEX k",
            "GETSET k v",
            "EVAL s 0",
            "FCALL f 0",
            "PUBLISH c m",
            "XREADGROUP GROUP g c STREAMS k >",
            "SORT k",
            "EXPIRE k 1",
            "SPOP s",
            "MEMORY PURGE",
            "MEMORY",
            "HGETDEL h FIELDS 1 f",
            "JSON.GET k",
            "",
            "GETX",
        ] {
            assert!(!reads(command), "{command}");
        }
        assert!(!only_reads(std::iter::empty()));
    }
}
