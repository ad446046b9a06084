//! Counts up through the failovers of a service of Redis Sentinel, and says what it is told.
//!
//! ```text
//! REDIS_URL=redis+sentinel://127.0.0.1:26379/mymaster cargo run --example sentinel
//! redis-cli -p 26379 SENTINEL FAILOVER mymaster
//! ```

use std::time::Duration;

use redis_steward::{Config, DatabaseConfig, Supervisor, WhenDown};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("REDIS_URL")
        .map_err(|_| "set REDIS_URL, as in redis+sentinel://127.0.0.1:26379/mymaster")?;
    // Callers wait as long as a failover takes.
    let main = DatabaseConfig::from_url(url)
        .command_timeout(Duration::from_secs(60))
        .when_down(WhenDown::Wait);
    let supervisor = Supervisor::spawn(Config::new().database("main", main)).await?;
    let mut events = supervisor.subscribe();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            println!("{event}");
        }
    });
    let main = supervisor.database("main")?;
    for _ in 0..600 {
        match main.query::<i64>(redis::cmd("INCR").arg("count")).await {
            Ok(count) => println!("{count}"),
            Err(error) => println!("{error} ({:?})", error.execution()),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    supervisor.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
