//! The health actor. It hands events to the machines of [`policy::health`](crate::policy::health), and
//! carries their actions out.

mod checking;
mod recovery;
mod tasks;
mod watched;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::{sync::oneshot, time::Instant};

use self::watched::{Endpoints, Watched, fault, greeting};
use super::exit_guard::ExitGuard;
use crate::{
    config::Address,
    health_check::Answers,
    identity::DatabaseId,
    messages::{
        Asked, EndpointChecked, Evidence, Operate, Operation, Probed, Reconfigured, RecoveryEnded,
        Report,
    },
    net::DialError,
    policy::health::Event,
    registry::Registry,
    state::DatabaseState,
};

/// How often the counters are looked at, and due checks are looked for.
const TICK: Duration = Duration::from_millis(250);

pub(super) struct HealthActor {
    registry: Arc<Registry>,
    databases: HashMap<DatabaseId, Watched>,
    endpoints: Endpoints,
    /// The callers of each health check that is under way.
    checks: HashMap<DatabaseId, Vec<oneshot::Sender<Answers>>>,
    // Never read: it reports the end of this actor when it is dropped.
    _guard: ExitGuard,
}

impl HealthActor {
    pub(super) fn new(registry: Arc<Registry>, guard: ExitGuard) -> Self {
        let databases = registry.states().into_iter();
        Self {
            databases: databases
                .map(|database| (database.id.clone(), Watched::new(database)))
                .collect(),
            endpoints: HashMap::new(),
            checks: HashMap::new(),
            registry,
            _guard: guard,
        }
    }

    /// Hands an event to the machine of one database, and carries out its actions.
    fn turn(
        &mut self,
        database: &DatabaseId,
        event: impl FnOnce(&DatabaseState) -> Event,
        ctx: &mut Context<Self>,
    ) {
        if let Some(watched) = self.databases.get_mut(database) {
            watched.on(event(&watched.database));
            watched.settle(&mut self.endpoints, &self.registry, ctx);
        }
    }

    /// Hands an event to the machines of all databases, and carries out their actions.
    fn turn_all(&mut self, event: impl Fn(&mut Watched), ctx: &mut Context<Self>) {
        for watched in self.databases.values_mut() {
            event(watched);
            watched.settle(&mut self.endpoints, &self.registry, ctx);
        }
    }

    fn on_report(&mut self, database: &DatabaseId, evidence: Evidence, ctx: &mut Context<Self>) {
        let event = |database: &DatabaseState| match evidence {
            Evidence::Connected(seen) => Event::Connected(greeting(seen)),
            Evidence::DialFailed(error) => Event::DialFailed(fault(database, &error)),
            Evidence::LoginFailed(error) => Event::LoginFailed(fault(database, &error)),
            Evidence::ConnectionLost(loss) => Event::ConnectionLost(loss.to_string().into()),
            Evidence::CommandFailed { epoch, reason } => Event::CommandFailed { epoch, reason },
            Evidence::CommandSucceeded => Event::CommandSucceeded,
            Evidence::CommandRefused { reason } => Event::CommandRefused(reason),
            Evidence::TrialSucceeded { epoch } => Event::TrialSucceeded { epoch },
            Evidence::Shards(shards) => Event::Shards(shards),
            Evidence::Restarted => Event::Restarted,
            Evidence::GivenUp => Event::GivenUp,
        };
        self.turn(database, event, ctx);
    }

    /// The endpoint did not answer. It is checked again, with the settings of the first database that waits.
    fn endpoint_failed(&mut self, address: &Address, error: &DialError, ctx: &mut Context<Self>) {
        let Some(endpoint) = self.endpoints.get_mut(address) else {
            return;
        };
        let now = Instant::now().into_std();
        let Some(pause) = endpoint.failed(now, fastrand::f64()) else {
            // Asked about by none any more.
            self.endpoints.remove(address);
            return;
        };
        let waiting: Vec<_> = endpoint.waiting().cloned().collect();
        // Its settings may be wrong, and those of others right.
        let one = waiting.get(fastrand::usize(..waiting.len().max(1)));
        if let Some(one) = one.and_then(|id| self.databases.get(id)) {
            one.check(pause, &self.registry, ctx);
        }
        let next_check = now + pause;
        for id in waiting {
            let event = |database: &DatabaseState| Event::EndpointFailed {
                fault: fault(database, error),
                next_check,
            };
            self.turn(&id, event, ctx);
        }
    }

    fn endpoint_answered(&mut self, address: &Address, ctx: &mut Context<Self>) {
        let Some(endpoint) = self.endpoints.get_mut(address) else {
            return;
        };
        let answered: Vec<_> = endpoint.answered(fastrand::f64).collect();
        for (id, after) in answered {
            self.turn(&id, |_| Event::EndpointAnswered { after }, ctx);
        }
    }
}

impl Actor for HealthActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.turn_all(|watched| watched.make_up(), ctx);
        ctx.run_interval(TICK, |health, ctx| health.turn_all(Watched::look, ctx));
    }
}

impl Handler<Reconfigured> for HealthActor {
    type Result = ();

    /// Only what has changed is touched, so that none of a thousand databases waits for another's change.
    fn handle(&mut self, _: Reconfigured, ctx: &mut Self::Context) {
        let endpoints = &mut self.endpoints;
        self.databases.retain(|_, watched| {
            let stays = !watched.database.is_removed();
            if !stays {
                watched.leave_endpoint(endpoints);
            }
            stays
        });
        for database in self.registry.states() {
            let watched = self.databases.entry(database.id.clone());
            let watched = watched.or_insert_with(|| Watched::new(database));
            if watched.reconfigure(&mut self.endpoints) {
                watched.settle(&mut self.endpoints, &self.registry, ctx);
            }
        }
        let addresses = self.databases.values().map(Watched::address);
        let addresses: HashSet<_> = addresses.collect();
        self.endpoints
            .retain(|address, endpoint| !endpoint.is_idle() || addresses.contains(address));
    }
}

impl Handler<Report> for HealthActor {
    type Result = ();

    fn handle(&mut self, report: Report, ctx: &mut Self::Context) {
        self.on_report(&report.database, report.evidence, ctx);
    }
}

impl Handler<Operate> for HealthActor {
    type Result = ();

    fn handle(&mut self, operate: Operate, ctx: &mut Self::Context) {
        let event = match operate.operation {
            Operation::Isolate => Event::Isolate,
            Operation::Reset => Event::Reset,
        };
        self.turn(&operate.database, |_| event, ctx);
    }
}

impl Handler<EndpointChecked> for HealthActor {
    type Result = ();

    fn handle(&mut self, checked: EndpointChecked, ctx: &mut Self::Context) {
        match checked.result {
            Ok(()) => self.endpoint_answered(&checked.endpoint, ctx),
            Err(error) => self.endpoint_failed(&checked.endpoint, &error, ctx),
        }
    }
}

impl Handler<Asked> for HealthActor {
    type Result = ();

    fn handle(&mut self, asked: Asked, ctx: &mut Self::Context) {
        let event = Event::Asked {
            epoch: asked.epoch,
            has_answered: asked.has_answered,
        };
        self.turn(&asked.database, |_| event, ctx);
    }
}

impl Handler<RecoveryEnded> for HealthActor {
    type Result = ();

    fn handle(&mut self, ended: RecoveryEnded, ctx: &mut Self::Context) {
        let event = |_: &DatabaseState| match ended.recovery {
            Some(recovery) => Event::Recovered(recovery),
            None => Event::RecoveryFailed,
        };
        self.turn(&ended.database, event, ctx);
    }
}

impl Handler<Probed> for HealthActor {
    type Result = ();

    fn handle(&mut self, probed: Probed, ctx: &mut Self::Context) {
        let (epoch, result) = (probed.epoch, probed.result);
        if let Some(database) = self.registry.state(&probed.database) {
            self.registry.log_certificates(&database);
        }
        let event = |database: &DatabaseState| Event::Probed {
            epoch,
            result: result
                .map(greeting)
                .map_err(|error| fault(database, &error)),
        };
        self.turn(&probed.database, event, ctx);
    }
}
