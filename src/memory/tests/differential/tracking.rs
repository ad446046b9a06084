//! Of which keys a client that tracks them is told: two clients send random commands, and one of them tracks.

use std::{io::Write, net::TcpStream};

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use redis::{Parser, Value};

use super::{
    FAMILIES, compare_sequences,
    pair::{Pair, shown},
    words::pick,
    words_of,
};
use crate::memory::tests::client::Client;

/// A client of both servers.
struct Ends {
    real: TcpStream,
    parser: Parser,
    embedded: Client,
}

/// A reply, and the messages that came with it, in order of their texts: that of several keys is none.
type Heard = (Option<String>, Vec<String>);

impl Ends {
    fn new(pair: &Pair) -> Self {
        let (real, embedded) = pair.client();
        Self {
            real,
            parser: Parser::new(),
            embedded,
        }
    }

    /// Sends a command, and returns what comes up to its reply: from the real server, and from the embedded one.
    fn ask(&mut self, words: &[Vec<u8>]) -> (Heard, Heard) {
        let request = crate::common::resp::encode(words);
        self.real.write_all(&request).expect("a server that reads");
        let mut real = (None, Vec::new());
        while real.0.is_none() {
            let value = self.parser.parse_value(&mut self.real);
            heard(&mut real, value.expect("a reply"));
        }
        let words: Vec<Bytes> = words.iter().cloned().map(Bytes::from).collect();
        let mut embedded = (None, Vec::new());
        let mut bytes = self.embedded.ask_bytes(&words);
        loop {
            hear_all(&mut embedded, &bytes);
            if embedded.0.is_some() {
                break;
            }
            // A command that waits, with a short timeout.
            self.embedded.wait();
            bytes = self.embedded.read_bytes();
        }
        real.1.sort();
        embedded.1.sort();
        (real, embedded)
    }
}

fn hear_all(heard_so_far: &mut Heard, bytes: &BytesMut) {
    let mut parser = Parser::new();
    let mut left = &bytes[..];
    while let Ok(value) = parser.parse_value(&mut left) {
        heard(heard_so_far, value);
    }
}

fn heard(so_far: &mut Heard, value: Value) {
    match value {
        Value::Push { kind, data } => so_far.1.push(format!("{kind:?} {data:?}")),
        // In RESP2 it is told from replies by its first word.
        Value::Array(items) if items.first() == Some(&Value::BulkString(b"message".to_vec())) => {
            so_far.1.push(format!("{items:?}"));
        }
        reply => so_far.0 = Some(shown(&reply)),
    }
}

/// Commands of the client that tracks, which are not about data.
fn other(random: &mut Rng) -> Vec<Vec<u8>> {
    let line = pick(
        random,
        &[
            "CLIENT TRACKING ON",
            "CLIENT TRACKING ON OPTIN",
            "CLIENT TRACKING ON OPTOUT",
            "CLIENT TRACKING ON BCAST",
            "CLIENT TRACKING ON NOLOOP",
            "CLIENT TRACKING ON BCAST PREFIX s PREFIX l",
            "CLIENT TRACKING ON BCAST PREFIX s0 NOLOOP",
            "CLIENT TRACKING ON BCAST PREFIX z PREFIX z1",
            "CLIENT TRACKING ON PREFIX s",
            "CLIENT TRACKING ON BCAST OPTIN",
            "CLIENT TRACKING ON OPTIN OPTOUT",
            "CLIENT TRACKING ON OPTIN NOLOOP",
            "CLIENT TRACKING ON REDIRECT 999999",
            "CLIENT TRACKING ON REDIRECT x",
            "CLIENT TRACKING ON PREFIX",
            "CLIENT TRACKING x",
            "CLIENT TRACKING OFF",
            "CLIENT TRACKING OFF",
            "CLIENT CACHING x",
            "CLIENT CACHING YES",
            "CLIENT CACHING YES",
            "CLIENT CACHING YES",
            "CLIENT CACHING NO",
            "CLIENT CACHING NO",
            "CLIENT TRACKINGINFO",
            "CLIENT TRACKINGINFO",
            "CLIENT GETREDIR",
            "CLIENT ID x",
            "MULTI",
            "EXEC",
            "EXEC",
            "FLUSHDB",
            "FLUSHALL",
            "SELECT 0",
            "SELECT 1",
            "nonsense",
            "MGET s0 s1 s2",
            "EXISTS s0 l0 h0 z0 x0",
            "HELLO 3",
        ],
    );
    words_of(line)
}

/// PFCOUNT changes a key where Redis remembers the estimate, which is not kept here.
fn data(random: &mut Rng) -> Vec<Vec<u8>> {
    loop {
        let words = FAMILIES[random.usize(0..FAMILIES.len())](random);
        let is_left_out = |name: &str| words[0].eq_ignore_ascii_case(name.as_bytes());
        if !["PFCOUNT", "SWAPDB"].into_iter().any(is_left_out) {
            return words;
        }
    }
}

fn check(pair: &mut Pair, names: [&str; 2], ends: &mut [Ends; 2], at: usize, words: &[Vec<u8>]) {
    pair.note(names[at], words);
    let (mut real, mut embedded) = ends[at].ask(words);
    // Replies about data are compared elsewhere, and some have no order.
    let is_compared = words[0].eq_ignore_ascii_case(b"CLIENT");
    assert!(
        !is_compared || real.0 == embedded.0,
        "{real:?}, {embedded:?}\n{}",
        pair.history()
    );
    // Messages may come behind the reply. The question for them does not end CLIENT CACHING.
    for (index, client) in ends.iter_mut().enumerate() {
        let (later, later_embedded) = client.ask(&words_of("CLIENT GETNAME"));
        let (mut all, mut all_embedded) = (later.1, later_embedded.1);
        if index == at {
            all.append(&mut real.1);
            all_embedded.append(&mut embedded.1);
        }
        all.sort();
        all_embedded.sort();
        assert_eq!(all, all_embedded, "{}{}", names[index], pair.history());
    }
}

#[test]
fn invalidations() {
    compare_sequences("tracking", 100, |pair, random| {
        pair.begin("2");
        let mut ends = [Ends::new(pair), Ends::new(pair)];
        let names = ["tracker: ", "other: "];
        let mode = pick(
            random,
            &[
                "",
                " OPTIN",
                " OPTOUT",
                " NOLOOP",
                " BCAST",
                " BCAST PREFIX s",
            ],
        );
        for line in ["HELLO 3".to_owned(), format!("CLIENT TRACKING ON{mode}")] {
            check(pair, names, &mut ends, 0, &words_of(&line));
        }
        for _ in 0..60 {
            let (at, words) = match random.u8(..8) {
                0..2 => (0, other(random)),
                2..5 => (0, data(random)),
                _ => (1, data(random)),
            };
            check(pair, names, &mut ends, at, &words);
        }
    });
}

/// A client that is told in the place of another, in both protocols, and one that has gone.
#[test]
fn redirected_invalidations() {
    compare_sequences("redirected", 4, |pair, random| {
        pair.begin("2");
        let names = ["tracker: ", "other: "];
        let mut ends = [Ends::new(pair), Ends::new(pair)];
        let protocol = if random.bool() { "HELLO 3" } else { "HELLO 2" };
        check(pair, names, &mut ends, 1, &words_of(protocol));
        let (real, embedded) = ends[1].ask(&words_of("CLIENT ID"));
        let id = |heard: &Heard| {
            let text = heard.0.as_deref().expect("a reply");
            text.chars()
                .filter(char::is_ascii_digit)
                .collect::<String>()
        };
        // The ids differ.
        let ids = (id(&real), id(&embedded));
        let track = |id: &str| words_of(&format!("CLIENT TRACKING ON REDIRECT {id}"));
        let other = Ends::new(pair);
        let [tracker, told] = &mut ends;
        let request = crate::common::resp::encode(&track(&ids.0));
        tracker
            .real
            .write_all(&request)
            .expect("a server that reads");
        let tracked = tracker.parser.parse_value(&mut tracker.real);
        assert_eq!(tracked.expect("a reply"), Value::Okay);
        assert_eq!(
            tracker
                .embedded
                .ask(&format!("CLIENT TRACKING ON REDIRECT {}", ids.1)),
            "+OK"
        );
        if protocol == "HELLO 2" {
            let subscribe = words_of("SUBSCRIBE __redis__:invalidate");
            let (real, embedded) = told.ask(&subscribe);
            assert_eq!(real, embedded);
        }
        for line in ["GET a", "MGET a b"] {
            let (real, embedded) = tracker.ask(&words_of(line));
            assert_eq!(real, embedded, "{line}");
        }
        let mut writer = other;
        for line in ["SET a 1", "SET b 1", "SET a 2", "FLUSHALL"] {
            writer.ask(&words_of(line));
            // In RESP2 messages are arrays, which are heard as replies.
            let (real, embedded) = told.ask(&words_of("PING"));
            assert_eq!(real, embedded, "{line}");
        }
        let mut ends = ends.into_iter();
        let mut tracker = ends.next().expect("the tracker");
        drop(ends);
        let (real, embedded) = tracker.ask(&words_of("HELLO 3"));
        assert!(real.0.is_some() && embedded.0.is_some());
        crate::common::eventually(std::time::Duration::from_secs(10), "it is gone", || {
            tracker.ask(&words_of("GET c"));
            writer.ask(&words_of("SET c 1"));
            let (real, embedded) = tracker.ask(&words_of("CLIENT TRACKINGINFO"));
            let tells = |heard: &Heard| {
                heard
                    .0
                    .as_ref()
                    .is_some_and(|info| info.contains("broken_redirect"))
            };
            tells(&real) && tells(&embedded)
        });
    });
}
