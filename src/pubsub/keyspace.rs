//! Changes of keys in a cluster: each node publishes those of its own keys, and to nobody else, so all primaries are listened
//! to.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;

use super::{
    listener::{Listener, Subscriber},
    waiting::{Pauses, Waiting},
};
use crate::{
    call::CallOptions,
    database::Database,
    error::Error,
    events::{EndCause, GapCause, PubSubEvent, Topic},
    state::{Bounds, DatabaseState, SlotTable, clock},
};

/// The wait for another table begins anew after this.
const LONG: Duration = Duration::from_secs(60);

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
    members: Vec<Member>,
    /// The member that is asked first, so that a busy one does not hide the others.
    first: usize,
    /// The members are the primaries of this table.
    seen: Option<Arc<SlotTable>>,
    change: Option<Waiting<()>>,
    /// Since when changes may be missing, as not all primaries are listened to.
    missing_since: Option<SystemTime>,
    /// Events that come before those of the nodes.
    events: VecDeque<PubSubEvent>,
}

/// A primary.
struct Member {
    listener: Listener,
    /// It has not confirmed all topics yet.
    joining: Option<Joining>,
    /// Since when no changes come from it, as it has told.
    interrupted_since: Option<SystemTime>,
}

struct Joining {
    topics: Vec<Topic>,
    joined: Waiting<Joined>,
}

/// How a node was joined: `None` if it is none any more.
type Joined = Option<Vec<Refused>>;

/// A topic that a node does not permit, with its words.
type Refused = (Topic, Arc<str>);

/// Topics that are dropped again if not all nodes have confirmed them.
struct TakenBack<'a> {
    members: &'a [Member],
    topics: &'a [Topic],
}

impl Drop for TakenBack<'_> {
    fn drop(&mut self) {
        for member in self.members {
            member.listener.leave(self.topics);
        }
    }
}

impl Keyspace {
    /// Adds topics, and returns those that are new when all primaries have confirmed them, but for those that have just come: the gap that is
    /// told of these covers the new topics as well.
    ///
    /// # Errors
    /// That of the first node that refuses. Then none is added.
    pub(super) async fn add(
        &mut self,
        database: &Database,
        bounds: Bounds,
        options: CallOptions,
        topics: Vec<Topic>,
    ) -> Result<Vec<Topic>, Error> {
        let mut new: BTreeSet<_> = topics.into_iter().collect();
        new.retain(|topic| !self.topics.contains(topic));
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let table = database.engine.slot_table(&options).await?;
        if self.topics.is_empty() {
            self.members = primaries(database, Some(&table))
                .map(|node| Member::at(node, bounds))
                .collect();
            (self.seen, self.change) = (Some(table), None);
        } else {
            self.compare(database, bounds);
        }
        let new: Vec<_> = new.into_iter().collect();
        let mut unless_all = TakenBack {
            members: &self.members,
            topics: &new,
        };
        let asked = self
            .members
            .iter()
            .filter(|member| member.joining.is_none());
        let asked: Vec<_> = asked
            .map(|member| async {
                let listener = &member.listener;
                let ended = listener.subscribe(options, new.clone()).await;
                // One that has gone meanwhile is left when its end is read.
                ended.or_else(|error| {
                    let is_gone = listener.node.gate.state().is_final();
                    if is_gone { Ok(()) } else { Err(error) }
                })
            })
            .collect();
        join_all(asked)
            .await
            .into_iter()
            .collect::<Result<(), _>>()?;
        unless_all.topics = &[];
        drop(unless_all);
        self.topics.extend(new.iter().cloned());
        let all: Vec<_> = self.topics.iter().cloned().collect();
        for member in &mut self.members {
            if member.joining.is_some() {
                member.join(database, all.clone());
            }
        }
        Ok(new)
    }

    pub(super) fn leave(&mut self, topics: &[Topic]) {
        let before = self.topics.len();
        self.topics.retain(|topic| !topics.contains(topic));
        if self.topics.len() == before {
            return;
        }
        for member in &self.members {
            member.listener.leave(topics);
        }
        if self.topics.is_empty() {
            self.members.clear();
            self.tell_gap();
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
            self.poll_joining(cx);
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(event);
            }
            if self.topics.is_empty() {
                return Poll::Pending;
            }
            if let Some(event) = self.poll_members(cx) {
                return Poll::Ready(event);
            }
            if database.engine.state.gate.state().is_final() {
                return Poll::Pending;
            }
            if self.poll_change(database, cx).is_ready() {
                self.compare(database, bounds);
            } else if self.missing_since.is_none() || self.is_joining() {
                return Poll::Pending;
            }
        }
    }

    fn poll_change(&mut self, database: &Database, cx: &mut Context<'_>) -> Poll<()> {
        let seen = &self.seen;
        let change = self.change.get_or_insert_with(|| {
            let (table, seen) = (database.engine.state.cluster.table.clone(), seen.clone());
            let until = clock::now() + LONG;
            Waiting::new(async move {
                table.next(seen.as_ref(), until).await;
            })
        });
        let changed = change.poll(cx);
        if changed.is_ready() {
            self.change = None;
        }
        changed
    }

    /// Begins to listen to the primaries that have come.
    fn compare(&mut self, database: &Database, bounds: Bounds) {
        let table = database.engine.state.cluster.table.present().clone();
        let is_new = |node: &Arc<DatabaseState>| {
            let mut members = self.members.iter();
            !members.any(|member| Arc::ptr_eq(&member.listener.node, node))
        };
        let new: Vec<_> = primaries(database, table.as_ref()).filter(is_new).collect();
        (self.seen, self.change) = (table, None);
        if new.is_empty() {
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
        for node in new {
            let mut member = Member::at(node, bounds);
            member.join(database, topics.clone());
            self.members.push(member);
        }
    }

    /// Looks which nodes have confirmed, and tells the end of the gap when all have.
    fn poll_joining(&mut self, cx: &mut Context<'_>) {
        let mut at = 0;
        while let Some(member) = self.members.get_mut(at) {
            let Some(joining) = &mut member.joining else {
                at += 1;
                continue;
            };
            let Poll::Ready(joined) = joining.joined.poll(cx) else {
                at += 1;
                continue;
            };
            let topics = mem::take(&mut joining.topics);
            member.joining = None;
            let Some(refused) = joined else {
                self.remove(at);
                continue;
            };
            let is_dropped = |topic: &Topic| !self.topics.contains(topic);
            let dropped: Vec<_> = topics.into_iter().filter(is_dropped).collect();
            member.listener.leave(&dropped);
            for (topic, error) in refused {
                self.refused(topic, error);
            }
            at += 1;
        }
        if !self.is_joining() {
            self.tell_gap();
        }
    }

    fn is_joining(&self) -> bool {
        self.members.iter().any(|member| member.joining.is_some())
    }

    /// A node that is none any more. What it has interrupted ends when all others are listened to.
    fn remove(&mut self, at: usize) {
        let member = self.members.swap_remove(at);
        let since = [self.missing_since, member.interrupted_since];
        self.missing_since = since.into_iter().flatten().min();
    }

    fn tell_gap(&mut self) {
        if let Some(from) = self.missing_since.take() {
            self.events.push_back(PubSubEvent::Gap {
                from,
                to: clock::wall(),
                cause: GapCause::Moved,
            });
        }
    }

    /// The others will refuse it as well, so it is told once.
    fn refused(&mut self, topic: Topic, error: Arc<str>) {
        if self.topics.contains(&topic) {
            self.leave(std::slice::from_ref(&topic));
            self.events.push_back(PubSubEvent::Refused { topic, error });
        }
    }

    /// An event of a node.
    fn poll_members(&mut self, cx: &mut Context<'_>) -> Option<PubSubEvent> {
        let mut asked = 0;
        while asked < self.members.len() {
            asked += 1;
            self.first = (self.first + 1) % self.members.len();
            while let Poll::Ready(event) = self.members[self.first].listener.poll(cx) {
                match event {
                    Some(PubSubEvent::Refused { topic, error }) => {
                        self.refused(topic, error);
                        if let Some(event) = self.events.pop_front() {
                            return Some(event);
                        }
                        // It was the last topic, or another node has told.
                        if self.members.is_empty() {
                            return None;
                        }
                    }
                    Some(PubSubEvent::Ended(EndCause::Removed | EndCause::ShuttingDown)) | None => {
                        self.remove(self.first);
                        if self.members.is_empty() {
                            return None;
                        }
                        // The places of the others are not what they were.
                        asked = 0;
                        break;
                    }
                    Some(event) => {
                        self.members[self.first].note(&event);
                        return Some(event);
                    }
                }
            }
        }
        None
    }
}

impl Member {
    fn at(node: Arc<DatabaseState>, bounds: Bounds) -> Self {
        Self {
            listener: Listener::at(node, bounds),
            joining: None,
            interrupted_since: None,
        }
    }

    fn note(&mut self, event: &PubSubEvent) {
        match event {
            PubSubEvent::Interrupted { at, .. } => {
                self.interrupted_since.get_or_insert(*at);
            }
            PubSubEvent::Gap { .. } => self.interrupted_since = None,
            _ => {}
        }
    }

    /// Asks for topics until the node confirms them, or is none any more.
    fn join(&mut self, database: &Database, topics: Vec<Topic>) {
        let (node, database) = (self.listener.node.clone(), database.clone());
        let asked = topics.clone();
        let subscriber = self.listener.subscriber();
        let joined = async move {
            let mut pauses = Pauses::new();
            loop {
                let options = database.options().counted_from(clock::now());
                if let Ok(refused) = subscribe(&subscriber, options, &asked).await {
                    return Some(refused);
                }
                let whole = &database.engine.state;
                if node.gate.state().is_final() || whole.gate.state().is_final() {
                    return None;
                }
                pauses.next(whole).await;
            }
        };
        self.joining = Some(Joining {
            topics,
            joined: Waiting::new(joined),
        });
    }
}

/// Subscribes to topics, and returns those that the node refuses.
async fn subscribe(
    subscriber: &Subscriber,
    options: CallOptions,
    topics: &[Topic],
) -> Result<Vec<Refused>, Error> {
    match subscriber.subscribe(options, topics.to_vec()).await {
        // One of them is refused, and the others may not be.
        Err(Error::Server { .. }) => {}
        ended => return ended.map(|()| Vec::new()),
    }
    let mut refused = Vec::new();
    for topic in topics {
        match subscriber.subscribe(options, vec![topic.clone()]).await {
            Err(Error::Server { error, .. }) => {
                refused.push((topic.clone(), error.to_string().into()));
            }
            ended => ended?,
        }
    }
    Ok(refused)
}

impl fmt::Debug for Keyspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.members.iter().map(|member| &member.listener.node.name);
        f.debug_list().entries(nodes).finish()
    }
}

/// The primaries, as far as is known; the server itself if the database is no cluster any more.
fn primaries<'a>(
    database: &'a Database,
    table: Option<&'a Arc<SlotTable>>,
) -> impl Iterator<Item = Arc<DatabaseState>> + use<'a> {
    let is_cluster = database.is_cluster();
    let alone = (!is_cluster).then(|| database.engine.state.clone());
    let nodes = table.filter(|_| is_cluster).into_iter();
    let nodes = nodes.flat_map(|table| table.serving());
    alone
        .into_iter()
        .chain(nodes.map(|node| node.state.clone()))
}
