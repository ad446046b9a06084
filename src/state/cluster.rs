//! The cluster of a database: its table of slots, and how that changes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::AcqRel},
    },
    time::Duration,
};

use actix::Recipient;
use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::{
    ClusterNode, DatabaseState, Published, SlotTable, clock,
    migrations::{Migration, Migrations},
};
use crate::{
    config::{Address, DatabaseSettings},
    identity::DatabaseId,
    messages::Survey as Ask,
    net::{Executor, InFlight},
    policy::slots::Slot,
};

/// The cluster of one database, if it is one. The clusters actor publishes, calls look, and tell when it has changed.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// `None` until its nodes have told.
    pub(crate) table: Arc<Published<SlotTable>>,
    pub(crate) actor: ArcSwapOption<Recipient<Ask>>,
    /// Room for the commands in flight at all nodes together.
    pub(crate) in_flight: Arc<InFlight>,
    /// Slots that have just moved; the nodes have those of the whole.
    pub(crate) migrations: Arc<Migrations>,
    /// Slots that have moved by the word of a node, and when, until nodes have told that were asked later.
    moves: Mutex<HashMap<Slot, (Address, Instant)>>,
    /// The actor was asked, and has not looked yet.
    pub(crate) is_asked: AtomicBool,
}

/// A node that has not said itself that it has lost a slot may be dead, so it is not waited for for longer.
const DOUBTFUL_FOR: Duration = Duration::from_millis(250);

impl Cluster {
    /// That of a database, or of a node of this whole.
    pub(super) fn new(
        whole: Option<&Self>,
        executor: Arc<Executor>,
        settings: &DatabaseSettings,
    ) -> Self {
        let (max_commands, max_bytes) = settings.most_in_cluster();
        let table = Published::new(executor.clone());
        let own_migrations = || Migrations::new(executor, table.clone());
        Self {
            in_flight: InFlight::new(None, max_commands, max_bytes),
            moves: Mutex::default(),
            migrations: whole.map_or_else(own_migrations, |whole| whole.migrations.clone()),
            table,
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

    /// A slot is at this node from now on, if that is known. Tells whether it was at another one.
    pub(crate) fn moved(&self, slot: Slot, to: &Address, by: Option<&Arc<DatabaseState>>) -> bool {
        let mut moves = self.moves();
        let Some(table) = self.table.present().clone() else {
            return false;
        };
        let Some(at) = table.position_of(to) else {
            return false;
        };
        let before = table.position(slot);
        if before == at {
            return false;
        }
        let mark = |slot, has_just_come| table.set(slot, at, has_just_come);
        let from = table.node(before).map(|node| &node.state);
        let has_told = by.filter(|by| from.is_some_and(|from| Arc::ptr_eq(from, by)));
        let limit = has_told.map(|from| from.settings.load().attempt_timeout);
        let limit = limit.unwrap_or(DOUBTFUL_FOR);
        let migration = match from {
            Some(from) => self.migrations.begin(&[slot], from, limit, mark),
            None => {
                mark(slot, false);
                None
            }
        };
        moves.insert(slot, (to.clone(), clock::now()));
        drop(moves);
        table.left(before);
        if let Some(migration) = migration {
            migration.run();
        }
        true
    }

    /// A request for this slot was handed to this node, and the slot may have left it meanwhile. Later calls wait for it as well.
    pub(crate) fn strayed(&self, slot: Slot, node: &Arc<DatabaseState>) {
        let moves = self.moves();
        let Some(table) = self.table.present().clone() else {
            return;
        };
        let at = table.position(slot);
        let is_there = |owner: &ClusterNode| Arc::ptr_eq(&owner.state, node);
        if table.node(at).is_some_and(is_there) {
            return;
        }
        let mark = |slot, has_just_come| table.set(slot, at, has_just_come);
        let migration = self.migrations.begin(&[slot], node, DOUBTFUL_FOR, mark);
        drop(moves);
        if let Some(migration) = migration {
            migration.run();
        }
    }

    /// Publishes a table of what nodes have told that were `asked` then. Calls are led by it from now on.
    pub(crate) fn publish(&self, table: SlotTable, asked: Instant) {
        let mut moves = self.moves();
        moves.retain(|_, (_, at)| *at > asked);
        for (slot, (to, _)) in moves.iter() {
            if let Some(at) = table.position_of(to) {
                table.set(*slot, at, false);
            }
        }
        let before = self.table.present().clone();
        let migrations = before.map(|before| {
            // Before the nodes are asked that lose slots now, or later by the new table.
            before.supersede();
            self.leave(&before, &table)
        });
        self.table.replace(table);
        drop(moves);
        self.table.tell_waiting();
        for migration in migrations.into_iter().flatten() {
            migration.run();
        }
    }

    fn moves(&self) -> MutexGuard<'_, HashMap<Slot, (Address, Instant)>> {
        // A panic elsewhere cannot have left it half-changed.
        self.moves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A table is about to replace another one.
    fn leave(&self, before: &SlotTable, after: &SlotTable) -> Vec<Migration> {
        // Most nodes are where they were, and most slots at the node of the slot before.
        let (mut seen, mut is_same) = ((usize::MAX, usize::MAX), true);
        let mut left = BTreeMap::<usize, Vec<Slot>>::new();
        for slot in Slot::all() {
            let pair = (before.position(slot), after.position(slot));
            if pair != seen {
                let address = |table: &SlotTable, at: usize| {
                    let node = table.node(at);
                    node.map(|node| node.address.clone())
                };
                is_same = address(before, pair.0) == address(after, pair.1);
                seen = pair;
            }
            if !is_same {
                left.entry(pair.0).or_default().push(slot);
            }
        }
        let migrations = left.into_iter().filter_map(|(from, slots)| {
            before.left(from);
            let mark = |_, _| {};
            self.migrations
                .begin(&slots, &before.node(from)?.state, DOUBTFUL_FOR, mark)
        });
        let migrations = migrations.collect();
        self.migrations
            .each(|slot| after.set(slot, after.position(slot), true));
        migrations
    }

    fn ask(&self, cluster: &DatabaseId, sought: Option<Address>) {
        if let Some(actor) = &*self.actor.load() {
            let of = cluster.clone();
            actor.do_send(Ask { of, sought });
        }
    }
}
