//! The bound on commands and bytes in flight.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use super::{
    redirects::{RedirectedReply, Redirects},
    reply::Reply,
};

/// Commands and bytes in flight of one database, bounded. Those of the nodes of a cluster are within those of the whole.
///
/// Both live in one word, so that entering and leaving cost one atomic operation each: the upper 24 bits
/// count commands, the lower 40 bits bytes. The configuration keeps both bounds below half of that, so
/// that callers that enter and are refused do not overflow it.
#[derive(Debug)]
pub(crate) struct InFlight {
    word: AtomicU64,
    max_commands: AtomicUsize,
    max_bytes: AtomicUsize,
    node: Option<OfNode>,
}

/// What a node of a cluster has to do with.
#[derive(Debug)]
pub(crate) struct OfNode {
    /// The bounds of all nodes together hold as well.
    pub(crate) whole: Arc<InFlight>,
    /// Where its replies are noted that send callers to other nodes.
    pub(crate) redirects: Arc<Redirects>,
}

const BYTES_BITS: u32 = 40;
const ONE_COMMAND: u64 = 1 << BYTES_BITS;
const BYTES_MASK: u64 = ONE_COMMAND - 1;

/// A bound that was reached.
#[derive(Clone, Debug)]
pub(crate) struct Full {
    pub(crate) limit: AtLimit,
    /// Commands and bytes in flight then.
    pub(crate) now: (usize, usize),
    /// The bound is that of the whole.
    pub(crate) is_of_whole: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtLimit {
    Commands(usize),
    Bytes(usize),
}

impl InFlight {
    /// Of a database, or of a node of a cluster.
    pub(crate) fn new(node: Option<OfNode>, max_commands: usize, max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            word: AtomicU64::new(0),
            max_commands: AtomicUsize::new(max_commands),
            max_bytes: AtomicUsize::new(max_bytes),
            node,
        })
    }

    /// Changes the bounds for those that enter from now on.
    pub(crate) fn resize(&self, max_commands: usize, max_bytes: usize) {
        self.max_commands.store(max_commands, Relaxed);
        self.max_bytes.store(max_bytes, Relaxed);
    }

    /// The most commands at once.
    pub(crate) fn max_commands(&self) -> usize {
        self.max_commands.load(Relaxed)
    }

    /// Takes room for one command of so many bytes, until the permit is dropped.
    pub(crate) fn enter(self: &Arc<Self>, bytes: usize) -> Result<InFlightPermit, Full> {
        self.add(bytes).map_err(|limit| self.full(limit, false))?;
        if let Some(OfNode { whole, .. }) = &self.node {
            whole.add(bytes).map_err(|limit| {
                self.word.fetch_sub(weight(bytes), Relaxed);
                whole.full(limit, true)
            })?;
        }
        Ok(InFlightPermit {
            in_flight: self.clone(),
            weight: weight(bytes),
        })
    }

    fn full(&self, limit: AtLimit, is_of_whole: bool) -> Full {
        Full {
            limit,
            now: self.now(),
            is_of_whole,
        }
    }

    fn add(&self, bytes: usize) -> Result<(), AtLimit> {
        let (max_commands, max_bytes) = (self.max_commands(), self.max_bytes.load(Relaxed));
        if bytes > max_bytes {
            return Err(AtLimit::Bytes(max_bytes));
        }
        let before = self.word.fetch_add(weight(bytes), Relaxed);
        let limit = if commands(before) >= max_commands {
            AtLimit::Commands(max_commands)
        } else if self::bytes(before) + bytes > max_bytes {
            AtLimit::Bytes(max_bytes)
        } else {
            return Ok(());
        };
        self.word.fetch_sub(weight(bytes), Relaxed);
        Err(limit)
    }

    /// Commands and bytes in flight now.
    pub(crate) fn now(&self) -> (usize, usize) {
        let word = self.word.load(Relaxed);
        (commands(word), bytes(word))
    }
}

/// The right to be in flight. It travels with the request and ends with it, wherever that is.
#[must_use = "the room is given back when this is dropped"]
#[derive(Debug)]
pub(crate) struct InFlightPermit {
    in_flight: Arc<InFlight>,
    weight: u64,
}

impl InFlightPermit {
    /// Notes that this reply sends its caller to other nodes, if it does. Only that of a node can.
    #[inline]
    pub(super) fn redirected(&self, reply: &Reply) -> Option<Box<RedirectedReply>> {
        let OfNode { redirects, .. } = self.in_flight.node.as_ref()?;
        if reply.has_error() {
            redirects.of(reply)
        } else {
            None
        }
    }
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        self.in_flight.word.fetch_sub(self.weight, Relaxed);
        if let Some(OfNode { whole, .. }) = &self.in_flight.node {
            whole.word.fetch_sub(self.weight, Relaxed);
        }
    }
}

fn weight(bytes: usize) -> u64 {
    ONE_COMMAND | bytes as u64
}

fn commands(word: u64) -> usize {
    (word >> BYTES_BITS) as usize
}

fn bytes(word: u64) -> usize {
    (word & BYTES_MASK) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Executor;

    fn limit(in_flight: &Arc<InFlight>, bytes: usize) -> Option<AtLimit> {
        in_flight.enter(bytes).err().map(|full| full.limit)
    }

    #[test]
    fn a_dropped_permit_gives_its_room_back() {
        let in_flight = InFlight::new(None, 2, 100);
        let first = in_flight.enter(40).expect("room for one");
        let second = in_flight.enter(60).expect("room for two");
        assert_eq!(in_flight.now(), (2, 100));
        assert_eq!(limit(&in_flight, 0), Some(AtLimit::Commands(2)));
        drop(first);
        assert_eq!(limit(&in_flight, 41), Some(AtLimit::Bytes(100)));
        drop(second);
        assert_eq!(in_flight.now(), (0, 0));
    }

    #[test]
    fn what_enters_a_part_is_in_the_whole() {
        let whole = InFlight::new(None, 3, 100);
        let redirects = Redirects::new(Arc::new(Executor::new(None)));
        let parts = [2, 2].map(|most| {
            let node = OfNode {
                whole: whole.clone(),
                redirects: redirects.clone(),
            };
            InFlight::new(Some(node), most, 60)
        });
        let first = [parts[0].enter(10), parts[0].enter(20)];
        assert_eq!(limit(&parts[0], 0), Some(AtLimit::Commands(2)));
        assert_eq!(limit(&parts[1], 61), Some(AtLimit::Bytes(60)));
        assert_eq!(whole.now(), (2, 30), "what was refused is in neither");
        let other = parts[1].enter(60).expect("room");
        assert_eq!(limit(&parts[1], 0), Some(AtLimit::Commands(3)));
        assert_eq!((parts[1].now(), whole.now()), ((1, 60), (3, 90)));
        drop(first);
        drop(other);
        assert_eq!(whole.now(), (0, 0));
    }

    #[test]
    fn a_request_larger_than_the_bound_never_enters() {
        let in_flight = InFlight::new(None, 10, 100);
        assert_eq!(limit(&in_flight, 101), Some(AtLimit::Bytes(100)));
        assert_eq!(in_flight.now(), (0, 0));
    }

    #[test]
    fn new_bounds_hold_for_those_that_enter_later() {
        let in_flight = InFlight::new(None, 2, 100);
        let both = [in_flight.enter(50), in_flight.enter(50)];
        in_flight.resize(1, 10);
        assert_eq!(limit(&in_flight, 11), Some(AtLimit::Bytes(10)));
        assert_eq!(limit(&in_flight, 0), Some(AtLimit::Commands(1)));
        in_flight.resize(3, 200);
        assert!(in_flight.enter(100).is_ok());
        drop(both);
        assert_eq!(in_flight.now(), (0, 0));
    }

    #[test]
    fn the_bound_holds_under_contention() {
        let in_flight = InFlight::new(None, 8, 1_000_000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut permits = Vec::new();
                    for turn in 0..10_000_usize {
                        if let Ok(permit) = in_flight.enter(3) {
                            permits.push(permit);
                        }
                        if turn % 3 == 0 {
                            permits.pop();
                        }
                    }
                    assert!(permits.len() <= 8);
                });
            }
        });
        assert_eq!(in_flight.now(), (0, 0));
    }
}
