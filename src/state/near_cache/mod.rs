//! Replies that are kept in this process until the server says that their keys have changed.
//!
//! - this file: [`NearCache`] · `entry`: what is kept of one key · `flights`: reads under way · `reply`: replies as values
//!
//! # Why no reply is too old
//!
//! Reads that fill the cache, and the invalidations, come over one connection, which tracks what is read on it. The lock
//! of a key's shard orders three things: a read takes off, its reply is kept, its key is invalidated. An invalidation in
//! between outdates the read. So a reply that is kept is one that no invalidation has been received for, and the next one
//! removes it. A life of the cache is that of its connection: with its end, no reply is used or kept any more, before
//! anything else. And since a connection may be silent without an end, replies are used only for a few seconds after the
//! last question that the server has answered on it.

mod entry;
mod flights;
#[cfg(test)]
mod model_tests;
mod reply;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use quick_cache::{DefaultHashBuilder, sync::Cache};
use redis::Value;
use tokio::sync::Notify;

pub(crate) use self::reply::{as_resp2, is_of_none};
use self::{
    entry::{Entry, Evictions, Weight},
    flights::{Boarding, Flights},
};
use crate::{config::DatabaseSettings, net::Mailbox, stats::NearCacheStats};

/// Replies are used for so long after a question that the server has answered.
pub(crate) const TRUSTED_FOR: Duration = Duration::from_secs(3);

/// The kept replies of one database.
pub(crate) struct NearCache {
    entries: Cache<Box<[u8]>, Arc<Entry>, Weight, DefaultHashBuilder, Evictions>,
    least_weight: Arc<AtomicU64>,
    flights: Flights,
    /// The connection that tracks, while there is one.
    tracking: ArcSwapOption<Tracking>,
    /// The number of the present life; 0 if there is none.
    life: AtomicU64,
    /// Held by whoever begins, prolongs or ends a life.
    lives: Mutex<Lives>,
    /// Until when replies may be used, in nanoseconds since `born`.
    trusted_until: AtomicU64,
    born: Instant,
    max_age: AtomicU64,
    /// There is a task that keeps it alive.
    pub(crate) is_kept: AtomicBool,
    /// The task has to look: the database has changed.
    pub(crate) changed: Notify,
    hits: AtomicU64,
    misses: AtomicU64,
    invalidations: AtomicU64,
    evictions: Arc<AtomicU64>,
    /// Why there is no connection that tracks.
    pub(crate) trouble: ArcSwapOption<String>,
}

#[derive(Debug, Default)]
struct Lives {
    last: u64,
}

/// A connection that tracks what is read on it.
#[derive(Debug)]
pub(crate) struct Tracking {
    pub(crate) life: u64,
    pub(crate) mailbox: Mailbox,
    /// Its replies are to have the form of RESP2.
    pub(crate) as_resp2: bool,
}

/// A read that is under way. If it is dropped, it has failed.
pub(crate) struct Filling {
    cache: Arc<NearCache>,
    key: Box<[u8]>,
    words: Arc<[Box<[u8]>]>,
    life: u64,
    /// `None` once it has ended.
    number: Option<u64>,
}

/// How a read goes on that has found no reply.
pub(crate) enum Missed {
    /// It asks the server, and gets the reply as those do who wait.
    Ask(Filling, oneshot::AsyncReceiver<Option<Value>>),
    /// Another one does, whose reply it gets, if there is one.
    Wait(oneshot::AsyncReceiver<Option<Value>>),
    /// It goes the usual way.
    PassBy,
}

impl NearCache {
    pub(crate) fn new(settings: &DatabaseSettings) -> Self {
        let weight = Weight::default();
        let evictions = Evictions::default();
        let cache = Self {
            least_weight: weight.least.clone(),
            evictions: evictions.0.clone(),
            entries: Cache::with(
                settings.near_cache_max_entries.min(1 << 16),
                settings.near_cache_max_bytes as u64,
                weight,
                DefaultHashBuilder::default(),
                evictions,
            ),
            flights: Flights::default(),
            tracking: ArcSwapOption::empty(),
            life: AtomicU64::new(0),
            lives: Mutex::default(),
            trusted_until: AtomicU64::new(0),
            born: Instant::now(),
            max_age: AtomicU64::new(0),
            is_kept: AtomicBool::new(false),
            changed: Notify::new(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            invalidations: AtomicU64::new(0),
            trouble: ArcSwapOption::empty(),
        };
        cache.resize(settings);
        cache
    }

    /// Takes other bounds.
    pub(super) fn resize(&self, settings: &DatabaseSettings) {
        let bytes = settings.near_cache_max_bytes as u64;
        let least = bytes / settings.near_cache_max_entries as u64;
        if self.least_weight.swap(least, Relaxed) != least {
            // What is there has other weights.
            self.outdate_all();
        }
        if self.entries.capacity() != bytes {
            self.entries.set_capacity(bytes);
        }
        let max_age = settings.near_cache_max_age.as_millis() as u64;
        self.max_age.store(max_age, Relaxed);
    }

    pub(crate) fn max_age(&self) -> Duration {
        Duration::from_millis(self.max_age.load(Relaxed))
    }

    /// The reply to a command about this key, if it is kept.
    pub(crate) fn reply<'a>(
        &self,
        key: &[u8],
        words: impl Iterator<Item = &'a [u8]> + Clone,
        now: Instant,
    ) -> Option<Value> {
        if self.nanos(now) >= self.trusted_until.load(SeqCst) {
            return None;
        }
        let entry = self.entries.get(key)?;
        let reply = entry.reply(words, now)?.clone();
        self.hits.fetch_add(1, Relaxed);
        Some(reply)
    }

    pub(crate) fn tracking(&self) -> Option<Arc<Tracking>> {
        self.tracking.load_full()
    }

    /// A read of this key in this life has found no reply.
    pub(crate) fn missed(
        self: &Arc<Self>,
        key: &[u8],
        words: Arc<[Box<[u8]>]>,
        life: u64,
        deadline: tokio::time::Instant,
    ) -> Missed {
        self.misses.fetch_add(1, Relaxed);
        match self.flights.shard(key).board(key, &words, deadline) {
            Boarding::First(number, reply) => {
                let filling = Filling {
                    cache: self.clone(),
                    key: key.into(),
                    words,
                    life,
                    number: Some(number),
                };
                Missed::Ask(filling, reply)
            }
            Boarding::Join(reply) => Missed::Wait(reply),
            Boarding::TooSlow => Missed::PassBy,
        }
    }

    /// The key has changed, or is about to.
    pub(crate) fn outdate(&self, key: &[u8]) {
        let mut shard = self.flights.shard(key);
        shard.outdate(key);
        self.entries.remove(key);
    }

    /// All keys have changed.
    pub(crate) fn outdate_all(&self) {
        self.flights.outdate_all();
        self.entries.clear();
    }

    /// The server says that these keys have changed, or all.
    pub(crate) fn invalidated(&self, keys: Option<&[Value]>) {
        match keys {
            Some(keys) => {
                self.invalidations.fetch_add(keys.len() as u64, Relaxed);
                for key in keys {
                    if let Value::BulkString(key) = key {
                        self.outdate(key);
                    }
                }
            }
            None => {
                self.invalidations.fetch_add(1, Relaxed);
                self.outdate_all();
            }
        }
    }

    /// The number of the next life, from before its connection is chosen.
    pub(crate) fn next_life(&self) -> u64 {
        let mut lives = self.lives();
        lives.last += 1;
        lives.last
    }

    /// A connection tracks what is read on it from now on. The one before it has ended. Tells whether the life has begun: the
    /// database may have gone elsewhere since its connection was chosen.
    pub(crate) fn begin(&self, tracking: Tracking, asked: Instant) -> bool {
        let lives = self.lives();
        if lives.last != tracking.life {
            return false;
        }
        self.life.store(tracking.life, SeqCst);
        self.tracking.store(Some(Arc::new(tracking)));
        self.trusted_until
            .store(self.nanos(asked + TRUSTED_FOR), SeqCst);
        true
    }

    pub(crate) fn is_alive(&self, life: u64) -> bool {
        self.life.load(SeqCst) == life
    }

    /// The server has answered a question of then on the connection of this life.
    pub(crate) fn answered(&self, life: u64, asked: Instant) {
        let _lives = self.lives();
        if self.life.load(SeqCst) == life {
            self.trusted_until
                .store(self.nanos(asked + TRUSTED_FOR), SeqCst);
        }
    }

    /// The connection of this life tracks no more, or nobody knows.
    pub(crate) fn end(&self, life: u64) {
        {
            let _lives = self.lives();
            if self.life.load(SeqCst) != life {
                return;
            }
            self.trusted_until.store(0, SeqCst);
            self.life.store(0, SeqCst);
            self.tracking.store(None);
        }
        self.outdate_all();
        self.changed.notify_one();
    }

    /// The database may be elsewhere: the present life ends, and one that is about to begin does not.
    pub(super) fn leave(&self) {
        let life = {
            let mut lives = self.lives();
            lives.last += 1;
            self.life.load(SeqCst)
        };
        if life != 0 {
            self.end(life);
        }
    }

    pub(crate) fn figures(&self) -> NearCacheStats {
        NearCacheStats {
            is_tracking: self.life.load(Relaxed) != 0,
            trouble: self.trouble.load().as_ref().map(|why| (**why).clone()),
            entries: self.entries.len() as u64,
            bytes: self.entries.weight(),
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            evictions: self.evictions.load(Relaxed),
            invalidations: self.invalidations.load(Relaxed),
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.born).as_nanos() as u64
    }

    fn lives(&self) -> MutexGuard<'_, Lives> {
        // No holder leaves it half-changed.
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Filling {
    /// The server has answered. The reply is kept until then, unless its key has changed since, or the connection has
    /// ended; whoever waits for it gets it.
    pub(crate) fn answered(mut self, reply: &Value, until: Option<Instant>) {
        self.land(Some((reply, until)));
    }

    fn land(&mut self, answer: Option<(&Value, Option<Instant>)>) {
        let Some(number) = self.number.take() else {
            return;
        };
        let cache = &self.cache;
        let mut shard = cache.flights.shard(&self.key);
        let landed = shard.land(&self.key, number);
        if let Some((reply, Some(until))) = answer
            && !landed.is_outdated
            // Under the lock: the end of a life takes it afterwards, and removes what is kept.
            && cache.life.load(SeqCst) == self.life
        {
            let before = cache.entries.peek(&*self.key);
            let entry = Entry::with(before.as_deref(), self.words.clone(), reply.clone(), until);
            cache.entries.insert(self.key.clone(), Arc::new(entry));
        }
        drop(shard);
        for waiting in landed.waiting {
            // It may have gone.
            let _ = waiting.send(answer.map(|(reply, _)| reply.clone()));
        }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.land(None);
    }
}

/// Without the data, which may be secret.
impl fmt::Debug for NearCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NearCache")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}
