//! Sorted sets.
//!
//! - `members`: commands about members that are named, or drawn at random
//! - `bounds`: ranges of scores and of members · `ranges`: commands that take them
//! - `pops`: commands that take the lowest or the highest members, and may wait for them
//! - `combinations`: unions, intersections and differences

mod bounds;
mod combinations;
mod members;
mod pops;
mod ranges;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::memory::{
    command::{
        Command,
        flags::{BLOCKING, DENYOOM, FAST, MOVABLE_KEYS, NOSCRIPT, READONLY, WRITE},
    },
    context::Context,
    halt::Halt,
    keyspace::{Kind, Scored, SortedSet},
    reply::{Protocol, Reply},
};

pub(super) use members::zadd;

use combinations::{zdiff, zdiffstore, zinter, zintercard, zinterstore, zunion, zunionstore};
use members::{zcard, zincrby, zmscore, zrandmember, zrank, zrem, zrevrank, zscan, zscore};
use pops::{bzmpop, bzpopmax, bzpopmin, zmpop, zpopmax, zpopmin};
use ranges::{
    zcount, zlexcount, zrange, zrangebylex, zrangebyscore, zrangestore, zremrangebylex,
    zremrangebyrank, zremrangebyscore, zrevrange, zrevrangebylex, zrevrangebyscore,
};

const WRITES: u32 = WRITE | DENYOOM;
const BLOCKS: u32 = WRITE | NOSCRIPT | BLOCKING | FAST;
const COMBINES: u32 = READONLY | MOVABLE_KEYS;
const STORES: u32 = WRITES | MOVABLE_KEYS;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("zadd", -4, WRITES | FAST, (1, 1, 1), zadd),
    Command::new("zincrby", 4, WRITES | FAST, (1, 1, 1), zincrby),
    Command::new("zrem", -3, WRITE | FAST, (1, 1, 1), zrem),
    Command::new("zscore", 3, READONLY | FAST, (1, 1, 1), zscore),
    Command::new("zmscore", -3, READONLY | FAST, (1, 1, 1), zmscore),
    Command::new("zcard", 2, READONLY | FAST, (1, 1, 1), zcard),
    Command::new("zrank", -3, READONLY | FAST, (1, 1, 1), zrank),
    Command::new("zrevrank", -3, READONLY | FAST, (1, 1, 1), zrevrank),
    Command::new("zrandmember", -2, READONLY, (1, 1, 1), zrandmember),
    Command::new("zscan", -3, READONLY, (1, 1, 1), zscan),
    Command::new("zcount", 4, READONLY | FAST, (1, 1, 1), zcount),
    Command::new("zlexcount", 4, READONLY | FAST, (1, 1, 1), zlexcount),
    Command::new("zrange", -4, READONLY, (1, 1, 1), zrange),
    Command::new("zrangestore", -5, WRITES, (1, 2, 1), zrangestore),
    Command::new("zrevrange", -4, READONLY, (1, 1, 1), zrevrange),
    Command::new("zrangebyscore", -4, READONLY, (1, 1, 1), zrangebyscore),
    Command::new(
        "zrevrangebyscore",
        -4,
        READONLY,
        (1, 1, 1),
        zrevrangebyscore,
    ),
    Command::new("zrangebylex", -4, READONLY, (1, 1, 1), zrangebylex),
    Command::new("zrevrangebylex", -4, READONLY, (1, 1, 1), zrevrangebylex),
    Command::new("zremrangebyrank", 4, WRITE, (1, 1, 1), zremrangebyrank),
    Command::new("zremrangebyscore", 4, WRITE, (1, 1, 1), zremrangebyscore),
    Command::new("zremrangebylex", 4, WRITE, (1, 1, 1), zremrangebylex),
    Command::new("zpopmin", -2, WRITE | FAST, (1, 1, 1), zpopmin),
    Command::new("zpopmax", -2, WRITE | FAST, (1, 1, 1), zpopmax),
    Command::new("zmpop", -4, WRITE | MOVABLE_KEYS, (0, 0, 0), zmpop),
    Command::new("bzpopmin", -3, BLOCKS, (1, -2, 1), bzpopmin),
    Command::new("bzpopmax", -3, BLOCKS, (1, -2, 1), bzpopmax),
    Command::new(
        "bzmpop",
        -5,
        WRITE | BLOCKING | MOVABLE_KEYS,
        (0, 0, 0),
        bzmpop,
    ),
    Command::new("zunion", -3, COMBINES, (0, 0, 0), zunion),
    Command::new("zinter", -3, COMBINES, (0, 0, 0), zinter),
    Command::new("zdiff", -3, COMBINES, (0, 0, 0), zdiff),
    Command::new("zintercard", -3, COMBINES, (0, 0, 0), zintercard),
    Command::new("zunionstore", -4, STORES, (1, 1, 1), zunionstore),
    Command::new("zinterstore", -4, STORES, (1, 1, 1), zinterstore),
    Command::new("zdiffstore", -4, STORES, (1, 1, 1), zdiffstore),
];

fn sorted_set<'a>(cx: &'a mut Context<'_>, key: &[u8]) -> Result<Option<&'a SortedSet>, Halt> {
    cx.db().read::<SortedSet>(key)
}

/// Members in a reply, perhaps with scores: flat in RESP2, and in pairs in RESP3.
fn members(
    cx: &mut Context<'_>,
    members: impl IntoIterator<Item = Scored>,
    with_scores: bool,
) -> Reply {
    let members = members.into_iter();
    if !with_scores {
        return Reply::bulks(members.map(|(_, member)| member));
    }
    if cx.session().protocol == Protocol::Resp3 {
        return pairs(members);
    }
    flat(members)
}

/// Members and scores in turn.
fn flat(members: impl Iterator<Item = Scored>) -> Reply {
    let items = members.flat_map(|(score, member)| [Reply::Bulk(member), Reply::Double(score)]);
    Reply::Array(items.collect())
}

/// An array per member, of the member and its score.
fn pairs(members: impl Iterator<Item = Scored>) -> Reply {
    let pairs = members
        .map(|(score, member)| Reply::Array(vec![Reply::Bulk(member), Reply::Double(score)]));
    Reply::Array(pairs.collect())
}

/// Stores the result of a command instead of what the key held. An empty one removes the key.
fn store(
    cx: &mut Context<'_>,
    key: &Bytes,
    members: impl IntoIterator<Item = (Bytes, f64)>,
) -> Reply {
    // A negative zero is not stored.
    let members = members
        .into_iter()
        .map(|(member, score)| (member, score + 0.0));
    let result: SortedSet = members.collect();
    let length = result.len();
    cx.db().insert(key, result.into_value());
    Reply::count(length)
}
