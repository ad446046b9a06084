//! The databases and services that the actors and the public handles share.

use std::{collections::HashSet, sync::Arc, time::Duration};

use dashmap::DashMap;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Address, ConfigNote, DatabaseSettings, Io, Settings},
    events::{Change, CircuitState, EventHub, Failover, Handoff, HealthState, Reason, Recovery},
    identity::{DatabaseId, PartOf},
    log::{Log, log_line},
    net::{Connector, Dialler, Executor, Services},
    policy::gate_state::GateState,
    state::{DatabaseState, Roster, clock},
    stats::{DatabaseStats, Encryption, SupervisorStats},
    tls::TlsClient,
};

/// The named databases of one supervisor, and the means to reach them.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) databases: DashMap<Arc<str>, Arc<DatabaseState>>,
    roster: Arc<Roster>,
    connector: Arc<dyn Connector>,
    pub(crate) services: Arc<Services>,
    /// Where connections run, which cannot be changed.
    pub(crate) io: Io,
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
        let registry = Self {
            databases: DashMap::new(),
            roster: Arc::default(),
            services: Arc::new(Services::new(connector.clone())),
            connector,
            io: settings.io,
            hub: EventHub::default(),
            executor: Arc::new(executor),
            log: Log::default(),
            started: clock::now(),
            stopping: CancellationToken::new(),
        };
        registry.services.set_registry(settings.registry.clone());
        for database in &settings.databases {
            registry.add(registry.create(database, None));
        }
        registry.publish_names(&settings.aliases, settings.default_database.clone());
        registry.log_notes(&settings.notes);
        Arc::new(registry)
    }

    /// The state of a database that is not there yet, or of a part of one.
    pub(crate) fn create(
        &self,
        settings: &Arc<DatabaseSettings>,
        part_of: Option<&PartOf>,
    ) -> Arc<DatabaseState> {
        let dialler = Dialler::new(self.services.clone(), self.connector.clone());
        let outer = part_of.and_then(|part_of| self.state(part_of.whole())?.part_of.clone());
        let cluster = match (part_of, &outer) {
            (Some(PartOf::Nodes(cluster)), _) => Some(cluster),
            (Some(PartOf::Replicas(_)), Some(outer)) => Some(outer.whole()),
            _ => None,
        };
        let cluster = cluster.and_then(|cluster| self.state(cluster));
        let dialler = match (part_of, outer) {
            // Of a node of a cluster.
            (Some(PartOf::Replicas(_)), Some(outer)) => {
                dialler.of_part(outer.whole().name().clone()).of_replica()
            }
            (Some(part_of), _) => dialler.of_part(part_of.whole().name().clone()),
            (None, _) => dialler,
        };
        DatabaseState::new(
            settings.clone(),
            part_of.cloned(),
            cluster.as_deref().map(|cluster| &cluster.cluster),
            dialler,
            self.executor.clone(),
            self.roster.clone(),
            clock::now().into_std(),
        )
    }

    pub(crate) fn add(&self, state: Arc<DatabaseState>) {
        self.databases.insert(state.name(), state);
    }

    /// Takes a database out, so that there are no further handles of it.
    pub(crate) fn take(&self, name: &str) -> Option<Arc<DatabaseState>> {
        self.databases.remove(name).map(|(_, state)| state)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<DatabaseState>> {
        let state = self.databases.get(name);
        state.map(|state| state.value().clone())
    }

    /// The database of this identity, unless it was removed.
    pub(crate) fn state(&self, id: &DatabaseId) -> Option<Arc<DatabaseState>> {
        self.find(id.name()).filter(|state| state.id == *id)
    }

    /// The database of a name or an alias, or the one that stands in for unknown names.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<DatabaseState>> {
        let known = |name: &str| {
            let aliased = || self.find(&self.roster.aliased(name)?);
            self.find(name).or_else(aliased)
        };
        known(name).or_else(|| {
            let default = self.roster.default()?;
            let (asked, stand_in) = (name.to_owned(), default.clone());
            log_line!(
                self.log,
                WARN,
                database = ?asked,
                default = &*stand_in,
                "there is no database of this name, and the default one stands in for it"
            );
            known(&default)
        })
    }

    /// Makes the present names known, with these aliases and this default.
    pub(crate) fn publish_names(
        &self,
        aliases: &[(Arc<str>, Arc<str>)],
        default: Option<Arc<str>>,
    ) {
        let names = self.configured().into_iter().map(|state| state.name());
        self.roster.publish(names, aliases, default);
    }

    pub(crate) fn log_notes(&self, notes: &[ConfigNote]) {
        for note in notes {
            let note = note.to_string();
            log_line!(self.log, WARN, "configuration: {note}");
        }
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
        let Some(event) = self.hub.publish(change) else {
            return;
        };
        macro_rules! health_line {
            ($level:ident) => {
                log_line!(
                    self.log,
                    $level,
                    database = %event.database,
                    state = event.state.word(),
                    reason = event.state.reason().map(display),
                    circuit = %event.circuit,
                    cause = event.cause.as_deref(),
                    recovery = event.recovery.map(display),
                    "database {} is {}",
                    event.database,
                    event.state
                )
            };
        }
        match event.state {
            HealthState::Failed => health_line!(ERROR),
            // It ends within moments.
            HealthState::Starting
            | HealthState::Degraded {
                reason: Reason::Recovering,
            } => health_line!(DEBUG),
            HealthState::Degraded { .. } | HealthState::Down { .. } | HealthState::Isolated => {
                health_line!(WARN);
            }
            HealthState::Healthy | HealthState::Stopped | HealthState::Removed => {
                health_line!(INFO)
            }
        }
    }

    /// Tells the log why changed certificates are not in use.
    pub(crate) fn log_certificates(&self, state: &DatabaseState) {
        let settings = state.settings.load();
        if let Some(complaint) = settings.tls.as_ref().and_then(TlsClient::take_complaint) {
            let database = state.name();
            log_line!(
                self.log,
                WARN,
                %database,
                "changed certificates are not used, and the former ones stay: {complaint}"
            );
        }
    }

    /// Tells all subscribers and the log of the begin or the end of a database.
    pub(crate) fn announce(
        &self,
        state: &DatabaseState,
        health: HealthState,
        recovery: Option<Recovery>,
    ) {
        self.publish(Change {
            database: state.name(),
            state: health,
            circuit: CircuitState::Closed,
            cause: None,
            recovery,
            now: clock::now(),
        });
    }

    /// Tells all subscribers and the log which settings of a database have changed.
    pub(crate) fn announce_change(&self, database: &Arc<str>, settings: &[&'static str]) {
        if let Some(event) = self.hub.publish_changed(database, settings, clock::now()) {
            log_line!(
                self.log,
                INFO,
                database = %event.database,
                settings = event.changed.join(", "),
                "settings changed"
            );
        }
    }

    /// Tells all subscribers and the log that the primary of a database is another one.
    pub(crate) fn announce_failover(&self, database: &Arc<str>, from: &Address, to: &Address) {
        let text = |address: &Address| Arc::from(address.to_string());
        let failover = Failover::new(text(from), text(to));
        if let Some(event) = self
            .hub
            .publish_failover(database, failover.clone(), clock::now())
        {
            log_line!(
                self.log,
                WARN,
                database = %event.database,
                from = &*failover.from,
                to = &*failover.to,
                "the primary is another server"
            );
        }
    }

    /// Tells all subscribers and the log that the server of a database has moved, as it has announced.
    pub(crate) fn announce_handoff(&self, database: &Arc<str>, from: &Address, to: &Address) {
        let text = |address: &Address| Arc::from(address.to_string());
        let handoff = Handoff::new(text(from), text(to));
        if let Some(event) = self
            .hub
            .publish_handoff(database, handoff.clone(), clock::now())
        {
            log_line!(
                self.log,
                INFO,
                database = %event.database,
                from = &*handoff.from,
                to = &*handoff.to,
                "the server has moved, and connections were handed off"
            );
        }
    }

    /// The names of all databases, sorted.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.roster.names()
    }

    /// All databases, and their parts.
    pub(crate) fn states(&self) -> Vec<Arc<DatabaseState>> {
        self.databases
            .iter()
            .map(|entry| entry.value().clone())
            .collect()
    }

    /// The databases that the configuration names.
    pub(crate) fn configured(&self) -> Vec<Arc<DatabaseState>> {
        let mut states = self.states();
        states.retain(|state| state.part_of.is_none());
        states
    }

    /// The replicas or the nodes of a database that there are.
    pub(crate) fn parts(&self, part_of: &PartOf) -> Vec<Arc<DatabaseState>> {
        let mut states = self.states();
        states.retain(|state| state.part_of.as_ref() == Some(part_of));
        states
    }

    /// All parts of a database, and the parts of these.
    pub(crate) fn all_parts(&self, whole: &DatabaseId) -> Vec<Arc<DatabaseState>> {
        let mut states = self.states();
        let outer = |state: &Arc<DatabaseState>| Some(state.part_of.as_ref()?.whole().clone());
        let direct = states
            .iter()
            .filter(|state| outer(state).as_ref() == Some(whole));
        let wholes: HashSet<_> = direct
            .map(|state| state.id.clone())
            .chain([whole.clone()])
            .collect();
        states.retain(|state| outer(state).is_some_and(|outer| wholes.contains(&outer)));
        states
    }

    /// The time since the supervisor was spawned.
    pub(crate) fn uptime(&self) -> Duration {
        clock::now() - self.started
    }

    /// What is known of a database now. The time until the next probe counts from now.
    pub(crate) fn present_state(&self, state: &DatabaseState) -> (HealthState, CircuitState) {
        let history = self.hub.history(&state.name, clock::now());
        let health = match (history.health, &*state.outage.load()) {
            (HealthState::Down { reason, .. }, Some(outage)) => HealthState::Down {
                reason,
                retry_after: outage.next_probe.saturating_duration_since(clock::now()),
            },
            (health, _) => health,
        };
        (health, history.circuit)
    }

    /// A snapshot of all counters.
    pub(crate) fn statistics(&self) -> SupervisorStats {
        let databases = self.databases.iter();
        let databases = databases
            .map(|entry| (entry.key().to_string(), self.statistics_of(&entry)))
            .collect();
        SupervisorStats {
            // After the databases, so that none is older.
            uptime: self.uptime(),
            databases,
        }
    }

    /// Refuses all later commands, and ends the events.
    pub(crate) fn close(&self) {
        for state in self.states() {
            state.set_gate(GateState::ShuttingDown);
            state.end();
            let recovery = state.local.abandon();
            self.announce(&state, HealthState::Stopped, recovery);
        }
        self.hub.close();
    }

    fn statistics_of(&self, state: &DatabaseState) -> DatabaseStats {
        let history = self.hub.history(&state.name, clock::now());
        let in_flight = state.in_flight.now();
        let connections = (state.subscribers.stats(), state.pool_stats());
        let fallback = state.local.figures();
        let id = state.id.clone();
        let encryption = Encryption::of(state.settings.load().tls.as_ref());
        let counters = &state.counters;
        let (replica_of, node_of) = match &state.part_of {
            Some(PartOf::Replicas(primary)) => (Some(primary.name().clone()), None),
            Some(PartOf::Nodes(cluster)) => (None, Some(cluster.name().clone())),
            None => (None, None),
        };
        DatabaseStats {
            replica_of,
            node_of,
            near_cache: state.near_cache_figures(),
            consumers: state.consumers.stats(),
            ..counters.snapshot(id, encryption, history, in_flight, fallback, connections)
        }
    }
}
