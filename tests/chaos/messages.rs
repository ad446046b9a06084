//! Publishers and subscribers: each message is received, or covered by a gap or a count.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use redis_steward::{Database, PubSubEvent, Subscription, SubscriptionBuilder, WhenFull};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    common::Reply,
    invariants::{Invariant, check},
    script::RECOVERY,
    site::{Place, Site},
    stage::Stage,
};

const CHANNEL: &str = "numbers";
const EVERY: Duration = Duration::from_millis(5);
/// A subscriber that hears nothing looks after this time whether there is more to come.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What has become of the numbers that were published.
#[derive(Default)]
pub(crate) struct Published {
    /// The last one that was given out.
    last: AtomicU64,
    /// It is not known of these whether the server has taken them.
    uncertain: Mutex<BTreeSet<u64>>,
}

impl Published {
    /// How many numbers between these two the server has certainly taken, and how many perhaps.
    fn between(&self, before: u64, after: u64) -> (u64, u64) {
        let uncertain = self.uncertain.lock().unwrap();
        let uncertain = uncertain.range(before + 1..after).count() as u64;
        (after - before - 1 - uncertain, after - before - 1)
    }
}

/// Publishes numbers until the end of calls, past the proxy, each over a connection of its own.
pub(crate) fn publish(site: &Site, published: &Published, stage: &Stage) {
    let mut publisher = Publisher { site, at: None };
    while !stage.calls_have_ended() {
        let number = published.last.load(SeqCst) + 1;
        if !publisher.publish(&number.to_string()) {
            published.uncertain.lock().unwrap().insert(number);
        }
        published.last.store(number, SeqCst);
        thread::sleep(EVERY);
    }
}

struct Publisher<'a> {
    site: &'a Site,
    /// In a cluster, the node that has taken the last message.
    at: Option<usize>,
}

impl Publisher<'_> {
    /// Whether the message was certainly taken.
    fn publish(&mut self, text: &str) -> bool {
        match &self.site.place {
            Place::Server(single) => {
                let reply = single.server.try_command(&["PUBLISH", CHANNEL, text]);
                matches!(reply, Ok(Reply::Int(_)))
            }
            Place::Cluster(sharded) => {
                let cluster = &sharded.cluster;
                let node = self.at.take();
                let node = node.unwrap_or_else(|| cluster.primary_of(cluster.slot_of(CHANNEL)));
                let reply = cluster.node(node).try_command(&["SPUBLISH", CHANNEL, text]);
                // A primary that is none any more takes messages until it knows that, and nobody listens there.
                let is_taken = matches!(reply, Ok(Reply::Int(1..)));
                self.at = is_taken.then_some(node);
                is_taken
            }
        }
    }
}

/// A subscriber that checks what it gets.
pub(crate) struct Reader {
    subscription: Subscription,
    published: Arc<Published>,
    stage: Arc<Stage>,
    name: String,
    /// The last number that it has got.
    seen: Option<u64>,
    /// What was told since.
    lagged: u64,
    has_gap: bool,
    is_interrupted: bool,
    tally: Tally,
}

/// What a subscriber was told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    messages: u64,
    lagged: u64,
    gaps: u64,
}

/// Subscribes two to the numbers: one that reads at once, and a slow one with a small queue.
pub(crate) async fn subscribe(
    database: &Database,
    is_cluster: bool,
    published: &Arc<Published>,
    stage: &Arc<Stage>,
    random: Rng,
) -> [JoinHandle<Tally>; 2] {
    let reader = |subscription, kind| Reader {
        subscription,
        published: published.clone(),
        stage: stage.clone(),
        name: format!("the {kind} subscriber of {}", database.name()),
        seen: None,
        lagged: 0,
        has_gap: false,
        is_interrupted: false,
        tally: Tally::default(),
    };
    let subscribe = async |subscription: SubscriptionBuilder| {
        // Nodes of a cluster lose messages of other channels without a word.
        let subscribed = if is_cluster {
            subscription.ssubscribe([CHANNEL]).await
        } else {
            subscription.subscribe([CHANNEL]).await
        };
        subscribed.expect("confirmed")
    };
    let quick = subscribe(database.subscription()).await;
    let when_full =
        [WhenFull::DropOldest, WhenFull::DropNewest][usize::from(random.clone().bool())];
    let slow = database.subscription().max_messages(5).when_full(when_full);
    let slow = subscribe(slow).await;
    [
        tokio::spawn(reader(quick, "quick").run(None)),
        tokio::spawn(reader(slow, "slow").run(Some(random))),
    ]
}

impl Reader {
    /// Reads until the end of calls, and then on to the last number.
    async fn run(mut self, mut pauses: Option<Rng>) -> Tally {
        let mut last = None;
        let mut heard = Instant::now();
        loop {
            if last.is_none() && self.stage.calls_have_ended() {
                // One may be under way.
                sleep(2 * EVERY).await;
                last = Some(self.published.last.load(SeqCst));
                pauses = None;
            }
            if last.is_some_and(|last| self.is_at(last)) {
                return self.tally;
            }
            match timeout(LOOK_AGAIN, self.subscription.next()).await {
                Ok(Some(event)) => {
                    self.take(&event);
                    heard = Instant::now();
                }
                Ok(None) => {
                    self.violated("it has ended".into());
                    return self.tally;
                }
                // The publisher may wait for a reply that does not come.
                Err(_) if self.is_at(self.published.last.load(SeqCst)) => heard = Instant::now(),
                // A recovery takes time, for which the machine has to run.
                Err(_) if heard.elapsed() < RECOVERY + self.stage.pulse.stall() => {}
                Err(_) => {
                    let (seen, last) = (self.seen, self.published.last.load(SeqCst));
                    self.violated(format!("nothing came after {seen:?}, of up to {last}"));
                    return self.tally;
                }
            }
            if let Some(random) = &mut pauses {
                sleep(Duration::from_millis(random.u64(0..30))).await;
            }
        }
    }

    /// Whether all up to this number was received or counted.
    fn is_at(&self, last: u64) -> bool {
        let Some(seen) = self.seen else {
            return false;
        };
        // A number may come before its publisher has noted the reply.
        if seen >= last {
            return true;
        }
        let (certain, _) = self.published.between(seen, last + 1);
        self.lagged >= certain
    }

    fn take(&mut self, event: &PubSubEvent) {
        match event {
            PubSubEvent::Message { payload, .. } => {
                let text = std::str::from_utf8(payload).expect("text");
                self.received(text.parse().expect("a number"));
            }
            PubSubEvent::Lagged(count) => {
                self.lagged += count;
                self.tally.lagged += count;
            }
            PubSubEvent::Interrupted { .. } => self.is_interrupted = true,
            PubSubEvent::Gap { .. } => {
                if !std::mem::take(&mut self.is_interrupted) {
                    self.violated("a gap without an interruption".into());
                }
                self.has_gap = true;
                self.tally.gaps += 1;
            }
            other => self.violated(format!("{other:?}")),
        }
    }

    fn received(&mut self, number: u64) {
        self.tally.messages += 1;
        if self.is_interrupted {
            self.violated(format!("{number} within an interruption"));
        }
        if let Some(seen) = self.seen {
            let lagged = self.lagged;
            if number <= seen {
                self.violated(format!("{number} after {seen}"));
            } else {
                let (least, most) = self.published.between(seen, number);
                let least = if self.has_gap { 0 } else { least };
                if !(least..=most).contains(&lagged) {
                    self.violated(format!(
                        "{lagged} were counted from {seen} to {number}, and {least} to {most} were missing"
                    ));
                }
            }
        }
        self.seen = Some(number);
        self.lagged = 0;
        self.has_gap = false;
    }

    fn violated(&self, detail: String) {
        let name = &self.name;
        let violation = check(Invariant::Messages, false, || format!("{name}: {detail}"));
        self.stage.record(violation, String::new);
    }
}
