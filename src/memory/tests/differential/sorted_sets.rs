use fastrand::Rng;

use super::{
    compare, compare_lines,
    words::{command, float, integer, key, one_of, pick},
};

fn zkey(random: &mut Rng) -> Vec<u8> {
    key(random, "z")
}

/// A member: a short one, so that commands meet.
fn member(random: &mut Rng) -> Vec<u8> {
    match random.u8(0..20) {
        0 => Vec::new(),
        1 => vec![0, 255, b'\r', b'\n'],
        2 => random.i32(-3..20).to_string().into_bytes(),
        _ => vec![b'a' + random.u8(0..8)],
    }
}

fn score(random: &mut Rng) -> Vec<u8> {
    match random.u8(0..12) {
        0 => one_of(random, &["inf", "-inf", "-0", "0", "1e30", "1.5e-9", "+5"]),
        1 => float(random),
        _ => random.i32(-2..5).to_string().into_bytes(),
    }
}

/// An end of a range of scores.
fn limit(random: &mut Rng) -> Vec<u8> {
    let odd = [
        "-inf", "+inf", "(inf", "(-inf", "", "(", " 1", "1 ", "((1", "x", "[1", "nan", "1e400",
        "0x2", "(1.5",
    ];
    match random.u8(0..12) {
        0..2 => one_of(random, &["-inf", "+inf"]),
        2 => one_of(random, &odd),
        3..6 => format!("({}", random.i32(-3..6)).into_bytes(),
        _ => random.i32(-3..6).to_string().into_bytes(),
    }
}

/// An end of a range of members.
fn edge(random: &mut Rng) -> Vec<u8> {
    match random.u8(0..14) {
        0..2 => b"-".to_vec(),
        2..4 => b"+".to_vec(),
        4 => one_of(random, &["", "[", "(", "x", "-a", "+a", "1", "(("]),
        number => {
            let mut edge = vec![if number % 2 == 0 { b'[' } else { b'(' }];
            edge.extend(member(random));
            edge
        }
    }
}

fn ends(random: &mut Rng, by: &str) -> [Vec<u8>; 2] {
    let end = match by {
        "rank" => integer,
        "score" => limit,
        _ => edge,
    };
    [end(random), end(random)]
}

fn range(random: &mut Rng, stores: bool) -> Vec<Vec<u8>> {
    let by = pick(random, &["rank", "score", "lex"]);
    let mut arguments: Vec<_> = (0..=usize::from(stores)).map(|_| zkey(random)).collect();
    arguments.extend(ends(random, by));
    match by {
        "score" => arguments.push("BYSCORE".into()),
        "lex" => arguments.push("BYLEX".into()),
        _ => {}
    }
    options(
        random,
        &mut arguments,
        &["REV", "LIMIT", "WITHSCORES", "LIMIT", "REV"],
    );
    let name = if stores { "ZRANGESTORE" } else { "ZRANGE" };
    command(random, name, arguments)
}

fn options(random: &mut Rng, arguments: &mut Vec<Vec<u8>>, names: &[&str]) {
    for _ in 0..random.u8(0..3) {
        let option = if random.u8(0..20) == 0 {
            "nonsense"
        } else {
            pick(random, names)
        };
        arguments.push(option.into());
        if option == "LIMIT" && random.u8(0..20) > 0 {
            arguments.extend([integer(random), integer(random)]);
        }
    }
}

fn old_range(random: &mut Rng) -> Vec<Vec<u8>> {
    let (name, by) = [
        ("ZREVRANGE", "rank"),
        ("ZRANGEBYSCORE", "score"),
        ("ZREVRANGEBYSCORE", "score"),
        ("ZRANGEBYLEX", "lex"),
        ("ZREVRANGEBYLEX", "lex"),
    ][random.usize(0..5)];
    let mut arguments = vec![zkey(random)];
    arguments.extend(ends(random, by));
    let names: &[&str] = match by {
        "lex" => &["LIMIT", "LIMIT", "LIMIT", "WITHSCORES"],
        _ => &["WITHSCORES", "LIMIT"],
    };
    options(random, &mut arguments, names);
    command(random, name, arguments)
}

fn counted_range(random: &mut Rng) -> Vec<Vec<u8>> {
    let (name, by) = [
        ("ZCOUNT", "score"),
        ("ZLEXCOUNT", "lex"),
        ("ZREMRANGEBYRANK", "rank"),
        ("ZREMRANGEBYSCORE", "score"),
        ("ZREMRANGEBYLEX", "lex"),
    ][random.usize(0..5)];
    let mut arguments = vec![zkey(random)];
    arguments.extend(ends(random, by));
    command(random, name, arguments)
}

fn zadd(random: &mut Rng) -> Vec<Vec<u8>> {
    let mut arguments = vec![zkey(random)];
    if random.bool() {
        for _ in 0..random.u8(0..3) {
            arguments.push(one_of(
                random,
                &["NX", "XX", "GT", "LT", "CH", "INCR", "ch"],
            ));
        }
    }
    for _ in 0..random.u8(1..5) {
        arguments.extend([score(random), member(random)]);
    }
    command(random, "ZADD", arguments)
}

/// Keys with their number before them, which is wrong now and then.
fn numbered(random: &mut Rng, arguments: &mut Vec<Vec<u8>>) -> usize {
    let count = random.usize(1..4);
    arguments.push(match random.u8(0..30) {
        0 => integer(random),
        _ => count.to_string().into_bytes(),
    });
    arguments.extend((0..count).map(|_| zkey(random)));
    count
}

fn combination(random: &mut Rng) -> Vec<Vec<u8>> {
    let name = pick(
        random,
        &[
            "ZUNION",
            "ZINTER",
            "ZDIFF",
            "ZUNIONSTORE",
            "ZINTERSTORE",
            "ZDIFFSTORE",
        ],
    );
    let mut arguments = Vec::new();
    if name.ends_with("STORE") {
        arguments.push(zkey(random));
    }
    let count = numbered(random, &mut arguments);
    for _ in 0..random.u8(0..3) {
        match random.u8(0..5) {
            0 | 1 => {
                arguments.push("WEIGHTS".into());
                arguments.extend((0..count).map(|_| score(random)));
            }
            2 | 3 => {
                arguments.push("AGGREGATE".into());
                arguments.push(one_of(random, &["SUM", "MIN", "MAX", "min", "x"]));
            }
            _ => arguments.push("WITHSCORES".into()),
        }
    }
    command(random, name, arguments)
}

fn zintercard(random: &mut Rng) -> Vec<Vec<u8>> {
    let mut arguments = Vec::new();
    numbered(random, &mut arguments);
    if random.bool() {
        arguments.extend([b"LIMIT".to_vec(), integer(random)]);
    }
    command(random, "ZINTERCARD", arguments)
}

fn zmpop(random: &mut Rng) -> Vec<Vec<u8>> {
    let mut arguments = Vec::new();
    numbered(random, &mut arguments);
    arguments.push(one_of(random, &["MIN", "MAX", "min", "x"]));
    if random.bool() {
        arguments.extend([b"COUNT".to_vec(), integer(random)]);
    }
    command(random, "ZMPOP", arguments)
}

/// The whole set, so that the choice does not show.
fn zrandmember(random: &mut Rng) -> Vec<Vec<u8>> {
    let count = one_of(
        random,
        &[
            "0",
            "100",
            "x",
            "9223372036854775807",
            "-9223372036854775808",
        ],
    );
    let mut words = vec![b"ZRANDMEMBER".to_vec(), zkey(random), count];
    for _ in 0..random.u8(0..3) {
        words.push(one_of(random, &["WITHSCORES", "WITHSCORES", "x"]));
    }
    words
}

/// Cursors are neither negative nor empty: old servers take those, too.
fn zscan(random: &mut Rng) -> Vec<Vec<u8>> {
    let mut arguments = vec![zkey(random), one_of(random, &["0", "0", "0", "5", "x"])];
    for _ in 0..random.u8(0..3) {
        match random.u8(0..5) {
            0 | 1 => arguments.extend([b"COUNT".to_vec(), integer(random)]),
            2 | 3 => arguments.extend([b"MATCH".to_vec(), one_of(random, &["*", "a", "[a-c]"])]),
            _ => arguments.push(one_of(random, &["TYPE", "x", "COUNT"])),
        }
    }
    command(random, "ZSCAN", arguments)
}

/// BZPOPMIN and its kin are sent where they have something to take, or an error: others would wait.
pub(super) fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    match random.u8(0..34) {
        0..9 => zadd(random),
        9 | 10 => {
            let arguments = vec![zkey(random), score(random), member(random)];
            command(random, "ZINCRBY", arguments)
        }
        11 => {
            let arguments = vec![zkey(random), member(random), member(random)];
            let name = pick(random, &["ZREM", "ZMSCORE"]);
            command(random, name, arguments)
        }
        12 => {
            let arguments = vec![zkey(random), member(random)];
            command(random, "ZSCORE", arguments)
        }
        // Newer servers take a further word, WITHSCORE.
        13 => vec![
            one_of(random, &["ZRANK", "ZREVRANK"]),
            zkey(random),
            member(random),
        ],
        14 => {
            let arguments = vec![zkey(random)];
            command(random, "ZCARD", arguments)
        }
        15..19 => range(random, false),
        19 | 20 => range(random, true),
        21..24 => old_range(random),
        24 | 25 => counted_range(random),
        26 => {
            let mut arguments = vec![zkey(random)];
            if random.bool() {
                arguments.push(integer(random));
            }
            let name = pick(random, &["ZPOPMIN", "ZPOPMAX"]);
            command(random, name, arguments)
        }
        27 => zmpop(random),
        28..31 => combination(random),
        31 => zintercard(random),
        32 => zrandmember(random),
        _ => zscan(random),
    }
}

#[test]
fn sorted_sets() {
    compare("sorted_sets", generate);
}

#[test]
fn lines_about_sorted_sets() {
    compare_lines(&[
        "ZADD z 1 a 2 b 2 c inf d -inf e",
        "ZRANGE z 0 1 LIMIT 0 -1",
        "ZRANGE z 0 1 LIMIT 1 -1",
        "ZADD z INCR -inf d",
        "ZADD z 1e-400 d",
        "ZADD z 0e-400 d",
        "ZCOUNT z 1e-400 1e400",
        "ZADD zero -0 a 1 b",
        "ZADD zero INCR -0 c",
        "ZUNION 1 zero WEIGHTS -1 WITHSCORES",
        "ZUNIONSTORE stored 1 zero WEIGHTS -1",
        "ZADD mixed -1 a 3 c 3 e 1 g",
        "ZRANGEBYLEX mixed (0 [d LIMIT 2 -1",
        "ZREVRANGEBYLEX mixed [d - LIMIT 1 -1",
        "ZRANDMEMBER z 9",
        "ZSCAN z 5 COUNT 1",
        "BZPOPMIN none z 0",
        "BZPOPMAX z 0.1",
        "BZMPOP 0 2 none z MAX COUNT 2",
        "BZPOPMIN z x",
        "BZPOPMIN z -1",
        "BZMPOP x 1 z MIN",
        "BZMPOP -1 0 z MIN",
        "BZMPOP 1 1 z MIN COUNT",
    ]);
}
