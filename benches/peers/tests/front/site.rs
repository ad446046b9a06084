//! A server, a supervisor and a front.

use std::{net::SocketAddr, time::Duration};

use redis_steward::{Database, DatabaseConfig, Front, Supervisor};

use crate::common::{RedisServer, spawn};

pub const SOON: Duration = Duration::from_secs(20);

pub struct Site {
    pub server: RedisServer,
    pub supervisor: Supervisor,
    pub main: Database,
    /// `None` while it is stopped.
    front: Option<Front>,
    address: SocketAddr,
}

impl Site {
    pub async fn start() -> Self {
        let server = RedisServer::start();
        let main = DatabaseConfig::from_url(server.url()).acquire_timeout(SOON);
        let (supervisor, main) = spawn(main).await;
        let front = supervisor.front().listen_tcp("127.0.0.1:0").start().await;
        let front = front.expect("a front");
        let address = front.addresses().next().expect("its address");
        Self {
            server,
            supervisor,
            main,
            front: Some(front),
            address,
        }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Disconnects all clients, and listens at the same address again.
    pub async fn restart_front(&mut self) {
        self.front.take().expect("it runs").stop().await;
        let again = self.supervisor.front().listen_tcp(self.address.to_string());
        self.front = Some(again.start().await.expect("a front"));
    }

    /// Ends the connections of subscribers to the server.
    pub fn kill_subscribers(&self) {
        assert_ne!(self.server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]), "0");
    }
}
