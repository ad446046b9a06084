//! Single decisions about claims: entries that are too large, that others have taken over, or that are given back.

use super::{case::*, *};

#[test]
fn what_was_too_large_together_is_taken_over_one_by_one() {
    let mut case = Case::waiting(Terms {
        batch: 6,
        ..terms()
    });
    case.fails(Errand::Read, Trouble::TooLarge);
    assert_eq!(case.claims(), Some(1));
    case.claimed([found(1, 2)]);
    assert_eq!(case.claims(), Some(2));
    case.fails(Errand::Claim, Trouble::TooLarge);
    let mut counts = Vec::new();
    for number in 2..6 {
        counts.extend(case.claims());
        case.claimed([found(number, 2)]);
        case.handled(number - 1, None);
        case.on(Event::Acknowledged);
        case.actions();
        case.on(Event::Acknowledged);
    }
    assert_eq!(counts, [1, 2, 4, 6], "and more at a time when all is well");
}

#[test]
fn an_entry_that_is_too_large_by_itself_is_buried_after_its_last_delivery() {
    let mut case = Case::waiting(terms());
    let too_large = |deliveries| Found {
        content: Content::TooLarge,
        ..found(7, deliveries)
    };
    case.claims();
    case.claimed([too_large(1)]);
    assert_eq!(case.duties.held(), 0, "it stays pending");
    case.claims();
    case.claimed([too_large(2)]);
    let burial = Action::Ask(Question::Bury(Burial {
        id: id(7),
        entry: None,
        deliveries: 2,
        failure: None,
    }));
    let actions = case.actions();
    assert!(actions.contains(&burial), "{actions:?}");
    case.on(Event::Buried { was_pending: true });
    let tally = case.duties.tally();
    assert_eq!((tally.dead_lettered, tally.failed), (1, 0));
    assert_eq!(case.duties.held(), 0);
}

#[test]
fn waiting_entries_that_others_have_taken_over_are_dropped() {
    let mut case = Case::waiting(Terms {
        batch: 4,
        ..terms()
    });
    let keyed = |number| Found {
        key: Some(Key::from(*b"k")),
        ..found(number, 1)
    };
    case.read([keyed(1), keyed(2), keyed(3), found(4, 1), found(5, 1)]);
    assert_eq!(case.runs(), [1, 4]);
    case.renewed([id(1), id(3)], [id(2), id(5)]);
    assert_eq!(case.duties.held(), 3);
    case.handled(1, None);
    case.handled(4, None);
    assert_eq!(case.runs(), [3], "the key is not blocked");
}

#[test]
fn a_claim_that_was_lost_is_not_taken_back() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 2), found(2, 1)]);
    case.actions();
    case.renewed([id(2)], [id(1)]);
    case.pass(IDLE);
    let actions = case.actions();
    let renewal = Action::Ask(Question::Renew(vec![id(2)]));
    assert!(actions.contains(&renewal), "{actions:?}");
    // It would be buried otherwise.
    case.handled(1, Some("no"));
    assert_eq!(case.questions(), []);
    assert_eq!(case.duties.held(), 1);
    // It comes back by itself, and is a claim like any other.
    case.claimed([found(2, 2)]);
    case.renewed([id(2)], []);
    case.pass(IDLE);
    assert!(case.questions().contains(&Errand::Renew));
}

#[test]
fn what_is_given_back_is_not_renewed() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 1), found(2, 1), found(3, 1)]);
    assert_eq!(case.runs(), [1, 2]);
    case.on(Event::Stop);
    assert_eq!(case.questions(), [Errand::Release]);
    case.fails(Errand::Release, Trouble::Unavailable);
    case.pass(IDLE);
    let actions = case.actions();
    let renewal = Action::Ask(Question::Renew(vec![id(1), id(2)]));
    assert!(actions.contains(&renewal), "{actions:?}");
    // Lost while it was to be released: nothing is left to release.
    case.renewed([id(1), id(2)], [id(3)]);
    case.fails(Errand::Release, Trouble::Unavailable);
    case.pass(IDLE);
    assert_eq!(case.questions(), [Errand::Renew]);
    assert_eq!(case.duties.held(), 2);
}

#[test]
fn an_entry_whose_handler_has_gone_stays_pending() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 2), found(2, 2)]);
    assert_eq!(case.runs(), [1, 2]);
    case.handled(2, None);
    case.on(Event::Stop);
    case.on(Event::Abandoned { id: id(1) });
    assert_eq!(case.questions(), [Errand::Acknowledge]);
    case.on(Event::Acknowledged);
    case.read([]);
    assert_eq!(case.questions(), [Errand::Leave]);
    let tally = case.duties.tally();
    assert_eq!((tally.acknowledged, tally.failed), (1, 0));
}

/// The server has answered the claim before the acknowledgement, and the answers come the other way round.
#[test]
fn an_entry_that_was_acknowledged_during_a_claim_is_not_taken_again() {
    let mut case = Case::waiting(terms());
    case.read([found(1, 1)]);
    case.actions();
    case.pass(IDLE);
    assert!(case.questions().contains(&Errand::Claim));
    case.handled(1, None);
    case.actions();
    case.on(Event::Acknowledged);
    case.on(Event::Claimed {
        found: vec![found(1, 2), found(2, 2)],
        trimmed: 0,
        next: EntryId::ZERO,
        since: case.now,
    });
    assert_eq!(case.runs(), [2]);
}
