//! Two reliable work queues. On a list: workers block on it and move each job to a list of their own until it is done.
//! Ordinary commands are not delayed by them. On a stream: supervised consumers of a group, which take over what
//! others have left, and put to the dead letters what always fails.
//!
//! `cargo run --example work_queue`, on a server inside the process, or on that of
//! `REDIS_URL`. It uses keys that begin with `steward:jobs`, and deletes them.

use std::{
    error::Error,
    process::ExitCode,
    time::{Duration, Instant},
};

use redis::{AsyncCommands, Direction};
use redis_steward::{Config, Consumer, Database, Execution, StartFrom, StreamEntry, Supervisor};

const WORKERS: usize = 4;
const JOBS: usize = 20;
const QUEUE: &str = "steward:jobs";
const STREAM: &str = "steward:jobs:stream";
const DEAD_LETTERS: &str = "steward:jobs:dead";
const GROUP: &str = "workers";

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| {
        println!("REDIS_URL is not set: this runs on memory://, a server inside the process.");
        "memory://".into()
    });
    let supervisor = Supervisor::spawn(Config::single(url)).await?;
    if let Err(error) = supervisor.ready(Duration::from_secs(2)).await {
        eprintln!("No server at REDIS_URL; without it, this runs on memory://: {error}");
        return Ok(ExitCode::FAILURE);
    }
    let main = supervisor.database("main")?;
    let all_done = on_a_list(&supervisor, main.clone()).await? && on_a_stream(main).await?;
    supervisor.shutdown(Duration::from_secs(5)).await;
    Ok(if all_done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns whether each job was done.
async fn on_a_list(supervisor: &Supervisor, mut main: Database) -> Result<bool, Box<dyn Error>> {
    let lists = (1..=WORKERS).map(list_of).chain([QUEUE.to_owned()]);
    let () = main.del(lists.collect::<Vec<_>>()).await?;

    let workers: Vec<_> = (1..=WORKERS)
        .map(|number| tokio::spawn(work(number, main.clone())))
        .collect();
    // The workers wait on connections of their own, so this is as quick as without them.
    let mut slowest = Duration::ZERO;
    for job in 1..=JOBS {
        let start = Instant::now();
        let () = main.rpush(QUEUE, format!("job {job}")).await?;
        slowest = slowest.max(start.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pool = &supervisor.statistics().databases["main"].pool;
    println!(
        "{JOBS} jobs pushed, the slowest in {slowest:?}; connections: {} shared, {} in use",
        pool.shared, pool.in_use
    );
    let mut done = 0;
    for worker in workers {
        done += worker.await?;
    }
    println!("{done} of {JOBS} jobs done");
    Ok(done == JOBS)
}

/// Returns whether each job was done, except for the one that cannot be.
async fn on_a_stream(mut main: Database) -> Result<bool, Box<dyn Error>> {
    let () = main.del(&[STREAM, DEAD_LETTERS]).await?;
    for job in 1..=JOBS {
        let () = main.xadd(STREAM, "*", &[("job", job)]).await?;
    }
    // A worker reads three jobs and dies.
    let () = main.xgroup_create_mkstream(STREAM, GROUP, "0").await?;
    let read = redis::cmd("XREADGROUP")
        .arg(&["GROUP", GROUP, "dead", "COUNT", "3", "STREAMS", STREAM, ">"])
        .take();
    main.query::<redis::Value>(read).await?;

    let consumers: Vec<Consumer> = (1..=2)
        .map(|number| {
            main.consumer(STREAM, GROUP)
                .name(format!("worker-{number}"))
                .create_group(StartFrom::Beginning)
                // So that this example ends soon.
                .claim_idle(Duration::from_millis(500))
                .dead_letters(DEAD_LETTERS)
                .run(do_job)
        })
        .collect();
    let fates = || {
        let all = consumers.iter().map(Consumer::statistics);
        all.fold((0, 0), |(done, dead), one| {
            (done + one.acknowledged, dead + one.dead_lettered)
        })
    };
    let start = Instant::now();
    while fates().0 + fates().1 < JOBS as u64 && start.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (done, dead) = fates();
    println!("{done} of {JOBS} entries done, {dead} among the dead letters");
    for consumer in consumers {
        let name = consumer.name().to_owned();
        let end = consumer.stop(Duration::from_secs(5)).await?;
        println!("{name}: {} read, {} taken over", end.read, end.claimed);
    }
    let () = main.del(&[STREAM, DEAD_LETTERS]).await?;
    Ok((done, dead) == (JOBS as u64 - 1, 1))
}

/// Does a job of the stream. It may be called again for the same entry, as all handlers.
async fn do_job(entry: StreamEntry) -> Result<(), String> {
    match entry.text("job") {
        Some("13") => Err("nobody can do this job".into()),
        Some(_) => Ok(()),
        None => Err("this is no job".into()),
    }
}

fn list_of(worker: usize) -> String {
    format!("{QUEUE}:{worker}")
}

/// Does jobs until there are none for a second, and returns their number.
async fn work(number: usize, mut main: Database) -> usize {
    let mine = list_of(number);
    let mut done = 0;
    loop {
        // The server keeps it waiting for up to a second. Its deadline is that second plus the command
        // timeout, automatically.
        let job: redis::RedisResult<Option<String>> = main
            .blmove(QUEUE, &mine, Direction::Left, Direction::Right, 1.0)
            .await;
        match job {
            Ok(Some(job)) => {
                println!("worker {number}: {job}");
                // Only now is the job removed: had this process died, it would still be in this list.
                if let Err(error) = main.lrem::<_, _, ()>(&mine, 1, &job).await {
                    eprintln!("worker {number}: {job} is done and may be done again: {error}");
                }
                done += 1;
            }
            Ok(None) => return done,
            Err(error) => {
                let own = redis_steward::Error::from_redis(&error);
                let may_have_moved = own.is_none_or(|own| own.execution() == Execution::Unknown);
                let where_ = if may_have_moved { &mine } else { QUEUE };
                eprintln!("worker {number}: {error}; look for the job in {where_}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
