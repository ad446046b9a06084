//! Single decisions of the machine.

use super::*;

const IDLE: Duration = Duration::from_secs(30);

fn terms() -> Terms {
    Terms {
        concurrency: 2,
        batch: 3,
        claim_idle: IDLE,
        max_deliveries: Some(2),
        creates_group: true,
    }
}

fn id(number: u64) -> EntryId {
    EntryId::parse(format!("{number}-0").as_bytes()).expect("an id")
}

/// An entry that was delivered so often.
fn found(number: u64, deliveries: u64) -> Found<u64> {
    Found {
        id: id(number),
        deliveries,
        key: None,
        content: Content::Whole(number),
    }
}

/// A machine and its time.
struct Course {
    duties: Duties<u64>,
    now: Instant,
}

impl Course {
    fn new(terms: Terms) -> Self {
        Self {
            duties: Duties::new(terms),
            now: Instant::now(),
        }
    }

    /// A consumer that waits for new entries.
    fn waiting(terms: Terms) -> Self {
        let mut course = Self::new(terms);
        assert_eq!(course.actions(), [Action::Ask(Question::Prepare)]);
        course.on(Event::Prepared);
        assert_eq!(course.questions(), [Errand::Read]);
        course.read([]);
        assert_eq!(course.questions(), [Errand::Claim, Errand::Read]);
        course.on(Event::Claimed {
            found: Vec::new(),
            trimmed: 0,
            next: EntryId::ZERO,
            since: course.now,
        });
        assert_eq!(course.actions(), []);
        course
    }

    fn on(&mut self, event: Event<u64>) {
        self.duties.on(event, self.now, 0.5);
    }

    fn read(&mut self, found: impl Into<Vec<Found<u64>>>) {
        let (found, since) = (found.into(), self.now);
        self.on(Event::Read { found, since });
    }

    fn handled(&mut self, number: u64, failure: Option<&str>) {
        let (id, failure) = (id(number), failure.map(Box::from));
        self.on(Event::Handled { id, failure });
    }

    fn renewed(&mut self, ids: impl Into<Vec<EntryId>>, lost: impl Into<Vec<EntryId>>) {
        let (ids, lost, since) = (ids.into(), lost.into(), self.now);
        self.on(Event::Renewed { ids, lost, since });
    }

    /// Entries are taken over, after which there are no more.
    fn claimed(&mut self, found: impl Into<Vec<Found<u64>>>) {
        let (found, since) = (found.into(), self.now);
        self.on(Event::Claimed {
            found,
            trimmed: 0,
            next: EntryId::ZERO,
            since,
        });
    }

    /// The size of the next claim.
    fn claims(&mut self) -> Option<usize> {
        self.pass(IDLE);
        self.actions().into_iter().find_map(|action| match action {
            Action::Ask(Question::Claim { count, .. }) => Some(count),
            _ => None,
        })
    }

    fn fails(&mut self, errand: Errand, trouble: Trouble) {
        self.on(Event::Failed { errand, trouble });
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn actions(&mut self) -> Vec<Action<u64>> {
        let (duties, now) = (&mut self.duties, self.now);
        std::iter::from_fn(|| duties.poll(now)).collect()
    }

    /// The questions among the actions.
    fn questions(&mut self) -> Vec<Errand> {
        let errand = |action: Action<u64>| match action {
            Action::Ask(question) => Some(question.errand()),
            Action::Run { .. } => None,
        };
        self.actions().into_iter().filter_map(errand).collect()
    }

    /// The entries that begin to run.
    fn runs(&mut self) -> Vec<u64> {
        let entry = |action| match action {
            Action::Run { entry, .. } => Some(entry),
            Action::Ask(_) => None,
        };
        self.actions().into_iter().filter_map(entry).collect()
    }

    fn wakes_in(&self) -> Option<Duration> {
        let at = self.duties.wake_at(self.now)?;
        Some(at.duration_since(self.now))
    }
}

#[test]
fn own_entries_come_first_page_by_page() {
    let mut course = Course::new(terms());
    course.actions();
    course.on(Event::Prepared);
    let own = |after, count| Action::Ask(Question::ReadOwn { after, count });
    assert_eq!(course.actions(), [own(EntryId::ZERO, 3)]);
    course.read([found(1, 2), found(2, 2)]);
    let actions = course.actions();
    assert!(actions.contains(&own(id(2), 3)), "{actions:?}");
    course.read([]);
    let new = Action::Ask(Question::ReadNew {
        count: 3,
        waits: false,
    });
    assert!(course.actions().contains(&new));
    assert_eq!(course.duties.tally().claimed, 2);
}

#[test]
fn a_read_waits_only_when_nothing_more_is_expected() {
    let mut course = Course::waiting(terms());
    let waits = |actions: Vec<Action<u64>>| {
        actions.into_iter().find_map(|action| match action {
            Action::Ask(Question::ReadNew { waits, .. }) => Some(waits),
            _ => None,
        })
    };
    course.read([found(1, 1), found(2, 1), found(3, 1)]);
    assert_eq!(waits(course.actions()), Some(false));
    course.read([found(4, 1)]);
    assert_eq!(waits(course.actions()), Some(true));
}

#[test]
fn no_more_is_read_than_there_is_room_for() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 1), found(2, 1), found(3, 1)]);
    assert_eq!(course.questions(), [Errand::Read]);
    course.read([found(4, 1), found(5, 1), found(6, 1)]);
    // Two run and four wait: another three would be more than 2 + 2 * 3.
    assert_eq!(course.questions(), []);
    course.handled(1, None);
    assert_eq!(course.questions(), [Errand::Acknowledge]);
    course.on(Event::Acknowledged);
    assert_eq!(course.questions(), [Errand::Read]);
}

#[test]
fn what_was_handled_meanwhile_is_acknowledged_together() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 1), found(2, 1), found(3, 1)]);
    assert_eq!(course.runs(), [1, 2]);
    course.handled(2, None);
    let first = Action::Ask(Question::Acknowledge(vec![id(2)]));
    assert!(course.actions().contains(&first));
    course.handled(1, None);
    course.handled(3, None);
    assert_eq!(course.questions(), []);
    course.on(Event::Acknowledged);
    let rest = Action::Ask(Question::Acknowledge(vec![id(1), id(3)]));
    assert!(course.actions().contains(&rest));
}

#[test]
fn an_acknowledgement_in_vain_is_sent_again_after_a_pause() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 1)]);
    course.actions();
    course.handled(1, None);
    course.actions();
    course.fails(Errand::Acknowledge, Trouble::Unavailable);
    assert!(!course.questions().contains(&Errand::Acknowledge));
    let pause = course.wakes_in().expect("a pause");
    assert!(pause <= Duration::from_millis(25), "{pause:?}");
    course.pass(pause);
    assert_eq!(course.questions(), [Errand::Acknowledge]);
    course.on(Event::Acknowledged);
    assert_eq!(
        (course.duties.held(), course.duties.tally().acknowledged),
        (0, 1)
    );
}

#[test]
fn a_failed_entry_is_left_to_be_taken_over_and_the_last_time_buried() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 1), found(2, 2), found(3, 3)]);
    // The third was delivered too often to be handled.
    let burial = |number, deliveries, failure: Option<&str>| {
        Action::Ask(Question::Bury(Burial {
            id: id(number),
            entry: Some(number),
            deliveries,
            failure: failure.map(Box::from),
        }))
    };
    let actions = course.actions();
    assert!(actions.contains(&burial(3, 3, None)), "{actions:?}");
    course.handled(1, Some("no"));
    course.handled(2, Some("never"));
    assert_eq!(course.actions(), [], "one burial at a time");
    assert_eq!(course.duties.held(), 2);
    course.on(Event::Buried { was_pending: false });
    assert!(course.actions().contains(&burial(2, 2, Some("never"))));
    course.on(Event::Buried { was_pending: true });
    let tally = course.duties.tally();
    assert_eq!((tally.failed, tally.dead_lettered), (2, 1));
    assert_eq!((course.duties.held(), tally.acknowledged), (0, 0));
}

#[test]
fn claims_are_renewed_before_others_may_take_the_entries() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 1), found(2, 1), found(3, 1)]);
    course.actions();
    let began = course.now;
    let mut renewed = Vec::new();
    for _ in 0..6 {
        course.pass(course.wakes_in().expect("a renewal"));
        for action in course.actions() {
            if let Action::Ask(Question::Renew(ids)) = action {
                renewed.push((course.now - began, ids.len()));
                course.renewed(ids, []);
            } else if let Action::Ask(Question::Claim { .. }) = action {
                course.fails(Errand::Claim, Trouble::Refused);
            }
        }
    }
    let (first, entries) = renewed[0];
    assert!(first >= IDLE / 3 && first <= IDLE / 2, "{renewed:?}");
    assert_eq!(entries, 3, "also those that wait for their turn");
}

#[test]
fn after_an_outage_claims_are_renewed_before_any_is_made() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 1)]);
    course.actions();
    course.fails(Errand::Read, Trouble::Unavailable);
    course.pass(IDLE);
    // In the outage, all that is due is tried.
    let questions = course.questions();
    assert!(questions.contains(&Errand::Renew), "{questions:?}");
    course.fails(Errand::Renew, Trouble::Unavailable);
    course.fails(Errand::Claim, Trouble::Unavailable);
    course.read([]);
    let questions = course.questions();
    assert!(!questions.contains(&Errand::Claim), "{questions:?}");
    course.pass(Duration::from_millis(30));
    assert_eq!(course.questions(), [Errand::Renew]);
    course.pass(IDLE / 2);
    assert!(course.questions().contains(&Errand::Claim));
}

#[test]
fn a_lost_group_is_created_again_if_that_was_asked() {
    let mut course = Course::waiting(terms());
    course.fails(Errand::Read, Trouble::NoGroup);
    assert_eq!(course.questions(), [Errand::Prepare]);
    course.on(Event::Prepared);
    course.pass(Duration::from_millis(25));
    assert_eq!(course.questions(), [Errand::Read]);

    let mut course = Course::new(Terms {
        creates_group: false,
        ..terms()
    });
    assert_eq!(course.questions(), [Errand::Read]);
    course.fails(Errand::Read, Trouble::NoGroup);
    assert!(course.duties.is_over() && course.duties.is_cut_off());
}

#[test]
fn a_consumer_that_is_cut_off_waits_for_its_handlers() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 1), found(2, 1), found(3, 1)]);
    assert_eq!(course.runs(), [1, 2]);
    course.fails(Errand::Read, Trouble::Final);
    assert!(!course.duties.is_over());
    course.handled(1, None);
    course.handled(2, Some("no"));
    assert_eq!(course.actions(), []);
    assert!(course.duties.is_over());
}

#[test]
fn a_stop_gives_back_what_waits_and_leaves_when_all_is_done() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 1), found(2, 1), found(3, 1)]);
    assert_eq!(course.runs(), [1, 2]);
    course.on(Event::Stop);
    let release =
        |number, deliveries| Action::Ask(Question::Release(vec![(id(number), deliveries)]));
    assert_eq!(course.actions(), [release(3, 1)]);
    // What a read brings that is under way is given back as well.
    course.read([found(4, 1)]);
    course.handled(1, None);
    assert_eq!(course.questions(), [Errand::Acknowledge]);
    course.on(Event::Released);
    assert_eq!(course.actions(), [release(4, 1)]);
    course.on(Event::Released);
    course.on(Event::Acknowledged);
    assert_eq!(course.actions(), []);
    course.handled(2, Some("no"));
    assert_eq!(course.actions(), [Action::Ask(Question::Leave)]);
    assert!(!course.duties.is_over());
    course.on(Event::Left);
    assert!(course.duties.is_over());
}

#[test]
fn entries_with_one_key_take_turns() {
    let mut course = Course::waiting(terms());
    let keyed = |number, key: &str| Found {
        key: Some(key.as_bytes().into()),
        ..found(number, 1)
    };
    course.read([keyed(1, "a"), keyed(2, "a"), keyed(3, "b")]);
    assert_eq!(course.runs(), [1, 3]);
    course.handled(3, None);
    assert_eq!(course.runs().len(), 0);
    course.handled(1, Some("no"));
    assert_eq!(course.runs(), [2]);
}

#[test]
fn an_entry_that_is_held_is_not_taken_twice() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 1)]);
    assert_eq!(course.runs(), [1]);
    course.pass(IDLE);
    course.actions();
    let trimmed = Found {
        content: Content::Deleted,
        ..found(1, 2)
    };
    course.on(Event::Claimed {
        found: vec![found(1, 2), trimmed, found(2, 2)],
        trimmed: 1,
        next: EntryId::ZERO,
        since: course.now,
    });
    assert_eq!(course.runs(), [2]);
    let tally = course.duties.tally();
    assert_eq!((tally.claimed, tally.trimmed), (1, 1));
}

#[test]
fn batches_that_are_too_large_become_smaller() {
    let mut course = Course::waiting(Terms {
        batch: 9,
        ..terms()
    });
    let mut counts = Vec::new();
    for _ in 0..5 {
        course.fails(Errand::Read, Trouble::TooLarge);
        course.pass(Duration::from_secs(1));
        for action in course.actions() {
            if let Action::Ask(Question::ReadNew { count, .. }) = action {
                counts.push(count);
            }
        }
    }
    assert_eq!(counts, [5, 3, 2, 1, 1]);
}

#[test]
fn what_was_too_large_together_is_taken_over_one_by_one() {
    let mut course = Course::waiting(Terms {
        batch: 6,
        ..terms()
    });
    course.fails(Errand::Read, Trouble::TooLarge);
    assert_eq!(course.claims(), Some(1));
    course.claimed([found(1, 2)]);
    assert_eq!(course.claims(), Some(2));
    course.fails(Errand::Claim, Trouble::TooLarge);
    let mut counts = Vec::new();
    for number in 2..6 {
        counts.extend(course.claims());
        course.claimed([found(number, 2)]);
        course.handled(number - 1, None);
        course.on(Event::Acknowledged);
        course.actions();
        course.on(Event::Acknowledged);
    }
    assert_eq!(counts, [1, 2, 4, 6], "and more at a time when all is well");
}

#[test]
fn an_entry_that_is_too_large_by_itself_is_buried_after_its_last_delivery() {
    let mut course = Course::waiting(terms());
    let too_large = |deliveries| Found {
        content: Content::TooLarge,
        ..found(7, deliveries)
    };
    course.claims();
    course.claimed([too_large(1)]);
    assert_eq!(course.duties.held(), 0, "it stays pending");
    course.claims();
    course.claimed([too_large(2)]);
    let burial = Action::Ask(Question::Bury(Burial {
        id: id(7),
        entry: None,
        deliveries: 2,
        failure: None,
    }));
    let actions = course.actions();
    assert!(actions.contains(&burial), "{actions:?}");
    course.on(Event::Buried { was_pending: true });
    let tally = course.duties.tally();
    assert_eq!((tally.dead_lettered, tally.failed), (1, 0));
    assert_eq!(course.duties.held(), 0);
}

#[test]
fn waiting_entries_that_others_have_taken_over_are_dropped() {
    let mut course = Course::waiting(Terms {
        batch: 4,
        ..terms()
    });
    let keyed = |number| Found {
        key: Some(Key::from(*b"k")),
        ..found(number, 1)
    };
    course.read([keyed(1), keyed(2), keyed(3), found(4, 1), found(5, 1)]);
    assert_eq!(course.runs(), [1, 4]);
    course.renewed([id(1), id(3)], [id(2), id(5)]);
    assert_eq!(course.duties.held(), 3);
    course.handled(1, None);
    course.handled(4, None);
    assert_eq!(course.runs(), [3], "the key is not blocked");
}

#[test]
fn a_claim_that_was_lost_is_not_taken_back() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 2), found(2, 1)]);
    course.actions();
    course.renewed([id(2)], [id(1)]);
    course.pass(IDLE);
    let actions = course.actions();
    let renewal = Action::Ask(Question::Renew(vec![id(2)]));
    assert!(actions.contains(&renewal), "{actions:?}");
    // It would be buried otherwise.
    course.handled(1, Some("no"));
    assert_eq!(course.questions(), []);
    assert_eq!(course.duties.held(), 1);
    // It comes back by itself, and is a claim like any other.
    course.claimed([found(2, 2)]);
    course.renewed([id(2)], []);
    course.pass(IDLE);
    assert!(course.questions().contains(&Errand::Renew));
}

#[test]
fn what_is_given_back_is_not_renewed() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 1), found(2, 1), found(3, 1)]);
    assert_eq!(course.runs(), [1, 2]);
    course.on(Event::Stop);
    assert_eq!(course.questions(), [Errand::Release]);
    course.fails(Errand::Release, Trouble::Unavailable);
    course.pass(IDLE);
    let actions = course.actions();
    let renewal = Action::Ask(Question::Renew(vec![id(1), id(2)]));
    assert!(actions.contains(&renewal), "{actions:?}");
    // Lost while it was to be released: nothing is left to release.
    course.renewed([id(1), id(2)], [id(3)]);
    course.fails(Errand::Release, Trouble::Unavailable);
    course.pass(IDLE);
    assert_eq!(course.questions(), [Errand::Renew]);
    assert_eq!(course.duties.held(), 2);
}

#[test]
fn an_entry_whose_handler_has_gone_stays_pending() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 2), found(2, 2)]);
    assert_eq!(course.runs(), [1, 2]);
    course.handled(2, None);
    course.on(Event::Stop);
    course.on(Event::Abandoned { id: id(1) });
    assert_eq!(course.questions(), [Errand::Acknowledge]);
    course.on(Event::Acknowledged);
    course.read([]);
    assert_eq!(course.questions(), [Errand::Leave]);
    let tally = course.duties.tally();
    assert_eq!((tally.acknowledged, tally.failed), (1, 0));
}

/// The server has answered the claim before the acknowledgement, and the answers come the other way round.
#[test]
fn an_entry_that_was_acknowledged_during_a_claim_is_not_taken_again() {
    let mut course = Course::waiting(terms());
    course.read([found(1, 1)]);
    course.actions();
    course.pass(IDLE);
    assert!(course.questions().contains(&Errand::Claim));
    course.handled(1, None);
    course.actions();
    course.on(Event::Acknowledged);
    course.on(Event::Claimed {
        found: vec![found(1, 2), found(2, 2)],
        trimmed: 0,
        next: EntryId::ZERO,
        since: course.now,
    });
    assert_eq!(course.runs(), [2]);
}
