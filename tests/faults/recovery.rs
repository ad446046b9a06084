//! Goal: no sequence of failures leaves a working database unusable. Method: each test plays one
//! sequence, with scripted peers, a proxy and real servers, and waits until commands work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use redis::cmd;
use redis_steward::{CircuitState, DatabaseConfig, Error};

use crate::common::{
    FaultProxy, Mode, RedisServer, Script, ScriptedServer, eventually_async, resp::bulk, spawn,
};

const SOON: Duration = Duration::from_secs(10);

/// The first connection is the pool's and is closed at its first command. The second is a probe that is
/// answered late. The third is the pool's again, and is rejected meanwhile. All later ones work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_was_rejected_during_a_probe_tries_again() {
    let is_probed = Arc::new(AtomicBool::new(false));
    let may_answer = Arc::new(AtomicBool::new(false));
    let slow_probe = Script::answering_all({
        let (is_probed, may_answer) = (is_probed.clone(), may_answer.clone());
        move |command| match &*command[0].to_ascii_uppercase() {
            b"HELLO" => b"%1\r\n+proto\r\n:3\r\n".to_vec(),
            b"PING" => {
                is_probed.store(true, SeqCst);
                crate::common::eventually(SOON, "the pool was rejected", || {
                    may_answer.load(SeqCst)
                });
                bulk(&command[1])
            }
            _ => b"+OK\r\n".to_vec(),
        }
    });
    let peer = ScriptedServer::start([
        Script::replies_then_close(Vec::<Vec<u8>>::new()),
        slow_probe,
        Script::answering_all(|_| b"-WRONGPASS not now\r\n".to_vec()),
        Script::answer_handshake(),
    ]);
    let main = DatabaseConfig::from_url(peer.url())
        .health_check_interval(Duration::from_millis(200))
        .command_timeout(Duration::from_secs(20))
        .connect_timeout(Duration::from_secs(15));
    let (supervisor, main) = spawn(main).await;
    eventually_async(SOON, "the probe is in flight", || is_probed.load(SeqCst)).await;
    let lost: Result<(), Error> = main.query(cmd("SET").arg("key").arg(1)).await;
    lost.expect_err("the connection closes");
    let failures = || supervisor.statistics().databases["main"].pool.dial_failures;
    eventually_async(SOON, "the pool was rejected", || failures() == 1).await;
    may_answer.store(true, SeqCst);
    supervisor.ready(SOON).await.expect("ready again");
    let () = main.query(cmd("SET").arg("key").arg(1)).await.expect("set");
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_is_found_again() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    proxy.set(Mode::Delay {
        requests: Duration::from_millis(15),
        replies: Duration::from_millis(15),
    });
    // Each reply takes longer than the attempt timeout, but a dial has enough time.
    let main = DatabaseConfig::from_url(proxy.url()).attempt_timeout(Duration::from_millis(25));
    let (supervisor, main) = spawn(main).await;
    server.kill();
    let is_open = || supervisor.statistics().databases["main"].circuit == CircuitState::Open;
    eventually_async(SOON, "the circuit is open", is_open).await;
    server.restart();
    supervisor.ready(SOON).await.expect("ready again");
    let pong: String = main.query(cmd("PING")).await.expect("ping");
    assert_eq!(pong, "PONG");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_server_that_closes_on_every_command_opens_the_circuit() {
    let peer = ScriptedServer::start([Script::replies_then_close(Vec::<Vec<u8>>::new())]);
    let (supervisor, main) = spawn(DatabaseConfig::from_url(peer.url())).await;
    let mut lost = 0;
    loop {
        match main.query::<i64>(cmd("INCR").arg("n")).await {
            Err(Error::CircuitOpen { .. }) => break,
            Err(Error::ConnectionLost { .. }) => lost += 1,
            other => panic!("{other:?} from a server that closes"),
        }
        assert!(
            lost < 50,
            "{lost} connections lost, and the circuit is closed"
        );
    }
    // Calls are refused a moment before the state is published.
    let is_open = || supervisor.statistics().databases["main"].circuit == CircuitState::Open;
    eventually_async(SOON, "the circuit is open", is_open).await;
    supervisor.shutdown(SOON).await;
    eventually_async(SOON, "all is closed", || peer.open() == 0).await;
}
