//! The embedded server as a program, for redis-cli and clients in any language.
//!
//! ```text
//! cargo run --example memory_server -- --port 6379
//! redis-cli -p 6379 SET greeting hello
//! ```
//!
//! It takes arguments as redis-server does, `--name value`: `port`, `bind`, `unixsocket` and `requirepass`. Others, such
//! as `dir` or `save`, have no meaning for a server that keeps nothing on disk, and are ignored. Bounds are set by
//! `CONFIG SET maxmemory` and the like. Its data ends with it.

use std::{collections::BTreeMap, error::Error};

use redis_steward::{MemoryListener, MemoryServer};

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
    let server = MemoryServer::new();
    let _listeners = listen(&server, &mut settings).await?;
    if let Some(password) = settings.remove("requirepass") {
        server.set_password(&password);
    }
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

async fn listen(
    server: &MemoryServer,
    settings: &mut BTreeMap<String, String>,
) -> Result<Vec<MemoryListener>, Box<dyn Error>> {
    let port = settings.remove("port").unwrap_or_else(|| "6379".into());
    let bind = settings
        .remove("bind")
        .unwrap_or_else(|| "127.0.0.1".into());
    let mut addresses = Vec::from_iter(settings.remove("unixsocket"));
    if port != "0" {
        addresses.push(format!("{bind}:{port}"));
    }
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = server.listen(&address).await;
        let listener = listener.map_err(|error| format!("{address}: {error}"))?;
        println!("Ready to accept connections at {}", listener.url());
        listeners.push(listener);
    }
    Ok(listeners)
}
