//! A database of one server.

use std::time::Duration;

use redis_steward::DatabaseConfig;

use crate::{
    common::{FaultProxy, Mode, RedisServer, launch::Builder, over_tls, wait::poll},
    site::{CANARY, TIMEOUT},
};

/// Acknowledged writes are in a file. Without `fsync`, which SIGKILL does not call for: a busy disk would hold up databases
/// that have no faults.
pub(super) const SURVIVES_SIGKILL: [(&str, &str); 2] =
    [("appendonly", "yes"), ("appendfsync", "no")];

pub(crate) struct Single {
    pub(crate) server: RedisServer,
    pub(crate) proxy: Option<FaultProxy>,
}

impl Single {
    pub(super) fn direct() -> Self {
        Self {
            server: builder().start(),
            proxy: None,
        }
    }

    pub(super) fn proxied() -> Self {
        let server = builder().start();
        Self {
            proxy: Some(FaultProxy::start(server.port())),
            server,
        }
    }

    pub(super) fn proxied_over_tls() -> Self {
        let server = builder().tls().start();
        Self {
            proxy: Some(FaultProxy::start(server.tls_port())),
            server,
        }
    }

    pub(super) fn config(&self) -> DatabaseConfig {
        let place = format!(":{CANARY}@127.0.0.1:{}/0", self.port());
        let leads_to_tls = self.proxy.as_ref().is_some_and(FaultProxy::leads_to_tls);
        DatabaseConfig::from_url(over_tls::url(leads_to_tls, &place))
    }

    /// The port that the supervisor connects to.
    pub(super) fn port(&self) -> u16 {
        let proxied = self.proxy.as_ref().map(FaultProxy::port);
        proxied.unwrap_or_else(|| self.server.port())
    }

    /// A connection past the proxy, which stays open when the client limit is lowered.
    pub(crate) fn admin(&self) -> redis::Connection {
        let client = redis::Client::open(self.server.url()).expect("a URL");
        client.get_connection().expect("a responsive server")
    }

    pub(super) fn lose_replies_of(&self, command: &str) {
        let proxy = self.proxy.as_ref().expect("BUG: there is no proxy");
        lose_replies(proxy, &self.server, command);
    }
}

/// Loses the replies of commands at one server.
pub(super) fn lose_replies(proxy: &FaultProxy, server: &RedisServer, command: &str) {
    proxy.set(Mode::SwallowReplies);
    let before = server.commandstat(command);
    let _ = poll(TIMEOUT / 4, Duration::from_millis(5), || {
        (server.commandstat(command) > before).then_some(())
    });
    proxy.end_swallowing();
}

fn builder() -> Builder {
    let builder = RedisServer::builder().requirepass(CANARY);
    let with_argument = |builder: Builder, (key, value)| builder.arg(key, value);
    SURVIVES_SIGKILL.into_iter().fold(builder, with_argument)
}
