//! Kinds of runtimes, actors, a thousand databases, and the shutdown. The tests count threads by name, and the threads of all
//! supervisors have the same names, so the tests take turns.

#[path = "../common/mod.rs"]
mod common;

mod actors;
mod kinds;
mod many;
mod shutdown;

use std::time::Duration;

use redis_steward::{Config, DatabaseConfig, Supervisor};
use tokio::sync::{Mutex, MutexGuard};

use crate::common::{RedisServer, eventually, proc};

const SOON: Duration = Duration::from_secs(10);
const THREADS: &str = "redis-steward";

/// Held by the running test.
static ALONE: Mutex<()> = Mutex::const_new(());

/// The kernel lists a thread for some microseconds after it was joined.
fn until_no_thread_is_left() {
    eventually(SOON, "no thread is left", || {
        proc::threads_named(THREADS).is_empty()
    });
}

/// A server, and the lock that keeps other tests from running.
struct Rig {
    server: RedisServer,
    _alone: MutexGuard<'static, ()>,
}

impl Rig {
    fn new() -> Self {
        let alone = ALONE.blocking_lock();
        // Waits for the threads of an earlier test that failed.
        until_no_thread_is_left();
        Self {
            server: RedisServer::start(),
            _alone: alone,
        }
    }

    async fn spawn(&self) -> Supervisor {
        self.spawn_with(|main| main).await
    }

    /// With changed settings.
    async fn spawn_with(
        &self,
        adjust: impl FnOnce(DatabaseConfig) -> DatabaseConfig,
    ) -> Supervisor {
        let main = adjust(DatabaseConfig::from_url(self.server.url()));
        let config = Config::new().database("main", main);
        let supervisor = Supervisor::spawn(config).await.expect("a supervisor");
        supervisor.ready(SOON).await.expect("a healthy database");
        supervisor
    }

    /// Checks that no thread, socket or client is left.
    fn end(self) {
        until_no_thread_is_left();
        assert_eq!(proc::sockets_to(self.server.port()), 0);
        eventually(SOON, "the server has no client", || {
            self.server.clients_named(THREADS).is_empty()
        });
    }
}
