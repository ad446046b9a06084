//! Traces of calls, as the OpenTelemetry SDK gets them.

use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use redis::{cmd, pipe};
use redis_steward::DatabaseConfig;
use tracing::Level;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _};

use crate::{
    SOON,
    common::{RedisServer, spawn},
};

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string())
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Its end would take the spans along.
struct Exported {
    exporter: InMemorySpanExporter,
    provider: SdkTracerProvider,
}

impl Exported {
    fn spans(self) -> Vec<SpanData> {
        self.provider.force_flush().expect("flushed");
        self.exporter.get_finished_spans().expect("spans")
    }
}

/// The spans of this thread, from here on.
fn exported(level: Level) -> (Exported, tracing::subscriber::DefaultGuard) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let targets = Targets::new().with_target("redis_steward::command", level);
    let subscriber = tracing_subscriber::registry().with(targets).with(layer);
    let guard = tracing::subscriber::set_default(subscriber);
    (Exported { exporter, provider }, guard)
}

#[tokio::test]
async fn calls_have_spans_with_the_names_of_opentelemetry_and_without_keys_and_values() {
    let server = RedisServer::start();
    let config = DatabaseConfig::from_url(server.url()).number(6);
    let (supervisor, main) = spawn(config).await;
    let (exporter, guard) = exported(Level::DEBUG);

    let _: () = main
        .query(cmd("SET").arg("canary-key").arg("canary-value"))
        .await
        .expect("set");
    main.query::<()>(cmd("lpush").arg("canary-key").arg("canary-value"))
        .await
        .expect_err("no list");
    let mut alike = pipe();
    alike.get("canary-key").get("canary-key");
    let _: Vec<String> = main.pipeline(&alike).await.expect("got");
    let mut mixed = pipe();
    mixed.atomic().incr("canary-number", 1).ttl("canary-number");
    let _: Vec<i64> = main.pipeline(&mixed).await.expect("done");
    let script = redis::Script::new("return 'canary-value'");
    let _: String = script.invoke_async(&mut main.clone()).await.expect("run");
    let mut lease = main.lease().await.expect("a lease");
    let _: Option<String> = lease
        .query(cmd("GET").arg("canary-key"))
        .await
        .expect("got");
    drop(lease);
    // It may be a password that was sent by mistake.
    main.query::<()>(cmd("hunter2")).await.expect_err("unknown");
    drop(guard);
    let _: () = main
        .query(cmd("SET").arg("untraced").arg(1))
        .await
        .expect("set");

    let spans = exporter.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.to_string()).collect();
    let expected = [
        "SET",
        "LPUSH",
        "PIPELINE GET",
        "MULTI",
        "EVALSHA",
        "SCRIPT LOAD",
        "EVALSHA",
        "GET",
        "OTHER",
    ];
    assert_eq!(names, expected);
    for span in &spans {
        assert_eq!(span.span_kind, SpanKind::Client);
        assert_eq!(attribute(span, "db.system.name"), some("redis"));
        assert_eq!(attribute(span, "db.namespace"), some("6"));
        assert_eq!(attribute(span, "db.operation.name"), some(&span.name));
        assert_eq!(
            attribute(span, "db.client.connection.pool.name"),
            some("main")
        );
        assert_eq!(attribute(span, "server.address"), some("127.0.0.1"));
        assert_eq!(
            attribute(span, "server.port"),
            some(&server.port().to_string())
        );
        let shown = format!("{span:?}");
        assert!(
            !shown.contains("canary") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
    let failed = &spans[1];
    assert!(matches!(failed.status, Status::Error { .. }), "{failed:?}");
    assert_eq!(
        attribute(failed, "db.response.status_code"),
        some("WRONGTYPE")
    );
    assert_eq!(attribute(failed, "error.type"), some("WRONGTYPE"));
    assert_eq!(attribute(&spans[2], "db.operation.batch.size"), some("2"));
    assert_eq!(attribute(&spans[0], "db.operation.batch.size"), None);
    assert_eq!(spans[0].status, Status::Unset);
    let digest = attribute(&spans[4], "db.stored_procedure.name");
    assert_eq!(digest.as_deref(), Some(script.get_hash()));
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn there_are_none_unless_they_are_wanted_and_failures_of_this_crate_have_its_names() {
    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let (exporter, guard) = exported(Level::INFO);
    let _: () = main.query(cmd("SET").arg("k").arg(1)).await.expect("set");
    drop(guard);
    assert_eq!(exporter.spans().len(), 0);

    let (exporter, guard) = exported(Level::DEBUG);
    supervisor.shutdown(SOON).await;
    main.query::<()>(cmd("GET").arg("k"))
        .await
        .expect_err("it has ended");
    drop(guard);
    let spans = exporter.spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(attribute(&spans[0], "error.type"), some("ShuttingDown"));
    assert_eq!(attribute(&spans[0], "db.response.status_code"), None);
}
