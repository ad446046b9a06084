//! The health actor: weighs the evidence, probes, opens and closes circuits, publishes events,
//! and tells pools when to dial again.

mod patient;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::{task::JoinError, time::Instant};

use self::patient::Patient;
use super::guard::ExitGuard;
use crate::{
    config::{Address, DatabaseSettings},
    events::{CircuitState, Reason},
    messages::{EndpointChecked, News, Operate, Operation, Probed, Redial as RedialOrder, Report},
    net::{Connector, DialError, Executor, Seen, WhileLoading, check_endpoint, dial},
    policy::{backoff::Backoff, breaker::Failed},
    registry::Registry,
};

/// How often due checks are looked for.
const TICK: Duration = Duration::from_millis(250);
/// The pause between the probes that close a half-open circuit without any traffic.
const CONFIRM_AFTER: Duration = Duration::from_millis(20);
/// Pools that wait for the same endpoint dial within this time for each of them, so that they do
/// not all dial in the same millisecond.
const SPREAD_PER_POOL: Duration = Duration::from_millis(1);
const MAX_SPREAD: Duration = Duration::from_secs(1);

pub(super) struct HealthActor {
    registry: Arc<Registry>,
    patients: HashMap<Arc<str>, Patient>,
    endpoints: HashMap<Address, Endpoint>,
    // Never read: it reports the end of this actor when it is dropped.
    _guard: ExitGuard,
}

/// A server address that databases share, and so does the question whether anything answers there.
struct Endpoint {
    redial: Backoff,
    /// Databases that wait until something answers.
    waiting: HashSet<Arc<str>>,
    /// When it is asked next, or was asked last while the answer is outstanding.
    next_check: Option<Instant>,
}

impl HealthActor {
    pub(super) fn new(registry: Arc<Registry>, guard: ExitGuard) -> Self {
        let now = Instant::now();
        let patient = |it| Patient::new(it, now);
        let patients = registry.dispatchers().into_iter().map(patient);
        Self {
            patients: patients.map(|it| (it.dispatcher.name(), it)).collect(),
            endpoints: HashMap::new(),
            registry,
            _guard: guard,
        }
    }

    fn heard(&mut self, database: &Arc<str>, news: News, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let Some(patient) = self.patients.get_mut(database) else {
            return;
        };
        match news {
            News::Connected(seen) => {
                patient.wants_dial = false;
                patient.reached(seen, now);
                self.reached(database, ctx);
            }
            News::TrialSucceeded { epoch } if patient.is_current(epoch) => {
                patient.trial_succeeded(now);
            }
            News::CommandFailed { epoch, reason } if patient.is_current(epoch) => {
                match reason {
                    // Every command says the same for a while, and waits for its end: the probes count.
                    Reason::Loading => patient.is_loading(),
                    _ => patient.failed(Failed::Command, reason, None, now),
                }
                self.probe(database, ctx);
            }
            News::TrialSucceeded { .. } | News::CommandFailed { .. } => {}
            News::CommandRefused { reason } => patient.limited(reason, now),
            News::ConnectionLost(loss) => {
                let cause = loss.to_string().into();
                patient.failed(Failed::Command, Reason::ConnectionLost, Some(cause), now);
            }
            News::DialFailed(error) => {
                patient.wants_dial = true;
                let cause = patient.explain(&error);
                patient.failed(Failed::Attempt, error.reason(), Some(cause), now);
                self.wait(database, ctx);
            }
            News::Restarted => patient.restarted(now),
            News::GivenUp => patient.give_up(),
        }
        // First, because it decides when the next probe is due.
        self.wait_if_open(database, ctx);
        self.publish(database);
    }

    /// The server of this database was reached: whoever else waits for it need not wait longer
    /// than usual, and a half-open circuit is put to the proof.
    fn reached(&mut self, database: &Arc<str>, ctx: &mut Context<Self>) {
        let Some(patient) = self.patients.get(database) else {
            return;
        };
        let (wants_dial, needs_probe) = (patient.wants_dial, patient.needs_probe());
        if let Some(endpoint) = self.endpoints.get_mut(&patient.dispatcher.settings.address) {
            endpoint.redial.reset();
            endpoint.waiting.remove(database);
        }
        // A probe got through where the pool had not: it need not wait any longer.
        if wants_dial {
            return self.try_again(database, Duration::ZERO, ctx);
        }
        if needs_probe {
            let database = database.clone();
            ctx.run_later(CONFIRM_AFTER, move |health, ctx| {
                health.probe(&database, ctx)
            });
        }
    }

    /// An open circuit needs somebody to notice when the server is back.
    fn wait_if_open(&mut self, database: &Arc<str>, ctx: &mut Context<Self>) {
        let is_open = |it: &Patient| it.needs_probe() && it.circuit() == CircuitState::Open;
        if self.patients.get(database).is_some_and(is_open) {
            self.wait(database, ctx);
        }
    }

    /// Arranges that the database is tried again: when its endpoint answers, or after a while when
    /// the endpoint is not what fails.
    fn wait(&mut self, database: &Arc<str>, ctx: &mut Context<Self>) {
        let Some(patient) = self.patients.get_mut(database) else {
            return;
        };
        if !patient.waits_for_endpoint() {
            if patient.is_probed {
                return;
            }
            // Marked as probed, so that evidence that comes meanwhile does not hasten it.
            patient.is_probed = true;
            let pause = patient.pause();
            patient.announce_probe(Instant::now() + pause);
            let database = database.clone();
            ctx.run_later(pause, move |health, ctx| {
                if let Some(patient) = health.patients.get_mut(&database) {
                    patient.is_probed = false;
                }
                health.try_again(&database, Duration::ZERO, ctx);
            });
            return;
        }
        let address = patient.dispatcher.settings.address.clone();
        let endpoint = self.endpoints.entry(address.clone());
        let endpoint = endpoint.or_insert_with(Endpoint::new);
        endpoint.waiting.insert(database.clone());
        match endpoint.next_check {
            Some(at) => patient.announce_probe(at),
            None => self.check_endpoint(address, ctx),
        }
    }

    /// Asks after a pause whether anything answers at the address: once for all who wait.
    fn check_endpoint(&mut self, address: Address, ctx: &mut Context<Self>) {
        let Some(endpoint) = self.endpoints.get_mut(&address) else {
            return;
        };
        let pause = endpoint.redial.pause(Reason::Unreachable, fastrand::f64());
        let at = Instant::now() + pause;
        endpoint.next_check = Some(at);
        let mut asks_for = None;
        for database in &endpoint.waiting {
            if let Some(patient) = self.patients.get_mut(database) {
                patient.announce_probe(at);
                asks_for = Some(patient.dispatcher.settings.clone());
            }
        }
        let Some(settings) = asks_for else {
            endpoint.next_check = None;
            return;
        };
        let registry = self.registry.clone();
        let health = ctx.address();
        actix_rt::spawn(async move {
            tokio::time::sleep(pause).await;
            let result = run(&registry, move |connector| async move {
                check_endpoint(&*connector, &settings).await
            });
            let result = result.await;
            let endpoint = address;
            health.do_send(EndpointChecked { endpoint, result });
        });
    }

    /// Something answers: everybody who waited tries again, spread over a moment.
    fn answered(&mut self, waiting: HashSet<Arc<str>>, ctx: &mut Context<Self>) {
        let spread = (SPREAD_PER_POOL * waiting.len() as u32).min(MAX_SPREAD);
        let is_alone = waiting.len() == 1;
        for database in waiting {
            let after = match is_alone {
                true => Duration::ZERO,
                false => spread.mul_f64(fastrand::f64()),
            };
            self.try_again(&database, after, ctx);
        }
    }

    fn try_again(&mut self, database: &Arc<str>, after: Duration, ctx: &mut Context<Self>) {
        let Some(patient) = self.patients.get(database) else {
            return;
        };
        if !patient.wants_dial {
            return self.probe(database, ctx);
        }
        if let Some(pool) = &*patient.dispatcher.pool.load() {
            pool.redial.do_send(RedialOrder { after });
        }
    }

    /// Opens a connection of its own to the database and closes it again. It never queues behind
    /// commands, and it is bounded in time as every dial is.
    fn probe(&mut self, database: &Arc<str>, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let Some(patient) = self.patients.get_mut(database) else {
            return;
        };
        if patient.is_probed {
            return;
        }
        patient.is_probed = true;
        let settings = patient.dispatcher.settings.clone();
        patient.next_check = now + patient.check_interval();
        let pause = patient.breaker_pause(now);
        let epoch = patient.epoch();
        let registry = self.registry.clone();
        let health = ctx.address();
        let database = database.clone();
        actix_rt::spawn(async move {
            tokio::time::sleep(pause).await;
            let result = run(&registry, move |connector| async move {
                dial_once(&*connector, &settings).await
            });
            let result = result.await;
            health.do_send(Probed {
                database,
                epoch,
                result,
            });
        });
    }

    fn check_due(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let is_due = |it: &&Patient| it.next_check <= now && !it.wants_dial;
        let due = self.patients.values().filter(is_due);
        let due: Vec<_> = due.map(|it| it.dispatcher.name()).collect();
        for database in due {
            self.probe(&database, ctx);
        }
    }

    /// Looks at how the calls of late have gone.
    fn observe(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let patients = self.patients.values_mut();
        let opened = patients.filter_map(|it| it.observe(now).then(|| it.dispatcher.name()));
        for database in opened.collect::<Vec<_>>() {
            self.wait_if_open(&database, ctx);
            self.publish(&database);
        }
    }

    fn publish(&self, database: &Arc<str>) {
        if let Some(patient) = self.patients.get(database) {
            self.registry.hub.publish(patient.change(Instant::now()));
        }
    }
}

impl Endpoint {
    fn new() -> Self {
        Self {
            redial: Backoff::default(),
            waiting: HashSet::new(),
            next_check: None,
        }
    }
}

impl Actor for HealthActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for patient in self.patients.values() {
            self.registry.hub.publish(patient.change(Instant::now()));
            // After a restart of this actor a pool may wait for an order that the predecessor owed it.
            let waits = patient.dispatcher.dial_error.load().is_some();
            if let (true, Some(pool)) = (waits, &*patient.dispatcher.pool.load()) {
                let after = Duration::ZERO;
                pool.redial.do_send(RedialOrder { after });
            }
        }
        ctx.run_interval(TICK, |health, ctx| {
            health.observe(ctx);
            health.check_due(ctx);
        });
    }
}

impl Handler<Report> for HealthActor {
    type Result = ();

    fn handle(&mut self, report: Report, ctx: &mut Self::Context) {
        self.heard(&report.database, report.news, ctx);
    }
}

impl Handler<Operate> for HealthActor {
    type Result = ();

    fn handle(&mut self, operate: Operate, ctx: &mut Self::Context) {
        let Some(patient) = self.patients.get_mut(&operate.database) else {
            return;
        };
        match operate.operation {
            Operation::Isolate => patient.isolate(),
            Operation::Reset => patient.reset(Instant::now()),
        }
        self.publish(&operate.database);
        // A pool that was told to wait need not, and what was said to be well may be ill.
        self.try_again(&operate.database, Duration::ZERO, ctx);
    }
}

impl Handler<EndpointChecked> for HealthActor {
    type Result = ();

    fn handle(&mut self, checked: EndpointChecked, ctx: &mut Self::Context) {
        let Some(endpoint) = self.endpoints.get_mut(&checked.endpoint) else {
            return;
        };
        endpoint.next_check = None;
        let error = match checked.result {
            Ok(()) => {
                let waiting = std::mem::take(&mut endpoint.waiting);
                return self.answered(waiting, ctx);
            }
            Err(error) => error,
        };
        let waiting: Vec<_> = endpoint.waiting.iter().cloned().collect();
        for database in &waiting {
            if let Some(patient) = self.patients.get_mut(database) {
                let cause = patient.explain(&error);
                patient.attempt_failed(error.reason(), cause, Instant::now());
            }
        }
        // First, because it decides when the next probe is due.
        self.check_endpoint(checked.endpoint, ctx);
        for database in waiting {
            self.publish(&database);
        }
    }
}

impl Handler<Probed> for HealthActor {
    type Result = ();

    fn handle(&mut self, probed: Probed, ctx: &mut Self::Context) {
        let database = probed.database;
        let Some(patient) = self.patients.get_mut(&database) else {
            return;
        };
        patient.is_probed = false;
        let now = Instant::now();
        match probed.result {
            // The circuit has changed since: it takes a new probe to say anything about it.
            _ if !patient.is_current(probed.epoch) => match patient.circuit() {
                CircuitState::HalfOpen => self.probe(&database, ctx),
                CircuitState::Open => self.wait(&database, ctx),
                CircuitState::Closed if patient.wants_dial => self.wait(&database, ctx),
                CircuitState::Closed if patient.is_ill() => self.probe(&database, ctx),
                CircuitState::Closed => {}
            },
            Ok(seen) => {
                patient.reached(seen, now);
                self.reached(&database, ctx);
            }
            Err(error) => {
                let cause = patient.explain(&error);
                patient.attempt_failed(error.reason(), cause, now);
                self.wait(&database, ctx);
            }
        }
        self.publish(&database);
    }
}

async fn dial_once(
    connector: &dyn Connector,
    settings: &DatabaseSettings,
) -> Result<Seen, DialError> {
    // Dropping what was established closes it.
    dial(connector, settings, WhileLoading::Report)
        .await
        .map(|established| established.seen)
}

/// Runs a task of a connection's kind where connections run, and survives the end of that runtime.
async fn run<F, T, R>(registry: &Registry, task: F) -> Result<R, DialError>
where
    F: FnOnce(Arc<dyn Connector>) -> T,
    T: Future<Output = Result<R, DialError>> + Send + 'static,
    R: Send + 'static,
{
    let task = registry.until_stopped(task(registry.connector.clone()));
    match registry.executor.spawn(task) {
        Ok(task) => match task.await {
            Ok(result) => result.unwrap_or(Err(DialError::Cancelled)),
            Err(error) => Err(ended(&registry.executor, &error)),
        },
        Err(error) => Err(DialError::Spawn(Arc::new(error))),
    }
}

fn ended(executor: &Executor, error: &JoinError) -> DialError {
    executor.leave_caller();
    match error.is_panic() {
        true => DialError::Panicked,
        false => DialError::Cancelled,
    }
}
