//! Replies and pushes that exceed a limit, or of which a part has come.

use super::*;
use crate::net::codec::ReplyLimit;

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
