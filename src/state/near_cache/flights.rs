//! Reads that are under way to fill the cache.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redis::Value;
use tokio::time::Instant;

/// The reads under way, by their keys.
#[derive(Debug, Default)]
pub(super) struct Flights {
    shards: [Mutex<Shard>; 16],
    hasher: RandomState,
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    by_key: HashMap<Box<[u8]>, Vec<Flight>>,
    last: u64,
}

/// One read.
#[derive(Debug)]
struct Flight {
    number: u64,
    words: Arc<[Box<[u8]>]>,
    /// Its key has changed since, so that its reply is not kept, and nobody else gets it who comes from now on.
    is_outdated: bool,
    deadline: Instant,
    waiting: Vec<oneshot::Sender<Option<Value>>>,
}

/// What a read finds.
pub(super) enum Boarding {
    /// It is the first one, with this number, and gets the reply as the others do.
    First(u64, oneshot::AsyncReceiver<Option<Value>>),
    /// Another one is under way, whose reply it gets; `None` if that has failed.
    Join(oneshot::AsyncReceiver<Option<Value>>),
    /// Another one is under way, which may take longer than this one has time.
    TooSlow,
}

/// A read that has ended.
pub(super) struct Landed {
    pub(super) is_outdated: bool,
    pub(super) waiting: Vec<oneshot::Sender<Option<Value>>>,
}

impl Flights {
    /// The shard of a key.
    pub(super) fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        let at = self.hasher.hash_one(key) as usize % self.shards.len();
        lock(&self.shards[at])
    }

    /// All replies that are under way are not to be kept.
    pub(super) fn outdate_all(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let flights = shard.by_key.values_mut().flatten();
            flights.for_each(|flight| flight.is_outdated = true);
        }
    }
}

impl Shard {
    pub(super) fn board(
        &mut self,
        key: &[u8],
        words: &Arc<[Box<[u8]>]>,
        deadline: Instant,
    ) -> Boarding {
        let flights = match self.by_key.get_mut(key) {
            Some(flights) => flights,
            None => self.by_key.entry(key.into()).or_default(),
        };
        let is_same = |flight: &&mut Flight| !flight.is_outdated && flight.words == *words;
        if let Some(flight) = flights.iter_mut().find(is_same) {
            if flight.deadline > deadline {
                return Boarding::TooSlow;
            }
            let (sender, receiver) = oneshot::async_channel();
            flight.waiting.push(sender);
            return Boarding::Join(receiver);
        }
        self.last += 1;
        let (sender, receiver) = oneshot::async_channel();
        flights.push(Flight {
            number: self.last,
            words: words.clone(),
            is_outdated: false,
            deadline,
            waiting: vec![sender],
        });
        Boarding::First(self.last, receiver)
    }

    /// The key has changed.
    pub(super) fn outdate(&mut self, key: &[u8]) {
        let flights = self.by_key.get_mut(key).into_iter().flatten();
        flights.for_each(|flight| flight.is_outdated = true);
    }

    pub(super) fn land(&mut self, key: &[u8], number: u64) -> Landed {
        let flights = self.by_key.get_mut(key);
        let flights = flights.expect("BUG: a flight that is not under way");
        let at = flights.iter().position(|flight| flight.number == number);
        let flight = flights.swap_remove(at.expect("BUG: a flight has landed twice"));
        if flights.is_empty() {
            self.by_key.remove(key);
        }
        Landed {
            is_outdated: flight.is_outdated,
            waiting: flight.waiting,
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // No holder leaves it half-changed.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
