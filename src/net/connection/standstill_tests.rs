//! This process stands still, so that deadlines pass before the connection has its next turn.

use super::*;

#[tokio::test(start_paused = true)]
async fn input_of_which_only_the_system_knows_is_handed_out_before_a_deadline_passes() {
    as_a_caller(async {
        let mut rig = Rig::start().await;
        rig.wire.lock().is_unnoticed = true;
        // More than a turn reads.
        let body = "v".repeat(4 * READ_AT_ONCE / OUTSTANDING);
        let reply = format!("${}\r\n{body}\r\n", body.len());
        let replies = reply.repeat(OUTSTANDING);
        rig.wire.lock().replies.extend(replies.bytes());
        tokio::time::advance(2 * DEADLINE).await;
        for answer in rig.answers.drain(..) {
            let answer = answer.await.expect("an answer");
            assert!(answer.is_ok(), "{answer:?}");
        }
        assert_eq!(*rig.counted.0.lock().expect("no panic"), (0, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_is_found_before_a_deadline_passes() {
    as_a_caller(async {
        let mut rig = Rig::start().await;
        rig.wire.lock().is_unnoticed = true;
        rig.wire.lock().is_closed = true;
        rig.wire.reply(1);
        tokio::time::advance(2 * DEADLINE).await;
        assert_answered(rig.answers.drain(..1)).await;
        let ended = rig.ended.await.expect("no panic");
        assert_eq!(ended.victims, OUTSTANDING as u64 - 1);
        assert!(matches!(*ended.loss, CloseReason::ClosedByServer));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stall_of_this_process_is_no_evidence() {
    as_a_caller(async {
        let mut rig = Rig::start().await;
        let slow = slow(&rig);
        // Nothing has its turn during this time, also not the connection.
        tokio::time::advance(2 * DEADLINE).await;
        for answer in rig.answers.drain(..) {
            let answer = answer.await.expect("an answer");
            assert!(matches!(answer, Err(Failure::TimedOutEarly)), "{answer:?}");
        }
        let counted = || *rig.counted.0.lock().expect("no panic");
        assert_eq!(counted(), (0, 0));
        // From now on the server has as much time as usual.
        tokio::time::sleep(slow.mul_f64(0.9)).await;
        assert_eq!(counted(), (0, 0));
        assert!(!rig.ended.is_finished());
        tokio::time::sleep(slow.mul_f64(0.2)).await;
        assert_eq!(counted(), (0, OUTSTANDING as u64));
    })
    .await;
}
