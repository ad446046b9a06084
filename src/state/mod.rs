//! The state of one database that actors and callers share: its only atomics and locks.
//!
//! The actors publish here: the pool its routes, the health actor the state of the circuit, the supervisor
//! the addresses of the actors. Callers read. Decisions are made elsewhere.

pub(crate) mod clock;
mod cluster;
mod consumers;
mod counters;
mod durations;
mod gate;
mod keeper;
mod lessees;
mod local_store;
mod migrations;
mod near_cache;
mod outage;
mod parking;
mod permits;
mod published;
mod replicas;
mod roster;
mod routes;
mod seen_values;
mod settings;
mod slot_table;
mod subscribers;
mod survey;

pub(crate) use cluster::Cluster;
pub(crate) use consumers::{ConsumerShare, Consumers};
pub(crate) use counters::{Counters, count};
pub(crate) use gate::{Admitted, Gate, NotAdmitted};
pub(crate) use keeper::{Keeper, Kept};
pub(crate) use lessees::Lessees;
pub(crate) use local_store::{LocalStore, LocalWork, NotRun, Step};
pub(crate) use near_cache::{Filling, Missed, NearCache, Tracking, as_resp2, is_of_none};
pub(crate) use outage::Outage;
pub(crate) use parking::Parking;
pub(crate) use permits::{Permit, Permits};
pub(crate) use published::Published;
pub(crate) use replicas::{ReadPlace, Replica, Replicas, View};
pub(crate) use roster::Roster;
pub(crate) use routes::{Route, Routes};
pub(crate) use seen_values::SeenValues;
pub(crate) use settings::{CallSettings, SettingsCell};
pub(crate) use slot_table::{ClusterNode, SlotTable};
pub(crate) use subscribers::{
    Bounds, Driver, Need, NotJoined, SubscriberQueue, Subscribers, Unusable,
};
pub(crate) use survey::{Survey, Surveyed};

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use actix::Recipient;
use arc_swap::ArcSwapOption;

use crate::{
    config::{Changes, DatabaseSettings},
    events::{EndCause, Reason, Recovery},
    execution::Execution,
    identity::{DatabaseId, PartOf},
    messages::{Evidence, Execute, PoolLink, Report},
    net::{DialError, Dialler, Executor, Failure, InFlight, OfNode, Redirects, ServerProgram},
    policy::{gate_state::GateState, retry::Budget},
    stats::{NearCacheStats, PoolStats},
};

/// The state of one database. It outlives every actor: a restart publishes to the same one.
#[derive(Debug)]
pub(crate) struct DatabaseState {
    pub(crate) name: Arc<str>,
    pub(crate) id: DatabaseId,
    /// What it is of another database. The configuration does not name it then.
    pub(crate) part_of: Option<PartOf>,
    /// All databases that there are; this one is not among them once it is removed.
    roster: Arc<Roster>,
    pub(crate) settings: SettingsCell,
    /// The way to its server.
    pub(crate) dialler: Dialler,
    pub(crate) gate: Arc<Gate>,
    pub(crate) in_flight: Arc<InFlight>,
    /// The replies that have sent callers to other nodes, if it is a node of a cluster.
    pub(crate) redirects: Arc<Redirects>,
    pub(crate) counters: Arc<Counters>,
    /// The way to the shared connections.
    pub(crate) parking: Arc<Parking>,
    /// The callers that wait for a connection of their own.
    pub(crate) lessees: Arc<Lessees>,
    /// The rights to have connections, and their counts.
    pub(crate) permits: Arc<Permits>,
    pub(crate) pool: Arc<ArcSwapOption<PoolLink>>,
    /// The address for commands as messages.
    pub(crate) relay: ArcSwapOption<Recipient<Execute>>,
    pub(crate) health: ArcSwapOption<Recipient<Report>>,
    /// Stands in for the server during an outage, if that is wanted.
    pub(crate) local: LocalStore,
    /// Those that serve its reads, if that is wanted.
    pub(crate) replicas: Replicas,
    /// Its nodes, if it is a cluster.
    pub(crate) cluster: Cluster,
    /// Replies that are kept until their keys change, once a handle wants that.
    near_cache: OnceLock<Arc<NearCache>>,
    /// What was read, if it is to be remembered for an outage.
    pub(crate) seen: SeenValues,
    /// The subscribers of channels, which share one connection.
    pub(crate) subscribers: Arc<Subscribers>,
    /// What the consumers of streams have done.
    pub(crate) consumers: Arc<Consumers>,
    /// The reason of an open circuit, and the time of its next probe.
    pub(crate) outage: ArcSwapOption<Outage>,
    /// The error of the last attempt to connect, until one succeeds.
    pub(crate) dial_error: ArcSwapOption<Arc<str>>,
    /// The same of the last attempt to open a connection for a lease.
    pub(crate) lease_error: ArcSwapOption<Arc<str>>,
    /// The program that answered the last dial, where it said so.
    pub(crate) program: ArcSwapOption<ServerProgram>,
    /// Whether an operator has isolated the database. Kept here, because it outlasts crashes of all actors.
    pub(crate) is_isolated: AtomicBool,
    /// The classes of commands that are on no list, as the server describes them.
    pub(crate) survey: Survey,
    /// Connections to another database are awaited: the settings lead elsewhere.
    pub(crate) is_moving: AtomicBool,
    /// Where its tasks run.
    pub(crate) executor: Arc<Executor>,
    /// The server does not tell its clients by which name it knows them, as far as is known. They are not to
    /// ask until there is another one.
    pub(crate) refuses_introductions: AtomicBool,
    /// The budget of retries. Only failed calls take the lock.
    budget: Mutex<Budget>,
}

impl DatabaseState {
    pub(crate) fn new(
        settings: Arc<DatabaseSettings>,
        part_of: Option<PartOf>,
        whole: Option<&Cluster>,
        dialler: Dialler,
        executor: Arc<Executor>,
        roster: Arc<Roster>,
        now: Instant,
    ) -> Arc<Self> {
        let gate = Gate::new(settings.max_parked, executor.clone());
        let id = roster.identify(settings.name.clone());
        let redirects = Redirects::new(executor.clone());
        let (counters, pool) = (Arc::<Counters>::default(), Arc::default());
        let parking = Parking::new(
            settings.max_parked,
            executor.clone(),
            counters.clone(),
            Arc::clone(&pool),
        );
        Arc::new(Self {
            dialler,
            parking,
            subscribers: Subscribers::new(id.clone(), executor.clone()),
            consumers: Arc::default(),
            lessees: Lessees::new(executor.clone()),
            replicas: Replicas::new(executor.clone()),
            cluster: Cluster::new(whole, executor.clone(), &settings),
            executor,
            part_of,
            gate,
            in_flight: InFlight::new(
                whole.map(|whole| OfNode {
                    whole: whole.in_flight.clone(),
                    redirects: redirects.clone(),
                }),
                settings.max_in_flight,
                settings.max_in_flight_bytes,
            ),
            redirects,
            counters,
            permits: Permits::new(settings.max_connections, settings.shared_min),
            pool,
            relay: ArcSwapOption::empty(),
            health: ArcSwapOption::empty(),
            local: LocalStore::of(&settings),
            near_cache: OnceLock::new(),
            seen: SeenValues::of(&settings),
            outage: ArcSwapOption::empty(),
            dial_error: ArcSwapOption::empty(),
            lease_error: ArcSwapOption::empty(),
            program: ArcSwapOption::empty(),
            is_isolated: AtomicBool::new(false),
            survey: Survey::default(),
            is_moving: AtomicBool::new(false),
            refuses_introductions: AtomicBool::new(false),
            budget: Mutex::new(Budget::new(now)),
            id,
            roster,
            name: settings.name.clone(),
            settings: SettingsCell::new(settings),
        })
    }

    pub(crate) fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// The databases that may be used.
    pub(crate) fn known(&self) -> Vec<Arc<str>> {
        self.roster.names()
    }

    /// Whether it was removed, for good.
    pub(crate) fn is_removed(&self) -> bool {
        self.gate.state() == GateState::Removed
    }

    /// Takes other settings: calls see them from now on, and the bounds hold. The actors read them when they are
    /// told to.
    pub(crate) fn change(&self, settings: &Arc<DatabaseSettings>, changes: &Changes) {
        self.permits
            .resize(settings.max_connections, settings.shared_min);
        self.in_flight
            .resize(settings.max_in_flight, settings.max_in_flight_bytes);
        let (max_commands, max_bytes) = settings.most_in_cluster();
        self.cluster.in_flight.resize(max_commands, max_bytes);
        self.gate.resize(settings.max_parked);
        self.parking.resize(settings.max_parked);
        let (needs_new_connections, is_of_another_kind) = {
            let present = self.settings.load();
            (
                present.needs_new_connections(changes, settings),
                present.address.is_cluster() != settings.address.is_cluster(),
            )
        };
        if is_of_another_kind {
            // A node of a cluster sends commands for one server away, and the reverse. They wait for the new connection.
            self.publish_routes(&[]);
        }
        // Before an outage can end, which looks for them there.
        self.settings.store(settings.clone());
        if let Some(near_cache) = self.near_cache.get() {
            near_cache.resize(settings);
            if needs_new_connections {
                near_cache.leave();
            }
        }
        let holds = self.local.change(settings);
        if changes.lead_elsewhere() || changes.concern_fallback() && holds {
            self.seen.change(settings);
        }
        if changes.lead_elsewhere() {
            self.is_moving.store(true, Relaxed);
            self.cluster.table.withdraw();
        }
        self.subscribers.look();
    }

    /// The replies that are kept. There is nothing in it before a handle wants that.
    pub(crate) fn near_cache(&self) -> &Arc<NearCache> {
        self.near_cache
            .get_or_init(|| Arc::new(NearCache::new(&self.settings.load())))
    }

    /// Makes these the routes of commands. If none of those before is among them, they may lead elsewhere, and what the near
    /// cache knows of the place before is not used any more.
    pub(crate) fn publish_routes(&self, routes: &[Arc<Route>]) {
        let stays = match &*self.parking.routes() {
            Some(before) => routes.iter().any(|route| before.contains(route.id)),
            None => false,
        };
        if !stays {
            self.distrust_near_cache();
        }
        self.parking.publish(routes);
    }

    /// The server may be another one than the near cache knows.
    pub(crate) fn distrust_near_cache(&self) {
        if let Some(near_cache) = self.near_cache.get() {
            near_cache.leave();
        }
    }

    /// The figures of the near cache, if there is one.
    pub(crate) fn near_cache_figures(&self) -> Option<NearCacheStats> {
        self.near_cache.get().map(|near_cache| near_cache.figures())
    }

    /// Ends the standing in of the local store, unless something is left to be carried out at the server. Settings that
    /// have changed meanwhile hold from now on.
    pub(crate) fn end_outage(&self) -> Option<Recovery> {
        let ended = self.local.end()?;
        if ended.has_changed {
            self.seen.change(&self.settings.load());
        }
        Some(ended.recovery)
    }

    /// Whether a command would find an open connection.
    pub(crate) fn is_connected(&self) -> bool {
        let admits = matches!(self.gate.state(), GateState::Free | GateState::Trial { .. });
        admits && self.parking.has_routes()
    }

    /// Whether no connection is open because the last dial failed.
    pub(crate) fn is_unreachable(&self) -> bool {
        !self.parking.has_routes() && self.dial_error.load().is_some()
    }

    pub(crate) fn pool_stats(&self) -> PoolStats {
        PoolStats {
            parked: self.parked(),
            ..self.counters.pool(&self.permits)
        }
    }

    /// Sets the gate, and answers the callers that waited for that.
    pub(crate) fn set_gate(&self, gate_state: GateState) {
        self.change_gate(gate_state);
        self.answer_waiting();
    }

    /// Sets the gate for the callers that come. Returns the new epoch. Those that wait are
    /// [answered](Self::answer_waiting) once the change is published, so that nobody is told what cannot be seen.
    pub(crate) fn change_gate(&self, gate_state: GateState) -> u64 {
        if !self.refuses_impatient(gate_state) {
            // Before a caller can pass that finds no connection yet.
            self.parking.refuse_impatient(false);
            self.lessees.refuse_impatient(false);
            self.subscribers.refuse_impatient(false);
        }
        let epoch = self.gate.begin(gate_state);
        if let Some(near_cache) = self.near_cache.get() {
            near_cache.changed.notify_one();
        }
        self.subscribers.look();
        epoch
    }

    /// Answers the callers whose waiting the present state of the gate ends.
    pub(crate) fn answer_waiting(&self) {
        self.gate.admit_waiting();
        if self.gate.state().is_final() {
            self.replicas.view.tell_waiting();
        }
        if self.gate.state() != GateState::Free {
            self.cluster.table.tell_waiting();
        }
        if self.refuses_impatient(self.gate.state()) {
            self.parking.refuse_impatient(true);
            self.lessees.refuse_impatient(true);
            self.subscribers.refuse_impatient(true);
        }
        match self.gate.state() {
            GateState::ShuttingDown => self.subscribers.end(EndCause::ShuttingDown),
            GateState::Removed => self.subscribers.end(EndCause::Removed),
            _ => {}
        }
    }

    /// Whether callers end their wait for a connection that do not wait for recovery. A server that is loading
    /// its dataset will be ready, so that they wait on.
    fn refuses_impatient(&self, gate_state: GateState) -> bool {
        let outage = self.outage.load();
        let is_loading = outage
            .as_ref()
            .is_some_and(|outage| outage.reason == Reason::Loading);
        gate_state == GateState::Open && !is_loading
    }

    /// The number of calls that wait for a connection or for the circuit.
    pub(crate) fn parked(&self) -> usize {
        self.counters.parked.load(Relaxed) + self.gate.waiting()
    }

    /// Sends evidence to the health actor. Between its crash and its restart the evidence is lost.
    pub(crate) fn report(&self, evidence: Evidence) {
        if let Some(health) = &*self.health.load() {
            health.do_send(Report {
                database: self.id.clone(),
                evidence,
            });
        }
    }

    /// Reports a command that failed in a way that counts against the server, after a success that came before it.
    pub(crate) fn report_failed(&self, epoch: u64, reason: Reason) {
        if self.gate.take_success_before_failure() {
            self.report(Evidence::CommandSucceeded);
        }
        self.report(Evidence::CommandFailed { epoch, reason });
    }

    /// The error of a dial, with the address.
    pub(crate) fn explain_dial(&self, error: &DialError) -> Arc<str> {
        format!("{}: {error}", self.settings.load().address).into()
    }

    /// Ends the waiting of all callers with this failure: no pool will serve them.
    pub(crate) fn close(&self, failure: Failure) {
        self.parking.close(failure);
        self.counters.waiting.store(0, Relaxed);
    }

    /// It has ended: nothing waits any more, and no task is left.
    pub(crate) fn end(&self) {
        self.close(Failure::ShuttingDown(Execution::NotSent));
        self.gate.keeper().stop();
        self.parking.keeper().stop();
        self.lessees.keeper().stop();
        self.replicas.view.end();
        self.cluster.table.end();
        self.subscribers.keeper().stop();
    }

    /// Takes one retry from the budget, and tells whether there was one.
    pub(crate) fn withdraw_retry(&self, now: Instant) -> bool {
        // A panic elsewhere cannot have left it half-changed.
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.withdraw(self.calls(), now)
    }

    /// Attempts that have ended, on a connection or waiting for one.
    pub(crate) fn attempts(&self) -> u64 {
        let counters = &self.counters;
        let ended = [
            &counters.succeeded,
            &counters.error_replies,
            &counters.timed_out,
            &counters.lost,
        ];
        ended.iter().map(|counter| counter.load(Relaxed)).sum()
    }

    /// Calls that were admitted and have ended.
    fn calls(&self) -> u64 {
        let retried = self.counters.retried.load(Relaxed);
        self.attempts().saturating_sub(retried)
    }
}
