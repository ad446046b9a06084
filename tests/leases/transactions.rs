//! Goal: a transaction of the handle changes what its body read and nobody else did, or nothing, and
//! leaves a clean connection. Method: bodies that are overtaken, that give up, or that undo the watch
//! themselves, on a real server.

use std::time::{Duration, Instant};

use redis::{Value, cmd, pipe};
use redis_steward::{Error, Execution};

use crate::common::{Rig, eventually_async, words};

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
    // A body that gives up leaves a clean connection, and its own error.
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
    // Whoever always loses is told so.
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
                // Something from around the body, and borrowed.
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
                // Somebody else is always quicker.
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
    assert!(about.contains(" multi=-1 "), "{about}");
    drop(lease);
    rig.end().await;
}

#[tokio::test]
async fn a_transaction_may_find_that_there_is_nothing_to_do() {
    let rig = Rig::with(|main| main).await;
    let nothing = rig
        .main
        .transaction::<_, (), Error, _, _>(&["k"], |_, _| async { Ok(()) });
    nothing.await.expect("nothing done");
    let mut lease = rig.main.lease().await.expect("a lease");
    lease
        .pipeline::<()>(pipe().atomic())
        .await
        .expect("nothing done");
    drop(lease);
    // What its body has ended itself nobody guards any more.
    for strays in [
        "UNWATCH",
        "UNWATCH,WATCH other",
        "MULTI",
        "MULTI,SET j 1",
        "MULTI,EXEC,WATCH k",
        "SELECT 3",
        "RESET,WATCH k",
    ] {
        let unguarded =
            rig.main
                .transaction::<_, (), Error, _, _>(&["k"], |mut lease, mut pipe| async move {
                    for line in strays.split(',') {
                        lease.query::<Value>(words(line)).await?;
                    }
                    pipe.set("k", 1);
                    Ok(())
                });
        let error = unguarded.await.expect_err("unguarded");
        assert!(
            matches!(error, Error::Unwatched { .. }),
            "{strays}: {error}"
        );
        assert_eq!(rig.server.cli(&["EXISTS", "j", "k"]), "0");
    }
    let mut atomic = pipe();
    atomic.atomic().set("j", 1).ignore();
    let mut others = pipe();
    others.cmd("UNWATCH").cmd("WATCH").arg("other");
    for strays in [&atomic, &others] {
        for keys in [&["k"][..], &[]] {
            let unguarded = rig.main.transaction::<_, (), Error, _, _>(
                keys,
                |mut lease, mut pipe| async move {
                    lease.query::<()>(words("WATCH k")).await?;
                    lease.pipeline::<()>(strays).await?;
                    lease.query::<()>(words("WATCH k")).await?;
                    pipe.set("k", 1);
                    Ok(())
                },
            );
            let error = unguarded.await.expect_err("unguarded");
            assert!(matches!(error, Error::Unwatched { .. }), "{error}");
        }
    }
    // It may watch more, and need not name any key before.
    for keys in [&["k"][..], &[]] {
        let guarded = rig
            .main
            .transaction(keys, |mut lease, mut pipe| async move {
                lease.query::<()>(words("WATCH other")).await?;
                pipe.exists("other");
                Ok::<_, Error>(())
            });
        let (exists,): (bool,) = guarded.await.expect("executed");
        assert!(!exists);
    }
    let mut kept = None;
    let keeps = rig
        .main
        .transaction::<_, (), Error, _, _>(&["k"], |_, pipe| {
            kept = Some(pipe);
            async { Ok(()) }
        });
    let error = keeps.await.expect_err("there is no pipeline");
    assert!(matches!(error, Error::Withheld { .. }), "{error}");
    // Its own error comes first, whatever it has done with what it was lent.
    let mut kept = None;
    let failed = rig
        .main
        .transaction::<_, (), Box<dyn std::error::Error>, _, _>(&["k"], |lease, _| {
            kept = Some(lease);
            async { Err("not today".into()) }
        });
    assert_eq!(failed.await.expect_err("failed").to_string(), "not today");
    drop(kept);
    let are_back = || rig.stats().pool.in_use == 0;
    eventually_async(SOON, "all leases are back", are_back).await;
    rig.supervisor.shutdown(SOON).await;
}
