//! Goal: a move is carried out once, at its time, and slow replies are excused as long as it may take.

use super::*;

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
        let until = self.now + within.max(LEAST);
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
    let relaxed = Action::Relax { id: 4, until };
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
    let relaxed = |id| Action::Relax { id, until };
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
fn a_server_moves_again_from_where_dials_lead_after_the_first_move() {
    let mut rig = Rig::new(1);
    rig.moving(1, 15, Some("new"));
    rig.open(2, "new");
    rig.pass(30 * SECOND);
    rig.open(3, "old");
    let until = rig.now + 15 * SECOND;
    let to = Some("newer");
    assert_eq!(rig.moving(3, 15, to), [Action::HandOff { to, until }]);
}

#[test]
fn a_connection_that_has_fallen_back_may_be_told_another_address() {
    let mut rig = Rig::new(1);
    rig.moving(1, 15, Some("wrong"));
    rig.open(2, "old");
    rig.pass(2 * SECOND);
    let until = rig.now + 15 * SECOND;
    let to = Some("right");
    assert_eq!(rig.moving(2, 15, to), [Action::HandOff { to, until }]);
}

#[test]
fn a_new_address_may_be_reached_after_a_connection_has_fallen_back() {
    let mut rig = Rig::new(1);
    let to = Some("new");
    rig.moving(1, 60, to);
    assert_eq!(rig.open(2, "old")[0], Action::HandedOff { id: 2, to });
    rig.pass(20 * SECOND);
    assert_eq!(rig.open(3, "new")[0], Action::HandedOff { id: 3, to });
    let relaxed = rig.open(4, "new");
    assert!(matches!(relaxed[..], [Action::Relax { .. }]), "{relaxed:?}");
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
