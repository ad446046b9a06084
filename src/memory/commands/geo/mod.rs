//! Points on the earth: members of sorted sets whose scores are cells.
//!
//! - `cell`: cells, as scores have them · `point`: points, distances and areas · `shape`: the area of a search
//! - `query`: the arguments of a search · `search`: commands that search

mod cell;
mod point;
mod query;
mod search;
mod shape;

use bytes::Bytes;

use crate::memory::{
    arguments::is,
    command::{
        Command,
        flags::{DENYOOM, MOVABLE_KEYS, READONLY, WRITE},
    },
    commands::sorted_sets::zadd,
    context::Context,
    halt::{Halt, Outcome},
    keyspace::SortedSet,
    reply::Reply,
};

use cell::{Cell, STEPS, point_of, score_of};
use point::{Area, Point};
use search::{
    georadius, georadius_ro, georadiusbymember, georadiusbymember_ro, geosearch, geosearchstore,
};

const WRITES: u32 = WRITE | DENYOOM;
const STORES: u32 = WRITES | MOVABLE_KEYS;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command::new("geoadd", -5, WRITES, (1, 1, 1), geoadd),
    Command::new("geodist", -4, READONLY, (1, 1, 1), geodist),
    Command::new("geohash", -2, READONLY, (1, 1, 1), geohash),
    Command::new("geopos", -2, READONLY, (1, 1, 1), geopos),
    Command::new("geosearch", -7, READONLY, (1, 1, 1), geosearch),
    Command::new("geosearchstore", -8, WRITES, (1, 2, 1), geosearchstore),
    Command::new("georadius", -6, STORES, (1, 1, 1), georadius),
    Command::new("georadius_ro", -6, READONLY, (1, 1, 1), georadius_ro),
    Command::new("georadiusbymember", -5, STORES, (1, 1, 1), georadiusbymember),
    Command::new("georadiusbymember_ro", -5, READONLY, (1, 1, 1), georadiusbymember_ro),
];

/// It is ZADD, with scores that are made of points.
fn geoadd(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let is_option = |word: &&Bytes| ["NX", "XX", "CH"].iter().any(|option| is(word, option));
    let options = args[2..].iter().take_while(is_option).count();
    let (head, rest) = args.split_at(2 + options);
    let has = |option: &str| head[2..].iter().any(|word| is(word, option));
    let (triples, odd) = rest.as_chunks::<3>();
    if !odd.is_empty() || has("NX") && has("XX") {
        return Err(Halt::SYNTAX);
    }
    let mut words = head.to_vec();
    for [longitude, latitude, member] in triples {
        let score = score_of(Point::parse(longitude, latitude)?);
        words.extend([score.to_string().into(), member.clone()]);
    }
    zadd(cx, &words)
}

/// The metres of a unit.
fn unit(name: &[u8]) -> Result<f64, Halt> {
    let units = [("M", 1.0), ("KM", 1000.0), ("FT", 0.3048), ("MI", 1609.34)];
    let found = units.iter().find(|(unit, _)| is(name, unit));
    found.map(|(_, metres)| *metres).ok_or(Halt::error(
        "ERR unsupported unit provided. please use M, KM, FT, MI",
    ))
}

fn geodist(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let unit = match &args[4..] {
        [] => 1.0,
        [name] => unit(name)?,
        _ => return Err(Halt::SYNTAX),
    };
    let points = points(cx, &args[1], &args[2..4])?;
    Ok(match points[..] {
        [Some(one), Some(two)] => distance_text(one.distance(two) / unit),
        _ => Reply::Null,
    })
}

fn geopos(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let points = points(cx, &args[1], &args[2..])?.into_iter();
    let replies = points.map(|point| point.map_or(Reply::NullArray, point_reply));
    Ok(Reply::Array(replies.collect()))
}

fn geohash(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let points = points(cx, &args[1], &args[2..])?.into_iter();
    let replies = points.map(|point| point.map_or(Reply::Null, hash_of));
    Ok(Reply::Array(replies.collect()))
}

/// The points of members that exist.
fn points(cx: &mut Context<'_>, key: &[u8], members: &[Bytes]) -> Result<Vec<Option<Point>>, Halt> {
    let set = cx.db().read::<SortedSet>(key)?;
    let points = members.iter().map(|member| {
        let score = set.and_then(|set| set.score(member));
        score.map(point_of)
    });
    Ok(points.collect())
}

/// The usual hash of a point, of a cell that goes to the poles.
fn hash_of(point: Point) -> Reply {
    const WHOLE: Area = Area {
        least: Point {
            longitude: -180.0,
            latitude: -90.0,
        },
        greatest: Point {
            longitude: 180.0,
            latitude: 90.0,
        },
    };
    const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    /// A letter has five bits.
    const LETTERS: u32 = 2 * STEPS / 5;
    let bits = Cell::of(point, STEPS, WHOLE).bits();
    let letters = (1..=LETTERS).map(|letter| {
        let letter = bits >> (2 * STEPS - 5 * letter);
        ALPHABET[(letter & 31) as usize]
    });
    // The last letter is always 0, because the bits do not suffice for it.
    let letters: Vec<_> = letters.chain([b'0']).collect();
    Reply::bulk(letters)
}

/// A distance in its unit, with four digits after the point.
fn distance_text(distance: f64) -> Reply {
    // Redis rounds the product, not the distance.
    let parts = (distance * 10_000.0).round_ties_even() as u64;
    Reply::bulk(format!("{}.{:04}", parts / 10_000, parts % 10_000))
}

fn point_reply(point: Point) -> Reply {
    let (longitude, latitude) = (point.longitude, point.latitude);
    Reply::Array(vec![Reply::Decimal(longitude), Reply::Decimal(latitude)])
}
