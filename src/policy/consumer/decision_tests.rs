//! Single decisions of the machine.

use super::{case::*, *};

#[test]
fn own_entries_come_first_page_by_page() {
    let mut case = Case::new(terms());
    case.actions();
    case.on(Event::Prepared);
    let own = |after, count| Action::Ask(Question::ReadOwn { after, count });
    assert_eq!(case.actions(), [own(EntryId::ZERO, 3)]);
    case.read([found(1, 2), found(2, 2)]);
    let actions = case.actions();
    assert!(actions.contains(&own(id(2), 3)), "{actions:?}");
    case.read([]);
    let new = Action::Ask(Question::ReadNew {
        count: 3,
        waits: false,
    });
    assert!(case.actions().contains(&new));
    assert_eq!(case.duties.tally().claimed, 2);
}

#[test]
fn a_read_waits_only_when_nothing_more_is_expected() {
    let mut case = Case::waiting(terms());
    let waits = |actions: Vec<Action<u64>>| {
        actions.into_iter().find_map(|action| match action {
            Action::Ask(Question::ReadNew { waits, .. }) => Some(waits),
            _ => None,
        })
    };
    case.read([found(1, 1), found(2, 1), found(3, 1)]);
    assert_eq!(waits(case.actions()), Some(false));
    case.read([found(4, 1)]);
    assert_eq!(waits(case.actions()), Some(true));
}

#[test]
fn no_more_is_read_than_there_is_room_for() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 1), found(2, 1), found(3, 1)]);
    assert_eq!(case.questions(), [Errand::Read]);
    case.read([found(4, 1), found(5, 1), found(6, 1)]);
    // Two run and four wait: another three would be more than 2 + 2 * 3.
    assert_eq!(case.questions(), []);
    case.handled(1, None);
    assert_eq!(case.questions(), [Errand::Acknowledge]);
    case.on(Event::Acknowledged);
    assert_eq!(case.questions(), [Errand::Read]);
}

#[test]
fn what_was_handled_meanwhile_is_acknowledged_together() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 1), found(2, 1), found(3, 1)]);
    assert_eq!(case.runs(), [1, 2]);
    case.handled(2, None);
    let first = Action::Ask(Question::Acknowledge(vec![id(2)]));
    assert!(case.actions().contains(&first));
    case.handled(1, None);
    case.handled(3, None);
    assert_eq!(case.questions(), []);
    case.on(Event::Acknowledged);
    let rest = Action::Ask(Question::Acknowledge(vec![id(1), id(3)]));
    assert!(case.actions().contains(&rest));
}

#[test]
fn an_acknowledgement_in_vain_is_sent_again_after_a_pause() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 1)]);
    case.actions();
    case.handled(1, None);
    case.actions();
    case.fails(Errand::Acknowledge, Trouble::Unavailable);
    assert!(!case.questions().contains(&Errand::Acknowledge));
    let pause = case.wakes_in().expect("a pause");
    assert!(pause <= Duration::from_millis(25), "{pause:?}");
    case.pass(pause);
    assert_eq!(case.questions(), [Errand::Acknowledge]);
    case.on(Event::Acknowledged);
    assert_eq!(
        (case.duties.held(), case.duties.tally().acknowledged),
        (0, 1)
    );
}

#[test]
fn a_failed_entry_is_left_to_be_taken_over_and_the_last_time_buried() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 1), found(2, 2), found(3, 3)]);
    // The third was delivered too often to be handled.
    let burial = |number, deliveries, failure: Option<&str>| {
        Action::Ask(Question::Bury(Burial {
            id: id(number),
            entry: Some(number),
            deliveries,
            failure: failure.map(Box::from),
        }))
    };
    let actions = case.actions();
    assert!(actions.contains(&burial(3, 3, None)), "{actions:?}");
    case.handled(1, Some("no"));
    case.handled(2, Some("never"));
    assert_eq!(case.actions(), [], "one burial at a time");
    assert_eq!(case.duties.held(), 2);
    case.on(Event::Buried { was_pending: false });
    assert!(case.actions().contains(&burial(2, 2, Some("never"))));
    case.on(Event::Buried { was_pending: true });
    let tally = case.duties.tally();
    assert_eq!((tally.failed, tally.dead_lettered), (2, 1));
    assert_eq!((case.duties.held(), tally.acknowledged), (0, 0));
}

#[test]
fn claims_are_renewed_before_others_may_take_the_entries() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 1), found(2, 1), found(3, 1)]);
    case.actions();
    let began = case.now;
    let mut renewed = Vec::new();
    for _ in 0..6 {
        case.pass(case.wakes_in().expect("a renewal"));
        for action in case.actions() {
            if let Action::Ask(Question::Renew(ids)) = action {
                renewed.push((case.now - began, ids.len()));
                case.renewed(ids, []);
            } else if let Action::Ask(Question::Claim { .. }) = action {
                case.fails(Errand::Claim, Trouble::Refused);
            }
        }
    }
    let (first, entries) = renewed[0];
    assert!(first >= IDLE / 3 && first <= IDLE / 2, "{renewed:?}");
    assert_eq!(entries, 3, "also those that wait for their turn");
}

#[test]
fn after_an_outage_claims_are_renewed_before_any_is_made() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 1)]);
    case.actions();
    case.fails(Errand::Read, Trouble::Unavailable);
    case.pass(IDLE);
    // In the outage, all that is due is tried.
    let questions = case.questions();
    assert!(questions.contains(&Errand::Renew), "{questions:?}");
    case.fails(Errand::Renew, Trouble::Unavailable);
    case.fails(Errand::Claim, Trouble::Unavailable);
    case.read([]);
    let questions = case.questions();
    assert!(!questions.contains(&Errand::Claim), "{questions:?}");
    case.pass(Duration::from_millis(30));
    assert_eq!(case.questions(), [Errand::Renew]);
    case.pass(IDLE / 2);
    assert!(case.questions().contains(&Errand::Claim));
}

#[test]
fn a_lost_group_is_created_again_if_that_was_asked() {
    let mut case = Case::waiting(terms());
    case.fails(Errand::Read, Trouble::NoGroup);
    assert_eq!(case.questions(), [Errand::Prepare]);
    case.on(Event::Prepared);
    case.pass(Duration::from_millis(25));
    assert_eq!(case.questions(), [Errand::Read]);

    let mut case = Case::new(Terms {
        creates_group: false,
        ..terms()
    });
    assert_eq!(case.questions(), [Errand::Read]);
    case.fails(Errand::Read, Trouble::NoGroup);
    assert!(case.duties.is_over() && case.duties.is_cut_off());
}

#[test]
fn a_consumer_that_is_cut_off_waits_for_its_handlers() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 1), found(2, 1), found(3, 1)]);
    assert_eq!(case.runs(), [1, 2]);
    case.fails(Errand::Read, Trouble::Final);
    assert!(!case.duties.is_over());
    case.handled(1, None);
    case.handled(2, Some("no"));
    assert_eq!(case.actions(), []);
    assert!(case.duties.is_over());
}

#[test]
fn a_stop_gives_back_what_waits_and_leaves_when_all_is_done() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 1), found(2, 1), found(3, 1)]);
    assert_eq!(case.runs(), [1, 2]);
    case.on(Event::Stop);
    let release =
        |number, deliveries| Action::Ask(Question::Release(vec![(id(number), deliveries)]));
    assert_eq!(case.actions(), [release(3, 1)]);
    // What a read brings that is under way is given back as well.
    case.read([found(4, 1)]);
    case.handled(1, None);
    assert_eq!(case.questions(), [Errand::Acknowledge]);
    case.on(Event::Released);
    assert_eq!(case.actions(), [release(4, 1)]);
    case.on(Event::Released);
    case.on(Event::Acknowledged);
    assert_eq!(case.actions(), []);
    case.handled(2, Some("no"));
    assert_eq!(case.actions(), [Action::Ask(Question::Leave)]);
    assert!(!case.duties.is_over());
    case.on(Event::Left);
    assert!(case.duties.is_over());
}

#[test]
fn entries_with_one_key_take_turns() {
    let mut case = Case::waiting(terms());
    let keyed = |number, key: &str| Found {
        key: Some(key.as_bytes().into()),
        ..found(number, 1)
    };
    case.read([keyed(1, "a"), keyed(2, "a"), keyed(3, "b")]);
    assert_eq!(case.runs(), [1, 3]);
    case.handled(3, None);
    assert_eq!(case.runs().len(), 0);
    case.handled(1, Some("no"));
    assert_eq!(case.runs(), [2]);
}

#[test]
fn an_entry_that_is_held_is_not_taken_twice() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 1)]);
    assert_eq!(case.runs(), [1]);
    case.pass(IDLE);
    case.actions();
    let trimmed = Found {
        content: Content::Deleted,
        ..found(1, 2)
    };
    case.on(Event::Claimed {
        found: vec![found(1, 2), trimmed, found(2, 2)],
        trimmed: 1,
        next: EntryId::ZERO,
        since: case.now,
    });
    assert_eq!(case.runs(), [2]);
    let tally = case.duties.tally();
    assert_eq!((tally.claimed, tally.trimmed), (1, 1));
}

#[test]
fn batches_that_are_too_large_become_smaller() {
    let mut case = Case::waiting(Terms {
        batch: 9,
        ..terms()
    });
    let mut counts = Vec::new();
    for _ in 0..5 {
        case.fails(Errand::Read, Trouble::TooLarge);
        case.pass(Duration::from_secs(1));
        for action in case.actions() {
            if let Action::Ask(Question::ReadNew { count, .. }) = action {
                counts.push(count);
            }
        }
    }
    assert_eq!(counts, [5, 3, 2, 1, 1]);
}
