//! New connections fail while the present one works, or are accepted while its commands are refused.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use redis_steward::{
    CircuitState, Config, DatabaseConfig, Error, Execution, HealthEvent, HealthState, Reason,
    Supervisor,
};

use crate::{
    SLACK, SOON,
    common::{FaultProxy, RedisServer, Script, ScriptedServer, eventually_async, spawn},
    degraded, event, incr, stats, until_open,
};

/// A short interval, so that a few seconds see many probes.
fn probed_often(main: DatabaseConfig) -> DatabaseConfig {
    main.health_check_interval(Duration::from_millis(20))
}

/// Calls one after the other until the database has said that new connections fail for this reason, and
/// for a while longer. Not one of them may fail.
async fn assert_served(supervisor: &Supervisor, reason: Reason) {
    let main = supervisor.database("main").expect("main");
    let mut events = supervisor.subscribe();
    let is_it = |event: &HealthEvent| event.state == degraded(reason);
    let degraded = event(&mut events, is_it);
    let mut made = 0;
    let calls = async {
        loop {
            let called = main.query::<i64>(incr()).await;
            called.expect("the open connection serves");
            made += 1;
        }
    };
    let told = tokio::select! {
        told = degraded => told,
        () = calls => unreachable!("it does not end"),
    };
    let cause = told.cause.expect("a cause");
    assert!(cause.starts_with("new connections fail: "), "{cause}");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        let called = main.query::<i64>(incr()).await;
        called.expect("the open connection still serves");
        made += 1;
    }
    let stats = stats(supervisor);
    assert_eq!(stats.circuit, CircuitState::Closed);
    // The question to the open connection is none of the application's commands. One call may have been
    // dropped when its reply had come.
    assert!((made..=made + 1).contains(&stats.succeeded), "{made} calls");
}

#[tokio::test]
async fn row_70_a_changed_password_does_not_end_an_open_connection() {
    let server = RedisServer::start();
    let main = probed_often(DatabaseConfig::from_url(server.url()));
    let (supervisor, _main) = spawn(main).await;
    server.set_password("another");
    assert_served(&supervisor, Reason::Rejected).await;
    server.set_password("");
    supervisor.ready(SOON).await.expect("new ones open again");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_70_an_endpoint_that_accepts_no_more_does_not_end_an_open_connection() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let (supervisor, _main) = spawn(probed_often(DatabaseConfig::from_url(proxy.url()))).await;
    proxy.refuse();
    assert_served(&supervisor, Reason::Unreachable).await;
    proxy.heal();
    supervisor.ready(SOON).await.expect("new ones open again");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_71_a_server_that_our_own_connection_fills_is_not_down() {
    let server = RedisServer::start();
    let main = probed_often(DatabaseConfig::from_url(server.url())).max_connections(1);
    let (supervisor, main) = spawn(main).await;
    // Room for our connection alone. The server takes a moment to close the one that has set it.
    assert_eq!(server.cli(&["CONFIG", "SET", "maxclients", "1"]), "OK");
    assert_served(&supervisor, Reason::ServerFull).await;

    // An outage of such a server ends, too.
    server.freeze();
    until_open(&supervisor).await;
    server.thaw();
    let thawed = Instant::now();
    let served = || async { main.query::<i64>(incr()).await.is_ok() };
    while !served().await {
        assert!(thawed.elapsed() < Duration::from_secs(2) + SLACK);
        tokio::task::yield_now().await;
    }
    supervisor.shutdown(SOON).await;
}

/// A server with room for one client, and that client.
fn full_server() -> (RedisServer, TcpStream) {
    let server = RedisServer::start();
    assert_eq!(server.cli(&["CONFIG", "SET", "maxclients", "1"]), "OK");
    let occupied = || {
        let mut client = TcpStream::connect(("127.0.0.1", server.port())).ok()?;
        client.write_all(b"PING\r\n").ok()?;
        let mut pong = [0; 7];
        client.read_exact(&mut pong).ok()?;
        (&pong == b"+PONG\r\n").then_some(client)
    };
    // The connection that has changed the setting may not be closed yet.
    let client = crate::common::wait::poll(SOON, Duration::from_millis(5), occupied);
    let client = client.expect("room for one");
    (server, client)
}

#[tokio::test]
async fn row_71_callers_of_a_full_server_learn_of_it_and_return_when_there_is_room() {
    let (server, occupant) = full_server();
    let config = Config::new().database("main", DatabaseConfig::from_url(server.url()));
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let start = Instant::now();
    until_open(&supervisor).await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2) + SLACK, "{took:?}");
    let main = supervisor.database("main").expect("main");
    match main.query::<i64>(incr()).await {
        Err(Error::CircuitOpen { reason, .. }) => assert_eq!(reason, Reason::ServerFull),
        other => panic!("{other:?} of a full server"),
    }
    drop(occupant);
    let freed = Instant::now();
    while main.query::<i64>(incr()).await.is_err() {
        assert!(freed.elapsed() < Duration::from_secs(2) + SLACK);
        tokio::task::yield_now().await;
    }
    supervisor.shutdown(SOON).await;
}

/// A server whose greeting and PING are well, and whose commands are all refused with this reply.
async fn refusing(reply: &'static str) {
    let calls_at_once = 50;
    let peer = ScriptedServer::start([Script::answering(move |_| reply.into())]);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(peer.url())).await;
    let mut events = supervisor.subscribe();
    let start = Instant::now();
    let caller = || async {
        let mut calls = 0_usize;
        while start.elapsed() < Duration::from_secs(5) {
            let error = main.query::<i64>(incr()).await.expect_err("a refusal");
            match error {
                Error::CircuitOpen { retry_after, .. } => tokio::time::sleep(retry_after).await,
                Error::Server { execution, .. } => {
                    assert_eq!(execution, Execution::NotExecuted, "{error}");
                    calls += 1;
                }
                other => panic!("{other}"),
            }
        }
        calls
    };
    let calls: usize = join_all((0..calls_at_once).map(|_| caller()))
        .await
        .iter()
        .sum();
    let sent = peer.count("INCR");
    let mut told = 0;
    while let Ok(Some(_)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        told += 1;
    }
    let connections = peer.accepted();
    let report =
        format!("{reply:?}: {calls} calls, {sent} sent, {connections} connections, {told} events");
    // Half-open again and again for 5 s, with a growing pause between.
    assert!(connections < 100, "{report}");
    assert!(told < 150, "{report}");
    assert!(sent <= 2 * calls + calls_at_once, "{report}");
    assert!(
        stats(&supervisor).refused > 0,
        "the circuit opened: {report}"
    );
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_72_refusals_that_no_probe_meets_open_the_circuit() {
    refusing("-LOADING Redis is loading the dataset in memory\r\n").await;
    refusing("-NOAUTH Authentication required.\r\n").await;
    refusing("-MASTERDOWN Link with MASTER is down\r\n").await;
}

/// A replica refuses writes only, so its circuit stays closed; its connection is replaced at a growing pause.
#[tokio::test]
async fn row_72_a_replica_is_not_dialled_for_each_write() {
    let reply = "-READONLY You can't write against a read only replica.\r\n";
    let peer = ScriptedServer::start([Script::answering(move |_| reply.into())]);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(peer.url())).await;
    let start = Instant::now();
    let caller = || async {
        while start.elapsed() < Duration::from_secs(3) {
            let called = main.query::<i64>(incr()).await;
            called.expect_err("a replica takes no writes");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    join_all((0..50).map(|_| caller())).await;
    // At once, then after 0.1, 0.2, 0.4, 0.8 and 1.6 s; and the probes of a limited database.
    let dials = stats(&supervisor).pool.opened;
    assert!((2..=10).contains(&dials), "{dials} connections");
    eventually_async(SOON, "it is told", || {
        stats(&supervisor).health
            == HealthState::Degraded {
                reason: Reason::ReadOnly,
            }
    })
    .await;
    supervisor.shutdown(SOON).await;
}
