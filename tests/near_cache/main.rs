//! The near cache: `Database::cached`. Each test starts a server of its own.

#[path = "../common/mod.rs"]
mod common;

mod bounds;
mod changes;
mod losses;
mod replies;
mod stale;

use std::time::Duration;

use redis::cmd;
use redis_steward::{Database, DatabaseConfig, NearCacheStats, Supervisor};

use crate::common::{RedisServer, eventually_async, spawn};

const SOON: Duration = Duration::from_secs(20);

/// A server, and a cached handle whose cache works.
struct Rig {
    server: RedisServer,
    supervisor: Supervisor,
    /// Another handle of the same database.
    main: Database,
    cached: Database,
}

impl Rig {
    async fn start() -> Self {
        Self::with(|main| main).await
    }

    async fn with(configure: impl FnOnce(DatabaseConfig) -> DatabaseConfig) -> Self {
        let server = RedisServer::start();
        let config = configure(DatabaseConfig::from_url(server.url()));
        let (supervisor, main) = spawn(config).await;
        let rig = Self {
            server,
            cached: main.cached(),
            supervisor,
            main,
        };
        rig.until_tracking().await;
        rig
    }

    fn figures(&self) -> NearCacheStats {
        let statistics = self.supervisor.statistics();
        let figures = statistics.databases["main"].near_cache.clone();
        figures.expect("there is a cache")
    }

    async fn until_tracking(&self) {
        let is_tracking = || self.figures().is_tracking;
        eventually_async(SOON, "it tracks", is_tracking).await;
    }

    async fn get(&self, key: &str) -> Option<String> {
        let reply = self.cached.query(cmd("GET").arg(key)).await;
        reply.expect("a reply")
    }

    /// Reads until it is a hit, and returns what that gives.
    async fn get_from_cache(&self, key: &str) -> Option<String> {
        for _ in 0..100 {
            let hits = self.figures().hits;
            let value = self.get(key).await;
            if self.figures().hits > hits {
                return value;
            }
        }
        panic!("nothing is kept of {key}");
    }

    /// The calls of a command that the server has run.
    fn calls(&self, command: &str) -> u64 {
        self.server.commandstat(command)
    }

    async fn stop(self) {
        self.supervisor.shutdown(SOON).await;
    }
}

/// Waits until a cached read gives this value.
async fn until_read(rig: &Rig, key: &str, value: Option<&str>) {
    let read = async {
        while rig.get(key).await.as_deref() != value {
            tokio::task::yield_now().await;
        }
    };
    let read = tokio::time::timeout(SOON, read).await;
    read.expect("the change is seen");
}
