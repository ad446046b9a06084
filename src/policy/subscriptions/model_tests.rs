//! Goal: whatever happens in whatever order, the server has what is listened to, once; a request is confirmed when the
//! server has all of it; and each interruption of a subscriber ends. Method: random events happen to the machine and to
//! a naive server, which answers in order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const SUBSCRIBERS: u64 = 4;
const NAMES: [&str; 5] = ["a", "b", "c", "d", "refused"];

#[derive(Clone, Debug)]
enum Happening {
    Join(SubscriberId, Vec<usize>),
    Leave(SubscriberId, Vec<usize>),
    Cancel(usize),
    Remove(SubscriberId),
    /// The server answers so many commands.
    Answer(usize),
    EndsUnasked(usize),
    Lost,
    Connected,
    /// The server refuses the last name from now on, or not.
    Refuses(bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    let names = || prop::collection::vec(0..NAMES.len(), 0..4);
    prop_oneof![
        6 => (0..SUBSCRIBERS, names()).prop_map(|(id, names)| Happening::Join(id, names)),
        4 => (0..SUBSCRIBERS, names()).prop_map(|(id, names)| Happening::Leave(id, names)),
        1 => any::<usize>().prop_map(Happening::Cancel),
        1 => (0..SUBSCRIBERS).prop_map(Happening::Remove),
        8 => (1..4_usize).prop_map(Happening::Answer),
        1 => (0..NAMES.len()).prop_map(Happening::EndsUnasked),
        2 => Just(Happening::Lost),
        3 => Just(Happening::Connected),
        1 => any::<bool>().prop_map(Happening::Refuses),
    ]
}

fn topic(name: usize) -> Topic {
    Topic::Channel(NAMES[name].into())
}

#[derive(Default)]
struct World {
    machine: Subscriptions,
    is_connected: bool,
    refuses: bool,
    /// What the server has.
    served: BTreeSet<Topic>,
    asked: VecDeque<Ask>,
    /// What was asked for, as applications know it.
    wanted: HashMap<SubscriberId, BTreeSet<Topic>>,
    requests: HashMap<Ticket, (SubscriberId, Vec<Topic>)>,
    interrupted: BTreeSet<SubscriberId>,
}

impl World {
    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Join(id, names) => {
                let topics: Vec<_> = names.into_iter().map(topic).collect();
                let wanted = self.wanted.entry(id).or_default();
                let added = topics
                    .iter()
                    .filter(|topic| wanted.insert((*topic).clone()));
                let added = added.cloned().collect();
                let ticket = self.machine.join(id, topics);
                self.requests.insert(ticket, (id, added));
            }
            Happening::Leave(id, names) => {
                let topics: Vec<_> = names.into_iter().map(topic).collect();
                let wanted = self.wanted.entry(id).or_default();
                wanted.retain(|wanted| !topics.contains(wanted));
                let requests = self.requests.values_mut();
                for (_, added) in requests.filter(|(of, _)| *of == id) {
                    added.retain(|added| !topics.contains(added));
                }
                self.machine.leave(id, &topics);
            }
            Happening::Cancel(which) => {
                let mut tickets: Vec<_> = self.requests.keys().copied().collect();
                tickets.sort_unstable();
                if let Some(ticket) = tickets.get(which % tickets.len().max(1)) {
                    self.machine.cancel(*ticket);
                    self.take_back(*ticket);
                }
            }
            Happening::Remove(id) => {
                self.machine.remove(id);
                self.wanted.remove(&id);
                self.requests.retain(|_, (of, _)| *of != id);
                self.interrupted.remove(&id);
            }
            Happening::Answer(times) => (0..times).for_each(|_| self.answer()),
            Happening::EndsUnasked(name) => {
                if self.is_connected && self.asked.is_empty() && self.served.remove(&topic(name)) {
                    self.machine.unsubscribed(&topic(name));
                }
            }
            Happening::Lost if self.is_connected => {
                self.is_connected = false;
                self.served.clear();
                self.asked.clear();
                self.machine.lost();
            }
            Happening::Connected if !self.is_connected => {
                self.is_connected = true;
                self.machine.connected();
            }
            Happening::Lost | Happening::Connected => {}
            Happening::Refuses(refuses) => self.refuses = refuses,
        }
        self.look();
    }

    fn answer(&mut self) {
        match self.asked.pop_front() {
            Some(Ask::Subscribe(asked)) if self.refuses && asked == topic(NAMES.len() - 1) => {
                let refused = self.machine.refused().expect("in step");
                if let Refused::Topic {
                    topic,
                    subscribers,
                    tickets,
                } = refused
                {
                    for id in subscribers {
                        self.wanted.entry(id).or_default().remove(&topic);
                    }
                    tickets
                        .into_iter()
                        .for_each(|ticket| self.take_back(ticket));
                }
            }
            Some(Ask::Subscribe(topic)) => {
                assert!(self.served.insert(topic.clone()), "asked for twice");
                self.machine.subscribed(&topic).expect("in step");
            }
            Some(Ask::Unsubscribe(topic)) => {
                assert!(self.served.remove(&topic), "ended twice");
                self.machine.unsubscribed(&topic);
            }
            None => {}
        }
        self.look();
    }

    fn take_back(&mut self, ticket: Ticket) {
        let (id, added) = self.requests.remove(&ticket).expect("a request");
        let wanted = self.wanted.entry(id).or_default();
        wanted.retain(|wanted| !added.contains(wanted));
    }

    fn look(&mut self) {
        for notice in self.machine.take_notices() {
            match notice {
                Notice::Joined(ticket) => {
                    // A request of a subscriber that was removed is told to nothing.
                    let Some((id, added)) = self.requests.remove(&ticket) else {
                        continue;
                    };
                    let wanted = self.wanted.get(&id);
                    let is_wanted = |topic: &&Topic| wanted.is_some_and(|all| all.contains(*topic));
                    for topic in added.iter().filter(is_wanted) {
                        assert!(self.served.contains(topic), "{topic} is not confirmed");
                    }
                }
                Notice::Interrupted(id) => assert!(self.interrupted.insert(id), "told twice"),
                Notice::Resumed(id) => {
                    assert!(self.interrupted.remove(&id) || !self.wanted.contains_key(&id));
                }
            }
        }
        while let Some(ask) = self.machine.poll() {
            assert!(self.is_connected);
            let of = |ask: &Ask| match ask {
                Ask::Subscribe(topic) | Ask::Unsubscribe(topic) => topic.clone(),
            };
            let is_alone = self.asked.iter().all(|other| of(other) != of(&ask));
            assert!(is_alone, "two commands for {:?} at a time", of(&ask));
            self.asked.push_back(ask);
        }
        assert_eq!(self.machine.is_owed(), !self.asked.is_empty());
        let all: BTreeSet<_> = self.wanted.values().flatten().collect();
        assert_eq!(self.machine.topics(), all.len());
        assert_eq!(self.machine.interrupted().count(), self.interrupted.len());
    }

    /// Nothing happens any more, and the server answers all.
    fn settle(&mut self) {
        self.happen(Happening::Refuses(false));
        self.happen(Happening::Connected);
        while !self.asked.is_empty() {
            self.answer();
        }
        let all: BTreeSet<_> = self.wanted.values().flatten().cloned().collect();
        assert_eq!(self.served, all);
        for (id, wanted) in &self.wanted {
            for topic in wanted {
                assert!(
                    self.machine
                        .listeners(topic)
                        .any(|listener| listener == *id)
                );
            }
        }
        assert!(self.requests.is_empty(), "a request waits in vain");
        assert!(self.interrupted.is_empty(), "a gap does not end");
        assert!(self.machine.requests.is_empty());
        assert_eq!(self.machine.topics.len(), all.len());
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_server_has_what_is_listened_to(
        happenings in prop::collection::vec(happening(), 0..100),
    ) {
        let mut world = World::default();
        for happening in happenings {
            world.happen(happening);
        }
        world.settle();
    }
}
