//! A cache of results that are expensive to compute: two processes share them in Redis, and each keeps the last ones in
//! memory, where they are right until Redis says that they have changed.
//!
//! `cargo run --example result_cache`, on a server inside the process, or on that of `REDIS_URL`. It uses keys that begin
//! with `steward:result:`, which expire after an hour, and deletes them.

use std::{
    collections::HashMap,
    error::Error,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use redis_steward::{Config, Database, NearCacheStats, Supervisor};
use tokio::sync::{Mutex, OnceCell};

const HOUR: u64 = 3_600;
const READS: usize = 1_000;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| {
        println!("REDIS_URL is not set: this runs on memory://, a server inside the process.");
        "memory://results".into()
    });
    // Two supervisors, as in two processes.
    let first = Process::start(&url).await?;
    let second = Process::start(&url).await?;
    first.results.clear(1).await?;

    let herd = (0..20).map(|_| first.results.get(1, 97));
    let herd = futures_util::future::try_join_all(herd).await?;
    let elsewhere = second.results.get(1, 97).await?;
    let computed = first.results.computed() + second.results.computed();
    println!(
        "20 callers and another process got {elsewhere}, which was computed {computed} time(s)"
    );
    let mut is_right = herd.iter().all(|result| *result == elsewhere) && computed == 1;

    for _ in 0..READS {
        is_right &= second.results.get(1, 97).await? == elsewhere;
    }
    match second.near_cache() {
        Some(cache) if cache.is_tracking => println!(
            "{} of {} reads were answered from memory, {} bytes are kept",
            cache.hits,
            cache.hits + cache.misses,
            cache.bytes
        ),
        Some(cache) => println!(
            "nothing is kept in memory, and each read went to the server: {}",
            cache.trouble.as_deref().unwrap_or("it tracks nothing yet")
        ),
        None => println!("there is no near cache"),
    }

    // The keys have the version of the algorithm, so a new one finds nothing old.
    let newer = second.results.get(2, 97).await?;
    let dropped = first.results.clear(1).await?;
    println!("{dropped} result(s) of the first version were dropped, the second one gives {newer}");
    // Its copy is outdated as soon as the server has said so.
    let is_gone = second.results.until_gone(1, 97).await?;
    is_right &= newer == elsewhere + 1 && dropped == 1 && is_gone;
    first.results.clear(2).await?;
    for process in [first, second] {
        process.supervisor.shutdown(Duration::from_secs(1)).await;
    }
    Ok(if is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Process {
    supervisor: Supervisor,
    results: Results,
}

impl Process {
    async fn start(url: &str) -> Result<Self, Box<dyn Error>> {
        let supervisor = Supervisor::spawn(Config::single(url)).await?;
        supervisor.ready(Duration::from_secs(2)).await?;
        let results = Results {
            redis: supervisor.database("main")?.cached(),
            under_way: Mutex::default(),
            computed: AtomicUsize::new(0),
        };
        Ok(Self {
            supervisor,
            results,
        })
    }

    fn near_cache(&self) -> Option<NearCacheStats> {
        let statistics = self.supervisor.statistics();
        statistics.databases["main"].near_cache.clone()
    }
}

type Flight = Arc<OnceCell<u64>>;

struct Results {
    redis: Database,
    /// Of many callers that miss the same result, one computes it.
    under_way: Mutex<HashMap<String, Flight>>,
    computed: AtomicUsize,
}

impl Results {
    async fn get(&self, version: u64, input: u64) -> Result<u64, redis_steward::Error> {
        let key = key(version, input);
        if let Some(result) = self.kept(&key).await? {
            return Ok(result);
        }
        let flight = {
            let mut under_way = self.under_way.lock().await;
            under_way.entry(key.clone()).or_default().clone()
        };
        let result = flight.get_or_try_init(|| self.compute(&key, version, input));
        let result = *result.await?;
        self.under_way.lock().await.remove(&key);
        Ok(result)
    }

    async fn kept(&self, key: &str) -> Result<Option<u64>, redis_steward::Error> {
        self.redis.query(redis::cmd("GET").arg(key)).await
    }

    async fn compute(
        &self,
        key: &str,
        version: u64,
        input: u64,
    ) -> Result<u64, redis_steward::Error> {
        // Another flight may have landed just before this one took off.
        if let Some(result) = self.kept(key).await? {
            return Ok(result);
        }
        self.computed.fetch_add(1, Relaxed);
        let result = input * input + version;
        let set = redis::cmd("SETEX").arg(key).arg(HOUR).arg(result).take();
        self.redis.query::<()>(set).await?;
        Ok(result)
    }

    fn computed(&self) -> usize {
        self.computed.load(Relaxed)
    }

    /// Drops all results of a version, and returns their number.
    async fn clear(&self, version: u64) -> Result<usize, redis_steward::Error> {
        let (mut cursor, mut dropped) = (0, 0);
        loop {
            let scan = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg(key(version, "*"))
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

    /// Waits until a result is not found any more, for a second at most.
    async fn until_gone(&self, version: u64, input: u64) -> Result<bool, redis_steward::Error> {
        for _ in 0..100 {
            if self.kept(&key(version, input)).await?.is_none() {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(false)
    }
}

fn key(version: u64, input: impl std::fmt::Display) -> String {
    format!("steward:result:v{version}:{input}:square")
}
