//! A database of the run: a real server, and perhaps a proxy in front of it.

use std::time::Duration;

use redis_steward::DatabaseConfig;

use crate::common::{
    FaultProxy, Mode, RedisServer, launch::Builder, over_tls, version::lacks_tls, wait::poll,
};

/// The password of every server. It must not appear in any text.
pub(crate) const CANARY: &str = "canary-5f1d0c";

/// The deadline of every call.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) server: RedisServer,
    pub(crate) proxy: Option<FaultProxy>,
}

impl Site {
    pub(crate) fn direct(name: &'static str) -> Self {
        Self {
            name,
            server: builder().start(),
            proxy: None,
        }
    }

    /// Over TLS, if the server can do it.
    pub(crate) fn proxied_over_tls(name: &'static str) -> Self {
        if lacks_tls() {
            return Self::proxied(name);
        }
        let server = builder().tls().start();
        Self {
            name,
            proxy: Some(FaultProxy::start(server.tls_port())),
            server,
        }
    }

    pub(crate) fn proxied(name: &'static str) -> Self {
        let site = Self::direct(name);
        let proxy = FaultProxy::start(site.server.port());
        Self {
            proxy: Some(proxy),
            ..site
        }
    }

    pub(crate) fn config(&self) -> DatabaseConfig {
        let place = format!(":{CANARY}@127.0.0.1:{}/0", self.port());
        let leads_to_tls = self.proxy.as_ref().is_some_and(FaultProxy::leads_to_tls);
        let url = over_tls::url(leads_to_tls, &place);
        // After relapses the proof of recovery takes up to this time. `RECOVERY` has to be longer.
        DatabaseConfig::from_url(url)
            .command_timeout(TIMEOUT)
            .recovery_timeout(Duration::from_secs(2))
    }

    /// The port that the supervisor connects to.
    pub(crate) fn port(&self) -> u16 {
        let proxied = self.proxy.as_ref().map(FaultProxy::port);
        proxied.unwrap_or_else(|| self.server.port())
    }

    /// A connection past the proxy, which stays open when the client limit is lowered.
    pub(crate) fn admin(&self) -> redis::Connection {
        let client = redis::Client::open(self.server.url()).expect("a URL");
        client.get_connection().expect("a responsive server")
    }

    /// The server executes one of these commands or more, their replies are lost, and the connection breaks
    /// before anybody gives the server up. Callers that wait for lost replies send no more, so it may be that
    /// none comes after the first look. Then the connection breaks long before the deadline of those calls.
    pub(crate) fn lose_replies_of(&self, command: &str) {
        let proxy = self.proxy.as_ref().expect("BUG: there is no proxy");
        proxy.set(Mode::SwallowReplies);
        let before = self.server.commandstat(command);
        let _ = poll(TIMEOUT / 4, Duration::from_millis(5), || {
            (self.server.commandstat(command) > before).then_some(())
        });
        proxy.end_swallowing();
    }

    /// The client name of the supervisor's connections.
    pub(crate) fn client_name(&self) -> String {
        format!("redis-steward:{}", self.name)
    }
}

/// Acknowledged writes are on disk and survive SIGKILL.
fn builder() -> Builder {
    RedisServer::builder()
        .requirepass(CANARY)
        .arg("appendonly", "yes")
        .arg("appendfsync", "always")
}
