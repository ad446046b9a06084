//! A server that keeps its data over a crash, and a database with a fallback.

use std::time::Duration;

use redis::FromRedisValue;
use redis_steward::{
    Config, Database, DatabaseConfig, DatabaseStats, Fallback, HealthEvent, HealthEvents,
    HealthState, Reason, Source, Supervisor,
};
use tokio::time::timeout;

use crate::common::{RedisServer, words};

/// A deadline with slack for everything that takes milliseconds.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Rig {
    pub(crate) server: RedisServer,
    pub(crate) supervisor: Supervisor,
    pub(crate) main: Database,
    pub(crate) events: HealthEvents,
}

impl Rig {
    pub(crate) async fn start(fallback: Fallback) -> Self {
        Self::with(fallback, |main| main).await
    }

    pub(crate) async fn with(
        fallback: Fallback,
        adjust: impl FnOnce(DatabaseConfig) -> DatabaseConfig,
    ) -> Self {
        // What it has acknowledged survives a kill.
        let server = RedisServer::builder()
            .arg("appendonly", "yes")
            .arg("appendfsync", "always")
            .start();
        Self::on(server, fallback, adjust).await
    }

    pub(crate) async fn on(
        server: RedisServer,
        fallback: Fallback,
        adjust: impl FnOnce(DatabaseConfig) -> DatabaseConfig,
    ) -> Self {
        let url = server.url();
        Self::at(&url, server, |main| adjust(main.fallback(fallback))).await
    }

    /// A database that is reached by this URL.
    pub(crate) async fn at(
        url: &str,
        server: RedisServer,
        adjust: impl FnOnce(DatabaseConfig) -> DatabaseConfig,
    ) -> Self {
        let config = Config::new().database("main", adjust(DatabaseConfig::from_url(url)));
        let supervisor = Supervisor::spawn(config).await.expect("spawn");
        supervisor.ready(SOON).await.expect("ready");
        Self {
            main: supervisor.database("main").expect("main"),
            events: supervisor.subscribe(),
            supervisor,
            server,
        }
    }

    /// Kills the server, and waits until the store stands in.
    pub(crate) async fn outage(&mut self) {
        self.server.kill();
        self.stands_in().await;
    }

    /// Waits until the store stands in.
    pub(crate) async fn stands_in(&mut self) {
        let is_stood_in = |event: &HealthEvent| {
            let reason = Reason::MemoryFallback;
            event.state == HealthState::Degraded { reason }
        };
        self.event(is_stood_in).await;
    }

    /// Starts the server, and waits until it serves callers. Returns the event of that.
    pub(crate) async fn recovery(&mut self) -> HealthEvent {
        self.server.restart();
        self.event(|event| event.state == HealthState::Healthy)
            .await
    }

    pub(crate) async fn event(&mut self, is: impl Fn(&HealthEvent) -> bool) -> HealthEvent {
        let event = async {
            loop {
                let event = self.events.next().await.expect("the supervisor lives");
                if is(&event) {
                    return event;
                }
            }
        };
        timeout(SOON, event).await.expect("an event in time")
    }

    /// The reply to a line of words, and its source.
    pub(crate) async fn ask<T: FromRedisValue>(&self, line: &str) -> (T, Source) {
        let asked = self.main.query_with_source(words(line)).await;
        asked.unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// The reply of the store.
    pub(crate) async fn local<T: FromRedisValue>(&self, line: &str) -> T {
        let (reply, source) = self.ask(line).await;
        assert_eq!(source, Source::Memory, "{line}");
        reply
    }

    /// Waits until the store has none of these keys any more.
    pub(crate) async fn until_gone(&self, keys: &str) {
        let exists = format!("EXISTS {keys}");
        let gone = async {
            while self.local::<i64>(&exists).await > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, gone).await.expect("they expire in time");
    }

    pub(crate) fn stats(&self) -> DatabaseStats {
        self.supervisor.statistics().databases["main"].clone()
    }
}
