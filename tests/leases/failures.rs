//! Goal: a broken or silent connection of a lease costs its caller a truthful error within the deadline,
//! and blocking commands do not count as slow. Method: a real server that kills connections, dies or
//! freezes.

use std::time::{Duration, Instant};

use redis_steward::{CircuitState, Error, Execution, Stage};

use crate::common::{Rig, eventually_async, words};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_lease_broken_before_its_first_use_is_replaced() {
    let rig = Rig::start().await;
    let mut lease = rig.main.lease().await.expect("a lease");
    rig.server
        .cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    eventually_async(SOON, "the loss is known", || rig.pool().lost >= 1).await;
    let echo: String = lease
        .query(words("ECHO alive"))
        .await
        .expect("on another connection");
    assert_eq!(echo, "alive");
    // After its first use a lease is not replaced.
    rig.server
        .cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    eventually_async(SOON, "the loss is known", || rig.pool().lost >= 3).await;
    let error = lease
        .query::<String>(words("ECHO lost"))
        .await
        .expect_err("gone");
    assert!(matches!(error, Error::ConnectionLost { .. }), "{error}");
    assert_eq!(error.execution(), Execution::NotSent);
    drop(lease);
    rig.end().await;
}

#[tokio::test]
async fn a_command_on_a_broken_lease_ends_by_its_deadline() {
    let timeout = Duration::from_millis(300);
    let rig = Rig::with(|main| {
        main.command_timeout(timeout)
            .acquire_timeout(Duration::from_secs(60))
            .failure_threshold(10_000)
    })
    .await;
    let mut lease = rig.main.lease().await.expect("a lease");
    rig.server.kill();
    eventually_async(SOON, "the loss is known", || rig.pool().lost == 2).await;
    let start = Instant::now();
    let error = lease.execute(&words("PING")).await.expect_err("no server");
    assert!(start.elapsed() < 10 * timeout, "{:?}", start.elapsed());
    match error {
        Error::TimedOut {
            stage,
            execution,
            timeout: had,
            attempts,
            ..
        } => {
            assert_eq!((stage, execution), (Stage::Acquire, Execution::NotSent));
            assert_eq!((had, attempts), (timeout, 2));
        }
        other => panic!("{other}"),
    }
    drop(lease);
    rig.supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_leases_opens_the_circuit() {
    let rig = Rig::with(|main| {
        main.command_timeout(Duration::from_millis(400))
            .attempt_timeout(Duration::from_millis(100))
    })
    .await;
    let mut leases = Vec::new();
    for _ in 0..8 {
        leases.push(rig.main.lease().await.expect("a lease"));
    }
    rig.server.freeze();
    for lease in &mut leases {
        // Later commands are refused once the circuit is open.
        lease.execute(&words("GET k")).await.expect_err("frozen");
    }
    assert_eq!(rig.stats().circuit, CircuitState::Open);
    assert!(rig.stats().slow > 0, "{:?}", rig.stats());
    rig.server.thaw();
    drop(leases);
    rig.supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn blocking_commands_on_leases_are_not_slow() {
    let rig = Rig::with(|main| main.attempt_timeout(Duration::from_millis(20))).await;
    let mut leases = Vec::new();
    for _ in 0..8 {
        leases.push(rig.main.lease().await.expect("a lease"));
    }
    for lease in &mut leases {
        let popped: Option<(String, String)> = lease
            .query(words("BLPOP nothing 0.1"))
            .await
            .expect("nothing");
        assert_eq!(popped, None);
    }
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    assert_eq!(rig.stats().slow, 0);
    drop(leases);
    rig.end().await;
}

/// The server answers them only after the blocking command.
#[tokio::test]
async fn commands_behind_a_blocking_command_are_not_slow() {
    let rig = Rig::with(|main| {
        main.attempt_timeout(Duration::from_millis(20))
            .command_timeout(Duration::from_millis(100))
    })
    .await;
    for _ in 0..8 {
        let mut lease = rig.main.lease().await.expect("a lease");
        let pop = words("BLPOP nothing 0");
        let mut given_up = Box::pin(lease.execute(&pop));
        for _ in 0..10 {
            assert!(futures_util::poll!(&mut given_up).is_pending());
            tokio::task::yield_now().await;
        }
        drop(given_up);
        let error = lease.execute(&words("GET k")).await.expect_err("too late");
        assert!(error.is_timeout(), "{error}");
        drop(lease);
    }
    assert_eq!(rig.stats().circuit, CircuitState::Closed);
    assert_eq!((rig.stats().slow, rig.stats().timed_out), (0, 8));
    rig.supervisor.shutdown(Duration::ZERO).await;
}
