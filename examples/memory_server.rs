//! The embedded server as a program, for redis-cli and clients in any language.
//!
//! ```text
//! cargo run --example memory_server -- --port 6379
//! redis-cli -p 6379 SET greeting hello
//! ```
//!
//! It takes arguments as redis-server does, `--name value`: `port`, `bind`, `unixsocket`, and what `CONFIG SET` takes, such
//! as `requirepass` or `maxmemory`; with `--cluster-enabled yes` it is the only node of a cluster. Others, such as `dir` or
//! `save`, have no meaning for a server that keeps nothing on disk, and are ignored. Its data ends with it.

use std::{collections::BTreeMap, error::Error, time::Duration};

use redis::cmd;
use redis_steward::{Config, DatabaseConfig, MemoryListener, MemoryServer, Supervisor};

/// As redis-server tells its version.
const VERSION: &str = "Embedded server of redis-steward v=7.4.0";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--version") {
        println!("{VERSION}");
        return Ok(());
    }
    let mut settings = settings(&arguments)?;
    let is_cluster = settings.remove("cluster-enabled");
    let server = match is_cluster.as_deref() {
        Some("yes") => MemoryServer::new_cluster(),
        _ => MemoryServer::new(),
    };
    let addresses = addresses(&mut settings);
    configure(&server, settings).await?;
    let _listeners = listen(&server, &addresses).await?;
    // Until it is killed.
    std::future::pending().await
}

/// Pairs of a name and a value.
fn settings(arguments: &[String]) -> Result<BTreeMap<String, String>, String> {
    let mut settings = BTreeMap::new();
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            return Err(format!("{} has no value", pair[0]));
        };
        let name = name.strip_prefix("--");
        let name = name.ok_or_else(|| format!("{} is no --name", pair[0]))?;
        settings.insert(name.to_owned(), value.clone());
    }
    Ok(settings)
}

/// Where to listen.
fn addresses(settings: &mut BTreeMap<String, String>) -> Vec<String> {
    let port = settings.remove("port").unwrap_or_else(|| "6379".into());
    let bind = settings.remove("bind");
    let bind = bind.unwrap_or_else(|| "127.0.0.1".into());
    let mut addresses = Vec::from_iter(settings.remove("unixsocket"));
    if port != "0" {
        addresses.push(format!("{bind}:{port}"));
    }
    addresses
}

/// Sets what the server has settings for, as a client of it.
async fn configure(
    server: &MemoryServer,
    mut settings: BTreeMap<String, String>,
) -> Result<(), Box<dyn Error>> {
    let password = settings.remove("requirepass");
    let own = DatabaseConfig::from_url(server.url()).allow_admin(true);
    let supervisor = Supervisor::spawn(Config::new().database("own", own)).await?;
    let database = supervisor.database("own")?;
    for (name, value) in settings {
        let set = cmd("CONFIG").arg("SET").arg(&name).arg(&value).take();
        match database.execute(&set).await {
            Ok(_) => {}
            Err(error) if is_without_meaning(&error.to_string()) => {
                println!("Ignored: --{name} {value}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    // Its clients are to find the statistics of a new server.
    database.execute(cmd("CONFIG").arg("RESETSTAT")).await?;
    supervisor.shutdown(Duration::from_secs(1)).await;
    server.set_password(&password.unwrap_or_default());
    Ok(())
}

/// Whether an error says that the server has no such setting, or only another value of it.
fn is_without_meaning(error: &str) -> bool {
    error.contains("Unknown option") || error.contains("immutable config")
}

async fn listen(
    server: &MemoryServer,
    addresses: &[String],
) -> Result<Vec<MemoryListener>, Box<dyn Error>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = server.listen(address).await;
        let listener = listener.map_err(|error| format!("{address}: {error}"))?;
        println!("Ready to accept connections at {}", listener.url());
        listeners.push(listener);
    }
    Ok(listeners)
}
