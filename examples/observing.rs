//! What a program can tell of its databases: statistics, health checks, and the events of an outage that the example
//! makes itself. It runs on the embedded server and needs nothing installed.
//!
//! `cargo run --example observing`

use std::time::Duration;

use redis::cmd;
use redis_steward::{Config, DatabaseConfig, HealthState, MemoryServer, Supervisor};

const SOON: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = MemoryServer::new();
    let config = Config::new()
        .database("sessions", DatabaseConfig::from_url(server.url()))
        .database("cache", DatabaseConfig::from_url("memory://"));
    let supervisor = Supervisor::spawn(config).await?;
    supervisor.ready(SOON).await?;
    let sessions = supervisor.database("sessions")?;

    let before = supervisor.statistics();
    for number in 0..1_000 {
        let key = format!("session:{}", number % 10);
        sessions
            .query::<()>(cmd("SET").arg(key).arg(number))
            .await?;
    }
    // A mistake of the program counts as a failure, and not against the server.
    let mistake = cmd("LPUSH").arg("session:1").arg(1).take();
    let mistake = sessions.query::<()>(mistake);
    println!("a mistake: {}\n", mistake.await.expect_err("it is no list"));

    println!(
        "what happened so far:\n{}\n",
        supervisor.statistics().since(&before)
    );

    let check = sessions.health_check(SOON).await;
    println!(
        "asked now: ready {}, ping {:?}",
        check.is_ready(),
        check.ping
    );
    if let Some(server) = &check.server {
        println!(
            "the server says: {:?} {:?}, {:?} clients, {:?} of memory\n",
            server.program,
            server.version,
            server.connected_clients,
            server.used_memory_human()
        );
    }

    let mut events = supervisor.subscribe();
    server.stop();
    while let Some(event) = events.next().await {
        println!("event: {event}");
        if matches!(event.state, HealthState::Down { .. }) {
            break;
        }
    }
    println!("known without asking: {:?}", supervisor.states());
    let health = supervisor.health(Duration::from_millis(500)).await;
    for (name, check) in &health.databases {
        println!("{name}: ready {}, {:?}", check.is_ready(), check.reasons());
    }

    server.start();
    supervisor.ready(SOON).await?;
    println!("\nafter the outage:\n{}", supervisor.statistics());
    supervisor.shutdown(SOON).await;
    Ok(())
}
