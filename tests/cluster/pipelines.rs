//! Pipelines and transactions.

use redis::{cmd, pipe};
use redis_steward::{Error, Refusal};

use super::Rig;
use crate::common::left_out_on_embedded;

#[tokio::test]
async fn a_pipeline_runs_at_many_nodes_and_its_replies_come_in_order() {
    if left_out_on_embedded() {
        return;
    }
    let rig = Rig::start(3, 0).await;
    let main = &rig.main;
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
    let main = &rig.main;
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
    let main = &rig.main;
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
