//! Goal: a connection hands out replies, and ends, by its rules. Method: a transport of the test's own, which
//! determines the input and whether writing works.

#[path = "bounds_tests.rs"]
mod bounds;
#[path = "standstill_tests.rs"]
mod standstill;

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use ::oneshot::AsyncReceiver;
use redis::{PushKind, Value};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::{
    config::{Config, resolve},
    execution::Stage,
    net::{
        Answer, Answered, Expected, Failure, InFlight, Reply, Responder, ServerInfo,
        codec::{Decoder, Limits},
    },
};

const REQUEST: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const OUTSTANDING: usize = 100;
const DEADLINE: Duration = Duration::from_secs(60);

/// The state that the test and the connection's transport share.
#[derive(Default)]
struct Peer {
    replies: Vec<u8>,
    written: usize,
    /// Writing fails.
    is_gone: bool,
    /// Nothing can be written for now. The next read tries again.
    is_stuck: bool,
    /// The end of the stream follows the replies.
    is_closed: bool,
    /// The runtime has not learned of the replies: only the system knows.
    is_unnoticed: bool,
    reader: Option<Waker>,
}

#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Peer>>);

impl Wire {
    fn lock(&self) -> std::sync::MutexGuard<'_, Peer> {
        self.0.lock().expect("no test panicked with the lock")
    }

    /// Answers so many requests at once.
    fn reply(&self, replies: usize) {
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

    fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut peer = self.lock();
        if peer.replies.is_empty() && !peer.is_closed {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = peer.replies.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&peer.replies[..taken]);
        peer.replies.drain(..taken);
        Ok(taken)
    }
}

/// The commands that were slow, and those that were unanswered.
#[derive(Debug, Default)]
struct Counted(Mutex<(u64, u64)>);

impl TallySink for Counted {
    fn add(&self, tally: Tally) {
        let mut counted = self.0.lock().expect("no panic");
        counted.0 += tally.slow;
        counted.1 += tally.unanswered;
    }
}

/// Keeps the requests that the connection gives back.
#[derive(Clone, Debug, Default)]
struct Returned(Arc<Mutex<VecDeque<Request>>>);

impl UnsentSink for Returned {
    fn hold(&self) {}

    fn take_back(&self, unsent: VecDeque<Request>) {
        *self.0.lock().expect("no test panicked with the lock") = unsent;
    }
}

/// A connection on a wire, with [`OUTSTANDING`] requests written and none answered.
struct Rig {
    wire: Wire,
    mailbox: Mailbox,
    in_flight: Arc<InFlight>,
    answers: Vec<AsyncReceiver<Answer>>,
    counted: Arc<Counted>,
    attempt_timeout: Duration,
    ended: tokio::task::JoinHandle<ConnectionExit>,
    returned: Returned,
    stop: oneshot::Sender<CloseReason>,
}

impl Rig {
    async fn start() -> Self {
        Self::start_with(None).await
    }

    async fn start_with(pushes: Option<Box<dyn PushSink>>) -> Self {
        Self::start_within(Limits::default(), pushes).await
    }

    async fn start_within(limits: Limits, pushes: Option<Box<dyn PushSink>>) -> Self {
        let counted = Arc::<Counted>::default();
        let config = Config::single("redis://localhost");
        let settings = resolve(config).expect("a valid configuration");
        let wire = Wire::default();
        let established = Established {
            transport: Box::new(wire.clone()),
            decoder: Decoder::new(limits),
            seen: ServerInfo::default(),
        };
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
                pushes,
            },
        );
        let mut rig = Self {
            wire,
            mailbox,
            in_flight: InFlight::new(1_000, 1_000_000),
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
    async fn start_with_backlog() -> Self {
        let mut rig = Self::start().await;
        rig.wire.reply(OUTSTANDING);
        assert_answered([rig.answers.remove(0)]).await;
        rig
    }

    fn send(&mut self, requests: usize) {
        self.send_within(DEADLINE, requests);
    }

    fn send_within(&mut self, timeout: Duration, requests: usize) {
        for _ in 0..requests {
            self.send_one(timeout, Expected::One);
        }
    }

    fn send_one(&mut self, timeout: Duration, expected: Expected) {
        let permit = self.in_flight.enter(REQUEST.len()).expect("room");
        let (responder, answer) = Responder::new(permit);
        let request = Request {
            bytes: REQUEST.to_vec(),
            expected,
            deadline: Instant::now() + timeout,
            may_block: false,
            may_introduce: false,
            may_be_large: false,
            responder,
        };
        self.mailbox.send(request).expect("the connection runs");
        self.answers.push(answer);
    }

    /// The reason of the connection's end, which left so many requests unsent and none unknown.
    async fn ended_without_sending(self, unsent: usize) -> Arc<CloseReason> {
        let ended = self.ended.await.expect("the connection did not panic");
        let returned = self.returned.0.lock().expect("no test panicked with it");
        assert_eq!((returned.len(), ended.victims), (unsent, 0));
        ended.loss
    }

    /// The number of answers so far.
    fn answered(&self) -> usize {
        OUTSTANDING - self.in_flight.now().0
    }
}

async fn assert_answered(answers: impl IntoIterator<Item = AsyncReceiver<Answer>>) {
    for answer in answers {
        let answer = answer.await.expect("a request is answered");
        assert!(
            matches!(
                answer,
                Ok(Answered {
                    reply: Reply::One(Value::Okay),
                    origin: Origin::Connection(7),
                })
            ),
            "{answer:?} instead of the reply"
        );
    }
}

#[tokio::test]
async fn replies_that_come_together_are_handed_out_in_several_turns_without_further_input() {
    as_a_caller(async {
        let rig = Rig::start_with_backlog().await;
        assert_eq!(rig.answered(), OUTSTANDING / ANSWERED_SHARE);
        // No more input comes and no request is sent: the connection must go on by itself.
        assert_answered(rig.answers).await;
    })
    .await;
}

#[tokio::test]
async fn received_replies_are_handed_out_although_writing_fails_meanwhile() {
    as_a_caller(async {
        let mut rig = Rig::start_with_backlog().await;
        rig.wire.lock().is_gone = true;
        rig.send(FULL_BATCH);

        let late = rig.answers.split_off(OUTSTANDING - 1);
        assert_answered(rig.answers.drain(..)).await;
        let loss = rig.ended_without_sending(late.len()).await;
        assert!(matches!(*loss, CloseReason::Io(_)), "{loss:?}");
    })
    .await;
}

#[tokio::test]
async fn replies_that_have_arrived_are_handed_out_before_a_stop() {
    as_a_caller(async {
        let mut rig = Rig::start().await;
        let answers = std::mem::take(&mut rig.answers);
        // The connection notices both in the same turn.
        rig.wire.reply(OUTSTANDING);
        let stop = std::mem::replace(&mut rig.stop, oneshot::channel().0);
        stop.send(CloseReason::Disowned)
            .expect("the connection runs");
        let loss = rig.ended_without_sending(0).await;
        assert!(matches!(*loss, CloseReason::Disowned), "{loss:?}");
        assert_answered(answers).await;
    })
    .await;
}

#[tokio::test]
async fn nothing_is_written_after_the_end_of_the_stream() {
    as_a_caller(async {
        let mut rig = Rig::start().await;
        rig.wire.lock().is_closed = true;
        rig.wire.reply(OUTSTANDING);
        rig.send(FULL_BATCH);

        let late = rig.answers.split_off(OUTSTANDING);
        assert_answered(rig.answers.drain(..)).await;
        let wire = rig.wire.clone();
        let loss = rig.ended_without_sending(late.len()).await;
        assert!(matches!(*loss, CloseReason::ClosedByServer), "{loss:?}");
        assert_eq!(wire.lock().written, OUTSTANDING * REQUEST.len());
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_has_written_all_its_requests_holds_up_no_later_ones() {
    let mut rig = Rig::start().await;
    let has_sink = |rig: &Rig| Arc::strong_count(&rig.returned.0) == 2;
    rig.wire.lock().is_stuck = true;
    rig.send(1);
    // No route leads to it any more.
    rig.mailbox = mpsc::unbounded_channel().0;
    rig.wire.reply(OUTSTANDING / 2);
    assert_answered(rig.answers.drain(..OUTSTANDING / 2)).await;
    assert!(has_sink(&rig), "it may give a request back");
    rig.wire.lock().is_stuck = false;
    rig.wire.reply(1);
    while has_sink(&rig) {
        assert!(!rig.ended.is_finished(), "it waits for replies");
        tokio::task::yield_now().await;
    }
    assert!(!rig.ended.is_finished(), "it waits for replies");
    rig.wire.reply(OUTSTANDING / 2);
    assert_answered(rig.answers.drain(..)).await;
    let loss = rig.ended_without_sending(0).await;
    assert!(matches!(*loss, CloseReason::Drained), "{loss:?}");
}

#[tokio::test(start_paused = true)]
async fn replies_received_in_time_are_not_reported_as_missing() {
    as_a_caller(async {
        let rig = Rig::start_with_backlog().await;
        // All deadlines pass before the next turn.
        tokio::time::advance(2 * DEADLINE).await;
        assert_answered(rig.answers).await;
    })
    .await;
}

#[tokio::test]
async fn a_surplus_reply_reaches_no_later_caller() {
    // Some are incomplete, and their part may or may not have been taken from the buffer.
    for surplus in [
        "+OK\r\n",
        "+O",
        "$2\r\n",
        "$2\r\nO",
        "*2\r\n",
        "*2\r\n:1\r\n",
    ] {
        as_a_caller(async move {
            let mut rig = Rig::start().await;
            // The last turn of the backlog answers as many as it may, and no request is left.
            rig.wire.reply(OUTSTANDING - MIN_ANSWERS);
            assert_answered(rig.answers.drain(..OUTSTANDING - MIN_ANSWERS)).await;
            rig.wire
                .lock()
                .replies
                .extend(b"+OK\r\n".repeat(MIN_ANSWERS));
            rig.wire.lock().replies.extend(surplus.bytes());
            rig.wire.reply(0);
            rig.send(FULL_BATCH);

            let late = rig.answers.split_off(MIN_ANSWERS);
            assert_answered(rig.answers.drain(..)).await;
            // The connection ends without further input.
            let loss = rig.ended_without_sending(late.len()).await;
            assert!(
                matches!(*loss, CloseReason::Unsolicited),
                "{surplus:?}: {loss:?}"
            );
        })
        .await;
    }
}

// The clock stands still, as it nearly does under load: the socket of an idle connection would be checked.
#[tokio::test(start_paused = true)]
async fn all_input_is_read_before_anything_is_written() {
    as_a_caller(async {
        let mut rig = Rig::start().await;
        rig.wire.reply(OUTSTANDING - MIN_ANSWERS);
        assert_answered(rig.answers.drain(..OUTSTANDING - MIN_ANSWERS)).await;
        // A turn reads 4, 8, 16, 32 and again 32 KiB, which holds all pending replies. The surplus behind
        // them was received as well, but is not read in this turn.
        let each = 92 * 1024 / MIN_ANSWERS;
        let body = "v".repeat(each - "$5879\r\n\r\n".len());
        let reply = format!("${}\r\n{body}\r\n", body.len());
        assert_eq!(reply.len(), each);
        let replies = reply.repeat(MIN_ANSWERS) + "+OK\r\n";
        rig.wire.lock().replies.extend(replies.bytes());
        rig.wire.reply(0);
        rig.send(FULL_BATCH);

        let late = rig.answers.split_off(MIN_ANSWERS);
        for answer in rig.answers.drain(..) {
            let answer = answer.await.expect("an answer");
            assert!(answer.is_ok(), "{answer:?}");
        }
        let loss = rig.ended_without_sending(late.len()).await;
        assert!(matches!(*loss, CloseReason::Unsolicited), "{loss:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn silence_begins_when_a_request_is_written() {
    let mut rig = Rig::start().await;
    rig.wire.reply(OUTSTANDING);
    assert_answered(rig.answers.drain(..)).await;
    // Its deadline passes before it can be written, so no reply can be missing.
    rig.send_within(Duration::ZERO, 1);
    let late = rig.answers.remove(0).await.expect("an answer");
    assert!(
        matches!(late, Err(Failure::TimedOut(Stage::Queue))),
        "{late:?}"
    );
    let limit = 2 * rig.attempt_timeout;
    tokio::time::advance(2 * limit).await;
    let written = Instant::now();
    rig.send_within(limit / 20, 2);
    for answer in rig.answers.drain(..) {
        let answer = answer.await.expect("an answer");
        assert!(matches!(answer, Err(Failure::TimedOutEarly)), "{answer:?}");
    }
    let ended = rig.ended.await.expect("the connection did not panic");
    assert!(
        matches!(*ended.loss, CloseReason::Silent(_)),
        "{:?}",
        ended.loss
    );
    assert!(written.elapsed() >= limit, "{:?}", written.elapsed());
}

/// The time after which a command is slow.
fn slow(rig: &Rig) -> Duration {
    rig.attempt_timeout.mul_f64(SLOW_SHARE)
}

/// Keeps the pushes, each with the number of requests answered before it.
#[derive(Debug)]
struct KeptPushes {
    kept: Arc<Mutex<Vec<(PushKind, usize)>>>,
    in_flight: Arc<Mutex<Option<Arc<InFlight>>>>,
}

impl PushSink for KeptPushes {
    fn push(&mut self, kind: PushKind, _: Vec<Value>) {
        let in_flight = self.in_flight.lock().expect("no panic");
        let left = in_flight.as_ref().map_or(0, |in_flight| in_flight.now().0);
        self.kept
            .lock()
            .expect("no panic")
            .push((kind, OUTSTANDING - left));
    }
}

#[tokio::test]
async fn pushes_reach_the_sink_in_order_with_the_replies() {
    as_a_caller(async {
        let (kept, in_flight) = (Arc::default(), Arc::<Mutex<_>>::default());
        let sink = KeptPushes {
            kept: Arc::clone(&kept),
            in_flight: in_flight.clone(),
        };
        let mut rig = Rig::start_with(Some(Box::new(sink))).await;
        *in_flight.lock().expect("no panic") = Some(rig.in_flight.clone());
        let invalidation = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
        rig.wire.reply(3);
        rig.wire.lock().replies.extend(invalidation.bytes());
        rig.wire.reply(2);
        assert_answered(rig.answers.drain(..5)).await;
        let kept = kept.lock().expect("no panic");
        assert_eq!(*kept, [(PushKind::Invalidate, 3)], "after three replies");
    })
    .await;
}

/// Runs it as a task of its own, which has its turn between two turns of the connection. The future of the
/// test itself is polled only after several of them.
async fn as_a_caller(call: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(call)
        .await
        .expect("the caller got what it expected");
}
