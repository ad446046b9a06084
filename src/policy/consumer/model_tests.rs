//! Goal: whatever happens in whatever order, no entry is lost, none is acknowledged that was not handled, poison is
//! buried once, and bounds and order hold. Method: random events happen to three machines and to a naive model of
//! a server: a stream, the pending entries of its group, and the questions that are under way. Questions may be lost on
//! the way there or on the way back; handlers fail; consumers die.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const IDLE: Duration = Duration::from_secs(30);
const CONSUMERS: usize = 3;
const MAX_DELIVERIES: u64 = 4;

/// Something that happens. Numbers choose among several.
#[derive(Clone, Debug)]
enum Happening {
    Added(u8),
    /// A question of this consumer reaches the server, and is answered.
    Answered {
        consumer: usize,
        question: usize,
    },
    /// The question does not reach the server.
    Unsent {
        consumer: usize,
        question: usize,
    },
    /// It does, and the answer is lost.
    AnswerLost {
        consumer: usize,
        question: usize,
    },
    HandlerEnded {
        consumer: usize,
        handler: usize,
        fails: bool,
    },
    /// A process dies, and another one begins under the same name.
    Died {
        consumer: usize,
    },
    Trimmed(usize),
    Pass(Duration),
}

fn happening() -> impl Strategy<Value = Happening> {
    let question = || (0..CONSUMERS, 0..3_usize);
    prop_oneof![
        3 => (0..6_u8).prop_map(Happening::Added),
        12 => question().prop_map(|(consumer, question)| Happening::Answered { consumer, question }),
        1 => question().prop_map(|(consumer, question)| Happening::Unsent { consumer, question }),
        1 => question().prop_map(|(consumer, question)| Happening::AnswerLost { consumer, question }),
        10 => (0..CONSUMERS, 0..4_usize, prop::bool::weighted(0.2)).prop_map(
            |(consumer, handler, fails)| Happening::HandlerEnded { consumer, handler, fails }
        ),
        1 => (0..CONSUMERS).prop_map(|consumer| Happening::Died { consumer }),
        1 => (0..50_usize).prop_map(Happening::Trimmed),
        4 => (0..20_000_u64).prop_map(|time| Happening::Pass(Duration::from_millis(time))),
    ]
}

struct Pending {
    owner: usize,
    since: Instant,
    deliveries: u64,
}

/// The server, and what has become of the entries.
#[derive(Default)]
struct Server {
    stream: BTreeMap<EntryId, u64>,
    added: u64,
    delivered_up_to: EntryId,
    pending: BTreeMap<EntryId, Pending>,
    acknowledged: BTreeSet<EntryId>,
    buried: Vec<EntryId>,
    trimmed: BTreeSet<EntryId>,
}

struct Member {
    duties: Duties<u64>,
    questions: Vec<Question<u64>>,
    running: Vec<(EntryId, u64)>,
}

struct World {
    server: Server,
    members: Vec<Member>,
    now: Instant,
    handled: BTreeSet<EntryId>,
}

fn id(number: u64) -> EntryId {
    EntryId::parse(format!("{number}-1").as_bytes()).expect("an id")
}

/// An odd entry has a key, one of three.
fn key(number: u64) -> Option<Key> {
    (number % 2 == 1).then(|| Key::from([(number % 3) as u8]))
}

fn terms() -> Terms {
    Terms {
        concurrency: 3,
        batch: 4,
        claim_idle: IDLE,
        max_deliveries: Some(MAX_DELIVERIES),
        creates_group: true,
    }
}

impl Server {
    fn found(&self, id: EntryId, deliveries: u64) -> Found<u64> {
        let entry = self.stream.get(&id).copied();
        Found {
            id,
            deliveries,
            key: entry.and_then(key),
            content: entry.map_or(Content::Deleted, Content::Whole),
        }
    }

    fn give(&mut self, id: EntryId, owner: usize, since: Instant) -> Found<u64> {
        let before = self
            .pending
            .get(&id)
            .map_or(0, |pending| pending.deliveries);
        let deliveries = before + 1;
        let pending = Pending {
            owner,
            since,
            deliveries,
        };
        self.pending.insert(id, pending);
        self.found(id, deliveries)
    }

    fn acknowledge(&mut self, id: EntryId) {
        let was_pending = self.pending.remove(&id).is_some();
        if was_pending && !self.trimmed.contains(&id) {
            self.acknowledged.insert(id);
        }
    }

    fn is_of(&self, id: EntryId, owner: usize) -> bool {
        let pending = self.pending.get(&id);
        pending.is_some_and(|pending| pending.owner == owner)
    }

    /// Carries out a question, as the server does.
    fn answer(&mut self, question: &Question<u64>, asker: usize, now: Instant) -> Event<u64> {
        let since = now;
        match question {
            Question::Prepare => Event::Prepared,
            Question::ReadOwn { after, count } => {
                let own = self
                    .pending
                    .iter()
                    .filter(|(id, pending)| pending.owner == asker && *id > after);
                let own: Vec<_> = own.map(|(id, _)| *id).take(*count).collect();
                let found = own.into_iter().map(|id| self.give(id, asker, now));
                let found = found.collect();
                Event::Read { found, since }
            }
            Question::ReadNew { count, .. } => {
                let up_to = self.delivered_up_to;
                let new = self.stream.keys().filter(|id| **id > up_to);
                let new: Vec<_> = new.copied().take(*count).collect();
                self.delivered_up_to = new.last().copied().unwrap_or(up_to);
                let found = new.into_iter().map(|id| self.give(id, asker, now));
                let found = found.collect();
                Event::Read { found, since }
            }
            Question::Claim { from, count } => {
                let is_idle = |pending: &Pending| now - pending.since >= IDLE;
                let idle = self
                    .pending
                    .iter()
                    .filter(|(id, pending)| *id >= from && is_idle(pending));
                let idle: Vec<_> = idle.map(|(id, _)| *id).take(count + 1).collect();
                let next = idle.get(*count).copied().unwrap_or(EntryId::ZERO);
                let (mut found, mut trimmed) = (Vec::new(), 0);
                for id in idle.into_iter().take(*count) {
                    if self.stream.contains_key(&id) {
                        found.push(self.give(id, asker, now));
                    } else {
                        self.pending.remove(&id);
                        trimmed += 1;
                    }
                }
                Event::Claimed {
                    found,
                    trimmed,
                    next,
                    since,
                }
            }
            Question::Acknowledge(ids) => {
                for id in ids {
                    self.acknowledge(*id);
                }
                Event::Acknowledged
            }
            Question::Bury(burial) => {
                let was_pending = self.is_of(burial.id, asker);
                if was_pending {
                    self.pending.remove(&burial.id);
                    assert!(burial.deliveries >= MAX_DELIVERIES, "{burial:?}");
                    self.buried.push(burial.id);
                }
                Event::Buried { was_pending }
            }
            Question::Renew(ids) => {
                let ids = ids.iter().copied();
                let (mut own, lost): (Vec<_>, _) = ids.partition(|id| self.is_of(*id, asker));
                own.retain(|id| {
                    let pending = self.pending.get_mut(id);
                    let pending = pending.filter(|one| now - one.since >= IDLE / 4);
                    pending.map(|pending| pending.since = now).is_some()
                });
                Event::Renewed {
                    ids: own,
                    lost,
                    since,
                }
            }
            Question::Release(entries) => {
                for (id, deliveries) in entries {
                    let pending = self.pending.get_mut(id);
                    if let Some(pending) = pending.filter(|pending| pending.owner == asker) {
                        pending.since = now.checked_sub(IDLE).expect("a time before");
                        pending.deliveries = deliveries - 1;
                    }
                }
                Event::Released
            }
            Question::Leave => Event::Left,
        }
    }
}

impl World {
    fn new() -> Self {
        let member = || Member {
            duties: Duties::new(terms()),
            questions: Vec::new(),
            running: Vec::new(),
        };
        let mut world = Self {
            server: Server::default(),
            members: std::iter::repeat_with(member).take(CONSUMERS).collect(),
            now: Instant::now() + 2 * IDLE,
            handled: BTreeSet::new(),
        };
        world.settle();
        world
    }

    fn happens(&mut self, happening: &Happening) {
        match *happening {
            Happening::Added(count) => {
                for _ in 0..count {
                    let number = self.server.added;
                    self.server.added += 1;
                    self.server.stream.insert(id(number), number);
                }
            }
            Happening::Answered { consumer, question } => {
                if let Some(question) = self.take_question(consumer, question) {
                    let event = self.server.answer(&question, consumer, self.now);
                    self.tell(consumer, event);
                }
            }
            Happening::Unsent { consumer, question } => {
                if let Some(question) = self.take_question(consumer, question) {
                    self.fails(consumer, &question);
                }
            }
            Happening::AnswerLost { consumer, question } => {
                if let Some(question) = self.take_question(consumer, question) {
                    self.server.answer(&question, consumer, self.now);
                    self.fails(consumer, &question);
                }
            }
            Happening::HandlerEnded {
                consumer,
                handler,
                fails,
            } => {
                self.end_handler(consumer, handler, fails);
            }
            Happening::Died { consumer } => {
                let member = &mut self.members[consumer];
                member.duties = Duties::new(terms());
                member.questions.clear();
                member.running.clear();
            }
            Happening::Trimmed(number) => {
                // Only what is pending: an entry that nobody has got is of no interest.
                let pending = self.server.pending.keys().nth(number).copied();
                if let Some(id) = pending {
                    self.server.stream.remove(&id);
                    self.server.trimmed.insert(id);
                }
            }
            Happening::Pass(time) => self.now += time,
        }
        self.settle();
    }

    fn take_question(&mut self, consumer: usize, question: usize) -> Option<Question<u64>> {
        let questions = &mut self.members[consumer].questions;
        (question < questions.len()).then(|| questions.remove(question))
    }

    fn end_handler(&mut self, consumer: usize, handler: usize, fails: bool) {
        let running = &mut self.members[consumer].running;
        if handler >= running.len() {
            return;
        }
        let (id, _) = running.remove(handler);
        if !fails {
            self.handled.insert(id);
        }
        let failure = fails.then(|| "no".into());
        self.tell(consumer, Event::Handled { id, failure });
    }

    fn tell(&mut self, consumer: usize, event: Event<u64>) {
        self.members[consumer].duties.on(event, self.now, 0.5);
    }

    fn fails(&mut self, consumer: usize, question: &Question<u64>) {
        let (errand, trouble) = (question.errand(), Trouble::Unavailable);
        self.tell(consumer, Event::Failed { errand, trouble });
    }

    /// The machines act, and the invariants hold.
    fn settle(&mut self) {
        for member in &mut self.members {
            while let Some(action) = member.duties.poll(self.now) {
                match action {
                    Action::Run { id, entry } => {
                        let others = member.running.iter();
                        let lane = key(entry);
                        for (other, number) in others {
                            assert_ne!(*other, id, "it runs already");
                            assert!(lane.is_none() || key(*number) != lane, "not in order");
                        }
                        member.running.push((id, entry));
                    }
                    Action::Ask(question) => {
                        let errand = question.errand();
                        let others = member.questions.iter();
                        assert!(others.clone().all(|other| other.errand() != errand));
                        member.questions.push(question);
                    }
                }
            }
            let bound = terms().concurrency + 2 * terms().batch;
            assert!(member.running.len() <= terms().concurrency);
            assert_eq!(member.duties.running(), member.running.len());
            assert!(
                member.duties.held() <= bound,
                "{} held",
                member.duties.held()
            );
            let wake_at = member.duties.wake_at(self.now);
            assert!(
                wake_at.is_none_or(|at| at > self.now),
                "it would be asked for ever"
            );
        }
        let server = &self.server;
        for acknowledged in &server.acknowledged {
            assert!(
                self.handled.contains(acknowledged),
                "{acknowledged} was not handled"
            );
        }
        let buried: BTreeSet<_> = server.buried.iter().collect();
        assert_eq!(buried.len(), server.buried.len(), "buried once");
    }

    /// All goes well from now on, until nothing is left to do.
    fn recover(&mut self) {
        for _ in 0..5_000 {
            if self.is_done() {
                break;
            }
            for consumer in 0..CONSUMERS {
                while let Some(question) = self.take_question(consumer, 0) {
                    let is_read = question.errand() == Errand::Read;
                    let event = self.server.answer(&question, consumer, self.now);
                    self.tell(consumer, event);
                    self.settle();
                    if is_read {
                        break;
                    }
                }
                self.end_handler(consumer, 0, false);
                self.settle();
            }
            self.now += IDLE / 50;
            self.settle();
        }
        assert!(self.is_done(), "{} are pending", self.server.pending.len());
        for number in 0..self.server.added {
            let fates = [
                self.server.acknowledged.contains(&id(number)),
                self.server.buried.contains(&id(number)),
                self.server.trimmed.contains(&id(number)),
            ];
            assert!(fates.contains(&true), "{number} is lost");
        }
    }

    fn is_done(&self) -> bool {
        let last = self.server.stream.keys().next_back();
        let is_read = last.is_none_or(|last| *last <= self.server.delivered_up_to);
        is_read && self.server.pending.is_empty()
    }
}

proptest! {
    #[test]
    fn no_entry_is_lost_and_none_is_acknowledged_that_was_not_handled(
        happenings in prop::collection::vec(happening(), 0..400),
    ) {
        let mut world = World::new();
        for happening in &happenings {
            world.happens(happening);
        }
        world.recover();
    }

    /// Without failures, deaths and lost questions.
    #[test]
    fn where_nothing_fails_each_entry_is_handled_once(
        happenings in prop::collection::vec(happening(), 0..400),
    ) {
        let mut world = World::new();
        for happening in happenings {
            let happening = match happening {
                Happening::HandlerEnded { consumer, handler, .. } => {
                    Happening::HandlerEnded { consumer, handler, fails: false }
                }
                Happening::Unsent { consumer, question }
                | Happening::AnswerLost { consumer, question } => {
                    Happening::Answered { consumer, question }
                }
                Happening::Died { .. } | Happening::Trimmed(_) => Happening::Added(1),
                // So that claims are renewed in time, as the timers of a process do.
                Happening::Pass(time) => Happening::Pass(time / 20),
                other => other,
            };
            world.happens(&happening);
            for consumer in 0..CONSUMERS {
                let questions = &world.members[consumer].questions;
                let renewal = questions.iter().position(|one| one.errand() == Errand::Renew);
                if let Some(question) = renewal {
                    world.happens(&Happening::Answered { consumer, question });
                }
            }
        }
        world.recover();
        let deliveries: u64 = world.members.iter().map(|one| one.duties.tally().handled).sum();
        prop_assert_eq!(deliveries, world.server.added);
    }
}
