//! Several clients, of which some wait for keys. After each command all replies are compared that it caused, to
//! its own client and to others, and how many clients still wait.

use std::{
    io::Write,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use fastrand::Rng;
use redis::Parser;

use super::{
    COMMANDS, Generate, SEQUENCES,
    pair::{Pair, is_same, read_reply},
    sequences,
    words::{one_of, pick},
};
use crate::memory::tests::client::Client;

const CLIENTS: usize = 4;
/// How long a server may take to do what the other one has done.
const BOUND: Duration = Duration::from_secs(10);

/// A client of each server.
struct Twin {
    real: TcpStream,
    embedded: Client,
    /// The name of the command whose reply is still to come.
    pending: Option<String>,
}

impl Twin {
    fn new(pair: &Pair) -> Self {
        let (real, embedded) = pair.client();
        Self {
            real,
            embedded,
            pending: None,
        }
    }

    fn send(&mut self, words: &[Vec<u8>]) {
        let name = String::from_utf8_lossy(&words[0]);
        self.pending = Some(name.to_ascii_lowercase());
        let request = crate::common::resp::encode(words);
        self.real.write_all(&request).expect("a server that reads");
        let words: Vec<Bytes> = words.iter().cloned().map(Bytes::from).collect();
        self.embedded.send(&words);
    }

    /// Compares the replies of both servers, if the embedded one has replied.
    fn compare(&mut self, pair: &Pair) {
        let reply = self.embedded.read_bytes();
        if reply.is_empty() {
            return;
        }
        let history = pair.history();
        let Some(name) = self.pending.take() else {
            panic!("two replies\n{history}");
        };
        let embedded = Parser::new().parse_value(&reply[..]);
        let embedded = embedded.unwrap_or_else(|error| panic!("{error}\n{history}"));
        let real = read_reply(&mut self.real);
        let real = real.unwrap_or_else(|error| {
            panic!("{error}, but the embedded server replied {embedded:?}\n{history}")
        });
        // HELLO tells of the server.
        assert!(
            name == "hello" || is_same(&name, &real, &embedded),
            "a different reply\n  real     {real:?}\n  embedded {embedded:?}\n{history}"
        );
    }
}

/// Compares random sequences of several clients. Each sequence has one of these generators.
fn compare_clients(family: &str, generators: &[Generate]) {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    for mut random in sequences(family, SEQUENCES) {
        pair.begin("2");
        let mut twins: Vec<Twin> = (0..CLIENTS).map(|_| Twin::new(&pair)).collect();
        for (number, twin) in twins.iter_mut().enumerate() {
            let hello = [b"HELLO".to_vec(), one_of(&mut random, &["2", "3"])];
            pair.note(&format!("{number}: "), &hello);
            twin.send(&hello);
            twin.compare(&pair);
        }
        let generate = generators[random.usize(0..generators.len())];
        for _ in 0..COMMANDS {
            step(&mut pair, &mut twins, generate, &mut random);
        }
        // Those that still wait go, on both servers.
        drop(twins);
        settle(&mut pair);
        pair.check_data();
    }
}

fn step(pair: &mut Pair, twins: &mut [Twin], generate: Generate, random: &mut Rng) {
    let number = random.usize(0..twins.len());
    if twins[number].pending.is_some() {
        // Another one has its turn, unless this one goes. There is always one that does not wait.
        let are_all_waiting = twins.iter().all(|twin| twin.pending.is_some());
        if are_all_waiting || random.u8(0..10) == 0 {
            pair.note(&format!("{number}: "), &[b"(goes)".to_vec()]);
            twins[number] = Twin::new(pair);
            settle(pair);
        }
        return;
    }
    let words = generate(random);
    pair.note(&format!("{number}: "), &words);
    twins[number].send(&words);
    for twin in &mut *twins {
        twin.compare(pair);
    }
    settle(pair);
}

/// Waits until as many clients wait on the real server as on the embedded one. By then it has processed all
/// that clients have sent, and that they have gone.
fn settle(pair: &mut Pair) {
    let began = Instant::now();
    loop {
        let (real, embedded) = pair.waiting();
        if real == embedded {
            return;
        }
        assert!(
            began.elapsed() < BOUND,
            "clients that wait: {real} and {embedded}\n{}",
            pair.history()
        );
        thread::sleep(Duration::from_micros(200));
    }
}

/// Keys of lists in rising order. A waiting command is run again as a whole since Redis 7.2, and finds the first
/// of its keys that has an element; before, it took one from the key that has got one. If elements never move to
/// a key that comes earlier, both are the same.
fn rising_keys(random: &mut Rng, count: u8) -> Vec<Vec<u8>> {
    let mut keys: Vec<_> = (0..count)
        .map(|_| format!("l{}", random.u8(0..4)).into_bytes())
        .collect();
    keys.sort();
    keys
}

fn lists_of_many_keys(random: &mut Rng) -> Vec<Vec<u8>> {
    let count = random.u8(1..4);
    let keys = rising_keys(random, count);
    match random.u8(0..12) {
        0..3 => blocking_pop(random, keys),
        3 | 4 => {
            let mut words = vec![b"BLMPOP".into(), b"0".into(), count.to_string().into()];
            words.extend(keys);
            words.push(end(random));
            if random.bool() {
                words.extend([b"COUNT".to_vec(), one_of(random, &["1", "2", "3"])]);
            }
            words
        }
        // All to the last key: two moves to different ones could give elements to a later key first.
        5 => {
            let mut keys = rising_keys(random, 1);
            keys.push(b"l3".into());
            blocking_move(random, keys)
        }
        6 => nonblocking(random, keys),
        _ => push(random, &keys[0]),
    }
}

/// Lists in any order, and keys of other types, but no command that waits for more than one key.
fn lists_of_one_key(random: &mut Rng) -> Vec<Vec<u8>> {
    let key = |random: &mut Rng| one_of(random, &["l0", "l1", "l2"]);
    let keys = vec![key(random), key(random)];
    match random.u8(0..14) {
        0 | 1 => blocking_pop(random, keys[..1].to_vec()),
        2..6 => blocking_move(random, keys),
        6 => vec![b"SET".into(), key(random), b"1".into()],
        7 => vec![b"DEL".into(), key(random)],
        8 => nonblocking(random, keys),
        _ => push(random, &keys[0]),
    }
}

fn end(random: &mut Rng) -> Vec<u8> {
    one_of(random, &["LEFT", "RIGHT"])
}

fn blocking_pop(random: &mut Rng, keys: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut words = vec![one_of(random, &["BLPOP", "BRPOP"])];
    words.extend(keys);
    words.push(b"0".into());
    words
}

fn blocking_move(random: &mut Rng, mut keys: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let is_old = random.u8(0..3) == 0;
    let mut words = vec![if is_old {
        b"BRPOPLPUSH".into()
    } else {
        b"BLMOVE".into()
    }];
    words.append(&mut keys);
    if !is_old {
        words.extend([end(random), end(random)]);
    }
    words.push(b"0".into());
    words
}

fn push(random: &mut Rng, key: &[u8]) -> Vec<Vec<u8>> {
    let mut words = vec![one_of(random, &["LPUSH", "RPUSH"]), key.into()];
    for _ in 0..random.u8(1..4) {
        words.push(vec![random.u8(b'a'..=b'z')]);
    }
    words
}

fn nonblocking(random: &mut Rng, keys: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let name = pick(random, &["LPOP", "LLEN", "DEL", "RPOPLPUSH"]);
    let takes = if name == "RPOPLPUSH" { 2 } else { 1 };
    let mut words: Vec<Vec<u8>> = vec![name.into()];
    words.extend(keys.into_iter().take(takes));
    words
}

#[test]
fn clients_that_wait_for_lists() {
    compare_clients(
        "clients that wait for lists",
        &[lists_of_many_keys, lists_of_one_key],
    );
}
