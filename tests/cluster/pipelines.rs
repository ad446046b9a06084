//! Pipelines and transactions.

use redis::{cmd, pipe};
use redis_steward::{Database, Error, Refusal};

use super::Rig;
use crate::common::left_out_on_embedded;

#[tokio::test]
async fn a_pipeline_runs_at_many_nodes_and_its_replies_come_in_order() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    many_slots(&rig.main).await;
}

/// At a cluster without keys.
pub(super) async fn many_slots(main: &Database) {
    let mut pipeline = pipe();
    for n in 0..100 {
        pipeline.set(format!("key:{n}"), n).ignore();
    }
    for n in 0..100 {
        pipeline.incr(format!("key:{n}"), 1);
    }
    pipeline.cmd("PING");
    pipeline.cmd("MGET").arg("key:1").arg("key:2").arg("key:3");
    pipeline.cmd("DBSIZE");
    let replies: Vec<redis::Value> = main.pipeline(&pipeline).await.expect("a pipeline");
    assert_eq!(replies.len(), 103);
    for (n, reply) in replies[..100].iter().enumerate() {
        assert_eq!(*reply, redis::Value::Int(n as i64 + 1));
    }
    assert_eq!(replies[100], redis::Value::SimpleString("PONG".into()));
    let again: Vec<i64> = main
        .pipeline(pipe().cmd("MGET").arg("key:1").arg("key:2"))
        .await
        .map(|(values,): (Vec<i64>,)| values)
        .expect("several slots in a pipeline");
    assert_eq!(again, [2, 3]);
}

#[tokio::test]
async fn an_error_of_one_command_is_told_with_its_position() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    an_error(&rig.main).await;
}

/// At a cluster without keys.
pub(super) async fn an_error(main: &Database) {
    let mut pipeline = pipe();
    pipeline.set("a", 1).set("b", 2).lpush("b", 3).set("c", 4);
    let error = main.pipeline::<()>(&pipeline).await.expect_err("WRONGTYPE");
    assert_eq!(error.code(), Some("WRONGTYPE"), "{error}");
    let errors = error.server_errors().expect("errors");
    let positions: Vec<_> = errors.iter().map(|(at, _)| *at).collect();
    assert_eq!(positions, [2]);
    let c: i64 = main.query(cmd("GET").arg("c")).await.expect("GET");
    assert_eq!(c, 4);
}

#[tokio::test]
async fn a_transaction_needs_one_slot() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    atomic(&rig.main).await;
}

/// At a cluster without keys.
pub(super) async fn atomic(main: &Database) {
    let mut good = pipe();
    good.atomic().set("{t}:a", 1).incr("{t}:a", 1).get("{t}:b");
    let (_, incremented, missing): ((), i64, Option<i64>) =
        main.pipeline(&good).await.expect("one slot");
    assert_eq!((incremented, missing), (2, None));
    let mut bad = pipe();
    bad.atomic().set("a", 1).set("b", 1);
    let error = main.pipeline::<()>(&bad).await.expect_err("two slots");
    let Error::CommandRefused {
        refusal: Refusal::Slots { first, other },
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((first.command, other.command), (0, 1));
}

#[tokio::test]
async fn commands_at_several_nodes_run_behind_those_before_them() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    order(&rig.main).await;
}

/// At a cluster without keys.
pub(super) async fn order(main: &Database) {
    let mut pipeline = pipe();
    for n in 0..20 {
        pipeline.set(format!("key:{n}"), n).ignore();
    }
    let mut mget = cmd("MGET");
    let mut del = cmd("DEL");
    for n in 0..20 {
        mget.arg(format!("key:{n}"));
        del.arg(format!("key:{n}"));
    }
    pipeline.add_command(mget).add_command(del);
    pipeline.set("key:1", "again").ignore();
    pipeline.get("key:1").get("key:2");
    for _ in 0..20 {
        let (values, deleted, one, two): (Vec<usize>, usize, String, Option<String>) =
            main.pipeline(&pipeline).await.expect("a pipeline");
        assert_eq!(values, (0..20).collect::<Vec<_>>());
        assert_eq!((deleted, &*one, two), (20, "again", None));
    }
}

#[tokio::test]
async fn a_wait_needs_its_writes_at_one_node() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    let main = &rig.main;
    let wait = cmd("WAIT").arg(0).arg(100).take();
    let is_alone = |error: &Error| {
        matches!(
            error,
            Error::CommandRefused {
                refusal: Refusal::Alone,
                ..
            }
        )
    };
    let error = main.query::<i64>(&wait).await.expect_err("alone");
    assert!(is_alone(&error), "{error}");
    let mut one = pipe();
    one.set("a", 1).ignore().add_command(wait.clone());
    let (replicas,): (i64,) = main.pipeline(&one).await.expect("behind its write");
    assert_eq!(replicas, 0);
    let mut several = pipe();
    several.set("a", 2).set("b", 2).add_command(wait);
    let error = main.pipeline::<()>(&several).await.expect_err("two nodes");
    assert!(is_alone(&error), "{error}");
    assert_eq!(
        main.query::<i64>(cmd("GET").arg("a")).await.expect("GET"),
        1
    );
}
