//! Changes of keys in a cluster: each node publishes those of its own keys, and to nobody else, so all primaries are listened
//! to.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;

use super::listener::Listener;
use crate::{
    database::Database,
    error::Error,
    events::{EndCause, GapCause, PubSubEvent, Topic},
    state::{Bounds, DatabaseState, SlotTable, clock},
};

/// The pauses while a node refuses or does not answer. They double.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// The wait for another table begins anew after this.
const LONG: Duration = Duration::from_secs(3600);

/// The names of such channels begin so, and the patterns for them, such as `__key*__:*`.
pub(super) fn is_of_keyspace(topic: &Topic) -> bool {
    let (Topic::Channel(name) | Topic::Pattern(name)) = topic else {
        return false;
    };
    name.starts_with(b"__key")
}

/// The channels and patterns of one subscription that tell of changed keys.
#[derive(Default)]
pub(super) struct Keyspace {
    topics: BTreeSet<Topic>,
    listeners: Vec<Listener>,
    /// The listener that is asked first, so that a busy one does not hide the others.
    first: usize,
    /// The nodes that are listened to are those of this table.
    seen: Option<Arc<SlotTable>>,
    change: Option<Waiting<()>>,
    joining: Option<Joining>,
    /// Since when events of a node may be missing.
    missing_since: Option<SystemTime>,
    /// Events that come before those of the nodes.
    events: VecDeque<PubSubEvent>,
}

/// Nodes that are not listened to yet.
struct Joining {
    topics: Vec<Topic>,
    listening: Waiting<Vec<Listener>>,
}

/// Topics that are dropped again if not all nodes have confirmed them.
struct TakenBack<'a> {
    listeners: &'a [Listener],
    topics: &'a [Topic],
}

impl Drop for TakenBack<'_> {
    fn drop(&mut self) {
        for listener in self.listeners {
            listener.leave(self.topics);
        }
    }
}

/// Locked by none: that makes the subscription one that threads may share.
type Waiting<T> = Mutex<Pin<Box<dyn Future<Output = T> + Send>>>;

impl Keyspace {
    /// Adds topics, and returns when all primaries have confirmed them.
    ///
    /// # Errors
    /// That of the first node that refuses. Then none is added.
    pub(super) async fn add(
        &mut self,
        database: &Database,
        bounds: Bounds,
        topics: Vec<Topic>,
    ) -> Result<(), Error> {
        let mut new: BTreeSet<_> = topics.into_iter().collect();
        new.retain(|topic| !self.topics.contains(topic));
        if new.is_empty() {
            return Ok(());
        }
        let options = database.options().counted_from(clock::now());
        let table = database.engine.slot_table(&options).await?;
        // Those that are joining begin anew, with these topics.
        self.joining = None;
        let is_new = |node: &Arc<DatabaseState>| !self.listens_to(node);
        let nodes = nodes(&table).filter(is_new);
        let joining: Vec<_> = nodes.map(|node| Listener::at(node, bounds)).collect();
        let all: Vec<_> = self.topics.union(&new).cloned().collect();
        let new: Vec<_> = new.into_iter().collect();
        let mut unless_all = TakenBack {
            listeners: &self.listeners,
            topics: &new,
        };
        let added = self
            .listeners
            .iter()
            .map(|listener| listener.subscribe(options, new.clone()));
        let joined = joining
            .iter()
            .map(|listener| listener.subscribe(options, all.clone()));
        let (added, joined) = futures_util::future::join(join_all(added), join_all(joined)).await;
        // One that has gone meanwhile is left when its end is read.
        let is_there = |(listener, _): &(&Listener, _)| !listener.node.is_removed();
        let refused = self.listeners.iter().zip(added).filter(is_there);
        let refused = refused.chain(joining.iter().zip(joined).filter(is_there));
        if let Some(error) = refused.filter_map(|(_, ended)| ended.err()).next() {
            return Err(error);
        }
        unless_all.topics = &[];
        drop(unless_all);
        self.topics.extend(new);
        self.listeners.extend(joining);
        // Where a gap is to be told, the tables are compared once more.
        self.seen = self.missing_since.is_none().then_some(table);
        self.change = None;
        Ok(())
    }

    /// Those of these topics that it does not have.
    pub(super) fn without_present(&self, topics: &[Topic]) -> Vec<Topic> {
        let is_new = |topic: &&Topic| !self.topics.contains(topic);
        topics.iter().filter(is_new).cloned().collect()
    }

    pub(super) fn leave(&mut self, topics: &[Topic]) {
        for topic in topics {
            self.topics.remove(topic);
        }
        for listener in &self.listeners {
            listener.leave(topics);
        }
        if self.topics.is_empty() {
            self.listeners.clear();
            self.joining = None;
        }
    }

    /// The next event. `Ready(None)` does not come: the subscription itself knows its end.
    pub(super) fn poll(
        &mut self,
        database: &Database,
        bounds: Bounds,
        cx: &mut Context<'_>,
    ) -> Poll<PubSubEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            if self.topics.is_empty() {
                return Poll::Pending;
            }
            if let Some(event) = self.poll_listeners(cx) {
                return Poll::Ready(event);
            }
            let is_changed = match &mut self.joining {
                Some(Joining { listening, .. }) => {
                    let Poll::Ready(listeners) = poll(listening, cx) else {
                        return Poll::Pending;
                    };
                    self.joined(listeners);
                    // Others may have come meanwhile.
                    true
                }
                None => self.poll_change(database, cx).is_ready(),
            };
            if !is_changed || database.engine.state.gate.state().is_final() {
                return Poll::Pending;
            }
            self.compare(database, bounds);
        }
    }

    fn poll_change(&mut self, database: &Database, cx: &mut Context<'_>) -> Poll<()> {
        let seen = &self.seen;
        let change = self.change.get_or_insert_with(|| {
            let (table, seen) = (database.engine.state.cluster.table.clone(), seen.clone());
            let until = clock::now() + LONG;
            Mutex::new(Box::pin(async move {
                table.next(seen.as_ref(), until).await;
            }))
        });
        let changed = poll(change, cx);
        if changed.is_ready() {
            self.change = None;
        }
        changed
    }

    /// Begins to listen to the primaries of the present table that are not listened to.
    fn compare(&mut self, database: &Database, bounds: Bounds) {
        let table = database.engine.state.cluster.table.present().clone();
        (self.seen, self.change) = (table.clone(), None);
        let Some(table) = table else {
            return;
        };
        let new: Vec<_> = nodes(&table)
            .filter(|node| !self.listens_to(node))
            .collect();
        if new.is_empty() {
            self.tell_gap();
            return;
        }
        if self.missing_since.is_none() {
            let at = clock::wall();
            self.missing_since = Some(at);
            let cause = GapCause::Moved;
            self.events
                .push_back(PubSubEvent::Interrupted { at, cause });
        }
        let topics: Vec<_> = self.topics.iter().cloned().collect();
        let joining = new
            .into_iter()
            .map(|node| listen(database.clone(), node, bounds, topics.clone()));
        let joining = join_all(joining.collect::<Vec<_>>());
        self.joining = Some(Joining {
            topics,
            listening: Mutex::new(Box::pin(async move {
                joining.await.into_iter().flatten().collect()
            })),
        });
    }

    fn joined(&mut self, listeners: Vec<Listener>) {
        let Some(Joining { topics, .. }) = self.joining.take() else {
            return;
        };
        let is_dropped = |topic: &Topic| !self.topics.contains(topic);
        let dropped: Vec<_> = topics.into_iter().filter(is_dropped).collect();
        for listener in &listeners {
            listener.leave(&dropped);
        }
        self.listeners.extend(listeners);
    }

    /// All are listened to again.
    fn tell_gap(&mut self) {
        if let Some(from) = self.missing_since.take() {
            self.events.push_back(PubSubEvent::Gap {
                from,
                to: clock::wall(),
                cause: GapCause::Moved,
            });
        }
    }

    fn listens_to(&self, node: &Arc<DatabaseState>) -> bool {
        self.listeners
            .iter()
            .any(|listener| Arc::ptr_eq(&listener.node, node))
    }

    /// An event of a node.
    fn poll_listeners(&mut self, cx: &mut Context<'_>) -> Option<PubSubEvent> {
        for _ in 0..self.listeners.len() {
            self.first = (self.first + 1) % self.listeners.len().max(1);
            while let Poll::Ready(event) = self.listeners.get_mut(self.first)?.poll(cx) {
                match event {
                    // The others will refuse it as well.
                    Some(PubSubEvent::Refused { topic, error }) => {
                        if self.topics.contains(&topic) {
                            self.leave(std::slice::from_ref(&topic));
                            return Some(PubSubEvent::Refused { topic, error });
                        }
                    }
                    Some(PubSubEvent::Ended(EndCause::Removed | EndCause::ShuttingDown)) | None => {
                        self.listeners.swap_remove(self.first);
                        break;
                    }
                    Some(event) => return Some(event),
                }
            }
        }
        None
    }
}

impl fmt::Debug for Keyspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.listeners.iter().map(|listener| &listener.node.name);
        f.debug_list().entries(nodes).finish()
    }
}

/// The primaries, as far as is known.
fn nodes(table: &SlotTable) -> impl Iterator<Item = Arc<DatabaseState>> {
    table.serving().map(|node| node.state.clone())
}

fn poll<T>(waiting: &mut Waiting<T>, cx: &mut Context<'_>) -> Poll<T> {
    let waiting = waiting.get_mut();
    let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
    waiting.as_mut().poll(cx)
}

/// Listens to a node, until that succeeds or it is none any more.
async fn listen(
    database: Database,
    node: Arc<DatabaseState>,
    bounds: Bounds,
    topics: Vec<Topic>,
) -> Option<Listener> {
    let mut pause = FIRST_PAUSE;
    loop {
        let options = database.options().counted_from(clock::now());
        let listener = Listener::at(node.clone(), bounds);
        if listener.subscribe(options, topics.clone()).await.is_ok() {
            return Some(listener);
        }
        let state = &database.engine.state;
        if node.gate.state().is_final() || state.gate.state().is_final() {
            return None;
        }
        let until = clock::now() + pause.mul_f64(0.5 + clock::jitter() / 2.0);
        let table = state.cluster.table.present().clone();
        state.cluster.table.next(table.as_ref(), until).await;
        pause = (2 * pause).min(LAST_PAUSE);
    }
}
