use fastrand::Rng;

use super::{
    compare, compare_lines,
    words::{command, key, one_of, pick, value},
};

pub(super) fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    let key = |random: &mut Rng| key(random, "s");
    match random.u8(0..30) {
        0..5 => {
            let arguments = vec![key(random), value(random)];
            command(random, "SET", arguments)
        }
        5 => {
            let name = pick(random, &["DEL", "UNLINK", "EXISTS", "TOUCH"]);
            let arguments = vec![key(random), key(random), key(random)];
            command(random, name, arguments)
        }
        6..11 => {
            let name = pick(random, &["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"]);
            let arguments = vec![key(random), time(random, name)];
            expire(random, name, arguments)
        }
        11..14 => {
            let names = [
                "TTL",
                "PTTL",
                "EXPIRETIME",
                "PEXPIRETIME",
                "TYPE",
                "PERSIST",
                "GET",
            ];
            let name = pick(random, &names);
            let arguments = vec![key(random)];
            command(random, name, arguments)
        }
        14 | 15 => {
            let name = pick(random, &["RENAME", "RENAMENX"]);
            let arguments = vec![key(random), key(random)];
            command(random, name, arguments)
        }
        16 | 17 => {
            let mut arguments = vec![key(random), key(random)];
            for _ in 0..random.u8(0..3) {
                let option = one_of(random, &["REPLACE", "DB", "replace", "db", "nonsense"]);
                let takes_number = option.eq_ignore_ascii_case(b"db");
                arguments.push(option);
                if takes_number {
                    arguments.push(database(random));
                }
            }
            command(random, "COPY", arguments)
        }
        18 => {
            let arguments = vec![key(random), database(random)];
            command(random, "MOVE", arguments)
        }
        19 => {
            let name = pick(random, &["SELECT", "SWAPDB"]);
            let mut arguments = vec![database(random), database(random)];
            if name == "SELECT" {
                arguments = vec![one_of(random, &["0", "1"])];
            }
            command(random, name, arguments)
        }
        20 => {
            let name = pick(random, &["DBSIZE", "FLUSHDB", "FLUSHALL"]);
            let mut arguments = vec![one_of(random, &["SYNC", "async", "nonsense"])];
            if name == "DBSIZE" || random.u8(0..10) > 0 {
                arguments.clear();
            }
            command(random, name, arguments)
        }
        21..24 => {
            let pattern = ["*", "s*", "?1", "s[0-1]", "s[^0]", "nothing", ""];
            let pattern = one_of(random, &pattern);
            command(random, "KEYS", vec![pattern])
        }
        24 | 25 => {
            let mut arguments = vec![one_of(random, &["0", "0", "0", "x"])];
            // All keys come at once, so that the replies are the same.
            arguments.extend(["COUNT", "1000"].map(Vec::from));
            for _ in 0..random.u8(0..3) {
                let option = one_of(random, &["MATCH", "TYPE", "NOSUCH", "COUNT"]);
                let value = match &option[..] {
                    b"MATCH" => one_of(random, &["s*", "*1", "?2", ""]),
                    b"TYPE" => one_of(random, &["string", "LIST", "nonsense"]),
                    _ => one_of(random, &["1000", "0", "-1", "x"]),
                };
                arguments.extend([option, value]);
            }
            command(random, "SCAN", arguments)
        }
        26 => {
            let name = one_of(random, &["FREQ", "HELP", "x"]);
            let mut arguments = vec![name, key(random)];
            arguments.truncate(random.usize(1..4));
            command(random, "OBJECT", arguments)
        }
        27 => {
            let name = pick(random, &["SORT", "SORT_RO"]);
            let arguments = vec![key(random)];
            command(random, name, arguments)
        }
        _ => {
            let arguments = vec![key(random), "1000000".into(), value(random)];
            command(random, "PSETEX", arguments)
        }
    }
}

fn expire(random: &mut Rng, name: &str, mut arguments: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let most = if random.u8(0..4) == 0 { 3 } else { 2 };
    for _ in 0..random.u8(0..most) {
        arguments.push(one_of(random, &["NX", "xx", "GT", "LT", "XX", "nonsense"]));
    }
    command(random, name, arguments)
}

/// A time that is far from now, so that it does not pass while the servers are compared.
fn time(random: &mut Rng, name: &str) -> Vec<u8> {
    let odd = [
        "0",
        "-1",
        "x",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775",
        "-9223372036854775",
        "9223372036854776",
    ];
    if random.u8(0..5) == 0 {
        return one_of(random, &odd);
    }
    match name {
        // Relative times that are equal could differ by what passes between the servers.
        "EXPIRE" => random.u32(1_000..1_000_000).to_string().into_bytes(),
        "PEXPIRE" => random.u32(1_000_000..).to_string().into_bytes(),
        "EXPIREAT" => one_of(random, &["9000000000", "9900000000", "1"]),
        _ => one_of(random, &["9000000000000", "9900000000000", "1"]),
    }
}

fn database(random: &mut Rng) -> Vec<u8> {
    let odd = ["16", "-1", "x", "2147483648", "9223372036854775808", ""];
    match random.u8(0..6) {
        0 => one_of(random, &odd),
        _ => one_of(random, &["0", "1"]),
    }
}

#[test]
fn keys() {
    compare("keys", generate);
}

#[test]
fn lines_about_keys() {
    compare_lines(&[
        "SET a 1",
        "OBJECT ENCODING a",
        "SET a abcdefghijabcdefghijabcdefghijabcdefghijabcd",
        "OBJECT ENCODING a",
        "SET a abcdefghijabcdefghijabcdefghijabcdefghijabcde",
        "OBJECT ENCODING a",
        "OBJECT ENCODING b",
        "OBJECT IDLETIME b",
        "OBJECT REFCOUNT b",
        "OBJECT REFCOUNT a",
        "OBJECT",
        "SWAPDB x 99999999999999",
        "SWAPDB 1 y",
        "SWAPDB 16 1",
        "MOVE a 2147483648",
        "EXPIRE a x nonsense",
    ]);
}
