//! The server is a node of a cluster, which the crate treats as a single server. A scripted peer sends
//! the errors of a node.

use redis::cmd;
use redis_steward::{CircuitState, DatabaseConfig, Execution::NotExecuted, Reason};

use crate::{
    SOON,
    common::{Script, ScriptedServer, spawn},
    error_of, event_of_outage, get, refusal, stats,
};

fn refusing(line: String) -> ScriptedServer {
    ScriptedServer::start([Script::answering(move |_| {
        format!("-{line}\r\n").into_bytes()
    })])
}

#[tokio::test]
async fn row_29_redirections_are_errors_and_not_followed() {
    let target = ScriptedServer::start([Script::answer_handshake()]);
    for code in ["MOVED", "ASK"] {
        let node = refusing(format!("{code} 866 127.0.0.1:{}", target.port()));
        let (supervisor, main) = spawn(DatabaseConfig::from_url(node.url())).await;
        for _ in 0..10 {
            let error = error_of(&main, &get()).await;
            assert_eq!(refusal(&error), (code, NotExecuted, 1));
        }
        assert_eq!(stats(&supervisor).circuit, CircuitState::Closed);
        supervisor.shutdown(SOON).await;
    }
    assert_eq!(target.accepted(), 0, "the address is not dialled");
}

#[tokio::test]
async fn row_31_tryagain() {
    let node = refusing("TRYAGAIN Multiple keys request during rehashing of slot".into());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(node.url())).await;
    let mget = cmd("MGET").arg(&["a", "b"]).take();
    let error = error_of(&main, &mget).await;
    assert_eq!(refusal(&error), ("TRYAGAIN", NotExecuted, 3));
    for _ in 0..10 {
        error_of(&main, &mget).await;
    }
    assert_eq!(stats(&supervisor).circuit, CircuitState::Closed);
    supervisor.shutdown(SOON).await;
}

/// The node still answers PING, so only commands show the problem.
#[tokio::test]
async fn row_32_clusterdown() {
    let node = refusing("CLUSTERDOWN The cluster is down".into());
    let main = DatabaseConfig::from_url(node.url()).failure_threshold(20);
    let (supervisor, main) = spawn(main).await;
    let mut events = supervisor.subscribe();
    let error = error_of(&main, &get()).await;
    assert_eq!(refusal(&error), ("CLUSTERDOWN", NotExecuted, 3));
    while stats(&supervisor).circuit == CircuitState::Closed {
        // The first call that finds the circuit open is the last.
        error_of(&main, &get()).await;
    }
    event_of_outage(&mut events, Reason::PrimaryDown).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_33_crossslot() {
    let node = refusing("CROSSSLOT Keys in request don't hash to the same slot".into());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(node.url())).await;
    let mget = cmd("MGET").arg(&["a", "b"]).take();
    for _ in 0..10 {
        let error = error_of(&main, &mget).await;
        assert_eq!(refusal(&error), ("CROSSSLOT", NotExecuted, 1));
    }
    assert_eq!(stats(&supervisor).circuit, CircuitState::Closed);
    supervisor.shutdown(SOON).await;
}
