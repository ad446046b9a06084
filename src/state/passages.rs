//! Slots that have gone to another node, while commands for them may still be on their way to the node before.
//!
//! What is on its way is sent after the slot by its caller, as soon as the reply says so. A call that is made meanwhile would
//! overtake it at the new node, so its request is held until the old node has answered all that it was sent before, and
//! callers have followed its redirects.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{DatabaseState, Parking, Published, SlotTable, clock};
use crate::{
    net::{Executor, Request, put_question},
    policy::slots::Slot,
};

/// Between two looks at the redirects that callers have not followed. A caller that has taken one sends its command again
/// within that time, or it has no thread to run on.
const PAUSE: Duration = Duration::from_millis(1);

/// The slots of one cluster that have just moved.
#[derive(Debug)]
pub(crate) struct Passages {
    executor: Arc<Executor>,
    table: Arc<Published<SlotTable>>,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    /// The number of the passage of each slot.
    slots: HashMap<Slot, u64>,
    passages: HashMap<u64, Holding>,
    last_number: u64,
}

#[derive(Debug, Default)]
struct Holding {
    /// The requests: by tickets, where they are set aside.
    held: Vec<(Arc<Parking>, u64)>,
    /// It has ended.
    over: CancellationToken,
}

/// The passage of some slots from one node. It ends when this is dropped.
#[must_use = "the passage ends when this is dropped"]
#[derive(Debug)]
pub(crate) struct Passage {
    number: u64,
    from: Arc<DatabaseState>,
    /// The earlier ones of its slots, which go on by way of this node.
    earlier: Vec<CancellationToken>,
    passages: Weak<Passages>,
}

impl Passages {
    pub(super) fn new(executor: Arc<Executor>, table: Arc<Published<SlotTable>>) -> Arc<Self> {
        Arc::new(Self {
            executor,
            table,
            under_way: Mutex::default(),
        })
    }

    /// These slots are about to leave this node. `None` if nobody has to wait for it, since it is away.
    pub(super) fn begin(
        self: &Arc<Self>,
        slots: impl IntoIterator<Item = Slot>,
        from: &Arc<DatabaseState>,
    ) -> Option<Passage> {
        if !from.is_connected() {
            return None;
        }
        let mut under_way = self.under_way();
        under_way.last_number += 1;
        let number = under_way.last_number;
        let mut earlier = BTreeSet::new();
        for slot in slots {
            earlier.extend(under_way.slots.insert(slot, number));
        }
        let earlier = earlier.iter().filter_map(|number| {
            let holding = under_way.passages.get(number);
            holding.map(|holding| holding.over.clone())
        });
        let earlier = earlier.collect();
        under_way.passages.insert(number, Holding::default());
        Some(Passage {
            number,
            from: from.clone(),
            earlier,
            passages: Arc::downgrade(self),
        })
    }

    /// Looks at each slot that is under way.
    pub(super) fn each(&self, look: impl FnMut(Slot)) {
        self.under_way().slots.keys().copied().for_each(look);
    }

    pub(super) fn has(&self, slot: Slot) -> bool {
        self.under_way().slots.contains_key(&slot)
    }

    /// Holds a request for a slot at its new node, behind those that are held already. It comes back if there is no passage.
    pub(crate) fn hold(
        &self,
        slot: Slot,
        node: &DatabaseState,
        request: Request,
    ) -> Result<(), Request> {
        let mut under_way = self.under_way();
        let Some(&number) = under_way.slots.get(&slot) else {
            drop(under_way);
            self.settle([slot]);
            return Err(request);
        };
        let Holding { held, .. } = under_way.passages.entry(number).or_default();
        let is_there = |(parking, _): &&(Arc<Parking>, u64)| Arc::ptr_eq(parking, &node.parking);
        match held.iter().find(is_there) {
            Some((parking, ticket)) => parking.set_aside_with(*ticket, request),
            None => {
                let ticket = node.parking.set_aside(request);
                held.push((node.parking.clone(), ticket));
            }
        }
        Ok(())
    }

    fn end(&self, number: u64) {
        let mut under_way = self.under_way();
        // Under the lock, so that nobody is held any more, and nobody overtakes those that are.
        let Some(holding) = under_way.passages.remove(&number) else {
            return;
        };
        for (parking, ticket) in holding.held {
            parking.release(ticket);
        }
        holding.over.cancel();
        let over = under_way.slots.extract_if(|_, of| *of == number);
        self.settle(over.map(|(slot, _)| slot));
    }

    fn settle(&self, slots: impl IntoIterator<Item = Slot>) {
        let table = self.table.present();
        if let Some(table) = &*table {
            slots.into_iter().for_each(|slot| table.settle(slot));
        }
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        // A panic elsewhere cannot have left it half-changed.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passage {
    pub(super) fn from(&self) -> &DatabaseState {
        &self.from
    }

    /// Ends it once the old node has answered, or this has passed since earlier passages have ended. The table has to say by
    /// now that the slots have moved.
    pub(super) fn run(self, limit: Duration) {
        let Some(passages) = self.passages.upgrade() else {
            return;
        };
        let wait = async move {
            for earlier in &self.earlier {
                earlier.cancelled().await;
            }
            let until = clock::now() + limit;
            // An error says that the time is up.
            let _ = timeout_at(until, self.answered(until)).await;
            drop(self);
        };
        // An error says that the system refuses threads. Then the passage has ended with its task.
        let _ = passages.executor.spawn(wait);
    }

    /// Waits until the node has answered what it has been sent so far, and callers have followed its redirects.
    async fn answered(&self, until: Instant) {
        let ping = redis::cmd("PING");
        let routes = self.from.parking.routes().clone();
        let routes = routes.iter().flat_map(|routes| routes.iter());
        let mailboxes = routes.map(|route| &route.mailbox);
        let asked = mailboxes.map(|mailbox| put_question(mailbox, &ping, until));
        join_all(asked.collect::<Vec<_>>()).await;
        let mut quiet = 0;
        while quiet < 2 {
            sleep(PAUSE).await;
            quiet += 1;
            if !self.from.in_flight.redirects().are_followed() {
                quiet = 0;
            }
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if let Some(passages) = self.passages.upgrade() {
            passages.end(self.number);
        }
    }
}
