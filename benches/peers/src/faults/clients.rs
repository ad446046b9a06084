//! The clients, as somebody has them who took the defaults to production.
//!
//! Set: `TCP_NODELAY`, where it is not a default (redis-rs and the pools of its connections, fred). And
//! for fred a policy to reconnect, without which it never does: that of its documentation, of 100 ms
//! doubled up to 30 s. Everything else is as it comes:
//!
//! - redis-steward: one connection, and calls end within 5 s.
//! - redis-rs: a reply within 500 ms or an error; one connection that is never replaced.
//! - redis-rs' manager: the same, and six attempts to reconnect, 100 ms doubled, that calls wait for.
//! - deadpool-redis: two connections per core, a PING before each use, and no bound on waiting.
//! - bb8-redis: up to ten connections, opened as needed, a PING before each use, and up to 30 s of
//!   waiting for one.
//! - fred: no bound on a call, and up to three attempts at it.
//! - rustis: no bound on a call, no second attempt at it, and a second between attempts to reconnect.

use std::time::Duration;

use anyhow::Result;
use bb8_redis::RedisConnectionManager;
use deadpool_redis::Runtime;
use fred::{
    interfaces::{ClientLike, KeysInterface},
    types::{
        Builder,
        config::{Config, ReconnectPolicy},
    },
};
use redis::{
    Client as Redis, RedisResult,
    aio::{ConnectionLike, ConnectionManager, MultiplexedConnection},
    cmd,
};
use redis_steward::{Database, Supervisor};
use rustis::commands::StringCommands;

use super::client::{Client, Failure, Promises};
use crate::peer::address;

pub type Multiplexed = MultiplexedConnection;
pub type Manager = ConnectionManager;
pub type Deadpool = deadpool_redis::Pool;
pub type Bb8 = bb8_redis::bb8::Pool<RedisConnectionManager>;
pub type Fred = fred::clients::Client;
pub type Rustis = rustis::client::Client;

const READY_WITHIN: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct Steward {
    supervisor: Supervisor,
    database: Database,
}

impl Client for Steward {
    const PROMISES: Promises = Promises {
        deadline: Some(Duration::from_secs(5)),
        tells_execution: true,
    };

    async fn connect(url: &str) -> Result<Self> {
        let config = redis_steward::Config::single(url);
        let supervisor = Supervisor::spawn(config).await?;
        supervisor.ready(READY_WITHIN).await?;
        let database = supervisor.database("main")?;
        Ok(Self {
            supervisor,
            database,
        })
    }

    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        let reply = self.database.query(cmd("INCR").arg(key)).await;
        reply.map_err(|error| Failure::told(&error))
    }

    async fn disconnect(self) {
        self.supervisor.shutdown(GRACE).await;
    }
}

impl Client for Multiplexed {
    async fn connect(url: &str) -> Result<Self> {
        let client = Redis::open(address(url)?)?;
        Ok(client.get_multiplexed_async_connection().await?)
    }

    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(incr(&mut self.clone(), key).await?)
    }
}

impl Client for Manager {
    async fn connect(url: &str) -> Result<Self> {
        let client = Redis::open(address(url)?)?;
        Ok(client.get_connection_manager().await?)
    }

    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(incr(&mut self.clone(), key).await?)
    }
}

impl Client for Deadpool {
    async fn connect(url: &str) -> Result<Self> {
        let manager = deadpool_redis::Manager::new(address(url)?)?;
        let builder = Deadpool::builder(manager).runtime(Runtime::Tokio1);
        let pool = builder.build()?;
        drop(pool.get().await?);
        Ok(pool)
    }

    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(incr(&mut self.get().await?, key).await?)
    }

    async fn disconnect(self) {
        self.close();
    }
}

impl Client for Bb8 {
    async fn connect(url: &str) -> Result<Self> {
        let manager = RedisConnectionManager::new(address(url)?)?;
        let pool = Bb8::builder().build(manager).await?;
        drop(pool.get().await?);
        Ok(pool)
    }

    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(incr(&mut *self.get().await?, key).await?)
    }
}

impl Client for Fred {
    async fn connect(url: &str) -> Result<Self> {
        let mut builder = Builder::from_config(Config::from_url(url)?);
        builder.with_connection_config(|connection| connection.tcp.nodelay = Some(true));
        builder.set_policy(ReconnectPolicy::new_exponential(0, 100, 30_000, 2));
        let client = builder.build()?;
        client.init().await?;
        Ok(client)
    }

    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(self.incr(key).await?)
    }

    async fn disconnect(self) {
        // It is of no use any more, whether it can say goodbye or not.
        let _ = self.quit().await;
    }
}

impl Client for Rustis {
    async fn connect(url: &str) -> Result<Self> {
        Ok(Rustis::connect(url).await?)
    }

    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(self.incr(key).await?)
    }

    async fn disconnect(self) {
        let _ = self.close().await;
    }
}

/// INCR as the others send it; `AsyncCommands::incr` sends INCRBY.
async fn incr(connection: &mut (impl ConnectionLike + Send), key: &str) -> RedisResult<i64> {
    cmd("INCR").arg(key).query_async(connection).await
}
