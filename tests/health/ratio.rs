//! Goal: the circuit also opens at a high ratio of failed or slow commands, and not because of a few of
//! them. Method: a scripted server that fails some commands, and a real one behind a proxy that delays.

use std::time::{Duration, Instant};

use redis::cmd;
use redis_steward::{CircuitState, Database, DatabaseConfig, HealthState, Reason, Supervisor};
use tokio::task::JoinSet;

use crate::common::{
    FaultProxy, Mode, RedisServer, Script, ScriptedServer, eventually_async, spawn,
};

const SOON: Duration = Duration::from_secs(10);

fn circuit(supervisor: &Supervisor) -> CircuitState {
    supervisor.statistics().databases["main"].circuit
}

async fn opens(supervisor: &Supervisor, reason: Reason) {
    let mut events = supervisor.subscribe();
    let opened = async {
        loop {
            let event = events.next().await.expect("an event");
            if let HealthState::Down { reason, .. } = event.state {
                return reason;
            }
        }
    };
    let opened = tokio::time::timeout(SOON, opened).await;
    assert_eq!(opened.expect("it opens"), reason);
}

#[tokio::test]
async fn half_of_the_commands_failing_opens_the_circuit() {
    let server = ScriptedServer::start([Script::answering(|command| match &*command[0] {
        b"GET" => b"-BUSY with a script\r\n".to_vec(),
        _ => b"+OK\r\n".to_vec(),
    })]);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let load = tokio::spawn(async move {
        loop {
            // A GET fails three times at most, so there are never five consecutive failures.
            let _ = main.query::<()>(cmd("GET").arg("k")).await;
            let _ = main.query::<()>(cmd("SET").arg("k").arg(1)).await;
            // An open circuit refuses at once, and this loop would let no other task run.
            tokio::task::yield_now().await;
        }
    });
    opens(&supervisor, Reason::Busy).await;
    load.abort();
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn one_in_eight_commands_failing_does_not_open_the_circuit() {
    let server = ScriptedServer::start([Script::answering(|command| match &*command[0] {
        b"GET" => b"-BUSY with a script\r\n".to_vec(),
        _ => b"+OK\r\n".to_vec(),
    })]);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        let failed = main.query::<()>(cmd("GET").arg("k")).await;
        assert_eq!(failed.expect_err("busy").code(), Some("BUSY"));
        for _ in 0..7 {
            main.query::<()>(cmd("SET").arg("k").arg(1))
                .await
                .expect("OK");
        }
    }
    assert!(supervisor.statistics().databases["main"].retried > 0);
    supervisor.shutdown(SOON).await;
}

/// Sends concurrent PINGs. All must succeed.
async fn pings(main: &Database, count: usize) {
    let calls = (0..count).map(|_| {
        let main = main.clone();
        async move { main.query::<String>(cmd("PING")).await }
    });
    let calls: JoinSet<_> = calls.collect();
    for result in calls.join_all().await {
        assert_eq!(result.expect("slow, and no failure"), "PONG");
    }
}

fn slow_by(proxy: &FaultProxy, replies: Duration) {
    let requests = Duration::ZERO;
    proxy.set(Mode::Delay { requests, replies });
}

#[tokio::test]
async fn nearly_all_commands_slow_opens_the_circuit() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let main = DatabaseConfig::from_url(proxy.url()).attempt_timeout(Duration::from_millis(100));
    let (supervisor, main) = spawn(main).await;
    slow_by(&proxy, Duration::from_millis(300));
    let load = tokio::spawn(async move { pings(&main, 30).await });
    opens(&supervisor, Reason::Slow).await;
    load.await.expect("admitted commands succeed");
    assert!(supervisor.statistics().databases["main"].slow >= 20);
    // The circuit closes when the server is fast again.
    proxy.heal();
    let is_closed = || circuit(&supervisor) == CircuitState::Closed;
    eventually_async(SOON, "it closes", is_closed).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_few_slow_commands_do_not_open_the_circuit() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let main = DatabaseConfig::from_url(proxy.url()).attempt_timeout(Duration::from_millis(500));
    let (supervisor, main) = spawn(main).await;
    for _ in 0..20 {
        pings(&main, 50).await;
    }
    let slow = || supervisor.statistics().databases["main"].slow;
    let before = slow();
    slow_by(&proxy, Duration::from_millis(800));
    pings(&main, 30).await;
    assert_eq!(slow() - before, 30);
    proxy.heal();
    // Longer than the 250 ms after which the health actor evaluates the ratio.
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        pings(&main, 1).await;
        assert_eq!(circuit(&supervisor), CircuitState::Closed);
    }
    supervisor.shutdown(SOON).await;
}
