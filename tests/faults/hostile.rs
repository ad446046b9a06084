//! Goal: a peer that is no Redis server or breaks the protocol causes a clear error, is not dialled in a
//! tight loop, and never gives a caller a wrong reply (row 35 of `docs/faults.md`). Method: scripted
//! peers.

use std::time::{Duration, Instant};

use redis::cmd;
use redis_steward::{
    Config, Database, DatabaseConfig, Error, HealthEvents, HealthState, Reason, Supervisor,
};

use crate::common::{Script, ScriptedServer, eventually_async};

const SOON: Duration = Duration::from_secs(10);

async fn spawn(main: DatabaseConfig) -> (Supervisor, Database) {
    let main = main
        .command_timeout(Duration::from_millis(500))
        .connect_timeout(Duration::from_millis(400))
        .attempt_timeout(Duration::from_millis(200));
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let main = supervisor.database("main").expect("main");
    (supervisor, main)
}

/// The first reported problem, and its cause.
async fn first_problem(events: &mut HealthEvents) -> (Reason, String) {
    let problem = async {
        loop {
            let event = events.next().await.expect("an event");
            if let HealthState::Degraded { reason } | HealthState::Down { reason, .. } = event.state
            {
                return (reason, event.cause.unwrap_or_default().to_string());
            }
        }
    };
    tokio::time::timeout(SOON, problem)
        .await
        .expect("a problem")
}

/// The error of a call that waits for a connection to the peer.
async fn error_of(main: &Database) -> Error {
    main.query::<String>(cmd("PING"))
        .await
        .expect_err("no such server answers")
}

#[tokio::test]
async fn a_peer_that_is_no_redis_server_is_reported_as_such() {
    for (script, expected) in [
        (Script::http(), "HTTP"),
        (
            Script::raw("\x00\x01\x02 some garbage \u{1b}[31m\r\n"),
            "no Redis server",
        ),
        (
            Script::raw("+not what was asked for\r\n".repeat(8)),
            "no Redis server",
        ),
        (Script::raw("$9223372036854775807\r\n"), "no Redis server"),
        (Script::raw("*2147483647\r\n"), "no Redis server"),
    ] {
        let peer = ScriptedServer::start([script]);
        let (supervisor, main) = spawn(DatabaseConfig::from_url(peer.url())).await;
        let (reason, cause) = first_problem(&mut supervisor.subscribe()).await;
        assert_eq!(reason, Reason::NotRedis, "{cause}");
        assert!(cause.contains(expected), "{cause}");
        assert!(!cause.contains('\u{1b}'), "a terminal escape: {cause:?}");
        let error = error_of(&main).await;
        assert!(error.to_string().contains(&*cause), "{error}");
        assert!(
            peer.accepted() <= 3,
            "{} connections in half a second",
            peer.accepted()
        );
        supervisor.shutdown(SOON).await;
        eventually_async(SOON, "all is closed", || peer.open() == 0).await;
    }
}

#[tokio::test]
async fn a_silent_peer_is_unresponsive() {
    let peer = ScriptedServer::start([Script::silent()]);
    let (supervisor, _main) = spawn(DatabaseConfig::from_url(peer.url())).await;
    let (reason, cause) = first_problem(&mut supervisor.subscribe()).await;
    assert_eq!(reason, Reason::Unresponsive, "{cause}");
    supervisor.shutdown(SOON).await;
    eventually_async(SOON, "all is closed", || peer.open() == 0).await;
}

#[tokio::test]
async fn a_malformed_reply_ends_the_connection_and_reaches_no_other_caller() {
    let peer = ScriptedServer::start([Script::answering(|command| match &*command[0] {
        b"GET" => b"?what\r\n".to_vec(),
        _ => crate::common::resp::bulk(&command[1]),
    })]);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(peer.url())).await;
    supervisor.ready(SOON).await.expect("ready");
    for turn in 0..20 {
        let poisoned = main.query::<String>(cmd("GET").arg("key")).await;
        let error = poisoned.expect_err("malformed");
        assert!(
            matches!(
                error,
                Error::ConnectionLost { .. } | Error::CircuitOpen { .. }
            ),
            "{error}"
        );
        let nonce = format!("nonce-{turn}");
        if let Ok(echo) = main.query::<String>(cmd("ECHO").arg(&nonce)).await {
            assert_eq!(echo, nonce);
        }
    }
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn an_unsolicited_reply_reaches_no_caller() {
    // Each reply is followed by a stray one.
    let peer = ScriptedServer::start([Script::answering(|command| {
        let mut reply = crate::common::resp::bulk(&command[1]);
        reply.extend(b"+stray\r\n");
        reply
    })]);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(peer.url())).await;
    supervisor.ready(SOON).await.expect("ready");
    let lost = || supervisor.statistics().databases["main"].pool.lost;
    for turn in 0..20 {
        let before = lost();
        let nonce = format!("nonce-{turn}");
        if let Ok(echo) = main.query::<String>(cmd("ECHO").arg(&nonce)).await {
            assert_eq!(echo, nonce);
            eventually_async(SOON, "the connection is closed", || lost() > before).await;
        }
    }
    assert!(lost() > 0);
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_input_delays_no_deadline() {
    // A debug build needs seconds to read these pushes, and none of them is the reply.
    let peer = ScriptedServer::start([Script::answering(|_| {
        b">2\r\n+some\r\n+push\r\n".repeat(3_000_000)
    })]);
    let main = DatabaseConfig::from_url(peer.url());
    let (supervisor, main) = spawn(main).await;
    supervisor.ready(SOON).await.expect("ready");
    let start = Instant::now();
    let timeout = Duration::from_millis(300);
    let error = main
        .with_timeout(timeout)
        .query::<String>(cmd("GET").arg("key"))
        .await
        .expect_err("no reply");
    let took = start.elapsed();
    assert!(error.is_timeout(), "{error}");
    assert!(took < timeout + Duration::from_millis(150), "{took:?}");
    supervisor.shutdown(Duration::ZERO).await;
}
