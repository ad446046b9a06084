//! Entries of a stream per second: a consumer, beside plain loops of XREADGROUP and XACK with the redis crate, on a real
//! server. Handlers do nothing, so this is the cost of the machinery.
//!
//! `cargo bench --bench consumer`. All take turns on the same server; the figures are medians, with the lowest and the
//! highest.

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    convert::Infallible,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use redis::{
    AsyncCommands,
    aio::MultiplexedConnection,
    streams::{StreamReadOptions, StreamReadReply},
};
use redis_steward::{Database, DatabaseConfig, StartFrom};
use tokio::{runtime::Builder, time::sleep};

use self::common::RedisServer;

const ENTRIES: u64 = 50_000;
const ROUNDS: usize = 7;
const BATCH: usize = 64;
const STREAM: &str = "orders";
const GROUP: &str = "billing";

fn main() {
    // Without the argument of `cargo bench` it only shows that it works.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let (entries, rounds) = if is_test { (500, 1) } else { (ENTRIES, ROUNDS) };
    for threads in [1, 2] {
        let runtime = if threads == 1 {
            Builder::new_current_thread().enable_all().build()
        } else {
            Builder::new_multi_thread()
                .worker_threads(threads)
                .enable_all()
                .build()
        };
        let runtime = runtime.expect("a runtime");
        println!("{threads} thread(s), {entries} entries of 100 B, {BATCH} at a time:");
        runtime.block_on(compare(entries, rounds));
    }
}

async fn compare(entries: u64, rounds: usize) {
    let server = RedisServer::start();
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut plain = client
        .get_multiplexed_async_connection()
        .await
        .expect("a connection");
    let (supervisor, main) = common::spawn(DatabaseConfig::from_url(server.url())).await;
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        fill(&mut plain, entries).await;
        rates[0].push(rate(entries, with_consumer(&main, entries).await));
        fill(&mut plain, entries).await;
        rates[1].push(rate(entries, with_loop(&mut plain, entries, BATCH).await));
        fill(&mut plain, entries).await;
        rates[2].push(rate(entries, with_loop(&mut plain, entries, 1).await));
    }
    let names = [
        "consumer",
        "plain loop, one XACK for all that was read",
        "plain loop, one XACK for each entry",
    ];
    for (name, rates) in names.into_iter().zip(&mut rates) {
        rates.sort_by(f64::total_cmp);
        let (median, least, most) = (rates[rates.len() / 2], rates[0], rates[rates.len() - 1]);
        println!("  {name}: {median:.0}/s ({least:.0} to {most:.0})");
    }
    supervisor.shutdown(Duration::from_secs(5)).await;
}

fn rate(entries: u64, time: Duration) -> f64 {
    entries as f64 / time.as_secs_f64()
}

/// A new stream with so many entries, and a group that has read none.
async fn fill(plain: &mut MultiplexedConnection, entries: u64) {
    let payload = "x".repeat(100);
    let () = plain.del(STREAM).await.expect("deleted");
    let () = plain
        .xgroup_create_mkstream(STREAM, GROUP, "0")
        .await
        .expect("a group");
    for _ in 0..entries / 500 {
        let mut adds = redis::pipe();
        for _ in 0..500 {
            adds.xadd(STREAM, "*", &[("payload", &payload)]).ignore();
        }
        let () = adds.query_async(plain).await.expect("added");
    }
}

async fn with_consumer(main: &Database, entries: u64) -> Duration {
    let handled = Arc::new(AtomicU64::new(0));
    let counted = handled.clone();
    let start = Instant::now();
    let consumer = main
        .consumer(STREAM, GROUP)
        .create_group(StartFrom::Beginning)
        .batch(NonZeroUsize::new(BATCH).expect("not zero"))
        .run(move |entry| {
            let bytes = entry.bytes("payload").map_or(0, <[u8]>::len);
            assert_eq!(bytes, 100);
            counted.fetch_add(1, Relaxed);
            async { Ok::<_, Infallible>(()) }
        });
    while consumer.statistics().acknowledged < entries {
        sleep(Duration::from_millis(1)).await;
    }
    let time = start.elapsed();
    assert_eq!(handled.load(Relaxed), entries);
    let statistics = consumer.stop(Duration::from_secs(5)).await;
    assert_eq!(statistics.expect("a good end").held, 0);
    time
}

/// Reads a batch, handles it, and acknowledges it, so many entries with each XACK.
async fn with_loop(
    plain: &mut MultiplexedConnection,
    entries: u64,
    acknowledged_at_once: usize,
) -> Duration {
    let options = StreamReadOptions::default()
        .group(GROUP, "plain")
        .count(BATCH)
        .block(1_000);
    let mut handled = 0;
    let start = Instant::now();
    while handled < entries {
        let reply: StreamReadReply = plain
            .xread_options(&[STREAM], &[">"], &options)
            .await
            .expect("entries");
        let entries: Vec<_> = reply.keys.into_iter().flat_map(|key| key.ids).collect();
        for entry in &entries {
            let payload: Vec<u8> = entry.get("payload").expect("a payload");
            assert_eq!(payload.len(), 100);
            handled += 1;
        }
        let ids: Vec<_> = entries.into_iter().map(|entry| entry.id).collect();
        for ids in ids.chunks(acknowledged_at_once) {
            let acknowledged: usize = plain.xack(STREAM, GROUP, ids).await.expect("a number");
            assert_eq!(acknowledged, ids.len());
        }
    }
    start.elapsed()
}
