//! A cache of results: `eeg_analysis:<version>:<hash>:<kind>` for an hour, with the version in the value as well. Of many
//! callers that miss, one computes; the last results are kept in the process, too. Without Redis results are computed, and
//! no caller is told a wrong one.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures_util::future::join_all;
use redis_steward::{Database, Error, Fallback};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

use crate::{
    fate::Fate,
    site::{Setup, on_every_site},
};

on_every_site!(results_are_right_and_computed_once);

const HOUR: u64 = 3_600;

#[derive(Default)]
struct Counts {
    hits: AtomicUsize,
    computed: AtomicUsize,
}

#[derive(Clone)]
struct Results {
    redis: Database,
    version: u64,
    /// The results that are under way, and the last ones.
    recent: Arc<Mutex<HashMap<String, Arc<OnceCell<u64>>>>>,
    counts: Arc<Counts>,
}

impl Results {
    const AT_MOST: usize = 8;

    fn new(redis: Database, version: u64) -> Self {
        Self {
            redis,
            version,
            recent: Arc::default(),
            counts: Arc::default(),
        }
    }

    /// Another process, with a cache of its own.
    fn elsewhere(&self, version: u64) -> Self {
        Self::new(self.redis.clone(), version)
    }

    async fn get(&self, input: u64) -> u64 {
        let key = format!("eeg_analysis:v{}:{input:08x}:bands", self.version);
        let cell = {
            let mut recent = self.recent.lock().await;
            if recent.len() >= Self::AT_MOST && !recent.contains_key(&key) {
                recent.clear();
            }
            recent.entry(key.clone()).or_default().clone()
        };
        *cell.get_or_init(|| self.load_or_compute(&key, input)).await
    }

    async fn load_or_compute(&self, key: &str, input: u64) -> u64 {
        let get = redis::cmd("GET").arg(key).take();
        let found: Option<String> = self.redis.query(get).await.ok().flatten();
        let found = found.and_then(|found| serde_json::from_str::<Value>(&found).ok());
        let is_mine = |found: &Value| found["version"] == self.version;
        if let Some(result) = found
            .filter(is_mine)
            .and_then(|found| found["result"].as_u64())
        {
            self.counts.hits.fetch_add(1, SeqCst);
            return result;
        }
        self.counts.computed.fetch_add(1, SeqCst);
        let result = compute(self.version, input);
        let value = json!({"version": self.version, "result": result});
        let set = redis::cmd("SETEX")
            .arg(key)
            .arg(HOUR)
            .arg(value.to_string())
            .take();
        // What is not cached is computed again.
        let _ = self.redis.query::<()>(set).await;
        result
    }

    /// Drops all results of a version.
    async fn clear(&self, version: u64) -> Result<usize, Error> {
        let (mut cursor, mut dropped) = (0, 0);
        loop {
            let scan = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(format!("eeg_analysis:v{version}:*"))
                .arg("COUNT")
                .arg(100)
                .take();
            let (next, keys): (u64, Vec<String>) = self.redis.query(scan).await?;
            if !keys.is_empty() {
                let unlink = redis::cmd("UNLINK").arg(keys).take();
                dropped += self.redis.query::<usize>(unlink).await?;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(dropped);
            }
        }
    }
}

fn compute(version: u64, input: u64) -> u64 {
    version * 1_000 + input
}

async fn results_are_right_and_computed_once(setup: Setup) {
    let mut site = setup
        .start(|program| program.fallback(Fallback::memory()))
        .await;
    let results = Results::new(site.redis.clone(), 1);
    let herd = join_all((0..20).map(|_| results.get(7))).await;
    assert_eq!(herd, [compute(1, 7); 20]);
    assert_eq!(results.counts.computed.load(SeqCst), 1, "one of the herd");
    let other = results.elsewhere(1);
    assert_eq!(other.get(7).await, compute(1, 7));
    assert_eq!(other.counts.hits.load(SeqCst), 1, "it is in Redis");

    site.outage().await;
    // The keys have the version, so a new one finds nothing old.
    let newer = results.elsewhere(2);
    assert_eq!(newer.get(7).await, compute(2, 7));
    for _ in 0..2 {
        assert_eq!(results.elsewhere(1).get(8).await, compute(1, 8));
    }
    let cleared = results.clear(1).await;
    match &cleared {
        Ok(dropped) => assert_eq!(*dropped, 2),
        // The store has not all keys, and says so.
        Err(error) => assert_eq!(Fate::of_error(error), Fate::Nowhere),
    }
    assert_eq!(site.is_disturbed(), cleared.is_err());

    site.recovery().await;
    if cleared.is_err() {
        // That of before. What was cached in the outage is given up.
        assert_eq!(results.clear(1).await.expect("cleared"), 1);
    }
    let after = results.elsewhere(1);
    assert_eq!(after.get(7).await, compute(1, 7));
    assert_eq!(after.counts.computed.load(SeqCst), 1, "it was cleared");
    assert_eq!(results.elsewhere(2).get(7).await, compute(2, 7));
    let left: u64 = site.there("TTL eeg_analysis:v1:00000007:bands").await;
    assert!((HOUR - 60..=HOUR).contains(&left), "{left}");
}
