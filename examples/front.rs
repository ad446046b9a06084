//! A front: redis-cli and clients in any language use the databases of this process.
//!
//! `cargo run --example front`, and then `redis-cli -p 6380 SET greeting hello`. It runs on the server at `REDIS_URL`,
//! or on one inside of this process, and listens at `FRONT` (`127.0.0.1:6380`), until Ctrl-C.

use std::error::Error;

use redis_steward::{Config, DatabaseConfig, Supervisor};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "memory://front".into());
    let address = std::env::var("FRONT").unwrap_or_else(|_| "127.0.0.1:6380".into());
    let config = Config::new().database("main", DatabaseConfig::from_url(&*url));
    let supervisor = Supervisor::spawn(config).await?;
    let front = supervisor.front().listen_tcp(address).start().await?;
    for address in front.addresses() {
        println!("The database is served at {address}; Ctrl-C ends this.");
    }
    tokio::signal::ctrl_c().await?;
    front.stop().await;
    println!("{:#?}", supervisor.statistics().databases["main"]);
    Ok(())
}
