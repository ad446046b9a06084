//! Goal: lost or refused connections of one lane (shared, leased) do not harm callers of the other, and
//! the pool refills. Method: a real server that kills connections and refuses new ones.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use redis::AsyncCommands;
use redis_steward::{CircuitState, Error, HealthState, Stage};

use crate::common::{Rig, eventually_async, words};

const SOON: Duration = Duration::from_secs(10);

impl Rig {
    /// The server's ids of the pool's connections, oldest first.
    fn client_ids(&self) -> Vec<u64> {
        let clients = self.server.clients_named("redis-steward");
        let mut ids: Vec<_> = clients
            .iter()
            .map(|client| client["id"].parse().expect("a number"))
            .collect();
        ids.sort_unstable();
        ids
    }

    fn kill(&self, id: u64) {
        self.server.cli(&["CLIENT", "KILL", "ID", &id.to_string()]);
    }

    async fn until_shared(&self, connections: usize) {
        let are_open = || self.stats().pool.shared == connections;
        // A full server is dialled again after 1, 2, 4 ... seconds.
        eventually_async(4 * SOON, "the shared connections are open", are_open).await;
    }
}

#[tokio::test]
async fn killed_blocking_connections_do_not_open_the_circuit() {
    let rig = Rig::with(|main| main).await;
    let shared = rig.client_ids();
    let blocked: Vec<_> = (0..10)
        .map(|list| {
            let main = rig.main.clone();
            tokio::spawn(async move { main.execute(&words(&format!("BLPOP list:{list} 0"))).await })
        })
        .collect();
    let are_blocked = || rig.server.info("clients")["blocked_clients"] == "10";
    eventually_async(SOON, "they wait", are_blocked).await;
    for id in rig.client_ids() {
        if !shared.contains(&id) {
            rig.kill(id);
        }
    }
    for call in blocked {
        let error = call.await.expect("a task").expect_err("killed");
        assert!(matches!(error, Error::ConnectionLost { .. }), "{error}");
    }
    // By the last reply the health actor has processed all evidence of the losses.
    let mut main = rig.main.clone();
    for _ in 0..100 {
        let _: i64 = main.incr("n", 1).await.expect("as usual");
    }
    let stats = rig.stats();
    assert_eq!(
        (stats.circuit, stats.health),
        (CircuitState::Closed, HealthState::Healthy)
    );
    rig.supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_waiting_caller_gets_a_lease_when_the_server_is_back() {
    let rig = Rig::with(|main| main.acquire_timeout(2 * SOON).min_idle(3)).await;
    let is_full = || rig.stats().pool.idle >= 2;
    eventually_async(SOON, "the minimum is there", is_full).await;
    rig.server.kill();
    let is_gone = || rig.stats().pool.open == 0;
    eventually_async(SOON, "nothing is left", is_gone).await;
    let main = rig.main.patient();
    let waiting = tokio::spawn(async move { main.lease().await.map(drop) });
    let is_open = || rig.stats().circuit == CircuitState::Open;
    eventually_async(SOON, "the circuit is open", is_open).await;
    assert_eq!(rig.stats().pool.waiting, 1);
    rig.server.restart();
    let start = Instant::now();
    waiting.await.expect("a task").expect("a lease");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    eventually_async(SOON, "the minimum is there again", is_full).await;
    rig.supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_a_broken_shared_connection_go_on_with_the_other() {
    let rig = Rig::with(|main| {
        main.shared_connections(2, 2)
            .command_timeout(3 * SOON)
            .allow_admin(true)
    })
    .await;
    rig.until_shared(2).await;
    let first = rig.client_ids()[0];
    let mut admin = rig.main.lease().await.expect("a lease");
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..2_000)
        .map(|_| {
            let (main, stop) = (rig.main.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Relaxed) {
                    main.query::<Option<i64>>(words("GET n")).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    eventually_async(SOON, "the load runs", || rig.stats().succeeded > 10_000).await;
    // No connection can be opened.
    let () = admin
        .query(words("CONFIG SET maxclients 1"))
        .await
        .expect("set");
    let () = admin
        .query(words(&format!("CLIENT KILL ID {first}")))
        .await
        .expect("killed");
    rig.until_shared(1).await;
    let parked = || rig.stats().pool.parked;
    eventually_async(SOON, "no call is parked", || parked() == 0).await;
    let so_far = rig.stats().succeeded;
    eventually_async(SOON, "they continue", || {
        rig.stats().succeeded > so_far + 10_000
    })
    .await;
    stop.store(true, Relaxed);
    for caller in callers {
        caller.await.expect("a task").expect("its replies");
    }
    // The second connection is opened when the server has room, though no call waits for it.
    let () = admin
        .query(words("CONFIG SET maxclients 1000"))
        .await
        .expect("set");
    rig.until_shared(2).await;
    rig.supervisor.shutdown(SOON).await;
}

/// The case of leases: row_27_max_clients covers shared connections.
#[tokio::test]
async fn row_27_a_full_server_fails_leases_only() {
    let rig = Rig::with(|main| {
        main.allow_admin(true)
            .acquire_timeout(Duration::from_millis(300))
    })
    .await;
    let events = rig.supervisor.subscribe();
    let () = rig
        .main
        .query(words("CONFIG SET maxclients 1"))
        .await
        .expect("set");
    let mut explained = 0;
    for _ in 0..10 {
        let error = rig.main.lease().await.expect_err("no room");
        let Error::TimedOut { stage, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*stage, Stage::Acquire);
        // Not if the machine stood still, and no dial has ended in time.
        let text = error.to_string();
        explained += usize::from(text.contains("max number of clients"));
        let _: i64 = rig.main.query(words("INCR n")).await.expect("a number");
    }
    assert!(explained > 5, "{explained} of 10 were told why");
    let stats = rig.stats();
    assert_eq!(
        (stats.circuit, stats.pool.shared),
        (CircuitState::Closed, 1)
    );
    // Every 25 ms at first, while a caller waits.
    assert!(stats.pool.dial_failures <= 150, "{:?}", stats.pool);
    let () = rig
        .main
        .query(words("CONFIG SET maxclients 1000"))
        .await
        .expect("set");
    // There is room, and so a lease.
    let _ = rig.main.lease().await.expect("there is room");
    rig.supervisor.shutdown(SOON).await;
    let states: Vec<_> = events.map(|event| event.state).collect().await;
    assert_eq!(states.first(), Some(&HealthState::Healthy), "{states:?}");
    let is_told =
        |state: &HealthState| matches!(state, HealthState::Healthy | HealthState::Stopped);
    assert!(states.iter().all(is_told), "{states:?}");
}

#[tokio::test]
async fn the_shared_minimum_is_kept_while_the_database_is_used() {
    let idle = Duration::from_millis(200);
    let rig = Rig::with(|main| {
        main.shared_connections(2, 2)
            .idle_timeout(idle)
            .sweep_interval(idle / 4)
    })
    .await;
    rig.until_shared(2).await;
    // A single caller uses only one of them.
    let start = Instant::now();
    while start.elapsed() < 3 * idle {
        rig.main
            .query::<Option<i64>>(words("GET n"))
            .await
            .expect("a reply");
    }
    let pool = rig.stats().pool;
    assert_eq!((pool.shared, pool.opened, pool.evicted.total()), (2, 2, 0));
    // Unused, they shrink to the idle minimum, and stay there.
    rig.until_shared(1).await;
    let swept = rig.stats().pool.opened;
    rig.supervisor.sweep().await;
    rig.supervisor.sweep().await;
    assert_eq!(
        (rig.stats().pool.shared, rig.stats().pool.opened),
        (1, swept)
    );
    rig.supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_server_that_drops_idle_connections_at_once_is_not_dialled_in_a_tight_loop() {
    let rig = Rig::with(|main| main.min_idle(3)).await;
    let shared = rig.client_ids()[0];
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        for id in rig.client_ids() {
            if id != shared {
                rig.kill(id);
            }
        }
        tokio::task::yield_now().await;
    }
    let pool = rig.stats().pool;
    let dials = pool.opened + pool.dial_failures;
    assert!((3..=120).contains(&dials), "{dials}");
    rig.supervisor.shutdown(SOON).await;
}
