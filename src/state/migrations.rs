//! Slots that have moved to another node, while commands for them may still be on their way to the node before.
//!
//! The node before answers such commands with redirects, and their callers follow those. A call that is made meanwhile finds the
//! new node at once and would come first. So its request is held until the node before has answered all that it was sent
//! earlier, and until those redirects are followed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::future::join_all;
use oneshot::AsyncReceiver;
use redis::cmd;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{DatabaseState, Parking, Published, SlotTable, clock};
use crate::{
    net::{Answer, Executor, Expected, Request, Responder},
    policy::{gate_state::GateState, slots::Slot},
};

/// So long the first of several slots that leave a node waits for the others; and so long it takes a caller at most to send
/// its command again, once it follows its redirect.
const PAUSE: Duration = Duration::from_millis(1);

/// A slot that has migrated more often in a row is sent to and fro by nodes that do not agree. Then its calls keep no order.
const LONGEST_CHAIN: usize = 8;

/// The slots of one cluster that have just moved.
#[derive(Debug)]
pub(crate) struct Migrations {
    executor: Arc<Executor>,
    table: Arc<Published<SlotTable>>,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    /// The number of the migration of each slot.
    slots: HashMap<Slot, u64>,
    migrations: HashMap<u64, Entry>,
    last_number: u64,
}

#[derive(Debug)]
struct Entry {
    slots: Vec<Slot>,
    from: Arc<DatabaseState>,
    /// So many earlier ones have to end one after the other.
    waits_for: usize,
    /// The node was asked, so that the slots that leave it from now on need another migration.
    is_asked: bool,
    /// When it ends at the latest. Not before those that it waits for: their requests come first.
    until: Instant,
    /// The requests that are held: by tickets, where they are set aside.
    held: Vec<(Arc<Parking>, u64)>,
    /// Is cancelled when the migration ends.
    over: CancellationToken,
}

/// The migration of some slots from one node. It ends when this is dropped.
#[must_use = "the migration ends when this is dropped"]
#[derive(Debug)]
pub(crate) struct Migration {
    number: u64,
    from: Arc<DatabaseState>,
    until: Instant,
    migrations: Weak<Migrations>,
    /// Earlier migrations of its slots, which bring requests to this node.
    earlier: Vec<CancellationToken>,
}

impl Migrations {
    pub(super) fn new(executor: Arc<Executor>, table: Arc<Published<SlotTable>>) -> Arc<Self> {
        Arc::new(Self {
            executor,
            table,
            under_way: Mutex::default(),
        })
    }

    /// These slots leave this node. Marks them under the lock of the migrations, if calls for them have to wait. Returns a new
    /// migration if one is needed: no call waits for a node without an open connection, and slots may go along with others. It
    /// waits for this node for so long at most.
    pub(super) fn begin(
        self: &Arc<Self>,
        slots: &[Slot],
        from: &Arc<DatabaseState>,
        limit: Duration,
        mark: impl Fn(Slot, bool),
    ) -> Option<Migration> {
        let is_connected = from.is_connected();
        let mut under_way = self.under_way();
        let migration = if is_connected {
            under_way.add(slots, from, clock::now() + limit)
        } else {
            None
        };
        for slot in slots {
            mark(*slot, under_way.slots.contains_key(slot));
        }
        let (number, until, earlier) = migration?;
        Some(Migration {
            number,
            from: from.clone(),
            until,
            migrations: Arc::downgrade(self),
            earlier,
        })
    }

    /// Shows all slots that are under way.
    pub(super) fn each(&self, look: impl FnMut(Slot)) {
        self.under_way().slots.keys().copied().for_each(look);
    }

    /// Holds a request for a slot at its new node, behind those that are held already. It comes back if there is no migration.
    pub(crate) fn hold(
        &self,
        slot: Slot,
        node: &DatabaseState,
        request: Request,
    ) -> Result<(), Request> {
        let mut under_way = self.under_way();
        let Some(&number) = under_way.slots.get(&slot) else {
            self.settle(slot);
            return Err(request);
        };
        let Some(Entry { held, .. }) = under_way.migrations.get_mut(&number) else {
            return Err(request);
        };
        let is_there = |(parking, _): &&(Arc<Parking>, u64)| Arc::ptr_eq(parking, &node.parking);
        let ticket = held.iter().find(is_there).map(|(_, ticket)| *ticket);
        let (taken, follows) = node.parking.hold(ticket, request);
        if ticket.is_none() {
            held.push((node.parking.clone(), taken));
        }
        drop(under_way);
        node.parking.follow(follows);
        Ok(())
    }

    fn end(&self, number: u64) {
        let mut under_way = self.under_way();
        let Some(entry) = under_way.migrations.remove(&number) else {
            return;
        };
        // Under the lock, so that no later request overtakes them. Callers are woken after it.
        let released = entry.held.into_iter().map(|(parking, ticket)| {
            let follows = parking.release_held(ticket);
            (parking, follows)
        });
        let released: Vec<_> = released.collect();
        for slot in entry.slots {
            if under_way.slots.get(&slot) == Some(&number) {
                under_way.slots.remove(&slot);
                self.settle(slot);
            }
        }
        drop(under_way);
        entry.over.cancel();
        for (parking, follows) in released {
            parking.follow(follows);
        }
    }

    /// Calls for a slot need not wait.
    fn settle(&self, slot: Slot) {
        if let Some(table) = &*self.table.present() {
            table.settle(slot);
        }
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        // A panic elsewhere cannot have left it half-changed.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// A new migration, if the slots cannot go along with others: its number, when it ends at the latest, and the earlier ones of
    /// its slots.
    fn add(
        &mut self,
        slots: &[Slot],
        from: &Arc<DatabaseState>,
        until: Instant,
    ) -> Option<(u64, Instant, Vec<CancellationToken>)> {
        let is_open = |slot: &Slot| !self.slots.contains_key(slot);
        let is_to_be_asked = |entry: &Entry| !entry.is_asked && Arc::ptr_eq(&entry.from, from);
        let goes_along = |slot: &Slot| {
            let number = self.slots.get(slot);
            let entry = number.and_then(|number| self.migrations.get(number));
            // The node does not answer behind what is held for it.
            let is_there = |(parking, _): &(_, _)| Arc::ptr_eq(parking, &from.parking);
            entry.is_some_and(|entry| is_to_be_asked(entry) && !entry.held.iter().any(is_there))
        };
        if slots.iter().all(goes_along) {
            return None;
        }
        let joined = slots
            .iter()
            .all(is_open)
            .then(|| {
                self.migrations
                    .iter_mut()
                    .find(|(_, entry)| is_to_be_asked(entry))
            })
            .flatten();
        if let Some((number, entry)) = joined {
            entry.slots.extend(slots);
            self.slots.extend(slots.iter().map(|slot| (*slot, *number)));
            return None;
        }
        let before = slots.iter().filter_map(|slot| {
            let number = self.slots.get(slot)?;
            self.migrations.get(number)
        });
        let waits_for = before.map(|migration| migration.waits_for + 1).max();
        let waits_for = waits_for.unwrap_or_default();
        if waits_for > LONGEST_CHAIN {
            return None;
        }
        self.last_number += 1;
        let number = self.last_number;
        let earlier: BTreeSet<_> = slots
            .iter()
            .filter_map(|slot| self.slots.insert(*slot, number))
            .collect();
        let earlier = || {
            let entries = earlier.iter();
            entries.filter_map(|number| self.migrations.get(number))
        };
        let until = earlier().fold(until, |until, entry| until.max(entry.until));
        let earlier = earlier().map(|entry| entry.over.clone()).collect();
        let entry = Entry {
            waits_for,
            slots: slots.to_vec(),
            from: from.clone(),
            is_asked: false,
            until,
            held: Vec::new(),
            over: CancellationToken::new(),
        };
        self.migrations.insert(number, entry);
        Some((number, until, earlier))
    }
}

impl Migration {
    /// Ends it once the old node has answered and its redirects are followed, or when its time is up. The table has to say by
    /// now that the slots have moved.
    pub(super) fn run(self) {
        let Some(migrations) = self.migrations.upgrade() else {
            return;
        };
        let until = self.until;
        // Before the node goes, if it does.
        let early = self.ask(until);
        let wait = async move {
            // An error says that the time is up.
            let _ = timeout_at(until, self.answered(early, until)).await;
            drop(self);
        };
        // An error says that the system refuses threads. Then the migration has ended with its task.
        let _ = migrations.executor.spawn(wait);
    }

    async fn answered(&self, early: Vec<AsyncReceiver<Answer>>, until: Instant) {
        sleep(PAUSE).await;
        for earlier in &self.earlier {
            earlier.cancelled().await;
        }
        let slots = self.close();
        join_all(early.into_iter().chain(self.ask(until))).await;
        let redirects = &self.from.redirects;
        let count = redirects.count();
        let are_left = || {
            let is_one = |slot| Slot::new(slot).is_some_and(|slot| slots.contains(&slot));
            redirects.is_any_left(count, is_one)
        };
        // A caller that has just followed one needs a moment to send.
        let mut looks = 0;
        while looks < 2 {
            sleep(PAUSE).await;
            let is_over = self.from.gate.state() == GateState::ShuttingDown;
            looks = if are_left() && !is_over { 0 } else { looks + 1 };
        }
    }

    /// No other slot goes along from now on. Returns those that do.
    fn close(&self) -> HashSet<Slot> {
        let Some(migrations) = self.migrations.upgrade() else {
            return HashSet::new();
        };
        let mut under_way = migrations.under_way();
        let entry = under_way.migrations.get_mut(&self.number);
        entry.map_or_else(HashSet::new, |entry| {
            entry.is_asked = true;
            entry.slots.iter().copied().collect()
        })
    }

    /// Asks the node. It answers when it has answered what it was sent so far, and what waits to be sent to it.
    fn ask(&self, until: Instant) -> Vec<AsyncReceiver<Answer>> {
        let request = || {
            let (responder, answer) = Responder::own();
            let bytes = cmd("PING").get_packed_command();
            (Request::new(bytes, Expected::One, until, responder), answer)
        };
        let mut answers = Vec::new();
        match &*self.from.parking.routes() {
            Some(routes) => {
                for route in routes.iter() {
                    let (request, answer) = request();
                    if route.mailbox.send(request).is_ok() {
                        answers.push(answer);
                    }
                }
            }
            None => {
                let (request, answer) = request();
                self.from.parking.park(request);
                answers.push(answer);
            }
        }
        answers
    }
}

impl Drop for Migration {
    fn drop(&mut self) {
        if let Some(migrations) = self.migrations.upgrade() {
            migrations.end(self.number);
        }
    }
}
