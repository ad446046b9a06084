//! A supervisor under test.

use std::time::Duration;

use redis::Cmd;
use redis_steward::{Config, Database, DatabaseConfig, DatabaseStats, PoolStats, Supervisor};

use super::{RedisServer, eventually_async, proc::sockets_to};

const SOON: Duration = Duration::from_secs(10);

/// A server and a supervisor of its own, with one database, "main".
pub struct Rig {
    pub server: RedisServer,
    pub supervisor: Supervisor,
    pub main: Database,
}

impl Rig {
    pub async fn start() -> Self {
        Self::with(|main| main).await
    }

    pub async fn with(adjust: impl FnOnce(DatabaseConfig) -> DatabaseConfig) -> Self {
        Self::on(RedisServer::start(), adjust).await
    }

    pub async fn on(
        server: RedisServer,
        adjust: impl FnOnce(DatabaseConfig) -> DatabaseConfig,
    ) -> Self {
        let (supervisor, main) = spawn(adjust(DatabaseConfig::from_url(server.url()))).await;
        Self {
            server,
            supervisor,
            main,
        }
    }

    pub fn stats(&self) -> DatabaseStats {
        self.supervisor.statistics().databases["main"].clone()
    }

    pub fn pool(&self) -> PoolStats {
        self.stats().pool
    }

    /// Waits until no call is in flight or waits, no lease is out, and no connection opens or closes.
    pub async fn settled(&self) -> PoolStats {
        let is_settled = || {
            let stats = self.stats();
            let pool = stats.pool;
            (stats.in_flight, stats.in_flight_bytes) == (0, 0)
                && (pool.in_use, pool.waiting) == (0, 0)
                && (pool.opening, pool.closing) == (0, 0)
        };
        eventually_async(SOON, "nothing is in flight", is_settled).await;
        self.pool()
    }

    /// Checks that all leases are returned and the server lists the connections of the pool. Shuts down,
    /// and checks that no call, socket or client is left.
    pub async fn end(self) {
        let pool = self.settled().await;
        let clients = || self.server.clients_named("redis-steward").len();
        eventually_async(SOON, "the server agrees", || clients() == pool.open).await;
        let report = self.supervisor.shutdown(SOON).await;
        assert_eq!(report.unfinished, 0);
        if self.server.url().starts_with("redis://") {
            assert_eq!(sockets_to(self.server.port()), 0);
        }
        eventually_async(SOON, "the server has no client", || clients() == 0).await;
    }
}

/// The command of a line, split at spaces.
pub fn words(line: &str) -> Cmd {
    Cmd::new().arg(line.split(' ').collect::<Vec<_>>()).take()
}

/// A supervisor of one healthy database, "main", and its handle.
pub async fn spawn(main: DatabaseConfig) -> (Supervisor, Database) {
    let config = Config::new().database("main", main);
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let main = supervisor.database("main").expect("main");
    (supervisor, main)
}
