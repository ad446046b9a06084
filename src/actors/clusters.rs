//! The clusters actor: learns the nodes of each cluster from some of them, and has a database for each that serves keys.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, Release},
    },
    time::Duration,
};

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::{Value, cmd};
use tokio::time::{Instant, timeout_at};

use super::exit_guard::ExitGuard;
use crate::{
    config::{Address, ClusterSeeds, DatabaseSettings},
    identity::DatabaseId,
    messages::{Evidence, HaveNodes, Reconfigured, Retire, Survey},
    net::{Mailbox, Reply, has_primary, put_question, read_epoch, read_slots},
    policy::cluster::{Asking, Shards, Told, Topology, agreed},
    registry::Registry,
    state::{DatabaseState, SlotTable},
};

/// How often the nodes are looked at from here, without a question to any of them.
const TICK: Duration = Duration::from_millis(250);
/// So many nodes are asked at a time.
const ASKED: usize = 3;
/// The same while a part of the cluster is down, and they are asked often.
const ASKED_OFTEN: usize = 2;
/// A node that does not answer for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Once a node has answered, the others get so long, or twice as long as that one took.
const SHORT_PATIENCE: Duration = Duration::from_millis(20);
/// So many nodes are sought at a time. More are named only by one that makes them up.
const MOST_SOUGHT: usize = 64;
/// After so long without an answer of this epoch, one of an earlier epoch is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(10);
/// A node that none confirms is sought for so long.
const SOUGHT_FOR: Duration = Duration::from_secs(5);
/// A node without slots is kept for so long after another one has sent a command there.
const EXTRA_FOR: Duration = Duration::from_secs(60);

pub(super) struct ClustersActor {
    registry: Arc<Registry>,
    supervisor: Recipient<HaveNodes>,
    followed: HashMap<DatabaseId, Followed>,
    alarm: Option<SpawnHandle>,
    // Never read: it reports the end of this actor when it is dropped.
    _guard: ExitGuard,
}

/// A cluster whose nodes are known, or will be.
struct Followed {
    database: Arc<DatabaseState>,
    seeds: Arc<ClusterSeeds>,
    asking: Asking,
    /// What was told last, and the settings from which its nodes were made.
    made_from: Option<(Topology<Address>, Arc<DatabaseSettings>)>,
    /// The epoch of that, and when it was told.
    believed: (u64, Instant),
    /// Nodes that others have named and that are not known, and until when they are looked for.
    sought: Vec<(Address, Instant)>,
    /// Nodes without slots that were found in this way, and until when they are kept.
    extra: Vec<(Address, Instant)>,
}

/// What nodes have said of their cluster.
#[derive(Message)]
#[rtype(result = "()")]
struct Surveyed {
    cluster: DatabaseId,
    /// The cluster that was asked.
    seeds: Arc<ClusterSeeds>,
    /// What each of those who answered has told, or why it has not.
    told: Vec<Result<Told<Address>, String>>,
    /// The nodes that were sought, and that others know.
    found: Vec<Address>,
    took: Duration,
}

/// A node to ask: the way to it, and where that leads.
type Place = (Mailbox, Address);

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
                            trouble: None,
                            endpoint: settings.address.clone(),
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

impl Followed {
    fn new(database: &Arc<DatabaseState>, seeds: &Arc<ClusterSeeds>) -> Self {
        // A predecessor may not have come to it.
        database.cluster.is_asked.store(false, Release);
        Self {
            database: database.clone(),
            seeds: seeds.clone(),
            asking: Asking::new(Instant::now().into_std()),
            made_from: None,
            believed: (0, Instant::now()),
            sought: Vec::new(),
            extra: Vec::new(),
        }
    }

    /// Tells the health of the cluster, and asks its nodes if that is due. Returns when it is due next.
    fn look(&mut self, now: Instant, ctx: &mut Context<ClustersActor>) -> Option<Instant> {
        let table = self.database.cluster.table.present().clone();
        let is_made_anew = self
            .made_from
            .as_ref()
            .is_some_and(|(_, settings)| !Arc::ptr_eq(settings, &self.database.settings.share()));
        if is_made_anew {
            self.asking.wanted(now.into_std());
        }
        let is_whole = table.as_ref().is_some_and(|table| {
            let mut serving = table.serving();
            table.unserved().is_empty() && serving.all(|node| node.is_reachable())
        });
        self.asking.seen(is_whole, now.into_std());
        self.database.report(Evidence::Shards(match &table {
            None => Shards::Unknown,
            Some(table) => shards(table),
        }));
        if !self.has_place(table.as_deref()) {
            // The control connection will be there in a moment, or nothing is.
            return Some(now + Duration::from_millis(5));
        }
        if self.asking.begin(now.into_std()) {
            let places = self.places(table.as_deref());
            let (cluster, seeds) = (self.database.id.clone(), self.seeds.clone());
            self.sought.retain(|(_, until)| *until > now);
            let sought: Vec<_> = self
                .sought
                .iter()
                .map(|(sought, _)| sought.clone())
                .collect();
            let actor = ctx.address();
            actix_rt::spawn(async move {
                let (told, found) = ask(places, &sought).await;
                actor.do_send(Surveyed {
                    cluster,
                    seeds,
                    told,
                    found,
                    took: now.elapsed(),
                });
            });
        }
        self.asking.next().map(Instant::from_std)
    }

    fn has_place(&self, table: Option<&SlotTable>) -> bool {
        let nodes = table.into_iter().flat_map(SlotTable::serving);
        let leads_there = !self.database.is_moving.load(Relaxed);
        leads_there && self.database.parking.has_routes()
            || nodes.into_iter().any(|node| node.is_reachable())
    }

    /// Some nodes at random, and that of the connection of the cluster itself if there are too few.
    fn places(&self, table: Option<&SlotTable>) -> Vec<Place> {
        let nodes = table.into_iter().flat_map(SlotTable::serving);
        let mut open: Vec<_> = nodes.filter(|node| node.is_reachable()).collect();
        fastrand::shuffle(&mut open);
        let nodes = open.into_iter().map(|node| &node.state);
        // Connections to the place before serve until they are replaced.
        let control = (!self.database.is_moving.load(Relaxed)).then_some(&self.database);
        let states = nodes.chain(control);
        let asked = if self.asking.is_down() {
            ASKED_OFTEN
        } else {
            ASKED
        };
        states
            .filter_map(|state| place(state))
            .take(asked)
            .collect()
    }

    /// Takes what nodes have told.
    fn surveyed(
        &mut self,
        Surveyed {
            told, found, took, ..
        }: Surveyed,
        registry: &Registry,
        supervisor: &Recipient<HaveNodes>,
    ) {
        let now = Instant::now();
        let known = self.made_from.as_ref();
        let nodes = known.map_or(1, |(topology, _)| topology.shards.len());
        self.asking
            .ended(now.into_std(), took, nodes, fastrand::f64());
        self.sought.retain(|(sought, _)| !found.contains(sought));
        let settings = self.database.settings.share();
        let reached = |address| settings.cluster_addresses.reached(address);
        let found: Vec<_> = found.into_iter().map(reached).collect();
        self.extra.retain(|(_, until)| *until > now);
        self.extra.retain(|(extra, _)| !found.contains(extra));
        let found = found.into_iter().map(|found| (found, now + EXTRA_FOR));
        self.extra.extend(found);
        let mut trouble = None;
        let mut answers = Vec::new();
        let (epoch, told_at) = self.believed;
        for one in told {
            match one {
                // A primary that was cut off or stopped, and has not heard of its successor yet. But a cluster that was made
                // anew begins with low epochs.
                Ok(one) if one.epoch < epoch && now < told_at + BELIEVED_FOR => {
                    self.asking.wanted(now.into_std());
                }
                Ok(one) => answers.push(one),
                Err(why) => trouble = Some(why),
            }
        }
        let agreed = agreed(answers);
        if let Some(Told { epoch, .. }) = agreed {
            self.believed = (epoch, now);
        }
        let Some(topology) = agreed.map(|told| told.topology.map(reached)) else {
            // What was known before is better than nothing.
            if let (Some(why), None) = (trouble, &self.made_from) {
                supervisor.do_send(HaveNodes {
                    trouble: Some(why.into()),
                    ..self.have(&Topology::new([]), &[])
                });
            }
            return;
        };
        let primaries = topology.shards.iter().map(|shard| &shard.primary);
        let known: Vec<_> = primaries.clone().cloned().collect();
        let replicas = topology
            .shards
            .iter()
            .flat_map(|shard| shard.replicas.iter().cloned());
        if registry.services.nodes.learn(&self.seeds, &known, replicas) {
            self.leave_strangers(&settings);
        }
        self.extra.retain(|(extra, _)| !known.contains(extra));
        let extra = self.extra.iter().map(|(extra, _)| extra);
        let nodes: Vec<_> = primaries
            .chain(extra)
            .map(|address| Arc::new(of_node(&settings, address)))
            .collect();
        supervisor.do_send(self.have(&topology, &nodes));
        self.made_from = Some((topology, settings));
    }

    /// Connections of the cluster itself do not stay at what is no node of it any more.
    fn leave_strangers(&self, settings: &DatabaseSettings) {
        self.database.subscribers.look();
        let is_stranger = place(&self.database)
            .is_some_and(|(_, address)| !self.database.dialler.is_present(settings, &address));
        if let (true, Some(pool)) = (is_stranger, &*self.database.pool.load()) {
            pool.retire.do_send(Retire { only: None });
        }
    }

    fn have(&self, topology: &Topology<Address>, nodes: &[Arc<DatabaseSettings>]) -> HaveNodes {
        HaveNodes {
            of: self.database.id.clone(),
            nodes: nodes.to_vec(),
            owners: topology.owners(),
            serving: topology.shards.len(),
            trouble: topology
                .shards
                .is_empty()
                .then(|| "no node of the cluster serves slots".into()),
            endpoint: Address::Cluster(self.seeds.clone()),
        }
    }
}

/// How much of a cluster can be used.
fn shards(table: &SlotTable) -> Shards {
    let unserved = table.unserved();
    let mut causes = Vec::new();
    if !unserved.is_empty() {
        let trouble = table.trouble.as_deref();
        causes.push(trouble.map_or_else(
            || format!("no node serves the slots {unserved}"),
            str::to_owned,
        ));
    }
    let mut serves = false;
    for node in table.serving() {
        match node.trouble() {
            Some(trouble) => causes.push(format!("slots {}: {trouble}", table.served_by(node))),
            None => serves = true,
        }
    }
    let cause: Arc<str> = causes.join("; ").into();
    match (causes.is_empty(), serves) {
        (true, _) => Shards::Whole,
        (false, true) => Shards::Part(cause),
        (false, false) => Shards::None(cause),
    }
}

/// The way to a server over a connection that is open.
fn place(state: &DatabaseState) -> Option<Place> {
    let routes = state.parking.routes();
    let route = routes.as_ref()?.least_loaded();
    Some((route.mailbox.clone(), route.address.clone()))
}

/// The answers of these nodes, without those of the slow ones.
async fn ask(
    places: Vec<Place>,
    sought: &[Address],
) -> (Vec<Result<Told<Address>, String>>, Vec<Address>) {
    let began = Instant::now();
    let mut deadline = began + PATIENCE;
    let asked = places
        .iter()
        .map(|place| ask_one(place, sought, began + PATIENCE));
    let mut asked: FuturesUnordered<_> = asked.collect();
    let (mut told, mut found) = (Vec::new(), Vec::new());
    while let Ok(Some(answer)) = timeout_at(deadline, asked.next()).await {
        let Some((answer, knows)) = answer else {
            continue;
        };
        if answer.is_ok() {
            let patience = (2 * began.elapsed()).max(SHORT_PATIENCE);
            deadline = deadline.min(Instant::now() + patience);
        }
        told.push(answer);
        found.extend(knows);
    }
    found.sort_unstable_by_key(Address::to_string);
    found.dedup();
    (told, found)
}

/// What a node tells, and which of those that are sought it knows; `None` if it does not answer.
async fn ask_one(
    (mailbox, address): &Place,
    sought: &[Address],
    deadline: Instant,
) -> Option<(Result<Told<Address>, String>, Vec<Address>)> {
    let question = |what: &str| {
        let question = cmd("CLUSTER").arg(what).take();
        async move {
            let answer = put_question(mailbox, &question, deadline).await;
            match answer?.ok()?.reply {
                Reply::One(reply) => Some(reply),
                Reply::Many(_) => None,
            }
        }
    };
    let nodes = async {
        if sought.is_empty() {
            None
        } else {
            question("NODES").await
        }
    };
    let (slots, info, nodes) = futures_util::join!(question("SLOTS"), question("INFO"), nodes);
    let told = match slots? {
        Value::ServerError(error) => Err(format!(
            "{address} is no node of a cluster that tells its slots: {} {}",
            error.code(),
            error.details().unwrap_or_default()
        )),
        slots => read_slots(&slots, address).map(|ranges| Told {
            epoch: info.as_ref().and_then(read_epoch).unwrap_or(0),
            topology: Topology::new(ranges),
        }),
    };
    let found = sought.iter().filter(|sought| {
        let nodes = nodes.as_ref();
        nodes.is_some_and(|nodes| has_primary(nodes, sought, address))
    });
    Some((told, found.cloned().collect()))
}

/// The settings of a node. Its name is none that a configuration can have.
fn of_node(settings: &DatabaseSettings, address: &Address) -> DatabaseSettings {
    DatabaseSettings {
        name: format!("{} ({address})", settings.name).into(),
        address: address.clone(),
        ..settings.clone()
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
        let now = Instant::now();
        let Some(followed) = self.followed.get_mut(&of) else {
            return;
        };
        followed.database.cluster.is_asked.store(false, Release);
        if let Some(address) = sought
            && !followed.sought.iter().any(|(sought, _)| *sought == address)
            && followed.sought.len() < MOST_SOUGHT
        {
            followed.sought.push((address, now + SOUGHT_FOR));
        }
        followed.asking.wanted(now.into_std());
        if followed.asking.is_due(now.into_std()) {
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
