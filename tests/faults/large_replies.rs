//! One caller asks for a reply that exceeds a limit of this crate or of the server.

use std::time::Duration;

use redis::{Cmd, Value, cmd, pipe};
use redis_steward::{CircuitState, DatabaseConfig, Error, Execution, HealthState};

use crate::{
    Rig, SOON, assert_own_replies,
    common::{eventually_async, words},
    error_of,
};

const MAX: usize = 100_000;

fn with_limit(main: DatabaseConfig) -> DatabaseConfig {
    // Five failures in a row would open the circuit, and no other call interrupts them.
    main.max_reply_bytes(MAX).failure_threshold(5)
}

/// A script whose reply is nested so deeply.
fn nested(levels: usize) -> Cmd {
    let script =
        format!("local reply = {{}} for level = 2, {levels} do reply = {{reply}} end return reply");
    cmd("EVAL").arg(script).arg(0).take()
}

/// The text of the error. The command ran.
async fn too_large(rig: &Rig, command: &Cmd) -> String {
    let error = error_of(&rig.main, command).await;
    assert!(matches!(error, Error::ReplyTooLarge { .. }), "{error}");
    assert_eq!(error.execution(), Execution::Executed, "{error}");
    error.to_string()
}

#[tokio::test]
async fn row_66_a_reply_beyond_a_limit_fails_its_caller_alone() {
    let rig = Rig::with(with_limit).await;
    let mut events = rig.supervisor.subscribe();
    rig.server.cli(&["SETRANGE", "big", "3000000", "x"]);
    rig.server.cli(&["SET", "small", "1"]);
    let big = cmd("GET").arg("big").take();
    for _ in 0..10 {
        let (text, ()) = tokio::join!(too_large(&rig, &big), assert_own_replies(&rig.main));
        let expected = format!("larger than {MAX} bytes, the limit that max_reply_bytes sets");
        assert!(text.contains(&expected), "{text}");
    }
    let line = |bytes: usize| words(&format!("EVAL return{{ok=string.rep('x',{bytes})}} 0"));
    too_large(&rig, &line(MAX)).await;
    let long: String = rig.main.query(line(MAX - 10)).await.expect("a long line");
    assert_eq!(long.len(), MAX - 10);
    let text = too_large(&rig, &nested(120)).await;
    assert!(text.contains("deeper than 100 levels"), "{text}");
    let deep = rig.main.execute(&nested(90)).await;
    deep.expect("a reply of permitted depth");

    let mut pipeline = pipe();
    pipeline.get("small").get("big").get("small");
    let error = rig.main.pipeline::<Value>(&pipeline).await;
    let error = error.expect_err("one of its replies is too large");
    assert!(matches!(error, Error::ReplyTooLarge { .. }), "{error}");

    let mut lease = rig.main.lease().await.expect("a lease");
    let error = lease.query::<Value>(&big).await;
    let error = error.expect_err("it is too large on a lease too");
    assert!(matches!(error, Error::ReplyTooLarge { .. }), "{error}");
    let small: i64 = lease.query(cmd("GET").arg("small")).await.expect("a reply");
    assert_eq!(small, 1);
    drop(lease);

    let stats = rig.stats();
    assert_eq!(stats.circuit, CircuitState::Closed);
    assert_eq!(
        (stats.pool.lost, stats.pool.opened),
        (0, 2),
        "nothing ended"
    );
    assert_eq!(stats.error_replies, 14);
    let event = tokio::time::timeout(Duration::ZERO, events.next()).await;
    assert!(
        !matches!(event, Ok(Some(ref event)) if event.state != HealthState::Healthy),
        "{event:?}"
    );
    rig.end().await;
}

/// The server closes a client whose replies fill its output buffer, mostly without a byte of them. Nobody
/// else uses the database, so nothing interrupts the series of lost connections.
#[tokio::test]
async fn row_67_a_full_output_buffer_opens_no_circuit() {
    let rig = Rig::with(|main| main.failure_threshold(2)).await;
    let all = rig.fill_beyond_the_output_buffer();
    let mut events = rig.supervisor.subscribe();
    for _ in 0..5 {
        let error = error_of(&rig.main, &all).await;
        assert!(matches!(error, Error::ConnectionLost { .. }), "{error}");
        assert_eq!(rig.stats().circuit, CircuitState::Closed);
    }
    assert_eq!(rig.server.commandstat("lrange"), 10, "each was sent twice");
    // Each lost connection is replaced once.
    let lost = || rig.stats().pool.lost;
    eventually_async(SOON, "all ends are counted", || lost() == 10).await;
    let opened = rig.stats().pool.opened;
    assert!(opened <= 11, "{opened} connections");
    let event = tokio::time::timeout(Duration::ZERO, events.next()).await;
    assert!(
        !matches!(event, Ok(Some(ref event)) if event.state != HealthState::Healthy),
        "{event:?}"
    );
    rig.supervisor.ready(SOON).await.expect("healthy");
    assert_own_replies(&rig.main).await;
    rig.end().await;
}
