//! The embedded server with much data: bytes per key and per member, and the time of commands on a sorted set.
//!
//! `cargo bench --bench embedded_data [-- <members>]`, by default with 1,000,000 members. Bytes are those of the
//! process, counted by its allocator. Times are those of the processor, so that other processes do not matter; they
//! include the handle, which sends pipelines of 1,000 commands.

use std::{alloc::System, env, time::Duration};

use redis::pipe;
use redis_steward::{Config, Database, Supervisor};
use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const KEYS: usize = 285_140;
const BATCH: usize = 1_000;

fn main() {
    let members = env::args().find_map(|word| word.parse().ok());
    let members: usize = members.unwrap_or(1_000_000);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let config = Config::single("memory://");
        let supervisor = Supervisor::spawn(config).await.expect("it starts");
        let soon = Duration::from_secs(5);
        supervisor.ready(soon).await.expect("a healthy database");
        let main = supervisor.database("main").expect("it is known");
        keys(&main).await;
        for name in ["ascending", "shuffled"] {
            sorted_set(&main, name, members).await;
        }
        supervisor.shutdown(soon).await;
    });
}

fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Bytes of memory that is in use, where Linux tells.
fn resident() -> usize {
    const PAGE: usize = 4096;
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0_usize) * PAGE
}

async fn keys(main: &Database) {
    let (before, resident_before) = (held(), resident());
    let value = "0123456789abcdef";
    run(main, "SET 16 B 16 B", KEYS, |number| {
        vec!["SET".into(), format!("key:{number:012}"), value.into()]
    })
    .await;
    let resident = resident() - resident_before;
    println!(
        "bytes per key: {}, resident {}",
        (held() - before) / KEYS,
        resident / KEYS
    );
    run(main, "GET 16 B", KEYS, |number| {
        vec!["GET".into(), format!("key:{number:012}")]
    })
    .await;
}

async fn sorted_set(main: &Database, name: &str, members: usize) {
    println!("{members} members, {name}");
    let mut order: Vec<usize> = (0..members).collect();
    let mut random = fastrand::Rng::with_seed(1);
    if name == "shuffled" {
        random.shuffle(&mut order);
    }
    let before = held();
    run(main, "ZADD", members, |number| {
        let (score, member) = (order[number], order[number]);
        vec![
            "ZADD".into(),
            name.into(),
            format!("{score}"),
            format!("member:{member:09}"),
        ]
    })
    .await;
    println!("bytes per member: {}", (held() - before) / members);
    let reads = members.min(100_000);
    let mut at = || random.usize(..members);
    let mut ask = |words: &[&str]| -> Vec<String> {
        let number = at();
        words
            .iter()
            .map(|word| match *word {
                "<member>" => format!("member:{number:09}"),
                "<number>" => number.to_string(),
                "<number+9>" => (number + 9).to_string(),
                "<edge>" => format!("[member:{number:09}"),
                "<key>" => name.into(),
                word => word.into(),
            })
            .collect()
    };
    for (title, words) in [
        ("ZSCORE", &["ZSCORE", "<key>", "<member>"][..]),
        ("ZRANK", &["ZRANK", "<key>", "<member>"]),
        (
            "ZRANGE by index, 10",
            &["ZRANGE", "<key>", "<number>", "<number+9>"],
        ),
        (
            "ZRANGE by score, 10",
            &["ZRANGE", "<key>", "<number>", "<number+9>", "BYSCORE"],
        ),
        ("ZCOUNT", &["ZCOUNT", "<key>", "<number>", "+inf"]),
        (
            "ZADD, changed score",
            &["ZADD", "<key>", "<number>", "<member>"],
        ),
        ("ZREM", &["ZREM", "<key>", "<member>"]),
    ] {
        run(main, title, reads, |_| ask(words)).await;
    }
    run(main, "ZADD, one score", reads, |number| {
        let member = order[number];
        vec![
            "ZADD".into(),
            "lex".into(),
            "0".into(),
            format!("member:{member:09}"),
        ]
    })
    .await;
    run(main, "ZRANGE by lex, 10", reads, |_| {
        let mut words = ask(&[
            "ZRANGE", "<key>", "<edge>", "+", "BYLEX", "LIMIT", "0", "10",
        ]);
        words[1] = "lex".into();
        words
    })
    .await;
    run(main, "DEL", 1, |_| {
        vec!["DEL".into(), name.into(), "lex".into()]
    })
    .await;
}

/// The time that this thread has had the processor; the handle and the server run on it alone.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs so many commands, and prints the time of each.
async fn run(
    main: &Database,
    title: &str,
    count: usize,
    mut words: impl FnMut(usize) -> Vec<String>,
) {
    let mut time = Duration::ZERO;
    for first in (0..count).step_by(BATCH) {
        let mut pipeline = pipe();
        for number in first..(first + BATCH).min(count) {
            let words = words(number);
            pipeline.cmd(&words[0]).arg(&words[1..]).ignore();
        }
        let begin = processor_time();
        main.pipeline::<()>(pipeline).await.expect("replies");
        time += processor_time() - begin;
    }
    println!("{title:<22} {:>9} ns", time.as_nanos() / count as u128);
}
