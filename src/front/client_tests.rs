//! Goal: a client's requests take their turns, and one that sends is not silent. Method: a session on an embedded server,
//! and a clock that the test moves.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::sleep,
};

use super::*;
use crate::{
    config::{Config, DatabaseConfig},
    front::service::Service,
    supervisor::Supervisor,
};

const SILENCE: Duration = Duration::from_secs(60);

async fn session(supervisor: &Supervisor) -> Session {
    let main = supervisor.database("main").expect("main");
    main.query::<()>(redis::cmd("PING")).await.expect("pong");
    let limits = Limits {
        transaction: SILENCE,
        ..Limits::default()
    };
    let service = Service::new([(0, main)].into(), Vec::new(), limits);
    Session::new(Arc::new(service), 0, "in-process:0".into())
}

async fn supervisor() -> Supervisor {
    let main = DatabaseConfig::from_url("memory://").shared_connections(1, 1);
    let config = Config::new().database("main", main);
    Supervisor::spawn(config).await.expect("spawn")
}

#[tokio::test]
async fn a_command_is_handed_over_at_once_unless_it_is_behind_one_that_is_not() {
    let supervisor = supervisor().await;
    let mut session = session(&supervisor).await;
    let set = ["SET", "a", "1"].map(|word| Bytes::from_static(word.as_bytes()));
    let set = set.to_vec();
    let first = session.take(&set, false);
    assert!(matches!(first, Step::Call(State::Underway(..))));
    let behind = session.take(&set, true);
    assert!(matches!(behind, Step::Call(State::Running(_))));
}

async fn read(near: &mut DuplexStream, reply: &str) {
    let mut read = vec![0; reply.len()];
    near.read_exact(&mut read).await.expect("a reply");
    assert_eq!(String::from_utf8_lossy(&read), reply);
}

#[tokio::test]
async fn a_client_that_takes_long_to_send_a_large_request_is_not_silent() {
    let supervisor = supervisor().await;
    let session = session(&supervisor).await;
    // From now on nothing happens elsewhere.
    tokio::time::pause();
    let (mut near, far) = duplex(1024);
    tokio::spawn(Client::new(far, session));
    near.write_all(b"MULTI\r\n").await.expect("a write");
    read(&mut near, "+OK\r\n").await;
    near.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\n")
        .await
        .expect("a write");
    for byte in b"large\r\n" {
        sleep(SILENCE / 2).await;
        near.write_all(&[*byte]).await.expect("a write");
    }
    read(&mut near, "+QUEUED\r\n").await;
    near.write_all(b"EXEC\r\n").await.expect("a write");
    read(&mut near, "*1\r\n+OK\r\n").await;
    // One that sends nothing is.
    near.write_all(b"MULTI\r\n").await.expect("a write");
    read(&mut near, "+OK\r\n").await;
    sleep(SILENCE * 2).await;
    near.write_all(b"EXEC\r\n").await.expect("a write");
    read(&mut near, "-EXECABORT").await;
}
