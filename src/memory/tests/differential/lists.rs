use fastrand::Rng;

use super::{
    compare, compare_lines,
    words::{command, integer, key, one_of, pick, value},
};

pub(super) fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    let key = |random: &mut Rng| key(random, "l");
    match random.u8(0..26) {
        0..6 => {
            let name = pick(random, &["LPUSH", "RPUSH", "LPUSHX", "RPUSHX"]);
            let mut arguments = vec![key(random)];
            arguments.extend((0..random.u8(1..5)).map(|_| value(random)));
            command(random, name, arguments)
        }
        6 | 7 => {
            let name = pick(random, &["LPOP", "RPOP"]);
            let mut arguments = vec![key(random)];
            if random.bool() {
                arguments.push(integer(random));
            }
            command(random, name, arguments)
        }
        8 => {
            let arguments = vec![key(random)];
            command(random, "LLEN", arguments)
        }
        9 | 10 => {
            let name = pick(random, &["LRANGE", "LRANGE", "LRANGE", "LTRIM"]);
            let arguments = vec![key(random), integer(random), integer(random)];
            command(random, name, arguments)
        }
        11 => {
            let arguments = vec![key(random), integer(random)];
            command(random, "LINDEX", arguments)
        }
        12 | 13 => {
            let name = pick(random, &["LSET", "LREM"]);
            let arguments = vec![key(random), symmetric(random), value(random)];
            command(random, name, arguments)
        }
        14 | 15 => {
            let place = one_of(random, &["before", "AFTER", "AFTER", "BEFORE", "x"]);
            let arguments = vec![key(random), place, value(random), value(random)];
            command(random, "LINSERT", arguments)
        }
        16 | 17 => {
            let mut arguments = vec![key(random), value(random)];
            for _ in 0..random.u8(0..4) {
                arguments.push(one_of(random, &["RANK", "count", "MAXLEN", "x"]));
                arguments.push(symmetric(random));
            }
            command(random, "LPOS", arguments)
        }
        18 => {
            let (name, time) = rarely_blocking(random, "RPOPLPUSH", "BRPOPLPUSH");
            let mut arguments = vec![key(random), key(random)];
            arguments.extend(time);
            command(random, name, arguments)
        }
        19 | 20 => {
            let (name, time) = rarely_blocking(random, "LMOVE", "BLMOVE");
            let mut arguments = vec![key(random), key(random), end(random), end(random)];
            arguments.extend(time);
            command(random, name, arguments)
        }
        21 | 22 => {
            let (name, time) = rarely_blocking(random, "LMPOP", "BLMPOP");
            let mut arguments: Vec<_> = time.into_iter().collect();
            arguments.extend(mpop(random, key));
            command(random, name, arguments)
        }
        23 => {
            let name = pick(random, &["BLPOP", "BRPOP"]);
            let mut arguments: Vec<_> = (0..random.u8(1..4)).map(|_| key(random)).collect();
            arguments.push(time(random));
            command(random, name, arguments)
        }
        24 => {
            let arguments = vec![key(random)];
            command(random, "DEL", arguments)
        }
        _ => vec![b"SET".into(), super::words::key(random, "s"), value(random)],
    }
}

/// An integer, but not the least one, which Redis 7.0 takes as a count or a rank, though it has no negative.
fn symmetric(random: &mut Rng) -> Vec<u8> {
    let number = integer(random);
    if number == i64::MIN.to_string().as_bytes() {
        return b"-9223372036854775807".into();
    }
    number
}

fn end(random: &mut Rng) -> Vec<u8> {
    one_of(random, &["LEFT", "RIGHT", "left", "Right", "LEFT", "x"])
}

/// The arguments of LMPOP.
fn mpop(random: &mut Rng, key: impl Fn(&mut Rng) -> Vec<u8>) -> Vec<Vec<u8>> {
    let keys = random.u8(1..4);
    let number = match random.u8(0..10) {
        0 => integer(random),
        _ => keys.to_string().into_bytes(),
    };
    let mut arguments = vec![number];
    arguments.extend((0..keys).map(|_| key(random)));
    arguments.push(end(random));
    for _ in 0..random.u8(0..6) / 2 {
        arguments.push(one_of(random, &["COUNT", "count", "x"]));
        arguments.push(integer(random));
    }
    arguments
}

fn rarely_blocking<'a>(
    random: &mut Rng,
    name: &'a str,
    blocking: &'a str,
) -> (&'a str, Option<Vec<u8>>) {
    if random.u8(0..3) == 0 {
        (blocking, Some(time(random)))
    } else {
        (name, None)
    }
}

/// A timeout that is over soon, or an odd one. Redis 7.0 has another error for one that is out of range.
fn time(random: &mut Rng) -> Vec<u8> {
    one_of(
        random,
        &["0.001", "0.001", "1e-3", "-1", "x", "", " 1", "nan", "-0.5"],
    )
}

#[test]
fn lists() {
    compare("lists", generate);
}

#[test]
fn lines_about_lists() {
    compare_lines(&[
        "RPUSH l a b c b",
        "LPOP l -1",
        "LPOP l x",
        "LPOP l 0",
        "LPOP l 1 2",
        "LPOS l b RANK -1 COUNT 0 MAXLEN 2",
        "LPOS l b RANK 0",
        "LMPOP 0 l LEFT",
        "LMPOP 9223372036854775807 l LEFT",
        "LMPOP 1 l LEFT COUNT 1 COUNT 1",
        "SET s 1",
        "LMOVE l s LEFT LEFT",
        "LMOVE none s LEFT LEFT",
        "LMOVE l l LEFT RIGHT",
        "LINDEX none x",
        "LSET none x 1",
        "LSET s x 1",
    ]);
}
