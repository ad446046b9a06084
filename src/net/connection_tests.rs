//! A connection on a transport of the test's own, which says what is read and whether writing works.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use ::oneshot::AsyncReceiver;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::{
    config::{Config, resolve},
    net::{Answer, Expected, Load, Reply, Responder, codec::Limits},
};

const REQUEST: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const OUTSTANDING: usize = 100;
const DEADLINE: Duration = Duration::from_secs(60);

/// What the test and the connection's transport share.
#[derive(Default)]
struct Peer {
    replies: Vec<u8>,
    written: usize,
    /// Writing fails.
    is_gone: bool,
    /// The end of the stream follows what is to be read.
    is_closed: bool,
    reader: Option<Waker>,
}

#[derive(Clone, Default)]
struct Line(Arc<Mutex<Peer>>);

impl Line {
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

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut peer = self.lock();
        if peer.replies.is_empty() && !peer.is_closed {
            peer.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let taken = peer.replies.len().min(buffer.remaining());
        buffer.put_slice(&peer.replies[..taken]);
        peer.replies.drain(..taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut peer = self.lock();
        if peer.is_gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
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

impl Transport for Line {
    fn has_input(&self) -> bool {
        !self.lock().replies.is_empty()
    }
}

/// A connection on a line, with [`OUTSTANDING`] requests written and none answered.
struct Rig {
    line: Line,
    mailbox: Mailbox,
    load: Arc<Load>,
    answers: Vec<AsyncReceiver<Answer>>,
    ended: tokio::task::JoinHandle<Ended>,
    _stop: oneshot::Sender<()>,
}

impl Rig {
    async fn start() -> Self {
        let config = Config::single("redis://localhost");
        let settings = resolve(config).expect("a valid configuration");
        let line = Line::default();
        let established = Established {
            transport: Box::new(line.clone()),
            decoder: Decoder::new(Limits::default()),
        };
        let (stop, stopped) = oneshot::channel();
        let (mailbox, _, connection) =
            Connection::new(established, &settings.databases[0], Arc::default(), stopped);
        let mut rig = Self {
            line,
            mailbox,
            load: Load::new(1_000, 1_000_000),
            answers: Vec::new(),
            ended: tokio::spawn(connection.run()),
            _stop: stop,
        };
        rig.send(OUTSTANDING);
        while rig.line.lock().written < OUTSTANDING * REQUEST.len() {
            tokio::task::yield_now().await;
        }
        rig
    }

    fn send(&mut self, requests: usize) {
        for _ in 0..requests {
            let slot = self.load.enter(REQUEST.len()).expect("room");
            let (responder, answer) = Responder::new(slot);
            let request = Request {
                bytes: REQUEST.to_vec(),
                expected: Expected::One,
                deadline: Instant::now() + DEADLINE,
                responder,
            };
            self.mailbox.send(request).expect("the connection runs");
            self.answers.push(answer);
        }
    }

    /// How many answers have come.
    fn answered(&self) -> usize {
        OUTSTANDING - self.load.now().0
    }
}

async fn assert_answered(answers: impl IntoIterator<Item = AsyncReceiver<Answer>>) {
    for answer in answers {
        let answer = answer.await.expect("a request is answered");
        assert!(
            matches!(answer, Ok(Reply::One(Value::Okay))),
            "{answer:?} instead of the reply"
        );
    }
}

#[tokio::test]
async fn replies_that_come_together_are_answered_in_several_turns_without_further_input() {
    as_a_caller(async {
        let mut rig = Rig::start().await;
        rig.line.reply(OUTSTANDING);
        assert_answered([rig.answers.remove(0)]).await;
        assert_eq!(rig.answered(), OUTSTANDING / ANSWERED_SHARE);
        // Nothing more comes, and nobody sends: the connection must go on by itself.
        assert_answered(rig.answers).await;
    })
    .await;
}

#[tokio::test]
async fn replies_that_have_come_are_answered_although_writing_fails_meanwhile() {
    as_a_caller(async {
        let mut rig = Rig::start().await;
        rig.line.reply(OUTSTANDING);
        assert_answered([rig.answers.remove(0)]).await;
        rig.line.lock().is_gone = true;
        rig.send(MIN_BATCH);

        let late = rig.answers.split_off(OUTSTANDING - 1);
        assert_answered(rig.answers).await;
        let ended = rig.ended.await.expect("the connection did not panic");
        assert!(matches!(*ended.loss, Loss::Io(_)), "{:?}", ended.loss);
        assert_eq!((ended.unsent.len(), ended.victims), (late.len(), 0));
    })
    .await;
}

#[tokio::test]
async fn nothing_is_written_behind_the_end_of_the_stream() {
    as_a_caller(async {
        let mut rig = Rig::start().await;
        rig.line.lock().is_closed = true;
        rig.line.reply(OUTSTANDING);
        rig.send(MIN_BATCH);

        let late = rig.answers.split_off(OUTSTANDING);
        assert_answered(rig.answers).await;
        let ended = rig.ended.await.expect("the connection did not panic");
        assert!(
            matches!(*ended.loss, Loss::ClosedByServer),
            "{:?}",
            ended.loss
        );
        assert_eq!((ended.unsent.len(), ended.victims), (late.len(), 0));
        assert_eq!(rig.line.lock().written, OUTSTANDING * REQUEST.len());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn replies_that_came_in_time_are_not_reported_as_missing() {
    as_a_caller(async {
        let mut rig = Rig::start().await;
        rig.line.reply(OUTSTANDING);
        assert_answered([rig.answers.remove(0)]).await;
        // All deadlines pass before the next turn.
        tokio::time::advance(2 * DEADLINE).await;
        assert_answered(rig.answers).await;
    })
    .await;
}

#[tokio::test]
async fn a_surplus_reply_reaches_nobody_who_asks_later() {
    for surplus in ["+OK\r\n", "+O"] {
        as_a_caller(async move {
            let mut rig = Rig::start().await;
            // The last turn of the backlog answers as many as it may, and none is left.
            rig.line.reply(OUTSTANDING - MIN_BATCH);
            let first = rig
                .answers
                .drain(..OUTSTANDING - MIN_BATCH)
                .collect::<Vec<_>>();
            assert_answered(first).await;
            rig.line.lock().replies.extend(b"+OK\r\n".repeat(MIN_BATCH));
            rig.line.lock().replies.extend(surplus.bytes());
            rig.line.reply(0);
            rig.send(MIN_BATCH);

            let late = rig.answers.split_off(MIN_BATCH);
            assert_answered(rig.answers).await;
            // Whatever a partial line turns out to be, it is no answer to them.
            rig.line.lock().replies.extend(b"K\r\n");
            rig.line.reply(0);
            let ended = rig.ended.await.expect("the connection did not panic");
            assert!(
                matches!(*ended.loss, Loss::Unsolicited | Loss::Protocol(_)),
                "{:?}",
                ended.loss
            );
            assert_eq!((ended.unsent.len(), ended.victims), (late.len(), 0));
        })
        .await;
    }
}

/// Runs it as a task among others, which has its turn between two of the connection's. What a
/// test itself awaits is polled after several of them.
async fn as_a_caller(call: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(call)
        .await
        .expect("the caller got what it expected");
}
