//! The metrics that a Prometheus server scrapes agree with the statistics.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusBuilder;
use prometheus_parse::{Scrape, Value};
use redis::cmd;
use redis_steward::{Database, DatabaseConfig, DurationHistogram, HealthState, StartFrom};

use crate::{
    SOON,
    common::{RedisServer, eventually_async, older_than, ports::free_port, spawn},
};

const NAME: &str = "main";

/// The metrics of the database, by name and distinguishing label.
fn scrape(address: SocketAddr) -> BTreeMap<(String, String), Value> {
    let mut stream = TcpStream::connect(address).expect("the exporter listens");
    stream
        .write_all(b"GET /metrics HTTP/1.0\r\n\r\n")
        .expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.contains("200 OK"), "{head}");
    let lines = body.lines().map(|line| Ok(line.to_owned()));
    let scrape = Scrape::parse(lines).expect("the text format of Prometheus");
    let mut metrics = BTreeMap::new();
    for sample in scrape.samples {
        let labels = &sample.labels;
        assert_eq!(
            labels.get("db_client_connection_pool_name"),
            Some(NAME),
            "{sample:?}"
        );
        assert_eq!(labels.get("db_system_name"), Some("redis"), "{sample:?}");
        let others = labels.iter().filter(|(key, _)| {
            !["db_client_connection_pool_name", "db_system_name"].contains(&key.as_str())
        });
        let label = others
            .map(|(_, value)| value.as_str())
            .collect::<Vec<_>>()
            .join(",");
        let before = metrics.insert((sample.metric, label), sample.value);
        assert!(before.is_none(), "each once");
    }
    metrics
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_agrees_with_the_statistics() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let exporter = PrometheusBuilder::new().with_http_listener(address);
    let exporter = exporter.set_buckets(&DurationHistogram::BOUNDS_IN_SECONDS);
    exporter
        .expect("buckets")
        .install()
        .expect("the only recorder");

    let server = RedisServer::start();
    let (supervisor, main) = spawn(DatabaseConfig::from_url(server.url())).await;
    let metrics = supervisor.metrics();
    for number in 0..100 {
        let _: () = main
            .query(cmd("SET").arg("k").arg(number))
            .await
            .expect("set");
        if number % 10 == 0 {
            main.query::<()>(cmd("LPUSH").arg("k").arg(1))
                .await
                .expect_err("no list");
            metrics.flush();
        }
    }
    drop(main.lease().await.expect("a lease"));
    let used = || {
        supervisor.statistics().databases[NAME]
            .pool
            .use_time
            .count()
            == 1
    };
    eventually_async(SOON, "the lease is given back", used).await;
    metrics.flush();
    let scraped = tokio::task::spawn_blocking(move || scrape(address));
    let scraped = scraped.await.expect("no panic");
    let get = |name: &str, label: &str| match scraped.get(&(name.into(), label.into())) {
        Some(Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value)) => *value,
        other => panic!("{name} {label}: {other:?}"),
    };
    let stats = supervisor.statistics().databases[NAME].clone();
    assert_eq!(get("redis_steward_operations", "succeeded"), 100.0);
    assert_eq!(get("redis_steward_operations", "error_reply"), 10.0);
    assert_eq!(get("redis_steward_bytes", "sent"), stats.bytes_sent as f64);
    assert_eq!(get("redis_steward_state", "healthy"), 1.0);
    assert_eq!(get("redis_steward_state", "down"), 0.0);
    assert_eq!(get("redis_steward_circuit", ""), 0.0);
    assert_eq!(get("db_client_connection_count", "idle"), 1.0);
    assert_eq!(get("db_client_connection_count", "used"), 1.0);
    assert_eq!(get("db_client_connection_max", ""), stats.pool.max as f64);
    assert_eq!(get("redis_steward_connections", "opened"), 2.0);
    for (name, expected) in [
        ("db_client_operation_duration", &stats.latency),
        ("db_client_connection_create_time", &stats.pool.create_time),
        ("db_client_connection_wait_time", &stats.pool.acquire_wait),
        ("db_client_connection_use_time", &stats.pool.use_time),
    ] {
        let Some(Value::Histogram(buckets)) = scraped.get(&(name.into(), String::new())) else {
            panic!("{name}: {scraped:#?}");
        };
        let mut sum = 0;
        for (bucket, (bound, count)) in buckets.iter().zip(expected.buckets()) {
            sum += count;
            assert_eq!(bucket.count, sum as f64, "{name} {bound:?}");
            let bound = bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
            assert_eq!(bucket.less_than, bound, "{name}");
        }
        assert!(sum > 0, "{name}");
    }

    let is_handled = handle_an_entry(&main).await;
    // The last flush is that of a shutdown.
    let running = tokio::spawn(metrics.run(Duration::from_secs(3_600)));
    supervisor.shutdown(SOON).await;
    tokio::time::timeout(SOON, running)
        .await
        .expect("it ends")
        .expect("no panic");
    assert_eq!(main.state(), HealthState::Stopped);
    let scraped = tokio::task::spawn_blocking(move || scrape(address));
    let scraped = scraped.await.expect("no panic");
    let open = scraped.get(&("db_client_connection_count".into(), "used".into()));
    assert!(
        matches!(open, Some(Value::Gauge(open)) if *open == 0.0),
        "{open:?}"
    );
    let healthy = scraped.get(&("redis_steward_state".into(), "healthy".into()));
    assert!(
        matches!(healthy, Some(Value::Gauge(healthy)) if *healthy == 0.0),
        "{healthy:?}"
    );
    let handled = scraped.get(&("redis_steward_entries".into(), "acknowledged".into()));
    assert!(
        matches!(handled, Some(Value::Counter(handled)) if *handled == f64::from(is_handled)),
        "{handled:?}"
    );
}

/// Has a consumer handle one entry of a stream, unless the server is too old.
async fn handle_an_entry(main: &Database) -> bool {
    if older_than(6, 2, "XAUTOCLAIM") {
        return false;
    }
    let add = cmd("XADD").arg("s").arg("*").arg("a").arg(1).take();
    main.query::<()>(add).await.expect("added");
    let consumer = main
        .consumer("s", "g")
        .create_group(StartFrom::Beginning)
        .run(|_| async { Ok::<_, Infallible>(()) });
    let is_done = || consumer.statistics().acknowledged == 1;
    eventually_async(SOON, "it is handled", is_done).await;
    consumer.stop(SOON).await.expect("a consumer that runs");
    true
}
