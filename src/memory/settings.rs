//! The settings of a server, which CONFIG sets.

#[cfg(feature = "memory-lua")]
use std::time::Duration;

use super::{keyspace::Keyspace, output_limits::OutputLimits};

#[derive(Debug)]
pub(super) struct Settings {
    /// The address at which clients in this process reach the server.
    pub(super) address: String,
    /// The TCP port at which clients reach it; 0 if there is none.
    pub(super) port: u16,
    /// More clients than this are refused.
    pub(super) max_clients: usize,
    /// Bounds on what clients leave unread.
    pub(super) output_limits: OutputLimits,
    /// Seconds after which a client that sends nothing is disconnected; 0 is never.
    pub(super) idle_timeout: u64,
    /// The most bytes of a request, and of the commands that wait for EXEC.
    pub(super) max_query: usize,
    /// The bound on the bytes of the data; 0 is none.
    pub(super) max_bytes: usize,
    /// The bound on the number of keys; 0 is none.
    pub(super) max_keys: usize,
    pub(super) eviction: Eviction,
    /// The bound on the keys that are remembered for clients that track them; 0 is none.
    pub(super) tracked_keys: usize,
    /// A script that runs for longer is ended; zero is no limit.
    #[cfg(feature = "memory-lua")]
    pub(super) script_time_limit: Duration,
    /// The number of keys that were evicted.
    pub(super) evicted: u64,
}

/// What happens to old keys when a bound is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Eviction {
    /// Commands that need memory are refused.
    #[default]
    None,
    /// Of five random keys, the one that was not used for longest goes.
    LeastRecentlyUsed,
    /// The key goes that expires next.
    NextToExpire,
}

const SAMPLES: usize = 5;
/// What an empty server counts for, so that a bound below it leaves no room for data, as in Redis.
const OWN_BYTES: usize = 1024;

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: String::new(),
            port: 0,
            max_clients: 10_000,
            output_limits: OutputLimits::default(),
            idle_timeout: 0,
            max_query: 1 << 30,
            max_bytes: 0,
            max_keys: 0,
            eviction: Eviction::default(),
            tracked_keys: 1_000_000,
            #[cfg(feature = "memory-lua")]
            script_time_limit: Duration::from_secs(5),
            evicted: 0,
        }
    }
}

impl Settings {
    /// Evicts keys until the data fits the bounds. Tells whether it does.
    pub(super) fn make_room(
        &mut self,
        keyspace: &mut Keyspace,
        random: &mut fastrand::Rng,
    ) -> bool {
        while self.is_exceeded(keyspace) {
            let evicted = match self.eviction {
                Eviction::None => false,
                Eviction::LeastRecentlyUsed => {
                    let least = keyspace.least_recently_used(random, SAMPLES);
                    least.is_some_and(|(number, key)| {
                        keyspace.database(number).remove(&key).is_some()
                    })
                }
                Eviction::NextToExpire => {
                    let expiring = keyspace.all().filter_map(|database| {
                        let (at, key) = database.next_to_expire()?;
                        let key = key.clone();
                        Some((at, key, database))
                    });
                    let next = expiring.min_by_key(|(at, _, _)| *at);
                    next.is_some_and(|(_, key, database)| database.remove(&key).is_some())
                }
            };
            if !evicted {
                return false;
            }
            self.evicted += 1;
        }
        true
    }

    /// The bytes that count against the bound.
    pub(super) fn used_bytes(&self, keyspace: &Keyspace) -> usize {
        OWN_BYTES + keyspace.bytes()
    }

    /// Whether the bytes of the data are beyond their bound, with nothing that could be evicted.
    pub(super) fn is_out_of_memory(&self, keyspace: &Keyspace) -> bool {
        self.eviction == Eviction::None
            && self.max_bytes > 0
            && self.used_bytes(keyspace) >= self.max_bytes
    }

    fn is_exceeded(&self, keyspace: &mut Keyspace) -> bool {
        let mut keys = || keyspace.all().map(|database| database.len()).sum::<usize>();
        self.max_keys > 0 && keys() >= self.max_keys
            || self.max_bytes > 0 && self.used_bytes(keyspace) >= self.max_bytes
    }
}
