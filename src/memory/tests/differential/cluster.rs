//! A node of a cluster: its commands, and what it refuses.

use fastrand::Rng;
use redis::{FromRedisValue as _, Value};

use super::{
    compare_with,
    pair::Kind,
    words::{one_of, pick},
    words_of,
};

/// The texts of errors of SORT and of scripts are those of Redis 7.0.
fn generate(random: &mut Rng) -> Vec<Vec<u8>> {
    let mut any = || one_of(random, &["a", "b", "{a}1", "{a}2", "{b}", "x{}a", "{", ""]);
    let (one, other, third) = (any(), any(), any());
    let name = pick(
        random,
        &[
            "SET",
            "GET",
            "MGET",
            "MSET",
            "DEL",
            "RENAME",
            "COPY",
            "SINTERSTORE",
            "SADD",
            "LMOVE",
            "XREAD",
            "XREADGROUP",
            "ZUNIONSTORE",
            "SORT",
            "BITOP",
            "WATCH",
            "SSUBSCRIBE",
            "SPUBLISH",
            "LMPOP",
            "MULTI",
            "MULTI",
            "EXEC",
            "EXEC",
            "DISCARD",
            "SELECT",
            "MOVE",
            "SWAPDB",
            "CLUSTER",
            "GEOSEARCHSTORE",
            "SUNSUBSCRIBE",
        ],
    );
    let word = |text: &str| text.as_bytes().to_vec();
    let arguments = match name {
        "MULTI" | "EXEC" | "DISCARD" => vec![],
        "SELECT" => vec![one_of(random, &["0", "1", "99", "x"])],
        "SWAPDB" => vec![word("0"), word("1")],
        "MOVE" => vec![one, word("1")],
        "GET" => vec![one],
        "COPY" if random.bool() => vec![one, other, word("DB"), word("1")],
        "XREAD" => vec![word("STREAMS"), one, other, word("0"), word("0")],
        "XREADGROUP" => {
            let mut words: Vec<_> = ["GROUP", "g", "c", "STREAMS"].map(word).into();
            words.extend([one, other, word(">"), word(">")]);
            words
        }
        "ZUNIONSTORE" => vec![one, word("2"), other, third],
        "SORT" => {
            let mut words = vec![one];
            let option = pick(
                random,
                &["", "BY x", "BY w*", "GET #", "BY w* GET #", "ALPHA"],
            );
            words.extend(option.split(' ').filter(|word| !word.is_empty()).map(word));
            if random.bool() {
                words.extend([word("STORE"), other]);
            }
            words
        }
        "BITOP" => vec![word("AND"), one, other],
        "LMPOP" => vec![word("2"), one, other, word("LEFT")],
        "LMOVE" => vec![one, other, word("LEFT"), word("LEFT")],
        "MSET" => vec![one, word("1"), other, word("2")],
        "GEOSEARCHSTORE" => {
            let mut words = vec![one, other];
            words.extend(["FROMLONLAT", "1", "1", "BYRADIUS", "1", "m"].map(word));
            words
        }
        "CLUSTER" => return about(random, &one),
        _ => vec![one, other],
    };
    let mut words = vec![word(name)];
    words.extend(arguments);
    words
}

fn about(random: &mut Rng, key: &[u8]) -> Vec<Vec<u8>> {
    let slot = one_of(random, &["15495", "3300", "16384", "-1", "x"]);
    let count = one_of(random, &["0", "-1", "x"]);
    let subcommand = pick(
        random,
        &[
            "KEYSLOT",
            "COUNTKEYSINSLOT",
            "GETKEYSINSLOT",
            "INFO",
            "LINKS",
            "nonsense",
        ],
    );
    let mut words: Vec<Vec<u8>> = vec!["CLUSTER".into(), subcommand.into()];
    match subcommand {
        "KEYSLOT" => words.push(key.to_vec()),
        "COUNTKEYSINSLOT" => words.push(slot),
        "GETKEYSINSLOT" => words.extend([slot, count]),
        _ => {}
    }
    words
}

#[test]
fn keys_of_a_cluster() {
    compare_with(Kind::Cluster, "cluster", 60, |pair, random| {
        for line in ["RESET", "FLUSHALL"] {
            pair.check_bytes(&words_of(line));
        }
        if random.bool() {
            pair.ask(&words_of("HELLO 3"));
        }
        for _ in 0..60 {
            pair.check_bytes(&generate(random));
        }
        pair.check_bytes(&words_of("RESET"));
    });
}

#[test]
fn lines_about_clusters() {
    let all = [
        "CLUSTER SLOTS",
        "CLUSTER SLOTS x",
        "CLUSTER SHARDS",
        "CLUSTER MYID",
        "CLUSTER INFO",
        "CLUSTER LINKS",
        "CLUSTER",
        "CLUSTER nonsense",
        "READONLY",
        "READWRITE",
        "READONLY x",
        "ASKING",
        "INFO cluster",
        "CONFIG GET cluster-enabled",
        "SELECT 0",
        "SELECT 1",
        "SET {a}x 1",
        "SET a 1",
        "CLUSTER COUNTKEYSINSLOT 15495",
        "DEL {a}x",
        "CLUSTER GETKEYSINSLOT 15495 9",
        "BLPOP a b 0",
        "COPY a {a}z DB 0",
        "COPY a b DB 0",
        "MULTI",
        "SET a 1",
        "SET b 1",
        "EXEC",
        "EXEC",
        "MULTI",
        "MGET a b",
        "EXEC",
        "WATCH a b",
        "SCRIPT EXISTS x",
        "MEMORY USAGE nokey",
        "RENAME a b",
        "MOVE a x",
    ];
    compare_with(Kind::Cluster, "cluster lines", 1, |pair, _| {
        for protocol in ["2", "3"] {
            pair.check_bytes(&words_of("RESET"));
            pair.ask(&words_of(&format!("HELLO {protocol}")));
            pair.check_bytes(&words_of("FLUSHALL"));
            for line in all {
                pair.check_bytes(&words_of(line));
            }
            // The nodes of the fixture have bus ports of their own.
            let (real, embedded) = pair.ask(&words_of("CLUSTER NODES"));
            let known = |nodes: &Value| {
                let nodes = String::from_redis_value_ref(nodes).expect("text");
                let (id, rest) = nodes.split_once('@').expect("a bus port");
                let rest = rest.split_once(' ').expect("flags").1;
                format!("{id} {rest}")
            };
            assert_eq!(known(&real), known(&embedded));
        }
    });
}

#[cfg(feature = "memory-lua")]
#[test]
fn scripts_of_a_cluster() {
    let scripts = [
        "return redis.call('mget', 'a', 'b')",
        "redis.call('set', 'a', 1) redis.call('set', 'b', 1) return 1",
        "return redis.pcall('mget', 'a', 'b')",
        "#!lua\nredis.call('set', 'a', 1) redis.call('set', '{a}b', 1) return 1",
        "#!lua\nredis.call('set', 'a', 1) redis.call('set', 'b', 1) return 1",
        "#!lua flags=allow-cross-slot-keys\nredis.call('set', 'a', 1) redis.call('set', 'b', 1) return 1",
        "#!lua flags=no-cluster\nreturn 1",
        "#!lua\nredis.call('ping') return redis.call('set', 'b', 1)",
    ];
    compare_with(Kind::Cluster, "cluster scripts", 1, |pair, _| {
        pair.begin("2");
        for script in scripts {
            for keys in ["0", "1 a", "1 b", "2 a b"] {
                let mut words: Vec<Vec<u8>> = vec!["EVAL".into(), script.into()];
                words.extend(keys.split(' ').map(|word| word.as_bytes().to_vec()));
                // Whether it ran, and what it left.
                let (real, embedded) = pair.ask(&words);
                let text = |value: &Value| {
                    let text = format!("{value:?}");
                    text.split(" script:").next().map(str::to_owned)
                };
                assert_eq!(text(&real), text(&embedded), "{}", pair.history());
            }
        }
        for key in ["a", "b", "{a}b"] {
            pair.check(&words_of(&format!("GET {key}")));
        }
    });
}

/// The families of commands are the same at a node of a cluster, but for what it refuses.
#[test]
fn families_in_a_cluster() {
    compare_with(Kind::Cluster, "cluster families", 40, |pair, random| {
        pair.begin("2");
        let family = super::FAMILIES[random.usize(0..super::FAMILIES.len())];
        for _ in 0..60 {
            let words = family(random);
            pair.check(&words);
        }
        pair.check_data();
    });
}
