//! Health checks as JSON and the like.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{HealthCheck, Replication, SupervisorHealth};
use crate::stats::{PoolStats, millis};

impl Serialize for HealthCheck {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let server = self.server.as_ref();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("database", &*self.database)?;
        map.serialize_entry("healthy", &self.is_healthy())?;
        map.serialize_entry("ready", &self.is_ready())?;
        map.serialize_entry("live", &self.is_live())?;
        map.serialize_entry("reasons", &self.reasons())?;
        map.serialize_entry("state", &self.state)?;
        map.serialize_entry("reason", &self.state.reason())?;
        map.serialize_entry("circuit_state", &self.circuit)?;
        map.serialize_entry("ping_ms", &self.ping.map(millis))?;
        map.serialize_entry("error", &self.error.as_deref())?;
        map.serialize_entry("program", &server.map(|server| &server.program))?;
        map.serialize_entry("version", &server.map(|server| &server.version))?;
        map.serialize_entry("role", &server.map(|server| &server.role))?;
        let uptime = server.and_then(|server| server.uptime);
        map.serialize_entry("uptime_seconds", &uptime.map(|uptime| uptime.as_secs()))?;
        map.serialize_entry(
            "connected_clients",
            &server.map(|server| server.connected_clients),
        )?;
        map.serialize_entry("used_memory", &server.map(|server| server.used_memory))?;
        let human = server.and_then(super::ServerHealth::used_memory_human);
        map.serialize_entry("used_memory_human", &human)?;
        map.serialize_entry("max_memory", &server.map(|server| server.max_memory))?;
        map.serialize_entry("hit_rate", &server.map(|server| server.hit_rate))?;
        map.serialize_entry("replication", &server.map(|server| &server.replication))?;
        map.serialize_entry("pool", &Pool(&self.pool))?;
        map.end()
    }
}

impl Serialize for Replication {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("replicas", &self.replicas)?;
        map.serialize_entry("linked", &self.is_linked)?;
        let silent_for = self.silent_for.map(|silent| silent.as_secs());
        map.serialize_entry("silent_for_seconds", &silent_for)?;
        map.end()
    }
}

struct Pool<'a>(&'a PoolStats);

impl Serialize for Pool<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pool = self.0;
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("created_connections", &pool.opened)?;
        map.serialize_entry("available_connections", &pool.available)?;
        map.serialize_entry("in_use_connections", &(pool.shared + pool.in_use))?;
        map.serialize_entry("max_connections", &pool.max)?;
        map.end()
    }
}

impl Serialize for SupervisorHealth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("ready", &self.is_ready())?;
        map.serialize_entry("live", &self.is_live())?;
        map.serialize_entry("uptime_seconds", &self.uptime.as_secs_f64())?;
        let databases = self.databases.iter();
        let databases: BTreeMap<_, _> = databases.map(|(name, check)| (&**name, check)).collect();
        map.serialize_entry("databases", &databases)?;
        map.end()
    }
}
