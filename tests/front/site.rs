//! A server, a supervisor and a front.

use std::{net::SocketAddr, time::Duration};

use redis_steward::{Config, DatabaseConfig, Front, FrontBuilder, Supervisor};

use crate::{
    common::{RedisServer, spawn},
    raw_client::RawClient,
};

/// Long enough on a loaded machine.
const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Site {
    pub(crate) server: RedisServer,
    pub(crate) supervisor: Supervisor,
    pub(crate) front: Front,
    pub(crate) address: SocketAddr,
}

impl Site {
    /// With one database, "main".
    pub(crate) async fn start() -> Self {
        Self::with(|main| main, |front| front).await
    }

    pub(crate) async fn with(
        database: impl FnOnce(DatabaseConfig) -> DatabaseConfig,
        front: impl FnOnce(FrontBuilder) -> FrontBuilder,
    ) -> Self {
        let server = RedisServer::start();
        let main = DatabaseConfig::from_url(server.url()).acquire_timeout(SOON);
        let main = database(main);
        let (supervisor, _) = spawn(main).await;
        let front = front(supervisor.front().listen_tcp("127.0.0.1:0"));
        let front = front.start().await.expect("a front");
        let address = front.addresses().next().expect("its address");
        Self {
            server,
            supervisor,
            front,
            address,
        }
    }

    pub(crate) fn client(&self) -> RawClient {
        RawClient::connect(self.address)
    }

    /// A client of the server itself.
    pub(crate) fn direct(&self) -> RawClient {
        RawClient::connect(([127, 0, 0, 1], self.server.port()).into())
    }
}

/// A supervisor whose databases "main" and "other" are the databases 0 and 1 of the server.
pub(crate) async fn two_databases(server: &RedisServer) -> Supervisor {
    let database = |number| DatabaseConfig::from_url(server.url_with_db(number));
    let config = Config::new()
        .database("main", database(0))
        .database("other", database(1));
    Supervisor::spawn(config).await.expect("spawn")
}
