//! The embedded server: databases on `memory://`, its faults, and clients over sockets.

#[path = "../common/mod.rs"]
mod common;

mod faults;
mod handles;
mod hostile_input;
mod listening;
mod near_cache;
mod time;

use redis_steward::Database;

/// Waits until the server lists a client that waits in BLPOP.
async fn until_blocked(main: &Database) {
    let list = redis::cmd("CLIENT").arg("LIST").take();
    loop {
        let clients: String = main.query(&list).await.expect("clients");
        if clients.contains("cmd=blpop") {
            return;
        }
    }
}
