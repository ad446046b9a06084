//! Goal: a connection hands out replies, and ends, by its rules. Method: a transport of the test's own, which
//! determines the input and whether writing works.

#[path = "bounds_tests.rs"]
mod bounds;
#[path = "rig_tests.rs"]
mod rig;
#[path = "standstill_tests.rs"]
mod standstill;

use std::sync::{Arc, Mutex};

use redis::{PushKind, Value};

use self::rig::{DEADLINE, OUTSTANDING, REQUEST, Rig, assert_answered};
use super::*;
use crate::{
    execution::Stage,
    net::{Expected, Failure, InFlight, codec::Limits},
};

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
async fn a_part_whose_rest_does_not_come_holds_up_no_request() {
    let mut rig = Rig::start().await;
    rig.wire.reply(OUTSTANDING);
    assert_answered(rig.answers.drain(..)).await;
    rig.wire.lock().holds_a_part = true;
    tokio::time::advance(Duration::from_secs(1)).await;
    rig.send(3);
    let loss = rig.ended_without_sending(3).await;
    assert!(matches!(*loss, CloseReason::Unsolicited), "{loss:?}");
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
    fn push(&self, kind: PushKind, _: Vec<Value>) {
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
