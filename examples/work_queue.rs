//! A reliable work queue: workers block on a list and move each job to a list of their own until it is
//! done. Ordinary commands are not delayed by them.
//!
//! `cargo run --example work_queue`, on a server inside the process, or on that of
//! `REDIS_URL`. It uses keys that begin with `steward:jobs`, and deletes them.

use std::{
    error::Error,
    process::ExitCode,
    time::{Duration, Instant},
};

use redis::{AsyncCommands, Direction};
use redis_steward::{Config, Database, Execution, Supervisor};

const WORKERS: usize = 4;
const JOBS: usize = 20;
const QUEUE: &str = "steward:jobs";

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
    let mut main = supervisor.database("main")?;
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
    supervisor.shutdown(Duration::from_secs(5)).await;
    Ok(if done == JOBS {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
