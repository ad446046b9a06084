//! Goal: a move is carried out once, at its time, and slow replies are excused as long as there is a reason.

use super::*;
use crate::maintenance_work::{Parts, Work};

const SECOND: Duration = Duration::from_secs(1);

struct Rig {
    machine: Handoff<&'static str>,
    now: Instant,
}

impl Rig {
    /// With these connections.
    fn new(connections: u64) -> Self {
        let mut rig = Self {
            machine: Handoff::default(),
            now: Instant::now(),
        };
        for id in 1..=connections {
            assert_eq!(rig.open(id, "old"), []);
        }
        rig
    }

    fn tell(&mut self, event: Event<&'static str>) -> Vec<Action<&'static str>> {
        self.machine.on(event, self.now);
        std::iter::from_fn(|| self.machine.poll()).collect()
    }

    fn open(&mut self, id: u64, at: &'static str) -> Vec<Action<&'static str>> {
        self.tell(Event::Opened {
            id,
            at,
            is_shared: true,
        })
    }

    /// What a move leads to, but for what it excuses.
    fn moving(
        &mut self,
        id: u64,
        seconds: u32,
        to: Option<&'static str>,
    ) -> Vec<Action<&'static str>> {
        let within = seconds * SECOND;
        let mut actions = self.tell(Event::Moving { id, within, to });
        let until = Some(self.now + within.max(LEAST));
        assert_eq!(actions.remove(0), Action::Relax { id, until });
        actions
    }

    fn pass(&mut self, time: Duration) -> Vec<Action<&'static str>> {
        self.now += time;
        self.tell(Event::Woken)
    }
}

#[test]
fn a_move_of_which_all_connections_are_told_is_carried_out_once() {
    let mut rig = Rig::new(3);
    let to = Some("new");
    let until = rig.now + 15 * SECOND;
    assert_eq!(rig.moving(2, 15, to), [Action::HandOff { to, until }]);
    assert_eq!(rig.moving(1, 15, to), []);
    assert_eq!(rig.moving(2, 15, to), []);
    rig.now += SECOND;
    let relaxed = Action::Relax {
        id: 4,
        until: Some(until),
    };
    assert_eq!(
        rig.open(4, "new"),
        [Action::HandedOff { id: 4, to }, relaxed]
    );
    // Of one that was told late, and of another way to say it.
    assert_eq!(rig.moving(3, 15, to), []);
    assert_eq!(rig.moving(3, 15, None), []);
    assert_eq!(rig.machine.wake_at(), None);
    // The new server moves as well.
    rig.now += SECOND;
    let until = rig.now + 15 * SECOND;
    let to = Some("newer");
    assert_eq!(rig.moving(4, 15, to), [Action::HandOff { to, until }]);
}

#[test]
fn a_move_without_an_address_waits_for_half_of_the_time() {
    let mut rig = Rig::new(1);
    let until = rig.now + 20 * SECOND;
    assert_eq!(rig.moving(1, 20, None), []);
    assert_eq!(rig.machine.wake_at(), Some(rig.now + 10 * SECOND));
    rig.now += SECOND;
    assert_eq!(rig.moving(1, 20, None), [], "the first one counts");
    assert_eq!(rig.pass(8 * SECOND), []);
    let expected = Action::HandOff { to: None, until };
    assert_eq!(rig.pass(SECOND), [expected]);
    assert_eq!(rig.machine.wake_at(), None);
}

#[test]
fn another_address_before_the_successor_is_there_counts() {
    let mut rig = Rig::new(1);
    let until = rig.now + 15 * SECOND;
    let to = Some("new");
    assert_eq!(rig.moving(1, 15, to), [Action::HandOff { to, until }]);
    let to = Some("other");
    assert_eq!(rig.moving(1, 15, to), [], "not at once");
    let expected = Action::HandOff { to, until };
    assert_eq!(rig.pass(SECOND), [expected]);
}

#[test]
fn a_lease_that_is_opened_at_the_old_address_ends_no_move_and_begins_none() {
    let mut rig = Rig::new(1);
    let (to, until) = (Some("new"), rig.now + 15 * SECOND);
    assert_eq!(rig.moving(1, 15, to), [Action::HandOff { to, until }]);
    let leased = |id, at| Event::Opened {
        id,
        at,
        is_shared: false,
    };
    let relaxed = |id| Action::Relax {
        id,
        until: Some(until),
    };
    assert_eq!(rig.tell(leased(2, "old")), [relaxed(2)]);
    // It is told of the move as well, before and after that is done.
    assert_eq!(rig.moving(2, 15, to), []);
    assert_eq!(
        rig.open(3, "new"),
        [Action::HandedOff { id: 3, to }, relaxed(3)]
    );
    assert_eq!(rig.moving(2, 15, to), []);
    assert_eq!(rig.pass(2 * SECOND), []);
    // One that could be opened at the new address shows as much as a shared one.
    let mut rig = Rig::new(1);
    rig.moving(1, 15, to);
    let told = rig.tell(leased(2, "new"));
    assert_eq!(told[0], Action::HandedOff { id: 2, to });
}

#[test]
fn moves_on_each_new_connection_are_a_second_apart() {
    let mut rig = Rig::new(1);
    let mut begun = Vec::new();
    let start = rig.now;
    let mut newest = 1;
    for _ in 0..500 {
        let mut actions = rig.moving(newest, 0, Some("here"));
        actions.extend(rig.pass(SECOND / 100));
        if actions
            .iter()
            .any(|action| matches!(action, Action::HandOff { .. }))
        {
            begun.push(rig.now - start);
            newest += 1;
            rig.open(newest, "here");
        }
    }
    assert_eq!(begun.len(), 6, "in five seconds: {begun:?}");
}

#[test]
fn settings_that_lead_elsewhere_end_a_plan() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.moving(1, 20, None), []);
    assert_eq!(rig.tell(Event::Renewed), []);
    assert_eq!(rig.machine.wake_at(), None);
    assert_eq!(rig.pass(20 * SECOND), []);
}

/// An announcement of work at these shards.
fn at(work: Work, number: u64, shards: &[&str]) -> Announced {
    Announced {
        work,
        number,
        parts: Parts::shards(shards.iter().copied()),
    }
}

fn slots(number: u64, slots: &str) -> Announced {
    Announced {
        work: Work::SlotMigration,
        number,
        parts: Parts::slots([slots].into_iter()),
    }
}

impl Rig {
    /// Until when slow replies are excused after work has begun.
    fn begins(&mut self, work: Announced, within: Duration) -> Option<Instant> {
        let id = 1;
        let told = self.tell(Event::Begins { id, work, within });
        Self::relaxed(&told)
    }

    fn ended(&mut self, work: Announced) -> Option<Instant> {
        let told = self.tell(Event::Ended { id: 1, work });
        Self::relaxed(&told)
    }

    fn relaxed(told: &[Action<&'static str>]) -> Option<Instant> {
        match told {
            [Action::Relax { id: 1, until }] => *until,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn slow_replies_are_excused_until_the_last_reason_has_ended() {
    let mut rig = Rig::new(2);
    let first = rig.now + 2 * SECOND + LONGEST_WORK;
    let migration = |number| at(Work::Migration, number, &[]);
    let failover = |number| at(Work::Failover, number, &[]);
    assert_eq!(rig.begins(migration(1), 2 * SECOND), Some(first));
    rig.now += SECOND;
    let second = rig.now + 5 * SECOND + LONGEST_WORK;
    assert_eq!(rig.begins(failover(2), 5 * SECOND), Some(second));
    assert_eq!(rig.ended(failover(3)), Some(first));
    assert_eq!(rig.ended(migration(4)), None);
    let of_another = Event::Ended {
        id: 2,
        work: migration(5),
    };
    assert_eq!(rig.tell(of_another), []);
    rig.begins(migration(6), SECOND);
    assert_eq!(rig.tell(Event::ConnectionEnded(1)), []);
    let forgotten = Event::Ended {
        id: 1,
        work: migration(7),
    };
    assert_eq!(rig.tell(forgotten), []);
}

#[test]
fn the_end_of_one_shard_is_not_that_of_another() {
    let mut rig = Rig::new(1);
    let until = Some(rig.now + LONGEST_WORK);
    let migration = |number, shards| at(Work::Migration, number, shards);
    rig.begins(migration(1, &["1", "2"]), Duration::ZERO);
    rig.begins(migration(2, &["3"]), Duration::ZERO);
    // This one had begun before the connection was open.
    assert_eq!(rig.ended(migration(3, &["9"])), until);
    assert_eq!(rig.ended(migration(4, &["1"])), until);
    assert_eq!(rig.ended(migration(5, &["3"])), until);
    assert_eq!(rig.ended(at(Work::Failover, 6, &["2"])), until);
    assert_eq!(rig.ended(migration(7, &["2"])), None);
}

#[test]
fn work_whose_parts_are_not_told_is_counted() {
    let mut rig = Rig::new(1);
    let until = Some(rig.now + LONGEST_WORK);
    let migration = |number, shards| at(Work::Migration, number, shards);
    rig.begins(migration(1, &[]), Duration::ZERO);
    // Told once more.
    rig.begins(migration(1, &[]), Duration::ZERO);
    rig.begins(migration(2, &[]), Duration::ZERO);
    assert_eq!(rig.ended(migration(3, &[])), until);
    // That it was shard 2 is told at its end alone.
    assert_eq!(rig.ended(migration(4, &["2"])), None);
    // Or at its begin alone.
    rig.begins(migration(5, &["1"]), Duration::ZERO);
    assert_eq!(rig.ended(migration(6, &[])), None);
}

#[test]
fn slots_end_in_other_portions_than_they_begin() {
    let mut rig = Rig::new(1);
    let until = Some(rig.now + LONGEST_WORK);
    rig.begins(slots(1, "0-100,200"), Duration::ZERO);
    rig.begins(slots(2, "300"), Duration::ZERO);
    assert_eq!(rig.ended(slots(3, "0-50")), until);
    assert_eq!(rig.ended(slots(4, "51-100,300")), until);
    assert_eq!(rig.ended(slots(5, "200")), None);
}

#[test]
fn a_later_time_of_the_same_work_counts() {
    let mut rig = Rig::new(1);
    let migration = |number| at(Work::Migration, number, &["1"]);
    rig.begins(migration(1), 60 * SECOND);
    let until = rig.now + SECOND + LONGEST_WORK;
    assert_eq!(rig.begins(migration(2), SECOND), Some(until));
    assert_eq!(rig.ended(migration(3)), None, "it is one work");
    // A server that announces without end is not remembered without end.
    for number in 0..1_000 {
        let shard = number.to_string();
        rig.begins(at(Work::Migration, number, &[&shard]), SECOND);
    }
    for number in 900..1_000 {
        let shard = number.to_string();
        rig.ended(at(Work::Migration, number, &[&shard]));
    }
    assert_eq!(rig.ended(at(Work::Migration, 0, &["999"])), None);
}
