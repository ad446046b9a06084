//! Which node of a cluster has each slot.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering::Relaxed},
    },
};

use super::DatabaseState;
use crate::{
    config::Address,
    policy::{cluster::SlotList, gate_state::GateState, slots::Slot},
};

/// Which node has each slot. Each node is a database of its own.
pub(crate) struct SlotTable {
    nodes: Vec<ClusterNode>,
    /// For each slot the position of its node, or [`NOBODY`]; with [`JUST_MIGRATED`] while the node before may have commands for
    /// it. A node that says that a slot has moved is believed at once, so that an owner can change in place.
    owners: Box<[AtomicU16]>,
    /// Another table has taken its place, or is about to.
    is_superseded: AtomicBool,
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

/// Beyond the positions of all nodes, so that one look tells whether a slot has a node and whether calls may go there at once.
const JUST_MIGRATED: u16 = 1 << 15;
const NOBODY: u16 = !JUST_MIGRATED;

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
            is_superseded: AtomicBool::new(false),
            trouble,
        }
    }

    /// The node of a slot, if one has it.
    pub(crate) fn owner(&self, slot: Slot) -> Option<&ClusterNode> {
        self.nodes.get(self.position(slot))
    }

    /// The position of the node of a slot, unless the slot has just come there, so that calls have to wait for earlier ones;
    /// beyond all nodes if there is none.
    #[inline]
    pub(crate) fn settled_position(&self, slot: Slot) -> usize {
        usize::from(self.owners[slot.index()].load(Relaxed))
    }

    /// The position of the node of a slot, beyond all nodes if nobody has it; and whether it has just come there.
    pub(crate) fn position_as_told(&self, slot: Slot) -> (usize, bool) {
        let owner = self.owners[slot.index()].load(Relaxed);
        (usize::from(owner & NOBODY), owner & JUST_MIGRATED != 0)
    }

    /// Whether a slot may no longer be at the node of this position. Whoever has handed a request over there looks once more:
    /// the queue of a connection orders that with what the node was asked when the slot left it.
    #[inline]
    pub(crate) fn may_have_left(&self, slot: Slot, at: usize) -> bool {
        let owner = self.owners[slot.index()].load(Relaxed);
        usize::from(owner & NOBODY) != at || self.is_superseded.load(Relaxed)
    }

    /// Another table is about to take the place of this one.
    pub(super) fn supersede(&self) {
        self.is_superseded.store(true, Relaxed);
    }

    /// Calls for a slot may go to its node at once.
    pub(super) fn settle(&self, slot: Slot) {
        self.owners[slot.index()].fetch_and(!JUST_MIGRATED, Relaxed);
    }

    pub(crate) fn node(&self, at: usize) -> Option<&ClusterNode> {
        self.nodes.get(at)
    }

    pub(crate) fn position_of(&self, address: &Address) -> Option<usize> {
        self.nodes.iter().position(|node| node.address == *address)
    }

    /// A slot is at the node of this position, or if there is none at nobody.
    pub(super) fn set(&self, slot: Slot, at: usize, has_just_come: bool) {
        if let Some(node) = self.nodes.get(at) {
            node.has_slots.store(true, Relaxed);
        }
        let at = if at < self.nodes.len() {
            at as u16
        } else {
            NOBODY
        };
        let owner = if has_just_come {
            at | JUST_MIGRATED
        } else {
            at
        };
        self.owners[slot.index()].store(owner, Relaxed);
    }

    /// The slots that no node has.
    pub(crate) fn unserved(&self) -> SlotList {
        SlotList::of(
            Slot::all()
                .filter(|slot| self.owner(*slot).is_none())
                .map(Slot::number),
        )
    }

    /// The slots of a node.
    pub(crate) fn served_by(&self, node: &ClusterNode) -> SlotList {
        let at = self.position_of(&node.address);
        let is_its = |slot: &Slot| at == Some(self.position(*slot));
        SlotList::of(Slot::all().filter(is_its).map(Slot::number))
    }

    /// The position of the node of a slot, which is one beyond all others if nobody has it.
    pub(crate) fn position(&self, slot: Slot) -> usize {
        let owner = self.owners[slot.index()].load(Relaxed) & NOBODY;
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

    /// A node has lost a slot. What its near cache has of it may change elsewhere now.
    pub(super) fn left(&self, node: usize) {
        if let Some(node) = self.nodes.get(node) {
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
