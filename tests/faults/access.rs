//! The server refuses the client (authentication, protected mode, client limit) or some commands (ACL).

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use redis::cmd;
use redis_steward::{
    CircuitState, Config, DatabaseConfig, Error,
    Execution::{NotExecuted, NotSent},
    HealthEvent, Reason, Supervisor,
};

use crate::{
    Rig, SOON,
    common::{RedisServer, Script, ScriptedServer, proc::sockets_to, spawn},
    degraded, error_of, error_within, event_of, event_of_outage, incr, refusal, stats, until_open,
};

const KILL: [&str; 6] = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
/// Longer than the longest pause between probes after a rejection, which is 2 s.
const PROBE_BOUND: Duration = Duration::from_secs(20);
const SECRET: &str = "hunter2-canary";

/// A rejection opens the circuit at once, and dials are rare: the first pause is one second.
async fn assert_rejected(supervisor: &Supervisor, code: &str) -> (HealthEvent, Error) {
    let before = stats(supervisor).pool.dial_failures;
    let event = event_of_outage(&mut supervisor.subscribe(), Reason::Rejected).await;
    let cause = event.cause.as_deref().expect("a cause");
    assert!(cause.contains(code), "{cause}");
    let main = supervisor.database("main").expect("main");
    let error = error_of(&main, &incr()).await;
    assert_eq!(error.execution(), NotSent);
    match &error {
        Error::CircuitOpen {
            reason,
            retry_after,
            ..
        } => {
            assert_eq!(*reason, Reason::Rejected);
            assert!(!retry_after.is_zero());
        }
        other => panic!("another error: {other}"),
    }
    let dials = stats(supervisor).pool.dial_failures - before;
    assert!(dials <= 3, "{dials} dials");
    (event, error)
}

#[tokio::test]
async fn row_24_noauth() {
    let rig = Rig::start().await;
    rig.server.set_password(SECRET);
    let count: i64 = rig.main.query(incr()).await.expect("it is known already");
    assert_eq!(count, 1);
    rig.server.cli(&KILL);
    assert_rejected(&rig.supervisor, "NOAUTH").await;
    rig.server.set_password("");
    rig.supervisor
        .ready(PROBE_BOUND)
        .await
        .expect("ready again");
    assert_eq!(rig.server.commandstat("incr"), 1);
    rig.end().await;

    // A command refused on an open connection is sent again over a new one.
    let refused = Script::answering(|_| b"-NOAUTH Authentication required.\r\n".to_vec());
    let peer = ScriptedServer::start([refused, Script::answer_handshake()]);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(peer.url())).await;
    let value: String = main.query(incr()).await.expect("over a new connection");
    assert_eq!(value, "OK");
    assert_eq!(peer.count("INCR"), 2);
    // Ours, its successor, and a probe.
    assert!((2..=3).contains(&peer.accepted()), "{}", peer.accepted());
    supervisor.shutdown(SOON).await;
}

/// Deviation: there is no credential provider to ask again.
#[tokio::test]
async fn row_25_wrongpass() {
    let server = RedisServer::start();
    let user = |password: &str| {
        let set = [
            "ACL", "SETUSER", "app", "reset", "on", password, "~*", "+@all",
        ];
        assert_eq!(server.cli(&set), "OK");
    };
    user(&format!(">{SECRET}"));
    let url = format!("redis://app:{SECRET}@127.0.0.1:{}", server.port());
    let (supervisor, _main) = spawn(DatabaseConfig::from_url(url)).await;
    user(">another");
    server.cli(&KILL);
    let (event, error) = assert_rejected(&supervisor, "WRONGPASS").await;
    for text in [
        format!("{event} {event:?}"),
        format!("{error} {error:?}"),
        format!("{:?}", stats(&supervisor)),
    ] {
        assert!(!text.contains(SECRET), "{text}");
    }
    user(&format!(">{SECRET}"));
    supervisor.ready(PROBE_BOUND).await.expect("ready again");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_25_wrong_credentials_from_the_start() {
    let server = RedisServer::builder().requirepass("right").start();
    let url = format!("redis://127.0.0.1:{}", server.port());
    let plain = || DatabaseConfig::from_url(&*url);
    for (main, expected) in [
        (plain(), "NOAUTH"),
        (plain().username("stranger").password(SECRET), "WRONGPASS"),
        (plain().password(SECRET), "WRONGPASS"),
    ] {
        let config = Config::new().database("main", main);
        let supervisor = Supervisor::spawn(config).await.expect("spawn");
        until_open(&supervisor).await;
        let dials = stats(&supervisor).pool.dial_failures;
        assert_eq!(dials, 1, "the first attempt opens the circuit");
        let (event, error) = assert_rejected(&supervisor, expected).await;
        let text = format!("{event} {event:?} {error} {error:?}");
        assert!(!text.contains(SECRET), "{text}");
        supervisor.shutdown(SOON).await;
    }
    assert_eq!(sockets_to(server.port()), 0);

    // A password that becomes right is noticed.
    let config = Config::new().database("main", plain().password(SECRET));
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    until_open(&supervisor).await;
    server.set_password(SECRET);
    supervisor
        .ready(PROBE_BOUND)
        .await
        .expect("the next attempt");
    let main = supervisor.database("main").expect("main");
    let pong: String = main.query(cmd("PING")).await.expect("a reply");
    assert_eq!(pong, "PONG");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_26_noperm() {
    let server = RedisServer::start();
    let set = ["ACL", "SETUSER", "bob", "on", ">pw", "~x*", "+get"];
    assert_eq!(server.cli(&set), "OK");
    let url = format!("redis://bob:pw@127.0.0.1:{}", server.port());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(url)).await;
    for command in [
        cmd("SET").arg("x-canary").arg("canary").take(),
        cmd("GET").arg("other-canary").take(),
    ] {
        for _ in 0..10 {
            let error = error_of(&main, &command).await;
            assert_eq!(refusal(&error), ("NOPERM", NotExecuted, 1));
            let text = format!("{error} {error:?}");
            assert!(!text.contains("canary"), "{text}");
        }
    }
    let value: Option<i64> = main.query(cmd("GET").arg("x")).await.expect("his key");
    assert_eq!(value, None);
    assert_eq!(stats(&supervisor).circuit, CircuitState::Closed);
    assert_eq!(server.commandstat("set"), 0);
    supervisor.shutdown(SOON).await;

    // A user with the rights of an application.
    let set = [
        "ACL", "SETUSER", "app", "on", ">s3cret", "~app:*", "+@all", "-@admin",
    ];
    assert_eq!(server.cli(&set), "OK");
    let url = format!("redis://app:s3cret@127.0.0.1:{}/3", server.port());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(url)).await;
    let own = cmd("SET").arg("app:key").arg(1).take();
    main.query::<()>(own).await.expect("its own key");
    let error = error_of(&main, cmd("SET").arg("other").arg(1)).await;
    assert_eq!(refusal(&error), ("NOPERM", NotExecuted, 1));
    assert_eq!(stats(&supervisor).circuit, CircuitState::Closed);
    supervisor.shutdown(SOON).await;
}

/// Deviation: callers share one connection, so there is no target size to shrink.
#[tokio::test]
async fn row_27_max_clients() {
    let server = RedisServer::start();
    let (early, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let set = ["CONFIG", "SET", "maxclients", "2"];
    assert_eq!(server.cli(&set), "OK");
    let mut second = TcpStream::connect(("127.0.0.1", server.port())).expect("room for two");
    second.write_all(b"PING\r\n").expect("a request");
    let mut pong = [0; 7];
    second.read_exact(&mut pong).expect("a reply");
    assert_eq!(&pong, b"+PONG\r\n");

    let config = Config::new().database("main", DatabaseConfig::from_url(server.url()));
    let late = Supervisor::spawn(config).await.expect("spawn");
    event_of(&mut late.subscribe(), degraded(Reason::ServerFull)).await;
    let hopeful = late.database("main").expect("main");
    let error = error_within(Duration::from_millis(300), &hopeful, &incr()).await;
    assert_eq!(error.execution(), NotSent);
    assert!(
        error.to_string().contains("max number of clients"),
        "{error}"
    );
    let dials = stats(&late).pool.dial_failures;
    // Every 25 ms at first.
    assert!(dials <= 100, "{dials} dials");
    for expected in 1..=100 {
        let count: i64 = main.query(incr()).await.expect("an open connection serves");
        assert_eq!(count, expected);
    }
    assert_eq!(stats(&early).circuit, CircuitState::Closed);

    drop(second);
    late.ready(PROBE_BOUND).await.expect("there is room");
    late.shutdown(SOON).await;
    early.shutdown(SOON).await;
}

/// Deviation: a scripted peer answers as a server in protected mode answers remote clients. TLS is not
/// tested.
#[tokio::test]
async fn row_28_denied() {
    let denied = "-DENIED Redis is running in protected mode because no password is set.\r\n";
    let peer = ScriptedServer::start([Script::raw(denied)]);
    let supervisor = Supervisor::spawn(Config::single(peer.url())).await;
    let supervisor = supervisor.expect("spawn");
    let (_, error) = assert_rejected(&supervisor, "DENIED").await;
    assert!(error.to_string().contains("protected mode"), "{error}");
    assert!(peer.accepted() <= 3, "{} connections", peer.accepted());
    supervisor.shutdown(SOON).await;
}
