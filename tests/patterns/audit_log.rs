//! An audit log: events are collected, and a batch is flushed in one pipeline, to six indexes by time that expire. What
//! Redis does not take goes to a file, a line of JSON for each, and from there to Redis later. No event is lost, and none
//! is there twice.

use std::{fs::File, io::Write as _, path::PathBuf, time::Duration};

use redis_steward::{Database, Error};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::site::{SOON, Setup, on_every_site};

on_every_site!(every_event_is_in_its_indexes_once);

const BATCH: usize = 5;
const QUARTER: i64 = 90 * 86_400;

#[derive(Clone)]
struct AuditLog {
    redis: Database,
    backlog: PathBuf,
}

impl AuditLog {
    /// An event is the member of a sorted set, so writing it again changes nothing. That makes the pipeline
    /// idempotent.
    async fn flush(&self, events: &[Value]) -> Result<(), Error> {
        let mut batch = redis::pipe();
        for event in events {
            for index in indexes(event) {
                let (at, member) = (event["at"].as_u64(), event.to_string());
                batch.zadd(&index, member, at.expect("a time")).ignore();
                batch.expire(&index, QUARTER).ignore();
            }
        }
        self.redis.idempotent().pipeline(batch).await
    }

    async fn flush_or_keep(&self, events: &[Value]) -> bool {
        let is_flushed = self.flush(events).await.is_ok();
        if !is_flushed {
            let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
            let file = File::options()
                .create(true)
                .append(true)
                .open(&self.backlog);
            let written = file.and_then(|mut file| file.write_all(lines.as_bytes()));
            written.expect("a file that can be written");
        }
        is_flushed
    }

    /// What was kept goes to Redis, and is no backlog any more.
    async fn catch_up(&self) -> Result<usize, Error> {
        let Ok(lines) = std::fs::read_to_string(&self.backlog) else {
            return Ok(0);
        };
        let event = |line| serde_json::from_str(line).expect("a line of JSON");
        let events: Vec<Value> = lines.lines().map(event).collect();
        for batch in events.chunks(BATCH) {
            self.flush(batch).await?;
        }
        std::fs::remove_file(&self.backlog).expect("a file");
        Ok(events.len())
    }

    /// The events of an index in a span of time, in order.
    async fn between(&self, index: &str, from: usize, to: usize) -> Result<Vec<Value>, Error> {
        let range = redis::cmd("ZRANGEBYSCORE")
            .arg(index)
            .arg(from)
            .arg(to)
            .take();
        let events: Vec<String> = self.redis.query(range).await?;
        let event = |event: &String| serde_json::from_str(event).expect("JSON");
        Ok(events.iter().map(event).collect())
    }
}

fn event(number: usize) -> Value {
    json!({
        "id": number,
        "at": number,
        "user": format!("user{}", number % 3),
        "action": if number.is_multiple_of(2) { "read" } else { "write" },
        "session": number % 7,
        "resource": number % 5,
    })
}

fn indexes(event: &Value) -> [String; 6] {
    let of = |field: &str| {
        format!(
            "audit:{field}:{}",
            event[field].to_string().trim_matches('"')
        )
    };
    [
        "audit:all".into(),
        of("user"),
        of("action"),
        of("session"),
        of("resource"),
        "audit:date:2026-11-29".into(),
    ]
}

async fn every_event_is_in_its_indexes_once(setup: Setup) {
    let mut site = setup.start(|program| program).await;
    let dir = TempDir::new().expect("a temporary directory");
    let log = AuditLog {
        redis: site.redis.with_timeout(Duration::from_secs(2)),
        backlog: dir.path().join("audit.jsonl"),
    };
    let flushing = log.clone();
    let flushed = site
        .through(move |batch| {
            let log = flushing.clone();
            async move {
                let events: Vec<_> = (batch * BATCH..(batch + 1) * BATCH).map(event).collect();
                log.flush_or_keep(&events).await
            }
        })
        .await;

    let kept = flushed.iter().filter(|is_flushed| !**is_flushed).count();
    let log = AuditLog {
        redis: site.redis.with_timeout(SOON),
        ..log
    };
    assert_eq!(log.catch_up().await.expect("flushed"), kept * BATCH);
    assert!(kept > 0 || !site.is_disturbed());
    let events: Vec<_> = (0..flushed.len() * BATCH).map(event).collect();
    let all = log.between("audit:all", 0, events.len()).await;
    assert_eq!(all.expect("events"), events);
    let hour = log.between("audit:all", 15, 24).await;
    assert_eq!(hour.expect("events"), events[15..=24]);
    for index in events.iter().flat_map(indexes).take(60) {
        let found = log.between(&index, 0, events.len()).await.expect("events");
        let belongs = |event: &&Value| indexes(event).contains(&index);
        let expected: Vec<_> = events.iter().filter(belongs).cloned().collect();
        assert_eq!(found, expected, "{index}");
        let left: i64 = site.there(&format!("TTL {index}")).await;
        assert!((1..=QUARTER).contains(&left), "{index}");
    }
}
