//! Goal: counts and indexes say what the data says, whatever was done. Method: random commands of all families,
//! of several clients, with time that passes, keys that are evicted, and transactions; after each, all is counted again.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;

use super::{
    client::Client,
    differential::{FAMILIES, sequences},
};

const SEQUENCES: u64 = 30;
const COMMANDS: usize = 300;

/// The words of a command that is no family's.
fn other(random: &mut Rng) -> Vec<Vec<u8>> {
    let lines = [
        "MULTI",
        "EXEC",
        "DISCARD",
        "WATCH s0 l0 h0 z0 x0",
        "UNWATCH",
        "SELECT 0",
        "SELECT 1",
        "BLPOP l0 l1 0.05",
        "BLMOVE l0 l1 LEFT LEFT 0.05",
        "BZPOPMIN z0 z1 0.05",
        "XREAD BLOCK 50 STREAMS x0 $",
        "XREADGROUP GROUP g c BLOCK 50 STREAMS x0 >",
        "SORT l0 ALPHA STORE l1",
        "CONFIG SET maxmemory 6000 maxmemory-policy allkeys-lru",
        "CONFIG SET maxmemory 4000 maxmemory-policy volatile-ttl",
        "CONFIG SET maxmemory 0",
        "HPEXPIRE h0 20 FIELDS 1 a",
        "PEXPIRE z0 20",
        "CLIENT TRACKING ON",
        "CLIENT TRACKING ON BCAST",
        "CLIENT TRACKING OFF",
        "RESET",
    ];
    let line = lines[random.usize(0..lines.len())];
    line.split(' ').map(Vec::from).collect()
}

#[test]
fn counts_are_those_of_the_data() {
    for mut random in sequences("invariants", SEQUENCES) {
        let first = Client::new();
        let store = first.store.clone();
        let mut clients = vec![first];
        clients.extend((0..3).map(|_| Client::of(&store)));
        for _ in 0..COMMANDS {
            let words = match random.usize(0..FAMILIES.len() + 2) {
                family if family < FAMILIES.len() => FAMILIES[family](&mut random),
                _ => other(&mut random),
            };
            let words: Vec<Bytes> = words.into_iter().map(Bytes::from).collect();
            let client = random.usize(0..clients.len());
            clients[client].send(&words);
            if random.u8(0..40) == 0 {
                clients[client] = Client::of(&store);
            }
            store.with(|engine| {
                if random.u8(0..8) == 0 {
                    engine
                        .clock
                        .advance(Duration::from_millis(random.u64(..40)));
                    engine.tick_all();
                }
                engine.check_counts();
            });
            for client in &clients {
                client.read_bytes();
            }
        }
    }
}
