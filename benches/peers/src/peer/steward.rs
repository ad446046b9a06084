//! redis-steward with its default settings, through the `redis` crate's `AsyncCommands`. Set: over TLS, the authority, and
//! for a near cache room for [`NEAR_KEYS`] keys.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use redis_steward::{Config, Database, DatabaseConfig, Supervisor};

use super::{NEAR_KEYS, Peer, commands};
use crate::address::Address;

const READY_WITHIN: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_secs(5);
const NEAR_BYTES: usize = 1 << 30;

#[derive(Clone)]
pub struct Steward {
    supervisor: Supervisor,
    database: Database,
}

impl Steward {
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }
}

impl Peer for Steward {
    type Reply = Vec<u8>;

    async fn connect(address: &Address) -> Result<Self> {
        let url = match &address.authority {
            None => address.url(),
            Some(authority) => format!("{}?ca_file={}", address.url(), authority.file().display()),
        };
        let mut config = DatabaseConfig::from_url(url);
        if address.is_near {
            config = config
                .near_cache_max_entries(NEAR_KEYS)
                .near_cache_max_bytes(NEAR_BYTES);
        }
        let config = Config::new().database("main", config);
        let supervisor = Supervisor::spawn(config).await?;
        supervisor.ready(READY_WITHIN).await?;
        let mut database = supervisor.database("main")?;
        if address.is_near {
            database = database.cached();
        }
        Ok(Self {
            supervisor,
            database,
        })
    }

    async fn get(&mut self, key: &str) -> Result<Vec<u8>> {
        commands::get(&mut self.database, key).await
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
        commands::set(&mut self.database, key, value).await
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        commands::incr(&mut self.database, key).await
    }

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Vec<u8>>> {
        commands::pipeline(&mut self.database, keys).await
    }

    async fn mget(&mut self, keys: &[String]) -> Result<Vec<Vec<u8>>> {
        commands::mget(&mut self.database, keys).await
    }

    async fn disconnect(self) -> Result<()> {
        self.supervisor.shutdown(GRACE).await;
        Ok(())
    }
}
