//! A database of the run: a server or a cluster, and perhaps proxies in front of it.

use std::time::Duration;

use redis_steward::DatabaseConfig;

use crate::{
    common::{RedisServer, version::lacks_tls},
    reader::Reader,
    sharded::Sharded,
    single::Single,
};

/// The password of every server. It must not appear in any text.
pub(crate) const CANARY: &str = "canary-5f1d0c";

/// The deadline of a call, and of the wait for a lease.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

/// The most connections of a pool. All but one may be leased.
pub(crate) const CONNECTIONS: usize = 8;

pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
}

pub(crate) enum Place {
    Server(Box<Single>),
    Cluster(Box<Sharded>),
}

impl Site {
    pub(crate) fn direct(name: &'static str) -> Self {
        Self::of(name, Place::Server(Single::direct().into()))
    }

    /// Over TLS, if the server can do it.
    pub(crate) fn proxied_over_tls(name: &'static str) -> Self {
        if lacks_tls() {
            return Self::proxied(name);
        }
        Self::of(name, Place::Server(Single::proxied_over_tls().into()))
    }

    pub(crate) fn proxied(name: &'static str) -> Self {
        Self::of(name, Place::Server(Single::proxied().into()))
    }

    /// Three primaries with a replica each.
    pub(crate) fn cluster(name: &'static str) -> Self {
        Self::of(name, Place::Cluster(Sharded::direct().into()))
    }

    /// Two primaries, each behind a proxy.
    pub(crate) fn proxied_cluster(name: &'static str) -> Self {
        Self::of(name, Place::Cluster(Sharded::proxied().into()))
    }

    fn of(name: &'static str, place: Place) -> Self {
        Self { name, place }
    }

    pub(crate) fn config(&self) -> DatabaseConfig {
        let config = match &self.place {
            Place::Server(single) => single.config(),
            Place::Cluster(sharded) => sharded.config(),
        };
        // After relapses the proof of recovery takes up to this time. `RECOVERY` has to be longer.
        config
            .command_timeout(TIMEOUT)
            .acquire_timeout(TIMEOUT)
            .recovery_timeout(Duration::from_secs(2))
            .max_connections(CONNECTIONS)
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.place, Place::Cluster(_))
    }

    /// The servers, each with the port at which the supervisor connects to it.
    pub(crate) fn servers(&self) -> Vec<(u16, &RedisServer)> {
        match &self.place {
            Place::Server(single) => vec![(single.port(), &single.server)],
            Place::Cluster(sharded) => sharded.servers(),
        }
    }

    /// Reads its data, past the supervisor.
    pub(crate) fn reader(&self) -> Reader<'_> {
        let servers = self.servers().into_iter().map(|(_, server)| server);
        Reader::of(servers.collect())
    }

    /// The servers execute one of these commands or more, their replies are lost, and the connection breaks
    /// before anybody gives the server up. Callers that wait for lost replies send no more, so it may be that
    /// none comes after the first look. Then the connection breaks long before the deadline of those calls.
    pub(crate) fn lose_replies_of(&self, command: &str) {
        match &self.place {
            Place::Server(single) => single.lose_replies_of(command),
            Place::Cluster(sharded) => sharded.lose_replies_of(command),
        }
    }

    /// The name of the node of its cluster at this port, in events and statistics.
    pub(crate) fn node_name(&self, port: u16) -> String {
        format!("{} (127.0.0.1:{port})", self.name)
    }

    /// Whether this is its name, or that of a part of its cluster.
    pub(crate) fn has(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
    }

    /// The client name of the supervisor's connections.
    pub(crate) fn client_name(&self) -> String {
        format!("redis-steward:{}", self.name)
    }
}
