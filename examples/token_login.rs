//! Logs in with tokens that expire, as the IAM logins of cloud services work: a token is signed for a quarter of an hour,
//! and the server ends connections that have not authenticated again after some time. Here the tokens are valid for a
//! second, and an embedded server accepts the last two of them.
//!
//! ```sh
//! cargo run --example token_login
//! ```

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use redis_steward::{
    Config, Credentials, CredentialsFuture, CredentialsProvider, DatabaseConfig, MemoryServer,
    Supervisor,
};

const VALID_FOR: Duration = Duration::from_secs(1);

/// Signs tokens. A real one asks the service's library for a signed request.
#[derive(Debug)]
struct Tokens {
    server: MemoryServer,
    issued: Arc<AtomicU64>,
}

impl CredentialsProvider for Tokens {
    fn fetch<'a>(&'a self, _database: &'a str) -> CredentialsFuture<'a> {
        Box::pin(async {
            let number = self.issued.fetch_add(1, Relaxed);
            accept(&self.server, number)?;
            Ok(Credentials::new(token(number))
                .username("app")
                .valid_for(VALID_FOR))
        })
    }
}

fn token(number: u64) -> String {
    format!("token-{number}")
}

/// The server accepts this token and the one before.
fn accept(server: &MemoryServer, number: u64) -> Result<(), redis::RedisError> {
    let rules = redis::cmd("ACL")
        .arg(&["SETUSER", "app", "on", "resetpass", "~*", "+@all"])
        .arg(format!(">{}", token(number)))
        .arg(format!(">{}", token(number.saturating_sub(1))))
        .take();
    server.query(&rules)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = MemoryServer::new();
    let issued = Arc::new(AtomicU64::new(0));
    let tokens = Tokens {
        server: server.clone(),
        issued: issued.clone(),
    };
    let cache = DatabaseConfig::from_url(server.url()).credentials(tokens);
    let supervisor = Supervisor::spawn(Config::new().database("cache", cache)).await?;
    let cache = supervisor.database("cache")?;
    let mut calls: i64 = 0;
    while issued.load(Relaxed) < 4 {
        calls = cache.query(redis::cmd("INCR").arg("calls")).await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let stats = supervisor.statistics();
    let cache = &stats.databases["cache"];
    println!(
        "{calls} calls, {} failed; {} tokens, {} connection",
        cache.failures(),
        issued.load(Relaxed),
        cache.pool.opened
    );
    supervisor.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
