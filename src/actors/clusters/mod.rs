//! The clusters actor: learns the nodes of each cluster from some of them, and has a database for each that serves keys.
//!
//! - this file: the actor · `followed`: what it knows of one cluster · `survey`: the questions to the nodes

mod followed;
mod survey;

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use tokio::time::Instant;

use self::{followed::Followed, survey::Answers};
use super::exit_guard::ExitGuard;
use crate::{
    config::{Address, ClusterSeeds},
    identity::DatabaseId,
    messages::{Evidence, HaveNodes, Reconfigured, Survey},
    policy::cluster::Shards,
    registry::Registry,
};

/// How often the nodes are looked at from here, without a question to any of them.
const TICK: Duration = Duration::from_millis(250);

pub(super) struct ClustersActor {
    registry: Arc<Registry>,
    supervisor: Recipient<HaveNodes>,
    followed: HashMap<DatabaseId, Followed>,
    alarm: Option<SpawnHandle>,
    // Never read: it reports the end of this actor when it is dropped.
    _guard: ExitGuard,
}

/// What nodes have said of their cluster.
#[derive(Message)]
#[rtype(result = "()")]
struct Surveyed {
    cluster: DatabaseId,
    /// The cluster that was asked.
    seeds: Arc<ClusterSeeds>,
    answers: Answers,
    asked: Instant,
    took: Duration,
}

impl ClustersActor {
    pub(super) fn new(
        registry: Arc<Registry>,
        supervisor: Recipient<HaveNodes>,
        guard: ExitGuard,
    ) -> Self {
        Self {
            registry,
            supervisor,
            followed: HashMap::new(),
            alarm: None,
            _guard: guard,
        }
    }

    /// Follows the clusters that there are, and no others.
    fn compare(&mut self) {
        let mut present = HashMap::new();
        for database in self.registry.configured() {
            let settings = database.settings.share();
            let before = self.followed.remove(&database.id);
            match &settings.address {
                Address::Cluster(seeds) => {
                    let is_same = |before: &Followed| before.seeds == *seeds;
                    let followed = before.filter(is_same);
                    let followed = followed.unwrap_or_else(|| Followed::new(&database, seeds));
                    present.insert(database.id.clone(), followed);
                }
                // It was a cluster before.
                _ => {
                    if before.is_some() {
                        self.supervisor.do_send(HaveNodes {
                            of: database.id.clone(),
                            nodes: Vec::new(),
                            owners: Vec::new(),
                            serving: 0,
                            replicas: Vec::new(),
                            trouble: None,
                            endpoint: settings.address.clone(),
                            asked: Instant::now(),
                        });
                        database.report(Evidence::Shards(Shards::Whole));
                    }
                }
            }
        }
        let seeds: Vec<_> = present
            .values()
            .map(|followed| followed.seeds.clone())
            .collect();
        self.registry
            .services
            .nodes
            .retain(|known| seeds.contains(known));
        self.followed = present;
    }

    /// Looks at all clusters, asks the nodes of those where that is due, and comes back in time.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let mut next = None;
        for followed in self.followed.values_mut() {
            let due = followed.look(now, ctx);
            let due = due.unwrap_or(now + TICK).min(now + TICK);
            next = Some(next.map_or(due, |next: Instant| next.min(due)));
        }
        if let Some(alarm) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        if let Some(next) = next {
            // The clock of timers is that of milliseconds.
            let pause = (next - now).max(Duration::from_millis(1));
            self.alarm = Some(ctx.run_later(pause, Self::look));
        }
    }
}

impl Actor for ClustersActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.compare();
        self.look(ctx);
    }
}

impl Handler<Reconfigured> for ClustersActor {
    type Result = ();

    fn handle(&mut self, _: Reconfigured, ctx: &mut Self::Context) {
        self.compare();
        self.look(ctx);
    }
}

impl Handler<Survey> for ClustersActor {
    type Result = ();

    fn handle(&mut self, Survey { of, sought }: Survey, ctx: &mut Self::Context) {
        if let Some(followed) = self.followed.get_mut(&of)
            && followed.wanted(sought)
        {
            self.look(ctx);
        }
    }
}

impl Handler<Surveyed> for ClustersActor {
    type Result = ();

    fn handle(&mut self, surveyed: Surveyed, ctx: &mut Self::Context) {
        if let Some(followed) = self.followed.get_mut(&surveyed.cluster)
            && followed.seeds == surveyed.seeds
        {
            followed.surveyed(surveyed, &self.registry, &self.supervisor);
        }
        self.look(ctx);
    }
}
