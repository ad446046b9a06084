//! Goal: no hit is older than an invalidation that was received, or than an own write that has ended, and nothing of a
//! connection that has ended is used. Method: a model of the server and of the socket, with reads, writes and losses in any
//! order; a reply lies about for any time before its caller looks at it.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use redis::Value;
use tokio::sync::mpsc;

use super::{Filling, Missed, NearCache, Tracking};
use crate::config::{Config, DatabaseConfig, resolve};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A read takes off, and is at the server at once.
    Read(usize),
    /// The next message on the socket arrives: a reply, for its caller to look at later, or an invalidation.
    Arrive,
    /// The caller of the oldest reply that has arrived looks at it.
    Look,
    /// Another client writes.
    Write(usize),
    /// A write of ours begins, or ends with its execution.
    OwnWrite(usize),
    OwnWriteEnds(usize),
    /// The connection ends, and another one begins.
    Lose,
    Hit(usize),
}

const KEYS: [&[u8]; 2] = [b"a", b"b"];

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    prop_oneof![
        4 => key.clone().prop_map(Step::Read),
        4 => Just(Step::Arrive),
        4 => Just(Step::Look),
        2 => key.clone().prop_map(Step::Write),
        1 => key.clone().prop_map(Step::OwnWrite),
        1 => key.clone().prop_map(Step::OwnWriteEnds),
        1 => Just(Step::Lose),
        4 => key.prop_map(Step::Hit),
    ]
}

enum Message {
    Reply(Filling, i64),
    Invalidation { key: usize, version: i64 },
}

/// The server, the socket, and what we know.
struct World<'a> {
    cache: &'a Arc<NearCache>,
    now: Instant,
    life: u64,
    versions: [i64; KEYS.len()],
    tracked: HashSet<usize>,
    socket: VecDeque<Message>,
    arrived: VecDeque<(Filling, i64)>,
    /// The oldest versions that may be served.
    known: [i64; KEYS.len()],
}

fn words(key: usize) -> impl Iterator<Item = &'static [u8]> + Clone {
    [&b"GET"[..], KEYS[key]].into_iter()
}

impl<'a> World<'a> {
    fn new(cache: &'a Arc<NearCache>) -> Self {
        let mut world = Self {
            cache,
            now: Instant::now(),
            life: 0,
            versions: [0; KEYS.len()],
            tracked: HashSet::new(),
            socket: VecDeque::new(),
            arrived: VecDeque::new(),
            known: [0; KEYS.len()],
        };
        world.connect();
        world
    }

    fn connect(&mut self) {
        self.life = self.cache.next_life();
        let (mailbox, _) = mpsc::unbounded_channel();
        let tracking = Tracking {
            life: self.life,
            mailbox,
            as_resp2: false,
        };
        assert!(self.cache.begin(tracking, self.now));
    }

    fn write(&mut self, key: usize) {
        self.versions[key] += 1;
        if self.tracked.remove(&key) {
            let version = self.versions[key];
            self.socket
                .push_back(Message::Invalidation { key, version });
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Read(key) => {
                let words: Arc<[Box<[u8]>]> = words(key).map(Box::from).collect();
                let deadline = tokio::time::Instant::from_std(self.now);
                if let Missed::Ask(filling, _) =
                    self.cache.missed(KEYS[key], words, self.life, deadline)
                {
                    self.tracked.insert(key);
                    self.socket
                        .push_back(Message::Reply(filling, self.versions[key]));
                }
            }
            Step::Arrive => match self.socket.pop_front() {
                Some(Message::Reply(filling, version)) => {
                    self.arrived.push_back((filling, version))
                }
                Some(Message::Invalidation { key, version }) => {
                    let key_bytes = Value::BulkString(KEYS[key].to_vec());
                    self.cache.invalidated(Some(&[key_bytes]));
                    self.known[key] = self.known[key].max(version);
                }
                None => {}
            },
            Step::Look => {
                if let Some((filling, version)) = self.arrived.pop_front() {
                    let until = self.now + Duration::from_secs(60);
                    filling.answered(&Value::Int(version), Some(until));
                }
            }
            Step::Write(key) => self.write(key),
            Step::OwnWrite(key) => self.cache.outdate(KEYS[key]),
            Step::OwnWriteEnds(key) => {
                self.write(key);
                self.cache.outdate(KEYS[key]);
                self.known[key] = self.versions[key];
            }
            Step::Lose => {
                self.cache.end(self.life);
                self.socket.clear();
                self.tracked.clear();
                // Whatever has happened meanwhile, nobody tells.
                self.known = self.versions;
                for key in 0..KEYS.len() {
                    assert_eq!(self.hit(key), None);
                }
                self.connect();
            }
            Step::Hit(key) => {
                if let Some(version) = self.hit(key) {
                    assert!(
                        version >= self.known[key],
                        "{version} of {}",
                        self.known[key]
                    );
                }
            }
        }
    }

    fn hit(&self, key: usize) -> Option<i64> {
        match self.cache.reply(KEYS[key], words(key), self.now) {
            Some(Value::Int(version)) => Some(version),
            None => None,
            other => panic!("{other:?}"),
        }
    }
}

fn cache() -> Arc<NearCache> {
    let config = Config::new().database("main", DatabaseConfig::from_url("memory://"));
    let settings = resolve(config).expect("a valid configuration");
    Arc::new(NearCache::new(&settings.databases[0]))
}

proptest! {
    #[test]
    fn no_hit_is_older_than_what_is_known(steps in prop::collection::vec(step(), 0..200)) {
        let cache = cache();
        let mut world = World::new(&cache);
        for step in steps {
            world.step(step);
        }
    }
}

#[test]
fn a_reply_is_used_until_the_key_changes_or_the_connection_ends() {
    let cache = cache();
    let mut world = World::new(&cache);
    for end in [Step::Lose, Step::OwnWrite(0)] {
        for step in [Step::Read(0), Step::Arrive, Step::Look] {
            world.step(step);
        }
        assert_eq!(world.hit(0), Some(0));
        assert_eq!(
            cache.reply(KEYS[0], [&b"TYPE"[..], KEYS[0]].into_iter(), world.now),
            None
        );
        world.step(end);
        assert_eq!(world.hit(0), None);
    }
}

#[test]
fn a_silent_connection_is_not_trusted_for_long() {
    let cache = cache();
    let mut world = World::new(&cache);
    for step in [Step::Read(0), Step::Arrive, Step::Look] {
        world.step(step);
    }
    world.now += super::TRUSTED_FOR - Duration::from_millis(1);
    assert_eq!(world.hit(0), Some(0));
    world.now += Duration::from_millis(1);
    assert_eq!(world.hit(0), None);
    cache.answered(world.life, world.now);
    assert_eq!(world.hit(0), Some(0));
    // The answer of a connection that has ended prolongs nothing.
    cache.end(world.life);
    cache.answered(world.life, world.now);
    assert_eq!(world.hit(0), None);
    assert!(!cache.is_alive(world.life));
}

#[test]
fn a_life_does_not_begin_once_the_database_may_be_elsewhere() {
    let cache = cache();
    let tracking = |life| Tracking {
        life,
        mailbox: mpsc::unbounded_channel().0,
        as_resp2: false,
    };
    let life = cache.next_life();
    cache.leave();
    assert!(!cache.begin(tracking(life), Instant::now()));
    assert!(cache.tracking().is_none());
    let life = cache.next_life();
    assert!(cache.begin(tracking(life), Instant::now()));
    cache.leave();
    assert!(!cache.is_alive(life) && cache.tracking().is_none());
}
