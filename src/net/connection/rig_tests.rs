//! A connection under test: its transport is the test's own, which determines the input and whether writing
//! works.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use ::oneshot::AsyncReceiver;
use redis::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
    time::Instant,
};

use crate::{
    config::{Config, resolve},
    net::{
        Answer, Answered, CloseReason, Connection, ConnectionExit, Established, Expected, InFlight,
        Link, Mailbox, Origin, Reply, Request, Responder, ServerInfo, Tally, TallySink, UnsentSink,
        codec::{Decoder, Limits},
        connection::pushes::{PushSink, PushSlot},
        transport::Transport,
    },
};

pub(super) const REQUEST: &[u8] = b"*1\r\n$4\r\nPING\r\n";
pub(super) const OUTSTANDING: usize = 100;
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// The state that the test and the connection's transport share.
#[derive(Default)]
pub(super) struct Peer {
    pub(super) replies: Vec<u8>,
    pub(super) written: usize,
    /// Writing fails.
    pub(super) is_gone: bool,
    /// Nothing can be written for now. The next read tries again.
    pub(super) is_stuck: bool,
    /// The end of the stream follows the replies.
    pub(super) is_closed: bool,
    /// The runtime has not learned of the replies: only the system knows.
    pub(super) is_unnoticed: bool,
    /// A part of something has come, and its rest does not come.
    pub(super) holds_a_part: bool,
    pub(super) reader: Option<Waker>,
}

#[derive(Clone, Default)]
pub(super) struct Wire(Arc<Mutex<Peer>>);

impl Wire {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Peer> {
        self.0.lock().expect("no test panicked with the lock")
    }

    /// Answers so many requests at once.
    pub(super) fn reply(&self, replies: usize) {
        let mut peer = self.lock();
        peer.replies.extend(b"+OK\r\n".repeat(replies));
        if let Some(reader) = peer.reader.take() {
            reader.wake();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut peer = self.lock();
        if peer.is_unnoticed || peer.replies.is_empty() && !peer.is_closed {
            peer.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = peer.replies.len().min(buffer.remaining());
        buffer.put_slice(&peer.replies[..taken]);
        peer.replies.drain(..taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut peer = self.lock();
        if peer.is_gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if peer.is_stuck {
            return Poll::Pending;
        }
        peer.written += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Wire {
    fn has_input(&self) -> bool {
        !self.lock().replies.is_empty()
    }

    fn read_now(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut peer = self.lock();
        if peer.replies.is_empty() && !peer.is_closed {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = peer.replies.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&peer.replies[..taken]);
        peer.replies.drain(..taken);
        Ok(taken)
    }

    fn holds_a_part(&self) -> bool {
        self.lock().holds_a_part
    }
}

/// The commands that were slow, and those that were unanswered.
#[derive(Debug, Default)]
pub(super) struct Counted(pub(super) Mutex<(u64, u64)>);

impl TallySink for Counted {
    fn add(&self, tally: &Tally) {
        let mut counted = self.0.lock().expect("no panic");
        counted.0 += tally.slow;
        counted.1 += tally.unanswered;
    }
}

/// Keeps the requests that the connection gives back.
#[derive(Clone, Debug, Default)]
pub(super) struct Returned(pub(super) Arc<Mutex<VecDeque<Request>>>);

impl UnsentSink for Returned {
    fn hold(&self) {}

    fn take_back(&self, unsent: VecDeque<Request>) {
        *self.0.lock().expect("no test panicked with the lock") = unsent;
    }
}

/// A connection on a wire, with [`OUTSTANDING`] requests written and none answered.
pub(super) struct Rig {
    pub(super) wire: Wire,
    pub(super) mailbox: Mailbox,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) answers: Vec<AsyncReceiver<Answer>>,
    pub(super) counted: Arc<Counted>,
    pub(super) attempt_timeout: Duration,
    pub(super) ended: tokio::task::JoinHandle<ConnectionExit>,
    pub(super) returned: Returned,
    pub(super) stop: oneshot::Sender<CloseReason>,
}

impl Rig {
    pub(super) async fn start() -> Self {
        Self::start_with(None).await
    }

    pub(super) async fn start_with(pushes: Option<Box<dyn PushSink>>) -> Self {
        Self::start_within(Limits::default(), pushes).await
    }

    pub(super) async fn start_within(limits: Limits, pushes: Option<Box<dyn PushSink>>) -> Self {
        let counted = Arc::<Counted>::default();
        let config = Config::single("redis://localhost");
        let settings = resolve(config).expect("a valid configuration");
        let wire = Wire::default();
        let established = Established {
            address: crate::config::Address::default(),
            transport: Box::new(wire.clone()),
            decoder: Decoder::new(limits),
            seen: ServerInfo::default(),
            login: None,
            input: bytes::BytesMut::new(),
            early: Vec::new(),
            announces: false,
        };
        let slot = PushSlot::default();
        if let Some(sink) = pushes {
            slot.inlet().put(sink);
        }
        let (stop, stopped) = oneshot::channel();
        let returned = Returned::default();
        let (mailbox, _, connection) = Connection::new(
            established,
            &settings.databases[0],
            counted.clone(),
            Link {
                origin: Origin::Connection(7),
                stop: stopped,
                saturated: None,
                unsent: Some(Box::new(returned.clone())),
                pushes: slot,
                bulletin: None,
            },
        );
        let mut rig = Self {
            wire,
            mailbox,
            in_flight: InFlight::new(None, 1_000, 1_000_000),
            answers: Vec::new(),
            counted,
            attempt_timeout: settings.databases[0].attempt_timeout,
            ended: tokio::spawn(connection.run()),
            returned,
            stop,
        };
        rig.send(OUTSTANDING);
        while rig.wire.lock().written < OUTSTANDING * REQUEST.len() {
            tokio::task::yield_now().await;
        }
        rig
    }

    /// A connection that has received all replies, and has handed out the first of them.
    pub(super) async fn start_with_backlog() -> Self {
        let mut rig = Self::start().await;
        rig.wire.reply(OUTSTANDING);
        assert_answered([rig.answers.remove(0)]).await;
        rig
    }

    pub(super) fn send(&mut self, requests: usize) {
        self.send_within(DEADLINE, requests);
    }

    pub(super) fn send_within(&mut self, timeout: Duration, requests: usize) {
        for _ in 0..requests {
            self.send_one(timeout, Expected::One);
        }
    }

    pub(super) fn send_one(&mut self, timeout: Duration, expected: Expected) {
        let permit = self.in_flight.enter(REQUEST.len()).expect("room");
        let (responder, answer) = Responder::new(permit);
        let deadline = Instant::now() + timeout;
        let request = Request::new(REQUEST.to_vec(), expected, deadline, responder);
        self.mailbox.send(request).expect("the connection runs");
        self.answers.push(answer);
    }

    /// The reason of the connection's end, which left so many requests unsent and none unknown.
    pub(super) async fn ended_without_sending(self, unsent: usize) -> Arc<CloseReason> {
        let ended = self.ended.await.expect("the connection did not panic");
        let returned = self.returned.0.lock().expect("no test panicked with it");
        assert_eq!((returned.len(), ended.victims), (unsent, 0));
        ended.loss
    }

    /// The number of answers so far.
    pub(super) fn answered(&self) -> usize {
        OUTSTANDING - self.in_flight.now().0
    }
}

pub(super) async fn assert_answered(answers: impl IntoIterator<Item = AsyncReceiver<Answer>>) {
    for answer in answers {
        let answer = answer.await.expect("a request is answered");
        assert!(
            matches!(
                answer,
                Ok(Answered {
                    reply: Reply::One(Value::Okay),
                    origin: Origin::Connection(7),
                    ..
                })
            ),
            "{answer:?} instead of the reply"
        );
    }
}
