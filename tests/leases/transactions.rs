//! Goal: a transaction commits only if its watched keys are unchanged, and leaves a clean connection.
//! Method: bodies whose keys change meanwhile, that give up, or that end the watch themselves, on a
//! real server.

use std::time::{Duration, Instant};

use redis::{Value, cmd, pipe};
use redis_steward::{Error, Execution};

use crate::common::{Rig, words};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_changed_key_restarts_the_transaction() {
    let rig = Rig::start().await;
    let others = rig.main.clone();
    let mut rounds = 0;
    let (sum,): (i64,) = rig
        .main
        .transaction(&["n"], |mut lease, mut pipe| {
            rounds += 1;
            let (round, others) = (rounds, others.clone());
            async move {
                let now: Option<i64> = lease.query(words("GET n")).await?;
                if round < 3 {
                    let set = cmd("SET").arg("n").arg(round * 10).take();
                    others.query::<()>(set).await?;
                }
                pipe.incr("n", now.unwrap_or_default()).ignore().get("n");
                Ok::<_, Error>(())
            }
        })
        .await
        .expect("in the third round");
    assert_eq!((rounds, sum), (3, 40));
    // A body that gives up returns its own error and leaves a clean connection.
    let error = rig
        .main
        .transaction::<_, (), Box<dyn std::error::Error>, _, _>(&["n"], |_, mut pipe| async move {
            pipe.del("n");
            Err("not today".into())
        })
        .await
        .expect_err("given up");
    assert_eq!(error.to_string(), "not today");
    assert_eq!(rig.server.cli(&["GET", "n"]), "40");
    // A transaction that conflicts every time returns a conflict.
    let error = rig
        .main
        .transaction::<_, (), Error, _, _>(&["n"], |_, mut pipe| {
            let others = others.clone();
            async move {
                others.query::<()>(words("INCR n")).await?;
                pipe.set("n", 0);
                Ok(())
            }
        })
        .await
        .expect_err("always too late");
    assert!(
        matches!(error, Error::Conflict { attempts: 32, .. }),
        "{error}"
    );
    assert_eq!(rig.server.cli(&["GET", "n"]), "72");
    let pool = rig.settled().await;
    assert_eq!(
        (pool.discarded, pool.idle),
        (0, 1),
        "one connection did it all"
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_transactions_lose_no_update() {
    let rig = Rig::with(|main| main.acquire_timeout(SOON)).await;
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let main = rig.main.clone();
            tokio::spawn(async move {
                // The body borrows a value from outside.
                let name = String::from("n");
                let key = name.as_str();
                let mut done = 0;
                while done < 50 {
                    let added = main
                        .transaction::<_, (i64,), Error, _, _>(
                            &[key],
                            |mut lease, mut pipe| async move {
                                let now: Option<i64> = lease.query(cmd("GET").arg(key)).await?;
                                pipe.set(key, now.unwrap_or_default() + 1).ignore().get(key);
                                Ok(())
                            },
                        )
                        .await;
                    match added {
                        Ok(_) => done += 1,
                        Err(Error::Conflict { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("all its updates");
    }
    assert_eq!(rig.server.cli(&["GET", "n"]), "200");
    rig.end().await;
}

#[tokio::test]
async fn a_transaction_ends_by_the_deadline_of_its_handle() {
    let rig = Rig::start().await;
    let timeout = Duration::from_millis(300);
    let hasty = rig.main.with_timeout(timeout);
    let start = Instant::now();
    let outcome = hasty
        .transaction::<_, (), Error, _, _>(&["n"], |_, mut pipe| {
            let others = rig.main.clone();
            async move {
                // Another caller always changes the key first.
                others.query::<()>(words("INCR n")).await?;
                tokio::time::sleep(timeout / 2).await;
                pipe.set("n", 0);
                Ok(())
            }
        })
        .await;
    let error = outcome.expect_err("it has no time for all attempts");
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.execution(), Execution::NotSent, "{error}");
    assert!(start.elapsed() < 10 * timeout, "{:?}", start.elapsed());
    rig.end().await;
}

#[tokio::test]
async fn an_open_transaction_is_not_lent_on() {
    let rig = Rig::start().await;
    let error = rig
        .main
        .transaction::<_, (), Box<dyn std::error::Error>, _, _>(&["n"], |mut lease, _| async move {
            lease.query::<()>(words("MULTI")).await?;
            Err("not today".into())
        })
        .await
        .expect_err("given up");
    assert_eq!(error.to_string(), "not today");
    let mut lease = rig.main.lease().await.expect("a lease");
    let about: String = lease.query(words("CLIENT INFO")).await.expect("info");
    assert!(about.contains(" flags=N "), "{about}");
    drop(lease);
    rig.end().await;
}

#[tokio::test]
async fn a_transaction_without_commands_does_nothing() {
    let rig = Rig::start().await;
    let nothing = rig
        .main
        .transaction::<_, (), Error, _, _>(&["k"], |_, _| async { Ok(()) });
    nothing.await.expect("nothing done");
    let mut lease = rig.main.lease().await.expect("a lease");
    let nothing = lease.pipeline::<()>(pipe().atomic()).await;
    nothing.expect("nothing done");
    drop(lease);
    rig.end().await;
}

/// The keys are no longer watched when the body has ended the watch or opened a transaction.
#[tokio::test]
async fn a_body_that_ends_its_own_watch_does_not_commit() {
    let rig = Rig::start().await;
    for lines in [
        "UNWATCH",
        "UNWATCH,WATCH other",
        "MULTI",
        "MULTI,SET j 1",
        "MULTI,EXEC,WATCH k",
        "SELECT 3",
        "RESET,WATCH k",
    ] {
        let unwatched =
            rig.main
                .transaction::<_, (), Error, _, _>(&["k"], |mut lease, mut pipe| async move {
                    for line in lines.split(',') {
                        lease.query::<Value>(words(line)).await?;
                    }
                    pipe.set("k", 1);
                    Ok(())
                });
        let error = unwatched.await.expect_err("not watched");
        assert!(matches!(error, Error::WatchLost { .. }), "{lines}: {error}");
        assert_eq!(rig.server.cli(&["EXISTS", "j", "k"]), "0");
    }
    rig.end().await;
}

#[tokio::test]
async fn a_body_that_ends_its_own_watch_in_a_pipeline_does_not_commit() {
    let rig = Rig::start().await;
    let mut atomic = pipe();
    atomic.atomic().set("j", 1).ignore();
    let mut unwatch = pipe();
    unwatch.cmd("UNWATCH").cmd("WATCH").arg("other");
    for ending in [&atomic, &unwatch] {
        for keys in [&["k"][..], &[]] {
            let unwatched = rig.main.transaction::<_, (), Error, _, _>(
                keys,
                |mut lease, mut pipe| async move {
                    lease.query::<()>(words("WATCH k")).await?;
                    lease.pipeline::<()>(ending).await?;
                    lease.query::<()>(words("WATCH k")).await?;
                    pipe.set("k", 1);
                    Ok(())
                },
            );
            let error = unwatched.await.expect_err("not watched");
            assert!(matches!(error, Error::WatchLost { .. }), "{error}");
        }
    }
    rig.end().await;
}

#[tokio::test]
async fn a_body_may_watch_further_keys() {
    let rig = Rig::start().await;
    for keys in [&["k"][..], &[]] {
        let watched = rig
            .main
            .transaction(keys, |mut lease, mut pipe| async move {
                lease.query::<()>(words("WATCH other")).await?;
                pipe.exists("other");
                Ok::<_, Error>(())
            });
        let (exists,): (bool,) = watched.await.expect("executed");
        assert!(!exists);
    }
    rig.end().await;
}

#[tokio::test]
async fn a_body_that_keeps_its_pipeline_is_an_error() {
    let rig = Rig::start().await;
    let mut kept = None;
    let keeps = rig
        .main
        .transaction::<_, (), Error, _, _>(&["k"], |_, pipe| {
            kept = Some(pipe);
            async { Ok(()) }
        });
    let error = keeps.await.expect_err("there is no pipeline");
    assert!(matches!(error, Error::LeaseNotReturned { .. }), "{error}");

    // The error of the body has precedence.
    let mut kept = None;
    let fails = rig
        .main
        .transaction::<_, (), Box<dyn std::error::Error>, _, _>(&["k"], |lease, _| {
            kept = Some(lease);
            async { Err("not today".into()) }
        });
    assert_eq!(fails.await.expect_err("failed").to_string(), "not today");
    drop(kept);
    rig.end().await;
}
