//! Ids are explicit, because those of the clock differ. Only newer servers than 7.0 have `+` in XREAD, the times of
//! activity of consumers, and consumers that read nothing; they compute the lag in more cases.

use fastrand::Rng;
use redis::Value;

use super::{
    compare, compare_lines,
    pair::{TOLERANCE, shown},
    words::{command, integer, key, one_of, pick, value},
};

fn stream(random: &mut Rng) -> Vec<u8> {
    key(random, "x")
}

fn group(random: &mut Rng) -> Vec<u8> {
    one_of(random, &["g", "g", "g", "h", "none"])
}

fn consumer(random: &mut Rng) -> Vec<u8> {
    one_of(random, &["c", "c", "d", "e"])
}

fn id(random: &mut Rng) -> Vec<u8> {
    let odd = [
        "-",
        "+",
        "$",
        ">",
        "*",
        "x",
        "",
        "1-x",
        "1-",
        "-1",
        "1-2-3",
        "(1-1",
        "(",
        "(0-0",
        "(x",
        "0-0",
        "0",
        "+5",
        " 7",
        "007-01",
        "18446744073709551615-18446744073709551615",
        "18446744073709551616",
        "5-*",
        "5-+1",
        "5--1",
        "9223372036854775808",
        "18446744073709551615",
        "5-18446744073709551615",
        "(18446744073709551615-18446744073709551615",
    ];
    match random.u8(0..16) {
        0 => one_of(random, &odd),
        1 => random.u8(0..30).to_string().into_bytes(),
        _ => format!("{}-{}", random.u8(0..30), random.u8(0..3)).into_bytes(),
    }
}

/// An id that is most likely greater than the last one.
fn new_id(random: &mut Rng) -> Vec<u8> {
    match random.u8(0..12) {
        0..6 => format!("{}-*", random.u8(8..40)).into_bytes(),
        6..9 => format!("{}-{}", random.u8(8..40), random.u8(0..5)).into_bytes(),
        // Without the clock, and without the end of all ids.
        _ => {
            let id = id(random);
            if id == b"*" || id.len() > 19 {
                b"6-*".into()
            } else {
                id
            }
        }
    }
}

fn trim(random: &mut Rng, arguments: &mut Vec<Vec<u8>>) {
    let by_length = random.bool();
    arguments.push(one_of(
        random,
        &[if by_length { "MAXLEN" } else { "MINID" }],
    ));
    match random.u8(0..4) {
        0 => arguments.push(b"~".into()),
        1 => arguments.push(b"=".into()),
        _ => {}
    }
    arguments.push(if by_length {
        integer(random)
    } else {
        id(random)
    });
    if random.u8(0..5) == 0 {
        arguments.extend([b"LIMIT".into(), integer(random)]);
    }
}

pub(super) fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    let (name, arguments) = match random.u8(0..40) {
        0..12 => ("XADD", add(random)),
        12 => ("XLEN", vec![stream(random)]),
        13 | 14 => {
            let name = pick(random, &["XRANGE", "XREVRANGE"]);
            let mut arguments = vec![stream(random), id(random), id(random)];
            count(random, &mut arguments);
            (name, arguments)
        }
        15 | 16 => {
            let mut arguments = vec![stream(random)];
            arguments.extend((0..random.u8(1..4)).map(|_| id(random)));
            ("XDEL", arguments)
        }
        17 => {
            let mut arguments = vec![stream(random)];
            trim(random, &mut arguments);
            ("XTRIM", arguments)
        }
        18 => {
            // Before 7.2 it could be less than that of a deleted entry.
            let id_to_set = one_of(random, &["31", "32-1", "33-0", "34", "35-1", "x", "$", "-"]);
            let mut arguments = vec![stream(random), id_to_set];
            if random.bool() {
                arguments.extend([b"ENTRIESADDED".into(), integer(random)]);
            }
            if random.u8(0..3) == 0 {
                arguments.extend([b"MAXDELETEDID".into(), id(random)]);
            }
            ("XSETID", arguments)
        }
        19 | 20 => ("XREAD", read(random, false)),
        21..25 => ("XREADGROUP", read(random, true)),
        25..29 => ("XGROUP", change_groups(random)),
        29 | 30 => {
            let mut arguments = vec![stream(random), group(random)];
            arguments.extend((0..random.u8(1..4)).map(|_| id(random)));
            ("XACK", arguments)
        }
        31 | 32 => ("XPENDING", pending(random)),
        33 | 34 => ("XCLAIM", claim(random)),
        35 | 36 => {
            let mut arguments = vec![stream(random), group(random), consumer(random)];
            arguments.extend([idle(random), id(random)]);
            count(random, &mut arguments);
            if random.u8(0..3) == 0 {
                arguments.push(b"JUSTID".into());
            }
            ("XAUTOCLAIM", arguments)
        }
        _ => ("XINFO", info(random)),
    };
    command(random, name, arguments)
}

fn add(random: &mut Rng) -> Vec<Vec<u8>> {
    let mut arguments = vec![stream(random)];
    if random.u8(0..8) == 0 {
        arguments.push(b"NOMKSTREAM".into());
    }
    if random.u8(0..6) == 0 {
        trim(random, &mut arguments);
    }
    arguments.push(new_id(random));
    for _ in 0..random.u8(1..3) {
        arguments.push(one_of(random, &["a", "b"]));
        arguments.push(match random.u8(0..12) {
            0 => vec![b'x'; random.usize(500..1500)],
            _ => value(random),
        });
    }
    arguments
}

fn count(random: &mut Rng, arguments: &mut Vec<Vec<u8>>) {
    if random.bool() {
        arguments.extend([b"COUNT".into(), integer(random)]);
    }
}

fn read(random: &mut Rng, is_group: bool) -> Vec<Vec<u8>> {
    let mut arguments = Vec::new();
    if is_group || random.u8(0..20) == 0 {
        arguments.extend([b"GROUP".into(), group(random), consumer(random)]);
    }
    count(random, &mut arguments);
    if random.u8(0..if is_group { 5 } else { 30 }) == 0 {
        arguments.push(b"NOACK".into());
    }
    if random.u8(0..20) == 0 {
        arguments.extend([b"BLOCK".into(), one_of(random, &["-1", "x", "1.5"])]);
    }
    arguments.push(b"STREAMS".into());
    let streams = random.u8(1..3);
    arguments.extend((0..streams).map(|_| stream(random)));
    for _ in 0..streams {
        let id = match random.u8(0..3) {
            0 => one_of(random, &["0", "$"]),
            1 => id(random),
            _ => one_of(random, &[if is_group { ">" } else { "0-0" }]),
        };
        let is_newer = id == b"+";
        arguments.push(if is_newer { b"1".into() } else { id });
    }
    arguments
}

fn change_groups(random: &mut Rng) -> Vec<Vec<u8>> {
    let name = pick(
        random,
        &[
            "CREATE",
            "CREATE",
            "CREATE",
            "SETID",
            "DESTROY",
            "CREATECONSUMER",
            "DELCONSUMER",
            "HELP",
            "x",
        ],
    );
    let mut arguments = vec![name.into(), stream(random), group(random)];
    match name {
        "CREATE" | "SETID" => {
            arguments.push(match random.u8(0..3) {
                0 => id(random),
                _ => one_of(random, &["0", "$"]),
            });
            if random.bool() {
                arguments.push(b"MKSTREAM".into());
            }
            if random.u8(0..4) == 0 {
                arguments.extend([b"ENTRIESREAD".into(), integer(random)]);
            }
        }
        // Not one that reads: it exists then only in newer servers.
        "CREATECONSUMER" => arguments.push(one_of(random, &["m", "n"])),
        "DELCONSUMER" => arguments.push(one_of(random, &["c", "d", "m"])),
        "HELP" => arguments.truncate(1),
        _ => {}
    }
    arguments
}

/// A time that is over at once, or not during a test.
fn idle(random: &mut Rng) -> Vec<u8> {
    one_of(random, &["0", "0", "0", "100000", "-1", "x"])
}

fn pending(random: &mut Rng) -> Vec<Vec<u8>> {
    let mut arguments = vec![stream(random), group(random)];
    if random.u8(0..3) > 0 {
        if random.u8(0..4) == 0 {
            arguments.extend([b"IDLE".into(), idle(random)]);
        }
        let ends = random.bool();
        let mut end = |word: &str| if ends { word.into() } else { id(random) };
        arguments.extend([end("-"), end("+")]);
        arguments.push(integer(random));
        if random.u8(0..3) == 0 {
            arguments.push(consumer(random));
        }
    }
    arguments
}

fn claim(random: &mut Rng) -> Vec<Vec<u8>> {
    let mut arguments = vec![
        stream(random),
        group(random),
        consumer(random),
        idle(random),
    ];
    arguments.extend((0..random.u8(1..4)).map(|_| id(random)));
    for _ in 0..random.u8(0..3) {
        let option = pick(
            random,
            &[
                "IDLE",
                "TIME",
                "RETRYCOUNT",
                "FORCE",
                "JUSTID",
                "LASTID",
                "FORCE",
                "x",
            ],
        );
        arguments.push(option.into());
        match option {
            "IDLE" => arguments.push(one_of(random, &["500000", "0", "-1", "x"])),
            "TIME" => arguments.push(one_of(random, &["1600000000000", "-5", "x", "0"])),
            "RETRYCOUNT" => arguments.push(integer(random)),
            "LASTID" => arguments.push(id(random)),
            _ => {}
        }
    }
    arguments
}

fn info(random: &mut Rng) -> Vec<Vec<u8>> {
    let name = pick(
        random,
        &["STREAM", "STREAM", "GROUPS", "CONSUMERS", "HELP", "x"],
    );
    let mut arguments = vec![name.into(), stream(random)];
    match name {
        "STREAM" if random.bool() => {
            arguments.push(one_of(random, &["FULL", "FULL", "FULL", "x"]));
            count(random, &mut arguments);
        }
        "CONSUMERS" => arguments.push(group(random)),
        "HELP" => arguments.truncate(1),
        _ => {}
    }
    arguments
}

/// Whether two replies say the same, apart from the time that has passed between them.
pub(super) fn is_same(real: &Value, embedded: &Value) -> bool {
    match (pairs(real), pairs(embedded)) {
        (Some(real), Some(embedded)) => {
            let (real, embedded) = (comparable(real), comparable(embedded));
            real.len() == embedded.len()
                && real.iter().zip(&embedded).all(|(real, embedded)| {
                    let is_time = matches!(&real.0[..], "idle" | "seen-time");
                    real.0 == embedded.0 && is_same_item(&real.1, &embedded.1, is_time)
                })
        }
        (None, None) => match (real, embedded) {
            (Value::Array(real), Value::Array(embedded)) => {
                let (real, embedded) = (with_entries(real), with_entries(embedded));
                real.len() == embedded.len()
                    && real
                        .iter()
                        .zip(&embedded)
                        .enumerate()
                        .all(|(at, (one, other))| {
                            // An entry ends with the time of its delivery, and the number of deliveries.
                            let is_time =
                                matches!(real.last(), Some(Value::Int(_))) && at + 2 == real.len();
                            is_same_item(one, other, is_time)
                        })
            }
            _ => {
                // The text is another one since 7.2.
                let is_unbalanced = |value: &Value| shown(value).contains("Unbalanced");
                shown(real) == shown(embedded) || is_unbalanced(real) && is_unbalanced(embedded)
            }
        },
        _ => false,
    }
}

fn is_same_item(real: &Value, embedded: &Value, is_time: bool) -> bool {
    match (real, embedded) {
        (Value::Int(real), Value::Int(embedded)) if is_time => (real - embedded).abs() <= TOLERANCE,
        _ => is_same(real, embedded),
    }
}

/// The pairs of a map, in RESP2 as well.
fn pairs(value: &Value) -> Option<Vec<(String, Value)>> {
    let is_key = |value: &Value| matches!(&shown(value)[..], "name" | "length");
    match value {
        Value::Map(pairs) => {
            let pairs = pairs.iter();
            Some(
                pairs
                    .map(|(key, value)| (shown(key), value.clone()))
                    .collect(),
            )
        }
        Value::Array(items) if items.first().is_some_and(is_key) => {
            let pairs = items.chunks(2);
            Some(
                pairs
                    .map(|pair| (shown(&pair[0]), pair[1].clone()))
                    .collect(),
            )
        }
        _ => None,
    }
}

/// Without those that 7.0 does not have, or computes in another way.
fn comparable(mut pairs: Vec<(String, Value)>) -> Vec<(String, Value)> {
    pairs.retain(|(key, value)| match &key[..] {
        "inactive" | "active-time" | "radix-tree-nodes" => false,
        "lag" | "entries-read" => false,
        "consumers" => !matches!(value, Value::Int(_)),
        _ => true,
    });
    pairs
}

/// Without consumers at which nothing is pending.
fn with_entries(items: &[Value]) -> Vec<Value> {
    let has_entries = |value: &&Value| {
        let pairs = pairs(value).unwrap_or_default();
        let counts = ["pending", "pel-count"];
        let is_consumer = pairs
            .iter()
            .any(|(key, _)| matches!(&key[..], "idle" | "seen-time"));
        let is_without = pairs
            .iter()
            .any(|(key, value)| counts.contains(&&key[..]) && *value == Value::Int(0));
        !(is_consumer && is_without)
    };
    items.iter().filter(has_entries).cloned().collect()
}

#[test]
fn streams() {
    compare("streams", generate);
}

#[test]
fn lines_about_streams() {
    compare_lines(&[
        "XADD x 1-1 a 1",
        "XADD x 1-1 a 1",
        "XADD x 99999999999999-1 a 1",
        "XADD x * a 1",
        "XADD x MAXLEN ~ 1 LIMIT 0 99999999999999-* a 1",
        "XGROUP CREATE x g $",
        "XREADGROUP GROUP g c STREAMS x 18446744073709551615-18446744073709551615",
        "XGROUP SETID x g +",
        "XREADGROUP GROUP g c STREAMS x 18446744073709551615-18446744073709551615",
        "XGROUP CREATE x h 0 MKSTREAM MKSTREAM ENTRIESREAD 1",
        "XGROUP SETID x g 0 ENTRIESREAD 1 ENTRIESREAD 1",
        "XADD y 20-0 a b",
        "XSETID y 19",
        "XSETID y 20 ENTRIESADDED 0",
    ]);
}
