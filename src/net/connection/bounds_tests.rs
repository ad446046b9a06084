//! Replies and pushes that exceed a limit, or of which a part has come.

use super::*;
use crate::{
    execution::Execution,
    net::{Confirmation, codec::ReplyLimit, connection::ending::LARGE_REPLY},
};

/// Accepts replies of up to 1,000 bytes.
fn small() -> Limits {
    Limits {
        max_bytes: 1_000,
        ..Limits::default()
    }
}

const TOO_LARGE: ReplyLimit = ReplyLimit::Bytes(1_000);

/// A blob of so many bytes.
fn blob(bytes: usize) -> String {
    format!("${bytes}\r\n{}\r\n", "v".repeat(bytes))
}

#[tokio::test]
async fn a_reply_beyond_a_limit_is_an_error_for_its_caller_alone() {
    as_a_caller(async {
        let mut rig = Rig::start_within(small(), None).await;
        let large = [blob(1_000_000), format!("+{}\r\n", "l".repeat(1_000))].concat();
        rig.wire.reply(1);
        rig.wire.lock().replies.extend(large.bytes());
        rig.wire.reply(OUTSTANDING - 3);
        assert_answered(rig.answers.drain(..1)).await;
        for answer in rig.answers.drain(..2) {
            let answer = answer.await.expect("an answer");
            assert!(
                matches!(answer, Err(Failure::ReplyTooLarge(TOO_LARGE))),
                "{answer:?}"
            );
        }
        assert_answered(rig.answers.drain(..)).await;

        rig.send_one(DEADLINE, Expected::Many(3));
        rig.send(1);
        let written = (OUTSTANDING + 2) * REQUEST.len();
        while rig.wire.lock().written < written {
            tokio::task::yield_now().await;
        }
        rig.wire.lock().replies.extend(blob(1_000).bytes());
        rig.wire.reply(2);
        let many = rig.answers.remove(0).await.expect("an answer");
        assert!(
            matches!(many, Err(Failure::ReplyTooLarge(TOO_LARGE))),
            "{many:?}"
        );
        rig.wire.reply(1);
        assert_answered(rig.answers.drain(..)).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_read_over_for_too_long_ends_the_connection() {
    let mut rig = Rig::start_within(small(), None).await;
    let start = Instant::now();
    let wire = rig.wire.clone();
    let endless = tokio::spawn(async move {
        wire.lock().replies.extend(b"$1000000000\r\n");
        loop {
            wire.lock().replies.extend([b'v'; 100]);
            wire.reply(0);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let ended = (&mut rig.ended).await.expect("no panic");
    endless.abort();
    assert!(
        matches!(*ended.loss, CloseReason::ReadOver(TOO_LARGE)),
        "{:?}",
        ended.loss
    );
    assert!(start.elapsed() >= 5 * slow(&rig), "{:?}", start.elapsed());
    assert_eq!(ended.victims, OUTSTANDING as u64);
    assert!(!ended.is_evidence());
    // The commands behind it are not slow because of the server.
    assert_eq!(*rig.counted.0.lock().expect("no panic"), (0, 0));
}

#[tokio::test]
async fn the_end_of_the_stream_within_a_large_reply_is_no_evidence() {
    for (bytes, is_evidence) in [(LARGE_REPLY, false), (LARGE_REPLY / 2, true)] {
        for limits in [small(), Limits::default()] {
            let rig = Rig::start_within(limits, None).await;
            let part = format!("$100000000\r\n{}", "v".repeat(bytes));
            rig.wire.lock().is_closed = true;
            rig.wire.lock().replies.extend(part.bytes());
            rig.wire.reply(0);
            let ended = rig.ended.await.expect("no panic");
            assert_eq!(ended.victims, OUTSTANDING as u64);
            assert_eq!(ended.is_evidence(), is_evidence, "{:?}", ended.loss);
        }
    }
}

#[tokio::test]
async fn a_push_in_two_parts_ends_no_connection() {
    let push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    let large = format!(">2\r\n$1\r\np\r\n{}", blob(2_000));
    for (push, cut) in [
        (push, 1),
        (push, 5),
        (push, push.len() - 1),
        (&large, 1_500),
    ] {
        let (first, second) = (push[..cut].to_owned(), push[cut..].to_owned());
        as_a_caller(async move {
            let mut rig = Rig::start_within(small(), None).await;
            rig.wire.reply(OUTSTANDING);
            rig.wire.lock().replies.extend(first.bytes());
            rig.wire.reply(0);
            assert_answered(rig.answers.drain(..)).await;
            rig.send(2);
            while rig.wire.lock().written < (OUTSTANDING + 2) * REQUEST.len() {
                assert!(!rig.ended.is_finished(), "{first:?} ended it");
                tokio::task::yield_now().await;
            }
            rig.wire.lock().replies.extend(second.bytes());
            rig.wire.reply(2);
            assert_answered(rig.answers.drain(..)).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_push_beyond_a_limit_ends_the_connection_only_if_it_has_an_owner() {
    let large = format!(">2\r\n$1\r\np\r\n{}", blob(2_000));
    let mut rig = Rig::start_within(small(), None).await;
    rig.wire.lock().replies.extend(large.bytes());
    rig.wire.reply(OUTSTANDING);
    assert_answered(rig.answers.drain(..)).await;

    let sink = KeptPushes {
        kept: Arc::default(),
        in_flight: Arc::default(),
    };
    let rig = Rig::start_within(small(), Some(Box::new(sink))).await;
    rig.wire.lock().replies.extend(large.bytes());
    rig.wire.reply(0);
    let ended = rig.ended.await.expect("no panic");
    let expected = matches!(*ended.loss, CloseReason::PushTooLarge(TOO_LARGE));
    assert!(expected && !ended.is_evidence(), "{:?}", ended.loss);
}

/// The confirmation of a change, or a message, as RESP2 has it.
fn in_resp2(kind: &str, last: &str) -> String {
    format!("*3\r\n${}\r\n{kind}\r\n$4\r\nnews\r\n{last}", kind.len())
}

/// A connection in RESP2 with subscriptions and no pending request.
async fn subscribed() -> Rig {
    let mut rig = Rig::start_within(small(), None).await;
    rig.wire.reply(OUTSTANDING);
    assert_answered(rig.answers.drain(..)).await;
    let replies = in_resp2("subscribe", ":1\r\n") + &in_resp2("subscribe", ":2\r\n");
    change(&mut rig, Confirmation::Subscribe, 2, &replies).await;
    rig
}

/// Sends a request for so many confirmations, and returns them.
async fn change(
    rig: &mut Rig,
    change: Confirmation,
    confirmations: usize,
    replies: &str,
) -> Vec<Value> {
    rig.send_one(DEADLINE, Expected::Confirmations(change, confirmations));
    written(rig, 1).await;
    rig.wire.lock().replies.extend(replies.bytes());
    rig.wire.reply(0);
    let answer = rig.answers.remove(0).await.expect("an answer");
    answer.expect("confirmations").reply.into_many()
}

/// Waits until so many requests that were just sent have been written.
async fn written(rig: &mut Rig, pending: usize) {
    let before = rig.wire.lock().written;
    while rig.wire.lock().written < before + pending * REQUEST.len() {
        assert!(!rig.ended.is_finished(), "it ended");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_message_in_two_parts_ends_no_connection_in_resp2() {
    let message = in_resp2("message", "$4\r\ntext\r\n");
    for cut in [1, 5, message.len() - 1] {
        let (first, second) = (message[..cut].to_owned(), message[cut..].to_owned());
        as_a_caller(async move {
            let mut rig = subscribed().await;
            rig.wire.lock().replies.extend(first.bytes());
            rig.wire.reply(0);
            while !rig.wire.lock().replies.is_empty() {
                tokio::task::yield_now().await;
            }
            rig.send(2);
            written(&mut rig, 2).await;
            rig.wire.lock().replies.extend(second.bytes());
            rig.wire.reply(2);
            assert_answered(rig.answers.drain(..)).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_large_value_that_may_be_a_message_is_no_reply() {
    let mut rig = subscribed().await;
    rig.send(2);
    written(&mut rig, 2).await;
    let large = in_resp2("message", &blob(2_000));
    rig.wire.lock().replies.extend(large.bytes());
    rig.wire.reply(2);
    let ended = rig.ended.await.expect("no panic");
    let expected = matches!(*ended.loss, CloseReason::MessageOrReplyTooLarge(TOO_LARGE));
    assert!(expected && !ended.is_evidence(), "{:?}", ended.loss);
    for answer in rig.answers.drain(..) {
        let answer = answer.await.expect("an answer");
        let is_unknown = matches!(answer, Err(Failure::Lost(_, Execution::Unknown)));
        assert!(is_unknown, "{answer:?}");
    }
}

#[tokio::test]
async fn a_change_of_subscriptions_is_not_confirmed_by_another() {
    let mut rig = subscribed().await;
    // Without arguments it has a confirmation for each channel, of which the first is the reply.
    let first = in_resp2("unsubscribe", ":2\r\n");
    change(&mut rig, Confirmation::Unsubscribe, 1, &first).await;
    let rest = in_resp2("unsubscribe", ":1\r\n") + &in_resp2("punsubscribe", ":0\r\n");
    let confirmed = change(&mut rig, Confirmation::PUnsubscribe, 1, &rest).await;
    let [Value::Array(items)] = confirmed.as_slice() else {
        panic!("{confirmed:?} instead of a confirmation");
    };
    assert_eq!(items[0], Value::BulkString(b"punsubscribe".to_vec()));
    rig.send(1);
    written(&mut rig, 1).await;
    rig.wire.reply(1);
    assert_answered(rig.answers.drain(..)).await;
}
