//! What is known of one cluster.

use std::{
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, Release},
    },
    time::Duration,
};

use actix::{AsyncContext as _, Context, Recipient};
use tokio::time::Instant;

use super::{
    ClustersActor, Surveyed,
    survey::{Answers, Place, ask, place},
};
use crate::{
    config::{Address, ClusterSeeds, DatabaseSettings},
    messages::{Evidence, HaveNodes, Retire},
    policy::cluster::{Asking, Shards, SlotList, Told, Topology, agreed},
    registry::Registry,
    state::{DatabaseState, SlotTable},
};

/// So many nodes are asked at a time.
const ASKED: usize = 3;
/// The same while a part of the cluster is down, and they are asked often.
const ASKED_OFTEN: usize = 2;
/// The pause while no connection to any node is open.
const NO_PLACE: Duration = Duration::from_millis(5);
/// So many nodes are sought at a time. More are named only by one that makes them up.
const MOST_SOUGHT: usize = 64;
/// After so long without an answer of this epoch, one of an earlier epoch is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(10);
/// A node that none confirms is sought for so long.
const SOUGHT_FOR: Duration = Duration::from_secs(5);
/// A node without slots is kept for so long after another one has sent a command there.
const EXTRA_FOR: Duration = Duration::from_secs(60);

/// A cluster whose nodes are known, or will be.
pub(super) struct Followed {
    database: Arc<DatabaseState>,
    pub(super) seeds: Arc<ClusterSeeds>,
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

impl Followed {
    pub(super) fn new(database: &Arc<DatabaseState>, seeds: &Arc<ClusterSeeds>) -> Self {
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
    pub(super) fn look(
        &mut self,
        now: Instant,
        ctx: &mut Context<ClustersActor>,
    ) -> Option<Instant> {
        let table = self.database.cluster.table.present().clone();
        let is_made_anew = self
            .made_from
            .as_ref()
            .is_some_and(|(_, settings)| !Arc::ptr_eq(settings, &self.database.settings.share()));
        if is_made_anew {
            self.asking.wanted(now.into_std());
        }
        let unserved = table.as_ref().map(|table| table.unserved());
        let is_whole = table.as_ref().is_some_and(|table| {
            let mut serving = table.serving();
            unserved.as_ref().is_some_and(SlotList::is_empty)
                && serving.all(|node| node.is_reachable())
        });
        self.asking.seen(is_whole, now.into_std());
        self.database
            .report(Evidence::Shards(match (&table, &unserved) {
                (Some(table), Some(unserved)) => shards(table, unserved),
                _ => Shards::Unknown,
            }));
        if self.asking.is_due(now.into_std()) {
            let places = self.places(table.as_deref());
            if places.is_empty() {
                // The control connection will be there in a moment, or nothing is.
                return Some(now + NO_PLACE);
            }
            self.asking.begin();
            let (cluster, seeds) = (self.database.id.clone(), self.seeds.clone());
            self.sought.retain(|(_, until)| *until > now);
            let sought: Vec<_> = self
                .sought
                .iter()
                .map(|(sought, _)| sought.clone())
                .collect();
            let actor = ctx.address();
            actix_rt::spawn(async move {
                let answers = ask(places, &sought).await;
                actor.do_send(Surveyed {
                    cluster,
                    seeds,
                    answers,
                    asked: now,
                    took: now.elapsed(),
                });
            });
        }
        self.asking.next().map(Instant::from_std)
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

    /// Somebody has noticed a change, or met a node that is not known. Tells whether the nodes are to be asked now.
    pub(super) fn wanted(&mut self, sought: Option<Address>) -> bool {
        let now = Instant::now();
        self.database.cluster.is_asked.store(false, Release);
        if let Some(address) = sought
            && !self.sought.iter().any(|(sought, _)| *sought == address)
            && self.sought.len() < MOST_SOUGHT
        {
            self.sought.push((address, now + SOUGHT_FOR));
        }
        self.asking.wanted(now.into_std());
        self.asking.is_due(now.into_std())
    }

    /// Takes what nodes have told.
    pub(super) fn surveyed(
        &mut self,
        Surveyed {
            answers,
            asked,
            took,
            ..
        }: Surveyed,
        registry: &Registry,
        supervisor: &Recipient<HaveNodes>,
    ) {
        let Answers { told, found } = answers;
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
                    ..self.have(&Topology::new([]), &[], asked)
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
            .map(|address| Arc::new(settings.of_part(address)))
            .collect();
        supervisor.do_send(self.have(&topology, &nodes, asked));
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

    fn have(
        &self,
        topology: &Topology<Address>,
        nodes: &[Arc<DatabaseSettings>],
        asked: Instant,
    ) -> HaveNodes {
        HaveNodes {
            of: self.database.id.clone(),
            nodes: nodes.to_vec(),
            owners: topology.owners(),
            serving: topology.shards.len(),
            replicas: topology
                .shards
                .iter()
                .map(|shard| shard.replicas.as_slice().into())
                .collect(),
            trouble: topology
                .shards
                .is_empty()
                .then(|| "no node of the cluster serves slots".into()),
            endpoint: Address::Cluster(self.seeds.clone()),
            asked,
        }
    }
}

/// How much of a cluster can be used.
fn shards(table: &SlotTable, unserved: &SlotList) -> Shards {
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
