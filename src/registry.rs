//! The databases and services that the actors and the public handles share.

use std::{sync::Arc, time::Duration};

use dashmap::DashMap;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{DatabaseSettings, Settings},
    events::{Change, CircuitState, EventHub, HealthState},
    log::{Log, log_line},
    net::{Connector, Dialler, Executor, FixedAddress},
    policy::gate_state::GateState,
    state::{DatabaseState, LocalStore, clock},
    stats::{DatabaseStats, SupervisorStats},
};

/// The named databases of one supervisor, and the means to reach them.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) databases: DashMap<Arc<str>, Arc<DatabaseState>>,
    pub(crate) hub: EventHub,
    pub(crate) executor: Arc<Executor>,
    pub(crate) log: Log,
    started: Instant,
    stopping: CancellationToken,
}

/// The time that tasks may take to end once they are told to. Tasks need longer only on a runtime that is
/// no longer driven, and then there is no point in waiting.
pub(crate) const STOP_PATIENCE: Duration = Duration::from_secs(1);

impl Registry {
    pub(crate) fn new(
        settings: &Settings,
        executor: Executor,
        connector: Arc<dyn Connector>,
    ) -> Arc<Self> {
        let executor = Arc::new(executor);
        let databases = settings.databases.iter();
        let now = clock::now();
        let entry = |settings: &Arc<DatabaseSettings>| {
            let dialler = Dialler::new(FixedAddress, connector.clone());
            let state =
                DatabaseState::new(settings.clone(), dialler, executor.clone(), now.into_std());
            (settings.name.clone(), state)
        };
        Arc::new(Self {
            databases: databases.map(entry).collect(),
            hub: EventHub::default(),
            executor,
            log: Log::default(),
            started: now,
            stopping: CancellationToken::new(),
        })
    }

    /// The task, cancelled without a result when the supervisor stops.
    pub(crate) fn until_stopped<F: Future>(
        &self,
        task: F,
    ) -> impl Future<Output = Option<F::Output>> + use<F> {
        self.stopping.clone().run_until_cancelled_owned(task)
    }

    /// Cancels the remaining tasks, and waits until they have ended.
    pub(crate) async fn stop_tasks(&self) {
        self.stopping.cancel();
        for state in self.states() {
            state.end();
        }
        if timeout(STOP_PATIENCE, self.executor.idle()).await.is_err() {
            log_line!(
                self.log,
                WARN,
                "tasks are left on a runtime that does not run"
            );
        }
    }

    /// Moves later connections to the crate's own runtime: that of the application has ended, or has no I/O.
    pub(crate) fn leave_caller(&self) {
        if self.executor.leave_caller() {
            log_line!(
                self.log,
                WARN,
                "the runtime in which the supervisor was spawned has ended, or has no I/O; \
                 connections move to one of their own"
            );
        }
    }

    /// Tells all subscribers and the log of a change. A repetition of the last state is dropped.
    pub(crate) fn publish(&self, change: Change) {
        if let Some(event) = self.hub.publish(change) {
            log_line!(
                self.log,
                INFO,
                database = %event.database,
                state = %event.state,
                circuit = %event.circuit,
                cause = event.cause.as_deref().unwrap_or_default(),
                "health changed"
            );
        }
    }

    /// The names of all databases, sorted.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self
            .databases
            .iter()
            .map(|entry| entry.key().clone())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn states(&self) -> Vec<Arc<DatabaseState>> {
        self.databases
            .iter()
            .map(|entry| entry.value().clone())
            .collect()
    }

    /// A snapshot of all counters.
    pub(crate) fn statistics(&self) -> SupervisorStats {
        let databases = self.databases.iter();
        SupervisorStats {
            uptime: clock::now() - self.started,
            databases: databases
                .map(|entry| (entry.key().to_string(), self.statistics_of(&entry)))
                .collect(),
        }
    }

    /// Refuses all later commands, and ends the events.
    pub(crate) fn close(&self) {
        for state in self.states() {
            state.set_gate(GateState::ShuttingDown);
            state.end();
            let recovery = state.local.as_ref().and_then(LocalStore::abandon);
            self.publish(Change {
                database: state.name(),
                state: HealthState::Stopped,
                circuit: CircuitState::Closed,
                cause: None,
                recovery,
            });
        }
        self.hub.close();
    }

    fn statistics_of(&self, state: &DatabaseState) -> DatabaseStats {
        let latest = self.hub.latest(&state.name);
        let (health, circuit) = match latest {
            Some(event) => (event.state, event.circuit),
            None => (HealthState::Starting, CircuitState::Closed),
        };
        let (in_flight, pool) = (state.in_flight.now(), state.pool_stats());
        let fallback = state.local.as_ref().map(LocalStore::figures);
        let fallback = fallback.unwrap_or_default();
        state
            .counters
            .snapshot(health, circuit, in_flight, fallback, pool)
    }
}
