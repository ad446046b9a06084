//! The primary is another server, for several reasons.

use std::time::Instant;

use redis::cmd;
use redis_steward::{CircuitState, DatabaseConfig, Execution};

use crate::{
    SOON, address,
    common::{
        Sentinels, eventually_async, left_out_on_embedded,
        sentinels::{admit_peers, cut_off, is_primary},
        spawn,
    },
    failover, patient,
    writers::{KEY, Writers},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_130_crash_of_the_primary_under_load() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let (supervisor, main) = spawn(patient(site.url())).await;
    let mut events = supervisor.subscribe();
    let writers = Writers::on(&main);
    writers.go_on().await;
    let old = &site.servers[0];
    old.kill();
    let told = failover(&mut events).await;
    let switched = Instant::now();
    let new = site.primary_after(old.port());
    assert_eq!(*told.from, address(old.port()));
    assert_eq!(*told.to, address(new.port()));
    assert_eq!(
        told.to_string(),
        format!("failover from {} to {}", told.from, told.to)
    );
    writers.go_on().await;

    // It comes back as a primary of nothing, since it has lost the user of the sentinels.
    old.restart();
    writers.go_on().await;
    assert_eq!(
        (old.cli(&["DBSIZE"]), old.commandstat("incr")),
        ("0".into(), 0)
    );
    let told = writers.end().await;
    let value: i64 = main.query(cmd("GET").arg(KEY)).await.expect("a value");
    told.judge(switched, value);
    assert_eq!(new.cli(&["GET", KEY]), value.to_string());
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_131_ordered_failover_under_load() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    // Callers do not wait for recovery: the circuit stays closed.
    let main = DatabaseConfig::from_url(site.url()).command_timeout(SOON);
    let (supervisor, main) = spawn(main).await;
    let mut events = supervisor.subscribe();
    let writers = Writers::on(&main);
    for _ in 0..2 {
        writers.go_on().await;
        site.until_agreed();
        let old = site.sentinels[0].primary().expect("a primary");
        site.fail_over();
        let told = failover(&mut events).await;
        assert_eq!(*told.from, address(old));
        writers.go_on().await;
        let new = site.primary_after(old);
        assert_eq!(*told.to, address(new.port()));
        // The old one is a replica by and by.
        eventually_async(SOON, "it is demoted", || !is_primary(site.server(old))).await;
    }
    let switched = Instant::now();
    writers.go_on().await;
    let told = writers.end().await;
    let value: i64 = main.query(cmd("GET").arg(KEY)).await.expect("a value");
    told.judge(switched, value);
    let stats = &supervisor.statistics().databases["main"];
    assert_eq!((stats.circuit, stats.refused), (CircuitState::Closed, 0));
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_132_partition_of_the_old_primary_from_all_but_this_client() {
    if left_out_on_embedded() {
        return;
    }
    let site = Sentinels::start();
    let (supervisor, main) = spawn(patient(site.url())).await;
    let mut events = supervisor.subscribe();
    let mut lease = main.lease().await.expect("a lease");
    lease
        .query::<()>(cmd("PING"))
        .await
        .expect("the old primary");
    let blocked = {
        let main = main.not_idempotent();
        tokio::spawn(async move { main.query::<()>(cmd("BLPOP").arg("nothing").arg(0)).await })
    };
    let old = &site.servers[0];
    let blocks = || old.info("clients")["blocked_clients"] == "1";
    eventually_async(SOON, "a command blocks", blocks).await;
    let writers = Writers::on(&main);
    writers.go_on().await;
    cut_off(old);
    let told = failover(&mut events).await;
    // It serves this client as before.
    let error = lease
        .query::<()>(cmd("PING"))
        .await
        .expect_err("it has ended");
    assert_eq!(error.execution(), Execution::NotSent);
    let error = blocked.await.expect("no panic").expect_err("it has ended");
    assert_eq!(error.execution(), Execution::Unknown, "{error}");
    assert!(is_primary(old));
    let ours = || old.clients_named("redis-steward").len();
    eventually_async(SOON, "no connection is left", || ours() == 0).await;
    let (before, switched) = (old.commandstat("incr"), Instant::now());
    writers.go_on().await;
    assert_eq!(old.commandstat("incr"), before);
    assert_eq!(*told.to, address(site.primary_after(old.port()).port()));
    admit_peers(old);
    eventually_async(SOON, "it is demoted", || !is_primary(old)).await;
    writers.go_on().await;
    assert_eq!(old.errorstat("READONLY"), 0);
    let told = writers.end().await;
    let value: i64 = main.query(cmd("GET").arg(KEY)).await.expect("a value");
    told.judge(switched, value);
    supervisor.shutdown(SOON).await;
}
