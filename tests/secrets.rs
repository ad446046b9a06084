//! Goal: no secret appears in logs, errors, events or Debug texts. Method: a canary password and a
//! canary value go through configuration and failures while every log line is captured at TRACE.

mod common;

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use redis::cmd;
use redis_steward::{Config, DatabaseConfig, Execute, Supervisor};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::common::RedisServer;

const SOON: Duration = Duration::from_secs(10);
const PASSWORD: &str = "canary/pass word";
const ENCODED: &str = "canary%2Fpass%20word";
const USER: &str = "canary-user";
const VALUE: &str = "canary-value";

/// Keeps every event and span as text.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<String>>);

impl Captured {
    fn text(&self) -> String {
        self.0.lock().expect("no test panics here").clone()
    }
}

impl Visit for Captured {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = self.0.lock().expect("no test panics here");
        let _ = write!(text, "{field}={value:?} ");
    }
}

impl Subscriber for Captured {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

fn assert_clean(text: &str) {
    let bytes = format!("{:?}", "canary".as_bytes());
    let bytes = bytes.trim_matches(['[', ']']);
    for secret in [PASSWORD, ENCODED, VALUE, "canary", bytes] {
        assert!(!text.contains(secret), "{secret:?} shows in {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_appears_in_logs_errors_or_debug_texts() {
    let captured = Captured::default();
    tracing::subscriber::set_global_default(captured.clone()).expect("the only test of its binary");
    let mut text = String::new();

    let server = RedisServer::builder().requirepass(PASSWORD).start();
    let wrong = RedisServer::builder().requirepass("another").start();
    server.cli(&[
        "ACL",
        "SETUSER",
        USER,
        "on",
        &format!(">{PASSWORD}"),
        "+@all",
        "~*",
    ]);
    let url = |port| format!("redis://{USER}:{ENCODED}@127.0.0.1:{port}/0");
    let config = Config::new()
        .database("right", DatabaseConfig::from_url(url(server.port())))
        .database("wrong", DatabaseConfig::from_url(url(wrong.port())))
        .database(
            "set",
            DatabaseConfig::from_url(wrong.url()).password(PASSWORD),
        );
    let _ = write!(text, "{config:?}");
    let invalid = config.clone().database(
        "bad",
        DatabaseConfig::from_url(format!("redis://user:{PASSWORD}@[bad:{ENCODED}/0?x=canary")),
    );
    let error = Supervisor::spawn(invalid)
        .await
        .expect_err("an invalid URL");
    let _ = write!(text, "{error} {error:?}");

    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    let mut events = supervisor.subscribe();
    let error = supervisor
        .ready(Duration::from_millis(700))
        .await
        .expect_err("two are wrong");
    let _ = write!(text, "{error} {error:?} {supervisor:?}");

    for name in ["right", "wrong"] {
        let database = supervisor.database(name).expect("a database");
        let database = database.with_timeout(Duration::from_millis(300));
        let _ = write!(text, "{database:?}");
        for command in [
            cmd("SET").arg(VALUE).arg(VALUE).take(),
            cmd("AUTHX").arg("user").arg(VALUE).take(),
            cmd("AUTH").arg(PASSWORD).take(),
            cmd("LPUSH").arg(VALUE).arg(VALUE).take(),
        ] {
            let execute = Execute::new(command.clone());
            let _ = write!(text, "{execute:?}");
            if let Err(error) = database.execute(&command).await {
                let _ = write!(text, "{error} {error:?}");
                let error = redis::RedisError::from(error);
                let _ = write!(text, "{error} {error:?}");
            }
        }
    }
    server.kill();
    let killed = supervisor
        .database("right")
        .expect("right")
        .with_timeout(Duration::from_millis(300))
        .execute(&cmd("PING"))
        .await;
    let _ = write!(text, "{killed:?} {:?}", supervisor.statistics());
    let report = supervisor.shutdown(SOON).await;
    let _ = write!(text, "{report:?}");
    while let Some(event) = events.next().await {
        let _ = write!(text, "{event} {event:?}");
    }

    assert_clean(&text);
    let logged = captured.text();
    assert!(
        logged.contains("WRONGPASS"),
        "the failures were logged: {logged}"
    );
    assert_clean(&logged);
}
