//! All data of both servers, in a form that can be compared.

use redis::{Value, from_redis_value};

use super::pair::{Pair, shown};

/// Per key its type, whether it has an expiry, and its value.
type Dump = Vec<String>;

pub(super) fn of(pair: &mut Pair) -> (Dump, Dump) {
    let (real, embedded) = ask(pair, &[b"KEYS", b"*"]);
    let (real, embedded) = (keys(real), keys(embedded));
    assert_eq!(real, embedded, "different keys");
    let mut dumps = (Vec::new(), Vec::new());
    for key in real {
        let name = key.escape_ascii();
        let kind = ask(pair, &[b"TYPE", &key]).0;
        let kind: String = from_redis_value(kind).expect("a type");
        let value: &[&[u8]] = match kind.as_str() {
            "string" => &[b"GET", &key],
            "list" => &[b"LRANGE", &key, b"0", b"-1"],
            "set" => &[b"SMEMBERS", &key],
            "hash" => &[b"HGETALL", &key],
            "zset" => &[b"ZRANGE", &key, b"0", b"-1", b"WITHSCORES"],
            "stream" => &[b"XRANGE", &key, b"-", b"+"],
            other => panic!("a key of type {other}"),
        };
        for words in [&[&b"TYPE"[..], &key][..], value] {
            let (real, embedded) = ask(pair, words);
            dumps.0.push(format!("{name} {}", line(&kind, &real)));
            dumps.1.push(format!("{name} {}", line(&kind, &embedded)));
        }
        let (real, embedded) = ask(pair, &[b"PTTL", &key]);
        dumps
            .0
            .push(format!("{name} expires: {}", real != Value::Int(-1)));
        dumps
            .1
            .push(format!("{name} expires: {}", embedded != Value::Int(-1)));
    }
    dumps
}

fn ask(pair: &mut Pair, words: &[&[u8]]) -> (Value, Value) {
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.to_vec()).collect();
    pair.ask(&words)
}

fn keys(reply: Value) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = from_redis_value(reply).expect("keys");
    keys.sort();
    keys
}

fn line(kind: &str, value: &Value) -> String {
    let mut items: Vec<String> = match value {
        Value::Array(items) | Value::Set(items) if kind == "set" => {
            items.iter().map(shown).collect()
        }
        Value::Array(items) if kind == "hash" => items
            .chunks(2)
            .map(|pair| pair.iter().map(shown).collect())
            .collect(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| shown(key) + &shown(value))
            .collect(),
        // Redis has two forms of it, with an estimate that may be out of date.
        Value::BulkString(bytes) if bytes.starts_with(b"HYLL") => return "HyperLogLog".into(),
        other => return shown(other),
    };
    items.sort();
    items.join(" ")
}
