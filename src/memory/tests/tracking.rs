//! Goal: of a tracked key that changes, its client is told once, and of no other. Method: a client reads keys, and keeps
//! what it has read until it is told; another one sends random commands of all families, keys expire and are evicted, and
//! after each step what is kept is held against the data.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use fastrand::Rng;
use redis::{Parser, PushKind, Value};

use super::{
    client::Client,
    differential::{FAMILIES, sequences},
};
use crate::memory::dump::MemoryValue;

const SEQUENCES: u64 = 60;
const STEPS: usize = 200;

struct Reader {
    client: Client,
    /// `None` for a key that does not exist.
    kept: BTreeMap<Vec<u8>, Option<MemoryValue>>,
}

impl Reader {
    fn present(&self, key: &[u8]) -> Option<MemoryValue> {
        self.client.store.with(|engine| {
            let value = engine.keyspace.database(0).peek(key);
            value.map(MemoryValue::of)
        })
    }

    fn read(&mut self, key: &str) {
        self.client
            .send(&["TYPE".into(), Bytes::copy_from_slice(key.as_bytes())]);
        self.hear();
        let value = self.present(key.as_bytes());
        self.kept.insert(key.into(), value);
        self.check();
    }

    /// Drops what it is told of. Each message is of one key that it keeps, or of all.
    fn hear(&mut self) {
        let bytes = self.client.read_bytes();
        let mut left = &bytes[..];
        let mut parser = Parser::new();
        while let Ok(value) = parser.parse_value(&mut left) {
            let Value::Push { kind, data } = value else {
                continue;
            };
            assert_eq!(kind, PushKind::Invalidate);
            match &data[..] {
                [Value::Nil] => self.kept.clear(),
                [Value::Array(keys)] => {
                    let [Value::BulkString(key)] = &keys[..] else {
                        panic!("several keys: {keys:?}");
                    };
                    let was_kept = self.kept.remove(key);
                    assert!(was_kept.is_some(), "told of {} in vain", key.escape_ascii());
                }
                other => panic!("told of {other:?}"),
            }
        }
    }

    fn check(&self) {
        for (key, kept) in &self.kept {
            assert_eq!(
                *kept,
                self.present(key),
                "not told of {}",
                key.escape_ascii()
            );
        }
    }
}

const KEYS: [&str; 12] = [
    "s0", "s1", "s2", "l0", "l1", "h0", "h1", "z0", "z1", "x0", "x1", "none",
];

fn other(random: &mut Rng) -> Vec<Vec<u8>> {
    let lines = [
        "MULTI",
        "EXEC",
        "FLUSHALL",
        "SELECT 0",
        "SWAPDB 0 1",
        "PEXPIRE s0 20",
        "PEXPIRE l0 20",
        "HPEXPIRE h0 20 FIELDS 1 a",
        "CONFIG SET maxmemory 6000 maxmemory-policy allkeys-lru",
        "CONFIG SET maxmemory 0",
        "CONFIG SET tracking-table-max-keys 3",
        "CONFIG SET tracking-table-max-keys 0",
        "EVAL return{redis.call('SET','s0','1'),redis.call('DEL','s0'),redis.call('SET','s1','1')} 0",
    ];
    let line = lines[random.usize(0..lines.len())];
    line.split(' ').map(Vec::from).collect()
}

#[test]
fn a_tracked_key_that_changes_is_told_once() {
    for mut random in sequences("tracking", SEQUENCES) {
        let writer = Client::new();
        let mut reader = Reader {
            client: Client::of(&writer.store),
            kept: BTreeMap::new(),
        };
        reader.client.ask("HELLO 3");
        assert_eq!(reader.client.ask("CLIENT TRACKING ON"), "+OK");
        for _ in 0..STEPS {
            match random.u8(..8) {
                0..3 => reader.read(KEYS[random.usize(..KEYS.len())]),
                3 => writer.store.with(|engine| {
                    engine
                        .clock
                        .advance(Duration::from_millis(random.u64(..40)));
                    engine.expire();
                }),
                4 => send(&writer, other(&mut random)),
                _ => {
                    let words = FAMILIES[random.usize(..FAMILIES.len())](&mut random);
                    // As in Redis, one whose writes all overflow makes a string longer, or a new one, and tells nobody.
                    if !words[0].eq_ignore_ascii_case(b"BITFIELD") {
                        send(&writer, words);
                    }
                }
            }
            writer.store.with(|engine| engine.check_counts());
            reader.hear();
            reader.check();
        }
    }
}

fn send(client: &Client, words: Vec<Vec<u8>>) {
    let words: Vec<Bytes> = words.into_iter().map(Bytes::from).collect();
    client.send(&words);
    client.wait();
    client.read_bytes();
}

/// What is remembered ends with the clients for which it is.
#[test]
fn clients_that_have_gone_leave_nothing() {
    let client = Client::new();
    let info = |field: &str| {
        let info = client.ask("INFO");
        let field = format!("{field}:");
        let value = info.split(' ').find_map(|line| line.strip_prefix(&field));
        value.map(str::to_owned).expect("a field")
    };
    let reader = Client::of(&client.store);
    reader.ask("HELLO 3");
    reader.ask("CLIENT TRACKING ON");
    reader.ask("MGET a b");
    assert_eq!(info("tracking_clients"), "1");
    assert_eq!(info("tracking_total_keys"), "2");
    drop(reader);
    assert_eq!(info("tracking_clients"), "0");
    assert_eq!(info("tracking_total_keys"), "0");
    client.ask("SET a 1");
    let noted = client
        .store
        .with(|engine| engine.keyspace.database(0).take_tracked());
    assert!(noted.is_empty());
}
