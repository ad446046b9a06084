//! Three named databases on one server: typed commands, a pipeline, a counter that many tasks
//! share, a key that expires, and health events.
//!
//! `cargo run --example quickstart`, on a server inside the process, or on that of
//! `REDIS_URL`. It uses the databases 0, 4 and 6 of that server, and keys that begin with
//! `steward:` and expire.

use std::{error::Error, process::ExitCode, time::Duration};

use redis::AsyncCommands;
use redis_steward::{Config, Database, DatabaseConfig, HealthEvents, Supervisor};

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| {
        println!("REDIS_URL is not set: this runs on memory://, a server inside the process.");
        "memory://quickstart".into()
    });
    let database = |number| DatabaseConfig::from_url(&*url).number(number);
    let config = Config::new()
        .database("main", database(0))
        .database("sessions", database(6))
        .database("metrics", database(4));

    // Returns at once, whether or not the server is up.
    let supervisor = Supervisor::spawn(config).await?;
    if let Err(error) = supervisor.ready(Duration::from_secs(2)).await {
        let advice = "No server at REDIS_URL; without it, this runs on memory://";
        match error {
            // All three are on the same server, so one reason is enough.
            redis_steward::Error::NotReady { pending, .. } => eprintln!("{advice}: {}", pending[0]),
            other => eprintln!("{advice}: {other}"),
        }
        return Ok(ExitCode::FAILURE);
    }
    let printing = tokio::spawn(print_health(supervisor.subscribe()));

    greet(supervisor.database("main")?).await?;
    log_in(supervisor.database("sessions")?).await?;
    count_visits(supervisor.database("metrics")?).await?;
    println!("\n{:#?}", supervisor.statistics().databases["metrics"]);

    let report = supervisor.shutdown(Duration::from_secs(5)).await;
    printing.await?;
    println!("shut down: {report:?}");
    Ok(ExitCode::SUCCESS)
}

/// Typed commands of the `redis` crate work on a handle as on its own connections.
async fn greet(mut main: Database) -> redis::RedisResult<()> {
    let () = main.set_ex("steward:greeting", "good morning", 60).await?;
    let greeting: String = main.get("steward:greeting").await?;
    println!("main says {greeting:?}");
    Ok(())
}

/// A pipeline is one round trip; `atomic` makes it a transaction.
async fn log_in(sessions: Database) -> Result<(), redis_steward::Error> {
    let session = "steward:session:42";
    let (fields, expires): (usize, bool) = sessions
        .pipeline(
            redis::pipe()
                .atomic()
                .hset_multiple(session, &[("user", "ada"), ("role", "admin")])
                .ignore()
                .hlen(session)
                .expire(session, 30),
        )
        .await?;
    println!("session of {fields} fields, expires: {expires}");
    Ok(())
}

/// Handles are cheap to clone; all tasks share one pipelined connection.
async fn count_visits(metrics: Database) -> Result<(), Box<dyn Error>> {
    let _: bool = metrics
        .query(redis::cmd("UNLINK").arg("steward:visits"))
        .await?;
    let visitors: Vec<_> = (0..100)
        .map(|_| {
            let metrics = metrics.clone();
            tokio::spawn(async move {
                metrics
                    .query::<u64>(redis::cmd("INCR").arg("steward:visits"))
                    .await
            })
        })
        .collect();
    let mut last = 0;
    for visitor in visitors {
        last = last.max(visitor.await??);
    }
    let _: bool = metrics
        .query(redis::cmd("EXPIRE").arg("steward:visits").arg(60))
        .await?;
    println!("{last} visits counted by 100 tasks");
    Ok(())
}

async fn print_health(mut events: HealthEvents) {
    while let Some(event) = events.next().await {
        println!("health: {event}");
    }
}
