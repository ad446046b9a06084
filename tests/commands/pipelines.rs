//! Goal: a pipeline of any size gets its replies in order, and a transaction is atomic. Method: a real
//! server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{RedisResult, Value};
use redis_steward::{Error, Execution};

use crate::common::Rig;

/// For a test that moves much data in a debug build.
const LONG: Duration = Duration::from_secs(120);

#[tokio::test]
async fn the_other_commands_of_a_failing_pipeline_run() {
    let rig = Rig::start().await;
    for atomic in [false, true] {
        let mut pipeline = redis::pipe();
        pipeline.set("text", "x").incr("text", 1).set("after", 7);
        if atomic {
            pipeline.atomic();
        }
        let error = rig
            .main
            .pipeline::<Value>(&pipeline)
            .await
            .expect_err("INCR of a text");
        assert_eq!(error.execution(), Execution::Executed, "{error}");
        let Error::Server { error, .. } = error else {
            panic!("{error}")
        };
        let failed = error.into_server_errors().expect("errors of commands");
        let failed: Vec<_> = failed
            .iter()
            .map(|(index, error)| (*index, error.code()))
            .collect();
        assert_eq!(failed, [(1, "ERR")], "atomic: {atomic}");
        assert_eq!(rig.server.cli(&["GETDEL", "after"]), "7");

        let each: Vec<RedisResult<Value>> = rig
            .main
            .pipeline(pipeline.ignore_errors())
            .await
            .expect("results");
        let succeeded: Vec<_> = each.iter().map(Result::is_ok).collect();
        assert_eq!(succeeded, [true, false, true], "atomic: {atomic}");
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_sees_half_of_a_transaction() {
    let rig = Rig::start().await;
    let writers: Vec<_> = (0..50)
        .map(|_| {
            let main = rig.main.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    let mut both = redis::pipe();
                    both.atomic().incr("left", 1).incr("right", 1);
                    let (left, right): (i64, i64) = main.pipeline(&both).await.expect("numbers");
                    assert_eq!(left, right);
                }
            })
        })
        .collect();
    let done = Arc::new(AtomicBool::new(false));
    let reader = {
        let (main, done) = (rig.main.clone(), done.clone());
        tokio::spawn(async move {
            while !done.load(Relaxed) {
                let mut transaction = redis::pipe();
                transaction.atomic().get("left").get("right");
                let (left, right): (Option<i64>, Option<i64>) =
                    main.pipeline(&transaction).await.expect("numbers");
                assert_eq!(left, right);
            }
        })
    };
    for writer in writers {
        writer.await.expect("a writer's replies belong together");
    }
    done.store(true, Relaxed);
    reader.await.expect("the keys never differ");
    assert_eq!(rig.server.cli(&["MGET", "left", "right"]), "2500\n2500");
    rig.end().await;
}

#[tokio::test]
async fn an_empty_transaction_has_no_replies() {
    let rig = Rig::start().await;
    let replies: Vec<Value> = rig
        .main
        .pipeline(redis::pipe().atomic())
        .await
        .expect("nothing");
    assert!(replies.is_empty());
    rig.end().await;
}

#[tokio::test]
async fn a_pipeline_of_100_000_commands_gets_its_replies_in_order() {
    let rig = Rig::start().await;
    let mut pipeline = redis::pipe();
    for _ in 0..100_000 {
        pipeline.incr("n", 1);
    }
    let replies: Vec<u32> = rig
        .main
        .with_timeout(LONG)
        .pipeline(&pipeline)
        .await
        .expect("replies");
    assert!(replies.into_iter().eq(1..=100_000));
    rig.end().await;
}
