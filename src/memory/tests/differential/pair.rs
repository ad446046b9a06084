//! A real server and an embedded one, which are asked the same.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use redis::{Parser, Value};

use super::{dump, streams};
use crate::{
    common::{RedisServer, eventually},
    memory::tests::{client::Client, is_comparable},
};

/// What the servers are.
pub(super) use crate::memory::store::Mode as Kind;

pub(super) struct Pair {
    server: RedisServer,
    real: TcpStream,
    embedded: Client,
    /// The commands of the sequence, for the report of a difference.
    history: Vec<String>,
}

/// A time to live may differ by as much, because the servers are asked one after the other.
pub(super) const TOLERANCE: i64 = 500;

impl Pair {
    /// None if the real server is of another version than the one whose replies are known.
    pub(super) fn start() -> Option<Self> {
        Self::of(Kind::Alone)
    }

    pub(super) fn of(kind: Kind) -> Option<Self> {
        if !is_comparable() {
            return None;
        }
        let server = match kind {
            Kind::Alone => RedisServer::start(),
            Kind::Cluster => node(),
        };
        let mut pair = Self {
            real: connect(&server),
            server,
            embedded: Client::of_new_server(kind),
            history: Vec::new(),
        };
        if kind == Kind::Cluster {
            pair.name_alike();
        }
        Some(pair)
    }

    /// The names of the nodes are random, and their ports those of the servers.
    fn name_alike(&mut self) {
        let id = self.ask_real(&[b"CLUSTER".into(), b"MYID".into()]);
        let id: String = redis::from_redis_value(id).expect("text");
        let port = self.server.port();
        self.embedded.store.with(|engine| {
            engine.settings.port = port;
            engine.cluster.as_mut().expect("a node").id = id;
        });
    }

    /// Another client of both servers.
    pub(super) fn client(&self) -> (TcpStream, Client) {
        (connect(&self.server), Client::of(&self.embedded.store))
    }

    /// How many clients of each server wait for keys.
    pub(super) fn waiting(&mut self) -> (String, String) {
        let info = self.ask_real(&[b"INFO".into(), b"clients".into()]);
        let info: String = redis::from_redis_value(info).expect("text");
        let mut lines = info.lines();
        let real = lines.find_map(|line| line.strip_prefix("blocked_clients:"));
        let embedded = self.embedded.store.with(|engine| {
            let waiting = engine.sessions.values();
            waiting.filter(|session| session.waiting.is_some()).count()
        });
        (real.unwrap_or_default().to_owned(), embedded.to_string())
    }

    /// Notes a command for the report of a difference.
    pub(super) fn note(&mut self, client: &str, words: &[Vec<u8>]) {
        let words = words.iter().map(|word| word.escape_ascii().to_string());
        let line: Vec<_> = words.collect();
        self.history.push(format!("{client}{}", line.join(" ")));
    }

    pub(super) fn history(&self) -> String {
        self.history.join("\n")
    }

    /// Begins a sequence with no data, in this protocol.
    pub(super) fn begin(&mut self, protocol: &str) {
        self.history.clear();
        for words in [&["FLUSHALL"][..], &["HELLO", protocol], &["SELECT", "0"]] {
            let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            self.ask(&words);
        }
    }

    /// Sends a command to both, and compares the replies.
    pub(super) fn check(&mut self, words: &[Vec<u8>]) {
        let (real, embedded) = self.ask(words);
        let name = words
            .first()
            .map(|name| String::from_utf8_lossy(name).to_ascii_lowercase());
        let name = name.unwrap_or_default();
        assert!(
            is_same(&name, &real, &embedded),
            "a different reply\n  real     {real:?}\n  embedded {embedded:?}\n{}",
            self.history()
        );
    }

    /// Sends a command to both, and compares the bytes of all that comes: of the real server as much is read as
    /// the embedded one has written. More than that shows at the next command.
    pub(super) fn check_bytes(&mut self, words: &[Vec<u8>]) {
        self.note("", words);
        let request = crate::common::resp::encode(words);
        self.real.write_all(&request).expect("a server that reads");
        let embedded = self.embedded_bytes(words);
        let mut real = vec![0; embedded.len()];
        if embedded.starts_with(b"-NOAUTH HELLO") {
            // Redis 7.2 has added a word.
            real.truncate(embedded.len() - b"<proto> ".len());
        }
        let read = self.real.read_exact(&mut real);
        // Redis 7.2 sends a client its own messages after the reply, earlier ones before it. The end of all
        // subscriptions is confirmed in any order.
        let sorted = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes.sort_unstable();
            bytes
        };
        let has = |word: &[u8]| embedded.windows(word.len()).any(|part| part == word);
        let has_no_order = has(b"message") || has(b"unsubscribe");
        let is_same = real == embedded
            || real.len() < embedded.len()
            || has_no_order && sorted(&real) == sorted(&embedded);
        assert!(
            read.is_ok() && is_same,
            "a different reply ({read:?})\n  real     {}\n  embedded {}\n{}",
            real.escape_ascii(),
            embedded.escape_ascii(),
            self.history()
        );
    }

    /// Compares all keys, with their types, values and times to live.
    pub(super) fn check_data(&mut self) {
        let (real, embedded) = dump::of(self);
        assert_eq!(real, embedded, "different data\n{}", self.history());
    }

    /// Sends a command to both, and returns the replies: of the real server, and of the embedded one.
    pub(super) fn ask(&mut self, words: &[Vec<u8>]) -> (Value, Value) {
        self.note("", words);
        (self.ask_real(words), self.ask_embedded(words))
    }

    fn ask_real(&mut self, words: &[Vec<u8>]) -> Value {
        let request = crate::common::resp::encode(words);
        self.real.write_all(&request).expect("a server that reads");
        let reply = read_reply(&mut self.real);
        reply.unwrap_or_else(|error| panic!("{error}\n{}", self.history()))
    }

    fn ask_embedded(&mut self, words: &[Vec<u8>]) -> Value {
        let mut reply = self.embedded_bytes(words);
        if reply.is_empty() {
            // A command that waits, with a short timeout.
            self.embedded.wait();
            reply = self.embedded.read_bytes();
        }
        let value = Parser::new().parse_value(&reply[..]);
        value.unwrap_or_else(|error| {
            let text = reply.escape_ascii();
            panic!("no reply: {text} ({error})\n{}", self.history())
        })
    }

    fn embedded_bytes(&mut self, words: &[Vec<u8>]) -> BytesMut {
        let words: Vec<Bytes> = words
            .iter()
            .map(|word| Bytes::copy_from_slice(word))
            .collect();
        self.embedded.ask_bytes(&words)
    }
}

/// A cluster of one node, which serves all slots.
fn node() -> RedisServer {
    let server = RedisServer::builder().cluster().start();
    server.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    eventually(Duration::from_secs(20), "the cluster is complete", || {
        server
            .cli(&["CLUSTER", "INFO"])
            .contains("cluster_state:ok")
    });
    server
}

fn connect(server: &RedisServer) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("a server that accepts");
    stream.set_nodelay(true).expect("an option");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("an option");
    stream
}

/// Reads a reply after which there is nothing more to read.
pub(super) fn read_reply(stream: &mut TcpStream) -> io::Result<Value> {
    let mut parser = Parser::new();
    let mut reply = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reply.extend_from_slice(&buffer[..read]);
        if let Ok(value) = parser.parse_value(&reply[..]) {
            return Ok(value);
        }
    }
}

/// Whether two replies to a command say the same.
pub(super) fn is_same(name: &str, real: &Value, embedded: &Value) -> bool {
    let is_time = matches!(
        name,
        "ttl" | "pttl" | "expiretime" | "pexpiretime" | "httl" | "hpttl"
    );
    match (real, embedded) {
        (Value::Int(one), Value::Int(other)) if is_time && *one > 0 => {
            (one - other).abs() <= TOLERANCE
        }
        (Value::Array(one), Value::Array(other)) if is_time => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| is_same(name, one, other))
        }
        (Value::Array(one), Value::Array(other)) if name.ends_with("scan") => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| sorted(one) == sorted(other))
        }
        _ if matches!(name, "xinfo" | "xpending" | "xread" | "xreadgroup") => {
            streams::is_same(real, embedded)
        }
        _ if UNORDERED.contains(&name) => sorted(real) == sorted(embedded),
        _ => shown(real) == shown(embedded),
    }
}

/// Commands whose replies are in no order. Of replies to commands that choose at random, only the shape can
/// be compared; generators leave them out.
const UNORDERED: [&str; 12] = [
    "keys",
    "smembers",
    "sinter",
    "sunion",
    "sdiff",
    "spop",
    "srandmember",
    "hkeys",
    "hvals",
    "hgetall",
    "hrandfield",
    "config",
];

/// Elements as text, in order; of a map, pairs.
fn sorted(value: &Value) -> Vec<String> {
    let mut items: Vec<String> = match value {
        Value::Array(items) | Value::Set(items) => items.iter().map(shown).collect(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| shown(key) + &shown(value))
            .collect(),
        other => vec![shown(other)],
    };
    items.sort();
    items
}

/// A reply as text. A number with a fraction is rounded: old servers write more digits.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => match std::str::from_utf8(bytes).ok().and_then(fraction) {
            Some(number) => format!("{number:.12e}"),
            None => bytes.escape_ascii().to_string(),
        },
        Value::Double(number) => format!("double {number:.12e}"),
        Value::Array(items) => format!("{:?}", items.iter().map(shown).collect::<Vec<_>>()),
        Value::Set(items) => format!("set {:?}", items.iter().map(shown).collect::<Vec<_>>()),
        Value::Map(pairs) => {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(key, value)| (shown(key), shown(value)))
                .collect();
            format!("map {pairs:?}")
        }
        other => format!("{other:?}"),
    }
}

fn fraction(text: &str) -> Option<f64> {
    let is_fraction = text.contains(['.', 'e']) && text.contains(|c: char| c.is_ascii_digit());
    is_fraction.then(|| text.parse().ok()).flatten()
}
