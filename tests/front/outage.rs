//! Goal: during an outage clients get an error that says what happened, and afterwards their connections work again.
//! Method: a server that is killed and started again.

use std::time::Duration;

use crate::{
    common::{eventually, resp::encode},
    site::Site,
};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_client_survives_an_outage() {
    let short = Duration::from_millis(500);
    let site = Site::with(|main| main.command_timeout(short), |front| front).await;
    let mut client = site.client();
    client.ask("SET a 1");
    site.server.kill();
    let mut codes = std::collections::BTreeSet::new();
    eventually(SOON, "the circuit opens", || {
        let reply = client.ask("GET a");
        let says_execution = ["was not sent", "may have been executed"];
        assert!(
            says_execution.iter().any(|text| reply.contains(text)),
            "{reply}"
        );
        let code = reply.split(' ').next().unwrap_or_default().to_owned();
        codes.insert(code.clone());
        code == "-CIRCUITOPEN"
    });
    let known = ["-CIRCUITOPEN", "-TIMEDOUT", "-CONNECTIONLOST"];
    assert!(
        codes.iter().all(|code| known.contains(&&**code)),
        "{codes:?}"
    );
    assert_eq!(client.ask("PING"), "+PONG");
    assert!(client.ask("WATCH a").starts_with("-CIRCUITOPEN "));
    assert_eq!(client.ask("MULTI"), "+OK");
    assert_eq!(client.ask("SET a 2"), "+QUEUED");
    assert!(client.ask("EXEC").starts_with("-CIRCUITOPEN "));
    site.server.restart();
    eventually(SOON, "it works again", || client.ask("SET a 2") == "+OK");
    assert_eq!(client.ask("GET a"), "$1 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_whose_connection_is_lost_is_an_error() {
    let site = Site::start().await;
    let mut client = site.client();
    client.ask("WATCH a");
    site.server.restart();
    eventually(SOON, "it works again", || client.ask("GET a") == "$-1");
    client.ask("MULTI");
    client.ask("SET a 1");
    let reply = client.ask("EXEC");
    assert!(
        reply.starts_with("-CONNECTIONLOST ") && reply.ends_with("the command was not sent"),
        "{reply}"
    );
    assert_eq!(client.ask("GET a"), "$-1");
    client.ask("WATCH a");
    client.ask("MULTI");
    client.ask("SET a 1");
    assert_eq!(client.ask("EXEC"), "*1 +OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_a_timeout_that_tells_of_the_execution() {
    let short = Duration::from_millis(200);
    let site = Site::with(|main| main.command_timeout(short), |front| front).await;
    let mut client = site.client();
    client.ask("SET a 1");
    site.server.freeze();
    let reply = client.ask("SET a 2");
    assert!(
        reply.starts_with("-TIMEDOUT ") && reply.contains("the command may have been executed"),
        "{reply}"
    );
    site.server.thaw();
    eventually(SOON, "it works again", || client.ask("SET a 3") == "+OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_keep_their_order_while_connections_are_lost() {
    const ROUNDS: usize = 300;
    let site = Site::start().await;
    let mut client = site.client();
    client.ask("SET a 1");
    for loss in 0..5 {
        let mut requests = Vec::new();
        for round in 0..ROUNDS {
            requests.extend(encode(&["GET", "a"]));
            requests.extend(encode(&["INCR", "counter"]));
            requests.extend(encode(&["PING", &round.to_string()]));
        }
        client.send_bytes(&requests);
        site.server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        for round in 0..ROUNDS {
            // A read is sent again, within the budget of retries.
            for expected in ["$1 1", ":"] {
                let reply = client.read();
                let is_known = reply.starts_with(expected) || reply.starts_with("-CONNECTIONLOST ");
                assert!(is_known, "{loss}: {reply}");
            }
            let shown = format!("${} {round}", round.to_string().len());
            assert_eq!(client.read(), shown);
        }
    }
}
