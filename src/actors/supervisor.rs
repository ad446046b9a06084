//! The supervisor: starts the other actors in order, starts those that crash again, and stops
//! everything.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use actix::{Actor, Addr, AsyncContext, Context, Handler, ResponseFuture};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    guard::ExitGuard, health::HealthActor, janitor::JanitorActor, pool::PoolActor, readiness,
};
use crate::{
    config::MAX_WAIT,
    error::Error,
    lifeline::ShutdownReport,
    messages::{
        AwaitReady, Child, ChildExited, Drain, Evidence, Operate, Operation, Revive, Shutdown,
        Subscribe, SweepAll,
    },
    messages::{PoolLink, SupervisorLink},
    policy::gate_state::GateState,
    policy::restarts::{Decision, Restarts},
    registry::Registry,
    state::DatabaseState,
    state::{Counters, count},
};

/// The pause before an actor that nothing works without is started again after repeated crashes.
const LONG_PAUSE: Duration = Duration::from_secs(10);
/// How long a shutdown waits for recipients to take the last health events.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(1);

/// The root of the control plane, and the only actor that knows the types of the others.
pub(crate) struct SupervisorActor {
    registry: Arc<Registry>,
    // Kept, because an actor ends when nobody holds its address.
    pub(super) health: Option<Addr<HealthActor>>,
    pub(super) janitor: Option<Addr<JanitorActor>>,
    pub(super) pools: HashMap<Arc<str>, Addr<PoolActor>>,
    restarts: HashMap<Child, Restarts>,
    /// Tasks that hand events to recipients.
    deliveries: Vec<JoinHandle<()>>,
    stopped: Option<oneshot::Sender<ShutdownReport>>,
    is_stopping: bool,
}

impl SupervisorActor {
    /// Starts the supervisor and its children. What a shutdown found is sent when everything has
    /// stopped.
    pub(crate) fn launch(
        registry: Arc<Registry>,
    ) -> (SupervisorLink, oneshot::Receiver<ShutdownReport>) {
        let (stopped, end) = oneshot::channel();
        let address = Self::create_with(registry, stopped);
        let link = SupervisorLink {
            ready: address.clone().recipient(),
            subscribe: address.clone().recipient(),
            operate: address.clone().recipient(),
            revive: address.clone().recipient(),
            sweep: address.clone().recipient(),
            shutdown: address.recipient(),
        };
        (link, end)
    }

    /// Children have their addresses before this returns, so that no handle can come too early.
    pub(super) fn create_with(
        registry: Arc<Registry>,
        stopped: oneshot::Sender<ShutdownReport>,
    ) -> Addr<Self> {
        Self::create(|ctx| {
            let mut supervisor = Self {
                registry,
                health: None,
                janitor: None,
                pools: HashMap::new(),
                restarts: HashMap::new(),
                deliveries: Vec::new(),
                stopped: Some(stopped),
                is_stopping: false,
            };
            supervisor.start_children(ctx);
            supervisor
        })
    }

    /// Pools first, because the others send to them.
    fn start_children(&mut self, ctx: &mut Context<Self>) {
        for state in self.registry.states() {
            self.start_pool(&state, ctx);
        }
        self.start_health(ctx);
        self.start_janitor(ctx);
    }

    fn start_pool(&mut self, state: &Arc<DatabaseState>, ctx: &mut Context<Self>) {
        let name = state.name();
        let guard = ExitGuard::new(Child::Pool(name.clone()), ctx.address().recipient());
        let pool = PoolActor::new(state.clone(), self.registry.clone(), guard).start();
        state.pool.store(Some(Arc::new(PoolLink {
            execute: pool.clone().recipient(),
            park: pool.clone().recipient(),
            acquire: pool.clone().recipient(),
            redial: pool.clone().recipient(),
            retire: pool.clone().recipient(),
            sweep: pool.clone().recipient(),
        })));
        self.pools.insert(name, pool);
    }

    fn start_health(&mut self, ctx: &mut Context<Self>) {
        let guard = ExitGuard::new(Child::Health, ctx.address().recipient());
        let health = HealthActor::new(self.registry.clone(), guard).start();
        for state in self.registry.states() {
            let reports = health.clone().recipient();
            state.health.store(Some(Arc::new(reports)));
        }
        self.health = Some(health);
    }

    fn start_janitor(&mut self, ctx: &mut Context<Self>) {
        let janitor = JanitorActor {
            registry: self.registry.clone(),
            _guard: ExitGuard::new(Child::Janitor, ctx.address().recipient()),
        };
        self.janitor = Some(janitor.start());
    }

    fn restart(&mut self, child: &Child, ctx: &mut Context<Self>) {
        if self.is_stopping {
            return;
        }
        match child {
            Child::Health => self.start_health(ctx),
            Child::Janitor => self.start_janitor(ctx),
            Child::Pool(name) => {
                let state = self.registry.databases.get(name);
                if let Some(state) = state.map(|it| it.value().clone()) {
                    count(&state.counters.restarts);
                    self.start_pool(&state, ctx);
                    state.report(Evidence::Restarted);
                }
            }
        }
    }

    /// A pool that crashes again and again is left alone, and its database fails for good.
    fn give_up(&self, name: &str) {
        tracing::error!(
            database = name,
            "its pool crashes repeatedly, and is given up"
        );
        if let Some(state) = self.registry.databases.get(name) {
            state.gate.set(GateState::Failed);
            state.routes.store(None);
            state.counters.parked.store(0, Relaxed);
            state.counters.waiting.store(0, Relaxed);
            state.report(Evidence::GivenUp);
        }
    }

    /// Closes the gates, lets every pool finish, and ends the rest.
    fn shut_down(&mut self, grace: Duration) {
        self.is_stopping = true;
        let states = self.registry.states();
        for state in &states {
            state.gate.set(GateState::ShuttingDown);
        }
        let before = ended(&states);
        let in_flight = states.iter().map(|it| it.in_flight.now().0 as u64);
        let under_way: u64 = in_flight.sum();
        let deadline = Instant::now() + grace.min(MAX_WAIT);
        let pools = self.pools.values();
        let drains: Vec<_> = pools.map(|pool| pool.send(Drain { deadline })).collect();
        let registry = self.registry.clone();
        let stopped = self.stopped.take();
        let deliveries = std::mem::take(&mut self.deliveries);
        actix_rt::spawn(async move {
            for drain in drains {
                // A pool that crashes meanwhile has told its callers.
                let _ = drain.await;
            }
            registry.stop_tasks().await;
            registry.close();
            deliver(deliveries).await;
            let after = ended(&states);
            let report = ShutdownReport {
                // Counts are added in batches, so some may be of commands that ended before.
                completed: under_way.min(after.completed - before.completed),
                unfinished: after.unfinished - before.unfinished,
            };
            if let Some(stopped) = stopped {
                // The thread waits for this, unless it has panicked.
                let _ = stopped.send(report);
            }
        });
    }
}

impl Actor for SupervisorActor {
    type Context = Context<Self>;
}

impl Handler<ChildExited> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, ChildExited(child): ChildExited, ctx: &mut Self::Context) {
        if self.is_stopping {
            return;
        }
        let restarts = self.restarts.entry(child.clone()).or_default();
        match restarts.crashed(Instant::now().into_std()) {
            Decision::RestartAfter(pause) => {
                tracing::warn!(?child, ?pause, "crashed, and is started again");
                ctx.run_later(pause, move |supervisor, ctx| {
                    supervisor.restart(&child, ctx)
                });
            }
            Decision::GiveUp => match &child {
                Child::Pool(name) => self.give_up(name),
                // Without them circuits would stay as they are, for all databases and for good.
                Child::Health | Child::Janitor => {
                    tracing::error!(?child, "crashes repeatedly, and is started again later");
                    ctx.run_later(LONG_PAUSE, move |supervisor, ctx| {
                        supervisor.restart(&child, ctx);
                    });
                }
            },
        }
    }
}

impl Handler<AwaitReady> for SupervisorActor {
    type Result = ResponseFuture<Result<(), Error>>;

    fn handle(&mut self, message: AwaitReady, _: &mut Self::Context) -> Self::Result {
        Box::pin(readiness::until_ready(
            self.registry.clone(),
            message.within,
        ))
    }
}

impl Handler<Operate> for SupervisorActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, operate: Operate, _: &mut Self::Context) -> Self::Result {
        if let Some(state) = self.registry.databases.get(&operate.database) {
            let isolates = matches!(operate.operation, Operation::Isolate);
            state.is_isolated.store(isolates, Relaxed);
            // The health actor does it, too. If it has just crashed, its successor finds it done.
            if state.gate.state() != GateState::Failed {
                state.gate.set(unless_isolated(&state));
            }
        }
        let operated = self.health.as_ref().map(|health| health.send(operate));
        Box::pin(async move {
            if let Some(operated) = operated {
                // An error says that there is a successor, or will be.
                let _ = operated.await;
            }
        })
    }
}

impl Handler<Revive> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, Revive(database): Revive, ctx: &mut Self::Context) {
        let state = self.registry.databases.get(&database);
        let Some(state) = state.map(|it| it.value().clone()) else {
            return;
        };
        if state.gate.state() == GateState::Failed {
            // Also for a health actor that is just being started again itself.
            state.gate.set(unless_isolated(&state));
            let child = Child::Pool(database);
            self.restarts.remove(&child);
            self.restart(&child, ctx);
        }
    }
}

impl Handler<Subscribe> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, Subscribe(recipient): Subscribe, _: &mut Self::Context) {
        let mut events = self.registry.hub.subscribe();
        self.deliveries.retain(|delivery| !delivery.is_finished());
        self.deliveries.push(actix_rt::spawn(async move {
            // Waiting for room in the recipient's mailbox is what makes it a slow subscriber, and
            // the stream deals with those. It ends with the recipient.
            while let Some(event) = events.next().await {
                if recipient.send(event).await.is_err() {
                    break;
                }
            }
        }));
    }
}

impl Handler<SweepAll> for SupervisorActor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: SweepAll, _: &mut Self::Context) -> Self::Result {
        let swept = self.janitor.as_ref().map(|janitor| janitor.send(SweepAll));
        Box::pin(async move {
            match swept {
                // A janitor that has just crashed is started again, and sweeps at its time.
                Some(swept) => swept.await.unwrap_or_default(),
                None => 0,
            }
        })
    }
}

impl Handler<Shutdown> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, message: Shutdown, _: &mut Self::Context) {
        if !self.is_stopping {
            self.shut_down(message.grace);
        }
    }
}

fn unless_isolated(state: &DatabaseState) -> GateState {
    match state.is_isolated.load(Relaxed) {
        true => GateState::Isolated,
        false => GateState::Free,
    }
}

/// Waits until the recipients have the last events, unless they are too slow.
async fn deliver(deliveries: Vec<JoinHandle<()>>) {
    let all = async {
        for delivery in deliveries {
            // An error says that it has ended, which is what is waited for.
            let _ = delivery.await;
        }
    };
    if timeout(DELIVERY_PATIENCE, all).await.is_err() {
        tracing::warn!("a recipient of health events has not taken the last ones");
    }
}

/// How the commands of all databases have ended so far.
fn ended(states: &[Arc<DatabaseState>]) -> ShutdownReport {
    let sum = |counters: fn(&Counters) -> [&AtomicU64; 2]| {
        let counters = states.iter().flat_map(|it| counters(&it.counters));
        counters.map(|counter| counter.load(Relaxed)).sum()
    };
    ShutdownReport {
        completed: sum(|it| [&it.succeeded, &it.error_replies]),
        unfinished: sum(|it| [&it.timed_out, &it.lost]),
    }
}
