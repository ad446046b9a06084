//! What the service answers, without a browser: on a server inside the process.

#[path = "browser/announced.rs"]
mod announced;
#[path = "browser/service.rs"]
mod service;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use service::Service;
use tokio::time::timeout;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// The status and the body.
fn get(service: &Service, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(service.bind()).expect("it listens");
    let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    let body = r#"{"user":"ada"}"#;
    let body = if request.starts_with("POST") {
        format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    } else {
        "\r\n".to_owned()
    };
    stream.write_all((head + &body).as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (status.expect("a status"), body.to_owned())
}

#[test]
fn it_answers_orchestrators_callers_and_prometheus() {
    let program = env!("CARGO_BIN_EXE_web-service");
    let service = Service::start(program, "memory://answers", "127.0.0.1:0");
    assert_eq!(get(&service, "GET /live").0, 200);
    let (status, opened) = get(&service, "POST /sessions");
    assert!((200..300).contains(&status), "{status} {opened}");
    let (status, primes) = get(&service, "GET /primes/100");
    assert_eq!(status, 200, "{primes}");
    assert_eq!(get(&service, "GET /ready").0, 200);
    let (status, health) = get(&service, "GET /health/redis");
    assert_eq!(status, 200);
    let health: serde_json::Value = serde_json::from_str(&health).expect("JSON");
    assert_eq!(health["databases"]["sessions"]["healthy"], true, "{health}");

    let (status, metrics) = get(&service, "GET /metrics");
    assert_eq!(status, 200);
    for name in [
        "db_client_operation_duration_bucket{",
        "db_client_connection_count{",
        "redis_steward_operations{",
    ] {
        let has = metrics.lines().any(|line| {
            line.starts_with(name) && line.contains(r#"db_client_connection_pool_name="sessions""#)
        });
        assert!(has, "{name}: {metrics}");
    }
    assert!(service.terminate(), "it ends well");
}

#[tokio::test]
async fn a_page_follows_an_experiment_and_the_end_of_the_program_closes_its_socket() {
    let program = env!("CARGO_BIN_EXE_web-service");
    let service = Service::start(program, "memory://updates", "127.0.0.1:0");
    let url = format!("ws://{}/updates", service.bind());
    let (mut page, _) = connect_async(url).await.expect("an upgrade");
    assert_eq!(next(&mut page).await, Message::text(r#"{"step":0}"#));
    for step in 1..4 {
        let (status, _) = get(&service, &format!("POST /updates/{step}"));
        assert_eq!(status, 204);
        let shown = Message::text(format!(r#"{{"step":{step}}}"#));
        assert_eq!(next(&mut page).await, shown);
    }
    page.send(Message::Ping("hello".into()))
        .await
        .expect("sent");
    assert_eq!(next(&mut page).await, Message::Pong("hello".into()));
    let ends = tokio::task::spawn_blocking(|| service.terminate());
    assert!(matches!(next(&mut page).await, Message::Close(Some(_))));
    drop(page);
    assert!(ends.await.expect("no panic"), "it ends well");
}

async fn next(page: &mut WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>) -> Message {
    let next = timeout(Duration::from_secs(60), page.next()).await;
    let next = next.expect("a message in time").expect("an open socket");
    next.expect("a message")
}
