//! A program without a runtime: threads that share one database, typed commands, a pipeline, a
//! script, and errors with their execution state.
//!
//! `cargo run --example blocking_threads`, on a server inside the process, or on that of
//! `REDIS_URL`. It uses keys that begin with `steward:` and expire.

use std::{error::Error, process::ExitCode, thread, time::Duration};

use redis::Commands;
use redis_steward::{BlockingDatabase, Config, Supervisor};

const THREADS: u64 = 8;
const JOBS: u64 = 100;

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| {
        println!("REDIS_URL is not set: this runs on memory://, a server inside the process.");
        "memory://".into()
    });
    // Connections run on a thread of the crate's own.
    let supervisor = Supervisor::spawn_blocking(Config::single(url))?;
    let main = supervisor.database("main")?.blocking();

    // A command waits for the first connection, until its deadline.
    let patient = main.with_timeout(Duration::from_secs(2));
    if let Err(error) = patient.query::<String>(redis::cmd("PING")) {
        eprintln!("No server at REDIS_URL; without it, this runs on memory://: {error}");
        return Ok(ExitCode::FAILURE);
    }

    fill_queue(&main)?;
    work(&main)?;
    sum_up(main.clone())?;
    show_errors(main.clone());

    println!("\n{:#?}", supervisor.statistics().databases["main"]);
    // Dropping the last handle stops everything.
    Ok(ExitCode::SUCCESS)
}

/// A pipeline is one round trip; `atomic` makes it a transaction.
fn fill_queue(main: &BlockingDatabase) -> Result<(), redis_steward::Error> {
    let mut jobs = redis::pipe();
    jobs.atomic()
        .set_ex("steward:done", 0, 60)
        .ignore()
        .del("steward:jobs")
        .ignore()
        .rpush("steward:jobs", (1..=THREADS * JOBS).collect::<Vec<_>>())
        .expire("steward:jobs", 60);
    let (queued, expires): (u64, bool) = main.pipeline(jobs)?;
    println!("{queued} jobs queued, they expire: {expires}");
    Ok(())
}

/// Handles are cheap to clone; all threads share one pipelined connection.
fn work(main: &BlockingDatabase) -> redis::RedisResult<()> {
    let results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| work_off(main.clone())))
            .collect();
        workers
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    for (worker, result) in results.into_iter().enumerate() {
        match result {
            Ok(jobs) => println!("thread {worker} did {} jobs", jobs?),
            Err(_) => println!("thread {worker} panicked"),
        }
    }
    Ok(())
}

/// Does jobs until none is left. Typed commands of the `redis` crate work on a handle as on its own
/// connections.
fn work_off(mut main: BlockingDatabase) -> redis::RedisResult<u64> {
    let mut jobs = 0;
    while let Some(job) = main.lpop::<_, Option<u64>>("steward:jobs", None)? {
        main.incr::<_, _, ()>("steward:done", job)?;
        jobs += 1;
    }
    Ok(jobs)
}

/// The `redis` crate loads the script if the server does not have it yet.
fn sum_up(mut main: BlockingDatabase) -> redis::RedisResult<()> {
    let take = "local sum = redis.call('GET', KEYS[1]); redis.call('DEL', KEYS[1]); return sum";
    let sum: u64 = redis::Script::new(take)
        .key("steward:done")
        .invoke(&mut main)?;
    println!("the sum of all jobs is {sum}");
    Ok(())
}

/// An error names the database and the reason, and tells whether the command may have run.
fn show_errors(mut main: BlockingDatabase) {
    // It waits for half a second on a connection of its own, and delays no other thread.
    let nothing = main.blpop::<_, Option<(String, u64)>>("steward:jobs", 0.5);
    println!("BLPOP of the empty queue: {nothing:?}");
    // It would change the database for all threads, so it is refused. A lease may run it.
    if let Err(error) = main.execute(redis::cmd("SELECT").arg(3)) {
        println!("SELECT: {error} ({:?})", error.execution());
    }
    let hasty = main.with_timeout(Duration::ZERO);
    if let Err(error) = hasty.execute(&redis::cmd("PING")) {
        println!("PING: {error} ({:?})", error.execution());
    }
}
