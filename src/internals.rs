//! The parts of the inside that benches and fuzz targets use, behind the feature `internals`. They are no
//! part of the public interface, and change without notice.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use redis::{Cmd, Value};
use tokio::{
    io::DuplexStream,
    sync::{oneshot, watch},
};

use crate::{
    Error, Refusal,
    call::{CallEngine, Overrides, args},
    config::{Address, Config, resolve},
    events::{Change, CircuitState, EventHub, HealthEvents, HealthState},
    maintenance::Bulletin,
    net::{
        Connection, Dialler, Established, Executor, FixedAddress, InFlight, Link, Origin, PushSlot,
        ServerInfo, SocketConnector, codec, transport::Transport,
    },
    policy::{
        breaker,
        command::{Block, Class, Place},
        gate_state::GateState,
    },
    state::{DatabaseState, Gate, Route},
    wire::request,
};

/// Decodes `data`, fed in pieces of the lengths in `splits` and then the rest at once: each reply, or
/// the limit that it exceeds, with the offset at which it ends, and the error that ended the stream.
#[expect(clippy::type_complexity, reason = "it is spelled out once, for tests")]
pub fn decode_all(
    data: &[u8],
    splits: &[usize],
) -> (Vec<(Result<Value, String>, usize)>, Option<String>) {
    let (replies, error) = codec::decode_all(data, splits, codec::Limits::default());
    let replies = replies.into_iter().map(|(reply, end)| match reply {
        codec::Decoded::Value(value) => (Ok(value), end),
        codec::Decoded::TooLarge(oversized) => (Err(oversized.limit.to_string()), end),
    });
    (replies.collect(), error.map(|error| error.to_string()))
}

/// The requests in `data`, fed in pieces of the lengths in `splits` and then the rest at once, as a server or a front
/// reads them that bounds a request to so many bytes; and the error that ended the stream.
pub fn requests_in(
    data: &[u8],
    splits: &[usize],
    limit: usize,
) -> (Vec<Vec<Bytes>>, Option<&'static str>) {
    let mut decoder = request::Decoder::with_limit(limit);
    let (mut input, mut rest, mut requests) = (BytesMut::new(), data, Vec::new());
    for length in splits.iter().copied().chain([data.len()]) {
        let (piece, later) = rest.split_at(length.min(rest.len()));
        input.extend_from_slice(piece);
        rest = later;
        loop {
            match decoder.next(&mut input, true) {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => break,
                Err(malformed) => return (requests, Some(malformed.0)),
            }
        }
    }
    (requests, None)
}

/// The decoder of a connection.
pub struct Decoder(codec::Decoder);

impl Default for Decoder {
    fn default() -> Self {
        Self(codec::Decoder::new(codec::Limits::default()))
    }
}

impl Decoder {
    /// Takes the next reply from the front of `input`, if it is complete.
    ///
    /// # Panics
    ///
    /// When the input is no reply.
    pub fn decode(&mut self, input: &mut BytesMut) -> Option<Value> {
        let reply = self.0.decode(input);
        match reply.expect("BUG: a bench decodes valid replies")? {
            codec::Decoded::Value(value) => Some(value),
            codec::Decoded::TooLarge(oversized) => panic!("BUG: in a bench {}", oversized.limit),
        }
    }
}

/// The checks that a command must pass before it is sent.
pub struct Admission {
    gate: Arc<Gate>,
    in_flight: Arc<InFlight>,
}

impl Admission {
    /// The circuit is closed, and there is room.
    pub fn free() -> Self {
        Self {
            gate: Gate::new(0, Arc::new(Executor::new(None))),
            in_flight: InFlight::new(None, 65_536, 512 << 20),
        }
    }

    /// The circuit is open.
    pub fn open() -> Self {
        let admission = Self::free();
        admission.gate.begin(GateState::Open);
        admission
    }

    /// Whether a command of so many bytes passes. Its permits are given back at once.
    pub fn admits(&self, bytes: usize) -> bool {
        let Ok(_admitted) = self.gate.try_enter() else {
            return false;
        };
        self.in_flight.enter(bytes).is_ok()
    }

    /// Tells the gate that a command has succeeded, as every such command does.
    pub fn note_success(&self) {
        self.gate.note_success();
    }

    /// Whether a command has succeeded since the last time this was called.
    pub fn take_success(&self) -> bool {
        self.gate.take_success()
    }
}

/// The reason for which a plain handle refuses a command.
pub fn refusal(command: &Cmd) -> Option<Refusal> {
    match Class::of(args(command)).place(false) {
        Place::Refused(refusal) => Some(refusal),
        Place::Shared | Place::SharedOn(_) | Place::Leased(_) => None,
    }
}

/// The longest time that the server may keep a command; `None` for a command that does not block. For ever
/// is [`Duration::MAX`].
pub fn longest_block(command: &Cmd) -> Option<Duration> {
    Class::of(args(command)).block().map(|block| match block {
        Block::AtMost(longest) => longest,
        Block::Forever => Duration::MAX,
    })
}

/// A circuit breaker with the default settings.
pub struct Breaker(breaker::Breaker);

impl Default for Breaker {
    fn default() -> Self {
        Self(breaker::Breaker::new(
            5,
            Duration::from_secs(60),
            Instant::now(),
        ))
    }
}

impl Breaker {
    /// A command failed, and the next one succeeded.
    pub fn stumble(&mut self, now: Instant) {
        self.0.failed(breaker::Failed::Command, now, 0.5);
        self.0.succeeded(now);
    }

    /// Whether the circuit is closed.
    pub fn is_closed(&self) -> bool {
        self.0.circuit() == CircuitState::Closed
    }
}

/// The health events of a supervisor.
#[derive(Default)]
pub struct Events(EventHub);

impl Events {
    /// Publishes that a database is healthy from now on, or is not.
    pub fn publish(&self, database: &Arc<str>, is_healthy: bool) {
        let state = if is_healthy {
            HealthState::Healthy
        } else {
            HealthState::Failed
        };
        let _ = self.0.publish(Change {
            database: database.clone(),
            state,
            circuit: CircuitState::Closed,
            cause: None,
            recovery: None,
            now: tokio::time::Instant::now(),
        });
    }

    /// A subscriber.
    pub fn subscribe(&self) -> HealthEvents {
        self.0.subscribe()
    }
}

/// The data plane of one database on a stream in memory, with no actor and no socket.
pub struct Line(CallEngine);

impl Line {
    /// Runs the connection on the tokio runtime that this is called in, until the line is dropped.
    pub fn open(stream: DuplexStream) -> Self {
        Self::with(stream, false)
    }

    /// The same with a server that announces its maintenance.
    pub fn open_with_announcements(stream: DuplexStream) -> Self {
        Self::with(stream, true)
    }

    fn with(stream: DuplexStream, announces: bool) -> Self {
        let config = Config::single("redis://localhost");
        let settings = resolve(config).expect("BUG: the defaults are valid");
        // Unused: the connection is already there.
        let dialler = Dialler::new(FixedAddress, Arc::new(SocketConnector::default()));
        let executor = Arc::new(Executor::new(None));
        let settings = settings.databases[0].clone();
        let state = DatabaseState::new(
            settings,
            None,
            None,
            dialler,
            executor,
            Arc::default(),
            Instant::now(),
        );
        let established = Established {
            address: crate::config::Address::default(),
            transport: Box::new(stream),
            decoder: codec::Decoder::new(codec::Limits::default()),
            seen: ServerInfo::default(),
            login: None,
            input: bytes::BytesMut::new(),
            early: Vec::new(),
            announces,
        };
        // The connection is not stopped: it drains when its mailbox is dropped with the line.
        let (_, stop) = oneshot::channel();
        let (mailbox, activity, connection) = Connection::new(
            established,
            &state.settings.load(),
            state.counters.clone(),
            Link {
                origin: Origin::Connection(0),
                stop,
                saturated: None,
                unsent: None,
                pushes: PushSlot::default(),
                bulletin: announces.then(|| watch::channel(Bulletin::default()).0),
            },
        );
        tokio::spawn(connection.run());
        let route = Route {
            address: Address::default(),
            id: 0,
            mailbox,
            activity,
            number: None,
        };
        state.parking.publish(&[Arc::new(route)]);
        Self(CallEngine::new(state))
    }

    /// Runs one command, as a handle does.
    ///
    /// # Errors
    ///
    /// As [`Database::execute`](crate::Database::execute).
    pub async fn execute(&self, command: &Cmd) -> Result<Value, Error> {
        self.0
            .execute(command, &self.0.options(Overrides::default()))
            .await
    }

    /// Reads the routes, as every command does, and tells whether there are any.
    pub fn has_route(&self) -> bool {
        self.0.state.parking.routes().is_some()
    }
}

impl Transport for DuplexStream {
    fn has_input(&self) -> bool {
        // The bench's server sends only replies.
        false
    }

    fn read_now(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}
