//! The actors on the test's own thread and on a paused clock, with a server inside the process, so that
//! half an hour passes in a moment.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::join_all;
use redis::{Value, cmd};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use super::{
    fake_server::{FakeServer, Lifespan},
    supervisor::SupervisorActor,
};
use crate::{
    call::{CallEngine, Overrides},
    config::{Config, DatabaseConfig, resolve},
    error::Error,
    lifeline::ShutdownReport,
    messages::{Grant, Shutdown},
    net::Executor,
    registry::Registry,
    stats::PoolStats,
};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// A supervisor with the database "main" on a [`FakeServer`].
pub(super) struct Rig {
    pub(super) server: FakeServer,
    pub(super) registry: Arc<Registry>,
    pub(super) main: CallEngine,
    stopped: oneshot::Receiver<ShutdownReport>,
    pub(super) supervisor: actix::Addr<SupervisorActor>,
    pub(super) started: Instant,
}

impl Rig {
    pub(super) async fn start(adjust: impl FnOnce(DatabaseConfig) -> DatabaseConfig) -> Self {
        let server = FakeServer::default();
        // Health probes open connections as well, which would disturb the counts of these tests.
        let seldom = Duration::from_secs(24 * 60 * 60);
        let main = DatabaseConfig::new().health_check_interval(seldom);
        let settings = resolve(Config::new().database("main", adjust(main)));
        let settings = settings.expect("a valid configuration");
        let executor = Executor::new(Some(Handle::current()));
        let registry = Registry::new(&settings, executor, Arc::new(server.clone()));
        let (sender, stopped) = oneshot::channel();
        let started = Instant::now();
        let supervisor = SupervisorActor::create_with(registry.clone(), sender);
        let main = registry.databases.get("main").expect("main").clone();
        let main = CallEngine::new(main);
        let rig = Self {
            server,
            registry,
            main,
            stopped,
            supervisor,
            started,
        };
        rig.ping().await;
        rig
    }

    pub(super) fn pool(&self) -> PoolStats {
        self.registry.statistics().databases["main"].pool.clone()
    }

    pub(super) async fn try_ping(&self) -> Result<Value, Error> {
        let options = self.main.options(Overrides::default());
        self.main.execute(&cmd("PING"), &options).await
    }

    pub(super) async fn ping(&self) {
        self.try_ping().await.expect("pong");
    }

    pub(super) async fn lease(&self) -> Grant {
        let options = self.main.options(Overrides::default().with_timeout(MINUTE));
        self.main.acquire(options, None).await.expect("a lease")
    }

    pub(super) async fn leases(&self, number: usize) -> Vec<Grant> {
        join_all((0..number).map(|_| self.lease())).await
    }

    /// Waits until this time since the start, and until the actors have done all that was due by then.
    pub(super) async fn at(&self, time: Duration) {
        sleep_until(self.started + time).await;
        // Timers of the same millisecond may fire after this one.
        sleep(Duration::from_millis(2)).await;
    }

    /// The time since the start.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The times since the start at which connections were closed.
    pub(super) fn closed(&self) -> Vec<Duration> {
        let closed = |lifespan: Lifespan| Some(lifespan.closed? - self.started);
        self.server
            .lifespans()
            .into_iter()
            .filter_map(closed)
            .collect()
    }

    pub(super) async fn stop(self) {
        self.supervisor.do_send(Shutdown { grace: SECOND });
        self.stopped.await.expect("it stops");
        assert_eq!(self.server.open(), 0, "no connection is left");
    }
}

pub(super) fn run(test: impl Future<Output = ()>) {
    let paused = || {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build();
        runtime.expect("a runtime")
    };
    actix_rt::System::with_tokio_rt(paused).block_on(test);
}
