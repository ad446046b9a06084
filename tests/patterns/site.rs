//! A site: a server in this process or a real one, a program's database on it, and what happens to the server.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use redis::FromRedisValue;
use redis_steward::{
    Config, Database, DatabaseConfig, Fallback, HealthEvent, HealthEvents, HealthState,
    MemoryServer, OnRecovery, Supervisor,
};
use tokio::time::{sleep, timeout};

use crate::common::{RedisServer, eventually_async, words};

/// A deadline with slack for everything that takes milliseconds.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// How late a deadline may be on a machine with much else to do.
pub(crate) const SLACK: Duration = Duration::from_secs(10);

/// From these functions, four tests each: on both servers, undisturbed and through an outage.
macro_rules! on_every_site {
    ($($pattern:ident),+ $(,)?) => {$(
        mod $pattern {
            use super::$pattern as run;
            use crate::site::{Course, Kind, Setup};

            #[tokio::test]
            async fn in_memory() {
                run(Setup(Kind::Memory, Course::Undisturbed)).await;
            }

            #[tokio::test]
            async fn in_memory_through_an_outage() {
                run(Setup(Kind::Memory, Course::Outage)).await;
            }

            #[tokio::test]
            async fn on_redis() {
                run(Setup(Kind::Real, Course::Undisturbed)).await;
            }

            #[tokio::test]
            async fn on_redis_through_an_outage() {
                run(Setup(Kind::Real, Course::Outage)).await;
            }
        }
    )+};
}
pub(crate) use on_every_site;

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Memory,
    Real,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Course {
    Undisturbed,
    Outage,
}

/// What a site is to be.
pub(crate) struct Setup(pub(crate) Kind, pub(crate) Course);

enum Server {
    Memory(MemoryServer),
    Real(Box<RedisServer>),
}

pub(crate) struct Site {
    server: Server,
    course: Course,
    pub(crate) supervisor: Supervisor,
    /// The program's handle.
    pub(crate) redis: Database,
    /// Past the program: what Redis has.
    there: Database,
    events: HealthEvents,
}

/// A store that stands in, whose writes are carried out at the server in the end.
pub(crate) fn replaying() -> Fallback {
    Fallback::memory().on_recovery(OnRecovery::Replay)
}

impl Setup {
    /// A site whose server is up.
    pub(crate) async fn start(self, adjust: impl FnOnce(DatabaseConfig) -> DatabaseConfig) -> Site {
        let site = self.spawn(Server::start(self.0), adjust).await;
        site.supervisor.ready(SOON).await.expect("ready");
        site
    }

    /// A site whose server is not up yet, if there is to be an outage.
    pub(crate) async fn start_early(
        self,
        adjust: impl FnOnce(DatabaseConfig) -> DatabaseConfig,
    ) -> Site {
        let server = Server::start(self.0);
        if self.1 == Course::Outage {
            server.stop();
        }
        self.spawn(server, adjust).await
    }

    async fn spawn(
        &self,
        server: Server,
        adjust: impl FnOnce(DatabaseConfig) -> DatabaseConfig,
    ) -> Site {
        let url = server.url();
        let config = Config::new()
            .database("program", adjust(DatabaseConfig::from_url(&*url)))
            .database("there", DatabaseConfig::from_url(&*url));
        let supervisor = Supervisor::spawn(config).await.expect("spawn");
        let database = |name| supervisor.database(name).expect("a name of these");
        Site {
            server,
            course: self.1,
            redis: database("program"),
            there: database("there").patient().with_timeout(SOON),
            events: supervisor.subscribe(),
            supervisor,
        }
    }
}

impl Server {
    fn start(kind: Kind) -> Self {
        match kind {
            Kind::Memory => Self::Memory(MemoryServer::new()),
            // What it has acknowledged is on disk, as in the embedded server, which keeps its data over a stop.
            Kind::Real => Self::Real(Box::new(
                RedisServer::builder()
                    .arg("appendonly", "yes")
                    .arg("appendfsync", "always")
                    .start(),
            )),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Memory(server) => server.url(),
            Self::Real(server) => server.url(),
        }
    }

    fn stop(&self) {
        match self {
            Self::Memory(server) => server.stop(),
            Self::Real(server) => server.kill(),
        }
    }

    fn start_again(&self) {
        match self {
            Self::Memory(server) => server.start(),
            Self::Real(server) => server.restart(),
        }
    }
}

impl Site {
    /// Whether there is an outage in its course.
    pub(crate) fn is_disturbed(&self) -> bool {
        self.course == Course::Outage
    }

    /// The server dies, and the circuit opens; nothing happens on an undisturbed site.
    pub(crate) async fn outage(&mut self) {
        if self.is_disturbed() {
            self.server.stop();
            self.event(|event| event.circuit.to_string() == "open")
                .await;
        }
    }

    /// The server is there again, and serves the program. Nothing happens on an undisturbed site.
    pub(crate) async fn recovery(&mut self) -> Option<HealthEvent> {
        if !self.is_disturbed() {
            return None;
        }
        self.server.start_again();
        let is_healthy = |event: &HealthEvent| event.state == HealthState::Healthy;
        Some(self.event(is_healthy).await)
    }

    /// The next event of the program's database that is such a one.
    async fn event(&mut self, is: impl Fn(&HealthEvent) -> bool) -> HealthEvent {
        let event = async {
            loop {
                let event = self.events.next().await.expect("the supervisor lives");
                if &*event.database == "program" && is(&event) {
                    return event;
                }
            }
        };
        timeout(SOON, event).await.expect("an event in time")
    }

    /// Takes a step again and again, with the numbers from 0 on, before, during and after the outage. Returns the results.
    pub(crate) async fn through<T, F>(
        &mut self,
        step: impl Fn(usize) -> F + Send + 'static,
    ) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send,
    {
        const AT_LEAST: usize = 40;
        let (taken, is_over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (counting, ending) = (taken.clone(), is_over.clone());
        let steps = tokio::spawn(async move {
            let mut results = Vec::new();
            while !ending.load(SeqCst) {
                results.push(step(results.len()).await);
                counting.fetch_add(1, SeqCst);
                // So that refusals make no flood of steps.
                sleep(Duration::from_millis(1)).await;
            }
            results
        });
        let more = || {
            let (taken, enough) = (taken.clone(), taken.load(SeqCst) + AT_LEAST);
            eventually_async(SOON, "the steps go on", move || {
                taken.load(SeqCst) >= enough
            })
        };
        more().await;
        self.outage().await;
        more().await;
        self.recovery().await;
        more().await;
        is_over.store(true, SeqCst);
        steps.await.expect("no panic in a step")
    }

    /// The reply to a line of words, as the program sees it.
    pub(crate) async fn here<T: FromRedisValue>(&self, line: &str) -> T {
        let reply = self.redis.query(words(line)).await;
        reply.unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// What the server replies to a line of words, past the program.
    pub(crate) async fn there<T: FromRedisValue>(&self, line: &str) -> T {
        let reply = self.there.query(words(line)).await;
        reply.unwrap_or_else(|error| panic!("{line}: {error}"))
    }
}
