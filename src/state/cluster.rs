//! The nodes of a cluster, and which of them has each slot.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU16,
            Ordering::{AcqRel, Relaxed},
        },
    },
};

use actix::Recipient;
use arc_swap::ArcSwapOption;

use super::{DatabaseState, Published};
use crate::{
    config::{Address, DatabaseSettings},
    identity::DatabaseId,
    messages::Survey as Ask,
    net::{Executor, InFlight},
    policy::{cluster::SlotList, gate_state::GateState, slots::Slot},
};

/// The cluster of one database, if it is one. The clusters actor publishes, calls look, and tell when it has changed.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// `None` until its nodes have told.
    pub(crate) table: Arc<Published<SlotTable>>,
    pub(crate) actor: ArcSwapOption<Recipient<Ask>>,
    /// Room for the commands in flight at all nodes together.
    pub(crate) in_flight: Arc<InFlight>,
    /// The actor was asked, and has not looked yet.
    pub(crate) is_asked: AtomicBool,
}

/// Which node has each slot. Each node is a database of its own.
pub(crate) struct SlotTable {
    nodes: Vec<ClusterNode>,
    /// For each slot the position of its node, or [`NOBODY`]. A node that says that a slot has moved is believed at once, so that an
    /// owner can change in place.
    owners: Box<[AtomicU16]>,
    /// Why there is no node.
    pub(crate) trouble: Option<Arc<str>>,
}

/// A primary of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct ClusterNode {
    pub(crate) address: Address,
    pub(crate) state: Arc<DatabaseState>,
    /// It serves keys, as far as is known.
    pub(crate) has_slots: Arc<AtomicBool>,
    /// Where its replicas are.
    pub(crate) replicas: Arc<[Address]>,
}

const NOBODY: u16 = u16::MAX;

impl Cluster {
    pub(super) fn new(executor: Arc<Executor>, settings: &DatabaseSettings) -> Self {
        let (max_commands, max_bytes) = settings.most_in_cluster();
        Self {
            in_flight: InFlight::new(None, max_commands, max_bytes),
            table: Published::new(executor),
            actor: ArcSwapOption::empty(),
            is_asked: AtomicBool::new(false),
        }
    }

    /// Has the clusters actor ask the nodes again, since something is not as they have told. Between its crash and its
    /// restart that is lost, and a fresh one asks anyway.
    pub(crate) fn ask_again(&self, cluster: &DatabaseId) {
        // Thousands of calls may notice the same change.
        if !self.is_asked.swap(true, AcqRel) {
            self.ask(cluster, None);
        }
    }

    /// The same, with a look for this node, which is not known.
    pub(crate) fn seek(&self, cluster: &DatabaseId, node: Address) {
        self.ask(cluster, Some(node));
    }

    fn ask(&self, cluster: &DatabaseId, sought: Option<Address>) {
        if let Some(actor) = &*self.actor.load() {
            let of = cluster.clone();
            actor.do_send(Ask { of, sought });
        }
    }
}

impl SlotTable {
    /// `owners` has for each slot the position of its node.
    pub(crate) fn new(
        nodes: Vec<ClusterNode>,
        owners: &[Option<u16>],
        trouble: Option<Arc<str>>,
    ) -> Self {
        let owner = |slot: usize| {
            let owner = owners.get(slot).copied().flatten();
            owner.filter(|owner| usize::from(*owner) < nodes.len())
        };
        let owners = (0..usize::from(Slot::COUNT)).map(owner);
        Self {
            owners: owners
                .map(|owner| AtomicU16::new(owner.unwrap_or(NOBODY)))
                .collect(),
            nodes,
            trouble,
        }
    }

    /// The node of a slot, if one has it.
    #[inline]
    pub(crate) fn owner(&self, slot: Slot) -> Option<&ClusterNode> {
        let owner = self.owners[slot.index()].load(Relaxed);
        self.nodes.get(usize::from(owner))
    }

    /// The slots that no node has.
    pub(crate) fn unserved(&self) -> SlotList {
        let is_of_nobody = |slot: &u16| self.owners[usize::from(*slot)].load(Relaxed) == NOBODY;
        SlotList::of((0..Slot::COUNT).filter(is_of_nobody))
    }

    /// The slots of a node.
    pub(crate) fn served_by(&self, node: &ClusterNode) -> SlotList {
        let at = self
            .nodes
            .iter()
            .position(|other| other.address == node.address);
        let is_its = |slot: &u16| {
            let owner = self.owners[usize::from(*slot)].load(Relaxed);
            at == Some(usize::from(owner))
        };
        SlotList::of((0..Slot::COUNT).filter(is_its))
    }

    /// The position of the node of a slot, which is one beyond all others if nobody has it.
    pub(crate) fn position(&self, slot: Slot) -> usize {
        let owner = self.owners[slot.index()].load(Relaxed);
        usize::from(owner).min(self.nodes.len())
    }

    /// The nodes that serve keys.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &ClusterNode> {
        self.nodes
            .iter()
            .filter(|node| node.has_slots.load(Relaxed))
    }

    /// Any node that serves keys, by a random number from 0 to 1; one with an open connection, if there is one.
    pub(crate) fn any(&self, random: f64) -> Option<&ClusterNode> {
        let from = (random * self.nodes.len() as f64) as usize;
        let (before, behind) = self.nodes.split_at(from.min(self.nodes.len()));
        let nodes = behind.iter().chain(before);
        let mut serving = nodes.filter(|node| node.has_slots.load(Relaxed));
        let open = serving.clone().find(|node| node.is_reachable());
        open.or_else(|| serving.next())
    }

    pub(crate) fn at(&self, address: &Address) -> Option<&ClusterNode> {
        self.nodes.iter().find(|node| node.address == *address)
    }

    /// A slot is at this node from now on, if that is known. Tells whether it was at another one.
    pub(crate) fn moved(&self, slot: Slot, to: &Address) -> bool {
        let at = self.nodes.iter().position(|node| node.address == *to);
        if let Some(at) = at {
            self.nodes[at].has_slots.store(true, Relaxed);
            let before = self.owners[slot.index()].swap(at as u16, Relaxed);
            if usize::from(before) != at {
                self.left(before);
                return true;
            }
        }
        false
    }

    /// This table replaces another one.
    pub(crate) fn replaces(&self, other: &Self) {
        let address = |table: &Self, owner: &AtomicU16| {
            let node = table.nodes.get(usize::from(owner.load(Relaxed)));
            node.map(|node| node.address.clone())
        };
        // Most nodes are where they were, and most slots at the node of the slot before.
        let mut seen = (NOBODY, NOBODY);
        for (now, before) in self.owners.iter().zip(&other.owners) {
            let pair = (now.load(Relaxed), before.load(Relaxed));
            if pair != seen && address(self, now) != address(other, before) {
                other.left(pair.1);
            }
            seen = pair;
        }
    }

    /// A node has lost a slot. What its near cache has of it may change elsewhere now.
    fn left(&self, node: u16) {
        if let Some(node) = self.nodes.get(usize::from(node)) {
            node.state.distrust_near_cache();
        }
    }
}

impl ClusterNode {
    /// Why its commands fail, if they do.
    pub(crate) fn trouble(&self) -> Option<String> {
        let is_down = match self.state.gate.state() {
            GateState::Open | GateState::Failed => true,
            _ => self.state.is_unreachable(),
        };
        is_down.then(|| {
            let outage = self.state.outage.load();
            match (&*outage, &*self.state.dial_error.load()) {
                (_, Some(error)) => error.to_string(),
                (Some(outage), None) => format!("{}: {}", self.address, outage.reason),
                (None, None) => format!("{} is down", self.address),
            }
        })
    }

    /// Whether a command would be sent at once.
    pub(crate) fn is_reachable(&self) -> bool {
        self.state.gate.state() == GateState::Free && self.state.parking.has_routes()
    }
}

/// Not all of its slots.
impl fmt::Debug for SlotTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.nodes.iter().map(|node| &node.address);
        f.debug_list().entries(nodes).finish()
    }
}
