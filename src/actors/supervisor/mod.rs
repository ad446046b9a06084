//! The supervisor: starts the other actors in order, restarts them after a crash, and stops everything.

mod applying;
mod children;
mod operating;
mod parts;
mod stopping;
mod watching;

use std::{collections::HashMap, sync::Arc};

use actix::{Actor, Addr, Context, Handler, ResponseFuture};
use tokio::{sync::oneshot, task::JoinHandle};

use self::applying::Leaving;
use super::{
    clusters::ClustersActor, health::HealthActor, janitor::JanitorActor, pool::PoolActor,
    readiness, relay::RelayActor, replicas::ReplicasActor, sentinels::SentinelsActor,
    subscribers::SubscribersActor,
};
use crate::{
    error::Error,
    identity::DatabaseId,
    lifeline::ShutdownReport,
    messages::{AwaitReady, Child, Subscribe, SupervisorLink, SweepAll},
    policy::restarts::Restarts,
    registry::Registry,
};

/// The root of the control plane, and the only actor that knows the types of the other actors.
pub(crate) struct SupervisorActor {
    registry: Arc<Registry>,
    // Kept, because an actor ends when its last address is dropped.
    pub(super) health: Option<Addr<HealthActor>>,
    pub(super) janitor: Option<Addr<JanitorActor>>,
    pub(super) sentinels: Option<Addr<SentinelsActor>>,
    pub(super) replicas: Option<Addr<ReplicasActor>>,
    pub(super) clusters: Option<Addr<ClustersActor>>,
    pub(super) subscribers: Option<Addr<SubscribersActor>>,
    pub(super) pools: HashMap<DatabaseId, Addr<PoolActor>>,
    pub(super) relays: HashMap<DatabaseId, Addr<RelayActor>>,
    pub(super) leaving: Vec<Leaving>,
    restarts: HashMap<Child, Restarts>,
    /// Tasks that hand events to recipients.
    deliveries: Vec<JoinHandle<()>>,
    stopped: Option<oneshot::Sender<ShutdownReport>>,
    is_stopping: bool,
}

impl SupervisorActor {
    /// Starts the supervisor and its children. The receiver gets the report of a shutdown once everything
    /// has stopped.
    pub(crate) fn launch(
        registry: Arc<Registry>,
    ) -> (SupervisorLink, oneshot::Receiver<ShutdownReport>) {
        let (stopped, end) = oneshot::channel();
        let address = Self::create_with(registry, stopped);
        let link = SupervisorLink {
            ready: address.clone().recipient(),
            subscribe: address.clone().recipient(),
            check: address.clone().recipient(),
            replicate: address.clone().recipient(),
            operate: address.clone().recipient(),
            revive: address.clone().recipient(),
            apply: address.clone().recipient(),
            watch: address.clone().recipient(),
            sweep: address.clone().recipient(),
            shutdown: address.recipient(),
        };
        (link, end)
    }

    /// Children have their addresses before this returns, so that no handle can send too early.
    pub(super) fn create_with(
        registry: Arc<Registry>,
        stopped: oneshot::Sender<ShutdownReport>,
    ) -> Addr<Self> {
        Self::create(|ctx| {
            let mut supervisor = Self {
                registry,
                health: None,
                janitor: None,
                sentinels: None,
                replicas: None,
                clusters: None,
                subscribers: None,
                pools: HashMap::new(),
                relays: HashMap::new(),
                leaving: Vec::new(),
                restarts: HashMap::new(),
                deliveries: Vec::new(),
                stopped: Some(stopped),
                is_stopping: false,
            };
            supervisor.start_children(ctx);
            supervisor
        })
    }
}

impl Actor for SupervisorActor {
    type Context = Context<Self>;
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

impl Handler<Subscribe> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, Subscribe(recipient): Subscribe, _: &mut Self::Context) {
        let mut events = self.registry.hub.subscribe();
        self.deliveries.retain(|delivery| !delivery.is_finished());
        self.deliveries.push(actix_rt::spawn(async move {
            // A recipient whose mailbox is full makes this task wait. The stream treats it as any slow
            // subscriber. The task ends with the recipient.
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
                // A janitor that has just crashed is restarted, and sweeps after its interval.
                Some(swept) => swept.await.unwrap_or_default(),
                None => 0,
            }
        })
    }
}
