//! The clients, as somebody has them who took the defaults to production.
//!
//! Set: `TCP_NODELAY`, where it is not a default (redis-rs and the pools of its connections, fred). And
//! for fred and redis-tower a policy to reconnect, without which they never do: of fred that of its
//! documentation, of 100 ms doubled up to 30 s, and of redis-tower its default one, of up to 100 ms doubled
//! up to 5 s. Everything else is as it comes:
//!
//! - redis-steward: one connection, and calls end within 5 s.
//! - redis-steward-patient: its `patient` handle, whose calls wait for recovery, with 8 s instead of 5: longer
//!   than any outage of this bench.
//! - redis-rs: a reply within 500 ms or an error; one connection that is never replaced.
//! - redis-rs' manager: the same, and six attempts to reconnect, 100 ms doubled, that calls wait for.
//! - deadpool-redis: two connections per core, a PING before each use, and no bound on waiting.
//! - bb8-redis: up to ten connections, opened as needed, a PING before each use, and up to 30 s of
//!   waiting for one.
//! - fred: no bound on a call, and up to three attempts at it.
//! - rustis: no bound on a call, no second attempt at it, and a second between attempts to reconnect.
//! - redis-tower: no bound on a call, and no second attempt at it.
//! - valkey-glide: a reply within 250 ms or an error, and 200 ms doubled up to 3.2 s between attempts to
//!   reconnect.

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
use glide::{GlideClient, GlideClientConfiguration};
use redis::{
    Client as Redis, RedisResult,
    aio::{ConnectionLike, ConnectionManager, MultiplexedConnection},
    cmd,
};
use redis_steward::{Database, Supervisor};
use redis_tower::{
    AutoPipelineConfig, MultiplexedClient, auto_pipeline::AutoPipelineReconnectConfig,
    commands::Incr, reconnect::UrlConnectionFactory,
};
use rustis::commands::StringCommands;

use super::client::{Client, Connect, Failure, Promises};
use crate::peer::{keep_log_out, with_nodelay};

pub type Multiplexed = MultiplexedConnection;
pub type Manager = ConnectionManager;
pub type Deadpool = deadpool_redis::Pool;
pub type Bb8 = bb8_redis::bb8::Pool<RedisConnectionManager>;
pub type Fred = fred::clients::Client;
pub type Rustis = rustis::client::Client;
pub type Tower = MultiplexedClient;
pub type Glide = GlideClient;

const READY_WITHIN: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_secs(1);
/// Longer than an outage, and shorter than the bench waits for a call.
const PATIENT_WITHIN: Duration = Duration::from_secs(8);

#[derive(Clone)]
pub struct Steward {
    supervisor: Supervisor,
    database: Database,
}

impl Connect for Steward {
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
}

impl Client for Steward {
    const PROMISES: Promises = Promises {
        deadline: Some(Duration::from_secs(5)),
        tells_execution: true,
    };

    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        let reply = self.database.query(cmd("INCR").arg(key)).await;
        reply.map_err(|error| Failure::told(&error))
    }

    async fn disconnect(self) {
        self.supervisor.shutdown(GRACE).await;
    }
}

/// Its calls wait until the server is back.
#[derive(Clone)]
pub struct PatientSteward(Steward);

impl Connect for PatientSteward {
    async fn connect(url: &str) -> Result<Self> {
        let mut steward = Steward::connect(url).await?;
        steward.database = steward.database.patient().with_timeout(PATIENT_WITHIN);
        Ok(Self(steward))
    }
}

impl Client for PatientSteward {
    const PROMISES: Promises = Promises {
        deadline: Some(PATIENT_WITHIN),
        tells_execution: true,
    };

    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        self.0.increment(key).await
    }

    async fn disconnect(self) {
        self.0.disconnect().await;
    }
}

impl Connect for Multiplexed {
    async fn connect(url: &str) -> Result<Self> {
        let client = Redis::open(with_nodelay(url)?)?;
        Ok(client.get_multiplexed_async_connection().await?)
    }
}

impl Client for Multiplexed {
    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(incr(&mut self.clone(), key).await?)
    }
}

impl Connect for Manager {
    async fn connect(url: &str) -> Result<Self> {
        let client = Redis::open(with_nodelay(url)?)?;
        Ok(client.get_connection_manager().await?)
    }
}

impl Client for Manager {
    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(incr(&mut self.clone(), key).await?)
    }
}

impl Connect for Deadpool {
    async fn connect(url: &str) -> Result<Self> {
        let manager = deadpool_redis::Manager::new(with_nodelay(url)?)?;
        let builder = Deadpool::builder(manager).runtime(Runtime::Tokio1);
        let pool = builder.build()?;
        drop(pool.get().await?);
        Ok(pool)
    }
}

impl Client for Deadpool {
    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(incr(&mut self.get().await?, key).await?)
    }

    async fn disconnect(self) {
        self.close();
    }
}

impl Connect for Bb8 {
    async fn connect(url: &str) -> Result<Self> {
        let manager = RedisConnectionManager::new(with_nodelay(url)?)?;
        let pool = Bb8::builder().build(manager).await?;
        drop(pool.get().await?);
        Ok(pool)
    }
}

impl Client for Bb8 {
    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(incr(&mut *self.get().await?, key).await?)
    }
}

impl Connect for Fred {
    async fn connect(url: &str) -> Result<Self> {
        reconnecting(Config::from_url(url)?).await
    }
}

pub async fn reconnecting(config: Config) -> Result<Fred> {
    let mut builder = Builder::from_config(config);
    builder.with_connection_config(|connection| connection.tcp.nodelay = Some(true));
    builder.set_policy(ReconnectPolicy::new_exponential(0, 100, 30_000, 2));
    let client = builder.build()?;
    client.init().await?;
    Ok(client)
}

impl Client for Fred {
    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(self.incr(key).await?)
    }

    async fn disconnect(self) {
        // It is of no use any more, whether it can say goodbye or not.
        let _ = self.quit().await;
    }
}

impl Connect for Rustis {
    async fn connect(url: &str) -> Result<Self> {
        Ok(Rustis::connect(url).await?)
    }
}

impl Client for Rustis {
    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(self.incr(key).await?)
    }

    async fn disconnect(self) {
        let _ = self.close().await;
    }
}

impl Connect for Tower {
    async fn connect(url: &str) -> Result<Self> {
        let client = Tower::from_factory(
            UrlConnectionFactory::new(url),
            AutoPipelineConfig::default(),
            AutoPipelineReconnectConfig::default(),
        );
        Ok(client.await?)
    }
}

impl Client for Tower {
    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(self.execute(Incr::new(key)).await?)
    }

    async fn disconnect(self) {
        self.shutdown().await;
    }
}

impl Connect for Glide {
    async fn connect(url: &str) -> Result<Self> {
        keep_log_out();
        let config = GlideClientConfiguration::from_url(url)?;
        Ok(Glide::connect(config).await?)
    }
}

impl Client for Glide {
    async fn increment(&self, key: &str) -> Result<i64, Failure> {
        Ok(glide::cmd("INCR").arg(key).query_async(self).await?)
    }
}

/// INCR as the others send it; `AsyncCommands::incr` sends INCRBY.
pub async fn incr(connection: &mut (impl ConnectionLike + Send), key: &str) -> RedisResult<i64> {
    cmd("INCR").arg(key).query_async(connection).await
}
