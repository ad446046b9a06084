//! How an application tests its worst days without a server: what happens to its sessions when time passes, when Redis
//! is away, slow, or full.
//!
//! `cargo run --example testing`. In an application these would be functions with `#[tokio::test]`.

use std::{error::Error, time::Duration};

use redis_steward::{Config, Database, DatabaseConfig, Execution, MemoryServer, Supervisor};

/// The code under test: sessions of users that expire.
struct Sessions {
    redis: Database,
}

#[derive(Debug, PartialEq)]
enum LogIn {
    Done,
    /// Nothing was stored, so the user may try again.
    Refused,
    /// It may have been stored. The next request of the user will tell.
    Unclear,
}

impl Sessions {
    const LIFETIME: u64 = 1800;

    async fn log_in(&self, user: &str) -> LogIn {
        let set = redis::cmd("SET")
            .arg(key(user))
            .arg("logged in")
            .arg("EX")
            .arg(Self::LIFETIME)
            .take();
        match self.redis.query::<()>(&set).await {
            Ok(()) => LogIn::Done,
            Err(error) => match error.execution() {
                Execution::NotSent | Execution::NotExecuted => LogIn::Refused,
                _ => LogIn::Unclear,
            },
        }
    }

    async fn is_logged_in(&self, user: &str) -> Result<bool, redis_steward::Error> {
        self.redis.query(redis::cmd("EXISTS").arg(key(user))).await
    }
}

fn key(user: &str) -> String {
    format!("session:{user}")
}

/// A server, and the application on it. Each test has its own.
async fn start() -> Result<(MemoryServer, Supervisor, Sessions), Box<dyn Error>> {
    let server = MemoryServer::new();
    let main = DatabaseConfig::from_url(server.url()).command_timeout(Duration::from_millis(200));
    let supervisor = Supervisor::spawn(Config::new().database("main", main)).await?;
    supervisor.ready(Duration::from_secs(5)).await?;
    let redis = supervisor.database("main")?;
    Ok((server, supervisor, Sessions { redis }))
}

async fn sessions_expire() -> Result<(), Box<dyn Error>> {
    let (server, _supervisor, sessions) = start().await?;
    assert_eq!(sessions.log_in("ann").await, LogIn::Done);
    server.advance(Duration::from_secs(Sessions::LIFETIME - 1));
    assert!(sessions.is_logged_in("ann").await?);
    server.advance(Duration::from_secs(1));
    assert!(!sessions.is_logged_in("ann").await?);
    println!("time passed: the session has expired after half an hour, in a moment");
    Ok(())
}

async fn an_outage_refuses_and_ends() -> Result<(), Box<dyn Error>> {
    let (server, supervisor, sessions) = start().await?;
    assert_eq!(sessions.log_in("ann").await, LogIn::Done);
    server.stop();
    let during = sessions.log_in("ben").await;
    assert_eq!(during, LogIn::Refused);
    assert!(sessions.is_logged_in("ann").await.is_err());
    server.start();
    supervisor.ready(Duration::from_secs(5)).await?;
    assert_eq!(sessions.log_in("ben").await, LogIn::Done);
    println!("an outage: the log-in was {during:?}, and worked when the server was back");
    Ok(())
}

async fn a_slow_server_leaves_it_unclear() -> Result<(), Box<dyn Error>> {
    let (server, _supervisor, sessions) = start().await?;
    server.set_delay(Duration::from_secs(1));
    let slow = sessions.log_in("ann").await;
    assert_eq!(slow, LogIn::Unclear);
    // It has run, indeed.
    assert!(server.get(key("ann")).is_some());
    println!("a slow server: the log-in was {slow:?}");
    Ok(())
}

async fn a_full_server_refuses() -> Result<(), Box<dyn Error>> {
    let (server, _supervisor, sessions) = start().await?;
    server.set_out_of_memory(true);
    let full = sessions.log_in("ann").await;
    assert_eq!(full, LogIn::Refused);
    assert!(server.keys(0).is_empty());
    // Reads go on.
    assert!(!sessions.is_logged_in("ann").await?);
    println!("a full server: the log-in was {full:?}");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    sessions_expire().await?;
    an_outage_refuses_and_ends().await?;
    a_slow_server_leaves_it_unclear().await?;
    a_full_server_refuses().await?;
    println!("all of it without a server, and without a wait");
    Ok(())
}
