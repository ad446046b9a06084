//! Jobs for workers: a stream that a program adds to, and supervised consumers. Each job that was added is done, also
//! if the server goes away meanwhile.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use redis_steward::{StartFrom, StreamEntry};

use crate::{
    common::{eventually_async, older_than},
    fate::Fate,
    site::{SOON, Setup, on_every_site},
};

on_every_site!(every_job_is_done);

async fn every_job_is_done(setup: Setup) {
    if older_than(6, 2, "XAUTOCLAIM") {
        return;
    }
    let mut site = setup.start(|program| program).await;
    let done: Arc<Mutex<BTreeMap<usize, usize>>> = Arc::default();
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let noted = done.clone();
            site.redis
                .consumer("jobs", "workers")
                .create_group(StartFrom::Beginning)
                .claim_idle(Duration::from_secs(3))
                .run(move |entry: StreamEntry| {
                    let job = entry.text("job").and_then(|job| job.parse().ok());
                    let job = job.expect("a number");
                    *noted.lock().expect("a map").entry(job).or_default() += 1;
                    async { Ok::<_, Infallible>(()) }
                })
        })
        .collect();
    let program = site.redis.clone();
    let fates = site
        .through(move |job| {
            let program = program.clone();
            async move {
                let add = redis::cmd("XADD")
                    .arg(&["jobs", "*", "job", &job.to_string()])
                    .take();
                Fate::of(&program.query_with_source::<String>(add).await)
            }
        })
        .await;

    let times = || done.lock().expect("a map").clone();
    let is_done = || {
        let (times, held) = (times(), workers.iter().map(|one| one.statistics().held));
        let all = (0..fates.len()).filter(|job| fates[*job] == Fate::AtServer);
        all.clone().all(|job| times.contains_key(&job)) && held.sum::<usize>() == 0
    };
    eventually_async(SOON, "all jobs are done", is_done).await;
    for (job, fate) in fates.iter().enumerate() {
        let times = times().get(&job).copied().unwrap_or_default();
        match fate {
            Fate::Nowhere => assert_eq!(times, 0, "{job} was never there"),
            Fate::AtServer if !site.is_disturbed() => assert_eq!(times, 1, "{job}"),
            Fate::AtServer | Fate::Unknown => {}
            Fate::InMemory => panic!("nothing stands in"),
        }
    }
    for worker in workers {
        worker.stop(SOON).await.expect("a worker that runs");
    }
    let pending: (u64, redis::Value, redis::Value, redis::Value) =
        site.there("XPENDING jobs workers").await;
    assert_eq!(pending.0, 0);
}
