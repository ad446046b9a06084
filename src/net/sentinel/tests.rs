//! Goal: what sentinels say is understood, and the newest that a majority knows is believed. Method: the values are
//! given answers as servers write them, in every order that matters.

use std::time::{Duration, Instant};

use redis::Value;

use super::{
    inquiry::{Inquiry, Verdict},
    knowledge::Knowledge,
    words::{News, Words},
};
use crate::{
    config::Address,
    net::codec::{Decoded, Limits, decode_all},
};

fn at(port: u16) -> Address {
    Address::of_host("10.0.0.1", port).expect("an address")
}

fn bulk(text: &str) -> Value {
    Value::BulkString(text.into())
}

fn list(texts: &[&str]) -> Value {
    Value::Array(texts.iter().map(|text| bulk(text)).collect())
}

fn words(primary: u16, epoch: u64) -> Words {
    Words {
        primary: Some(at(primary)),
        epoch: Some(epoch),
        ..Words::default()
    }
}

fn verdict(primary: u16, epoch: u64, is_of_majority: bool) -> Verdict {
    Verdict::Primary {
        address: at(primary),
        epoch: Some(epoch),
        is_of_majority,
    }
}

fn error(line: &[u8]) -> Value {
    match decode_all(line, &[], Limits::default())
        .0
        .into_iter()
        .next()
    {
        Some((Decoded::Value(error @ Value::ServerError(_)), _)) => error,
        other => panic!("no error: {other:?}"),
    }
}

#[test]
fn the_answers_of_a_sentinel_are_read() {
    let other = list(&["name", "b", "ip", "10.0.0.1", "port", "2", "runid", "b"]);
    let broken = list(&["ip", "10.0.0.1", "port", "0", "runid", "c"]);
    let replica = list(&["ip", "10.0.0.1", "port", "3", "flags", "s_down,slave"]);
    let answers = [
        list(&["10.0.0.1", "1"]),
        list(&["name", "main", "ip", "10.0.0.9", "config-epoch", "7"]),
        Value::Array(vec![other, broken]),
        bulk("a"),
        Value::Array(vec![replica]),
    ];
    let expected = Words {
        id: Some("a".into()),
        others: Some(vec![("b".into(), at(2))]),
        replicas: Some(vec![at(3)]),
        ..words(1, 7)
    };
    assert_eq!(Words::of(&answers), Ok(expected));

    // An old one, or one that permits little.
    let refused = error(b"-NOPERM this user has no permissions\r\n");
    let mut answers = [
        answers[0].clone(),
        refused.clone(),
        refused.clone(),
        refused.clone(),
        refused,
    ];
    let little = Words {
        epoch: None,
        ..words(1, 0)
    };
    assert_eq!(Words::of(&answers), Ok(little));
    answers[0] = Value::Nil;
    assert_eq!(Words::of(&answers), Ok(Words::default()));
    for wrong in [list(&["h"]), list(&["a b", "1"]), bulk("h"), Value::Okay] {
        answers[0] = wrong;
        Words::of(&answers).expect_err("no answer of a sentinel");
    }
}

#[test]
fn only_news_of_the_service_are_news() {
    let message = |channel: &str, text: &str| list(&["message", channel, text]);
    let switch = "main 10.0.0.1 1 10.0.0.1 2";
    let read = |channel, text| News::of(&message(channel, text), "main");
    assert_eq!(
        read("+switch-master", switch),
        News::Switched {
            from: at(1),
            to: at(2)
        }
    );
    let of_other = "other 10.0.0.1 1 10.0.0.1 2";
    assert_eq!(read("+switch-master", of_other), News::Nothing);
    assert_eq!(read("+switch-master", "main"), News::Nothing);
    let sentinel = "sentinel abc 10.0.0.1 3 @ main 10.0.0.1 1";
    assert_eq!(read("+sentinel", sentinel), News::Sentinel);
    assert_eq!(News::of(&list(&["pong", ""]), "main"), News::Nothing);
}

#[test]
fn a_majority_is_waited_for_and_its_newest_answer_is_the_verdict() {
    let mut inquiry = Inquiry::new(3);
    inquiry.heard(at(101), words(1, 1));
    assert_eq!(inquiry.verdict("main", None), None);
    inquiry.heard(at(102), words(2, 2));
    assert_eq!(inquiry.verdict("main", None), Some(verdict(2, 2, true)));
    // More is known already: the third may know that as well.
    assert_eq!(inquiry.verdict("main", Some(3)), None);
    inquiry.failed(at(103), "it hangs".into());
    assert_eq!(inquiry.verdict("main", Some(3)), Some(verdict(2, 2, true)));
}

#[test]
fn one_sentinel_with_a_newer_configuration_is_enough() {
    let mut inquiry = Inquiry::new(3);
    inquiry.heard(at(101), words(1, 1));
    assert_eq!(inquiry.verdict("main", Some(1)), None);
    inquiry.heard(at(102), words(2, 2));
    assert_eq!(inquiry.verdict("main", Some(1)), Some(verdict(2, 2, true)));
    let mut first = Inquiry::new(3);
    first.heard(at(102), words(2, 2));
    assert_eq!(first.verdict("main", Some(1)), Some(verdict(2, 2, false)));
}

#[test]
fn a_sentinel_under_two_names_has_one_voice() {
    let named = |primary| Words {
        id: Some("a".into()),
        ..words(primary, 1)
    };
    let mut inquiry = Inquiry::new(3);
    inquiry.heard(at(101), named(1));
    inquiry.heard(at(201), named(1));
    assert_eq!(inquiry.verdict("main", None), None);
    inquiry.failed(at(102), "it is dead".into());
    assert_eq!(inquiry.verdict("main", None), Some(verdict(1, 1, false)));
}

#[test]
fn without_a_primary_the_verdict_says_why() {
    let reason = |inquiry: &Inquiry| match inquiry.verdict("main", None) {
        Some(Verdict::None(why)) => why,
        other => panic!("{other:?}"),
    };
    let mut inquiry = Inquiry::new(2);
    inquiry.heard(at(101), Words::default());
    assert_eq!(inquiry.verdict("main", None), None);
    let mut unknown = Inquiry::new(1);
    unknown.heard(at(101), Words::default());
    assert_eq!(
        reason(&unknown),
        "no service named main is known to the sentinel"
    );
    inquiry.failed(at(102), "refused".into());
    let expected = "no service named main is known to the sentinel, and others do not answer: 10.0.0.1:102: refused";
    assert_eq!(reason(&inquiry), expected);
    let mut dead = Inquiry::new(2);
    dead.failed(at(101), "refused".into());
    dead.failed(at(102), "hangs".into());
    assert_eq!(
        reason(&dead),
        "none of 2 sentinels answers: 10.0.0.1:102: hangs"
    );
}

#[test]
fn row_138_an_old_primary_is_not_gone_back_to() {
    let now = Instant::now();
    let mut knowledge = Knowledge::default();
    assert_eq!(knowledge.settle(verdict(1, 1, false), now), Ok(at(1)));
    assert!(!knowledge.announced(&at(1), at(2)));
    assert_eq!(knowledge.trusted(), Some(&at(2)));
    // A sentinel that has not heard of it.
    assert!(!knowledge.take_word(&words(1, 1)));
    let settled = knowledge.settle(verdict(1, 1, true), now);
    assert_eq!(settled, Ok(at(2)), "they lag behind");
    knowledge.confirm(&words(2, 2));
    assert!(knowledge.take_word(&words(2, 2)));
    assert_eq!(knowledge.epoch(), Some(2));
    knowledge.doubt(&at(2));
    knowledge
        .settle(verdict(1, 1, false), now)
        .expect_err("it was cut off");
    knowledge
        .settle(verdict(1, 1, true), now)
        .expect_err("they lag behind");
    assert_eq!(knowledge.primary(), Some(&at(2)));
    // What confirms the known one begins it anew.
    assert!(knowledge.take_word(&words(2, 2)));
    knowledge
        .settle(verdict(1, 1, true), now)
        .expect_err("they lag behind");
    // All of them were set up anew.
    let soon = now + Duration::from_secs(9);
    knowledge
        .settle(verdict(3, 1, true), soon)
        .expect_err("they may lag behind");
    let later = now + Duration::from_secs(10);
    assert_eq!(knowledge.settle(verdict(3, 1, true), later), Ok(at(3)));
}

#[test]
fn row_138_an_announcement_of_what_is_past_is_not_believed() {
    let now = Instant::now();
    let mut knowledge = Knowledge::default();
    let settled = knowledge.settle(verdict(3, 3, true), now);
    settled.expect("a primary");
    // Of a sentinel that was cut off during two failovers.
    assert!(knowledge.announced(&at(1), at(2)), "others are asked");
    assert_eq!(knowledge.trusted(), Some(&at(3)));
    // From where the primary is now, it is believed at once, and again if it was long past.
    assert!(!knowledge.announced(&at(3), at(2)));
    knowledge.confirm(&words(2, 2));
    assert_eq!(knowledge.trusted(), None);
    assert_eq!(knowledge.settle(verdict(3, 3, true), now), Ok(at(3)));
}

#[test]
fn row_138_without_epochs_a_minority_leads_nowhere() {
    let now = Instant::now();
    let without = |last, is_of_majority| Verdict::Primary {
        address: at(last),
        epoch: None,
        is_of_majority,
    };
    let mut knowledge = Knowledge::default();
    assert_eq!(knowledge.settle(without(1, true), now), Ok(at(1)));
    knowledge.doubt(&at(1));
    knowledge
        .settle(without(2, false), now)
        .expect_err("it may be cut off");
    assert_eq!(knowledge.settle(without(2, true), now), Ok(at(2)));
}

#[test]
fn row_138_a_late_announcement_is_corrected_by_the_sentinel_that_made_it() {
    let mut knowledge = Knowledge::default();
    let settled = knowledge.settle(verdict(1, 3, true), Instant::now());
    settled.expect("a primary");
    assert!(!knowledge.announced(&at(1), at(2)));
    knowledge.confirm(&words(1, 3));
    assert_eq!(knowledge.trusted(), Some(&at(1)));
    // What was not announced is not confirmed.
    knowledge.confirm(&words(2, 3));
    assert_eq!(knowledge.primary(), Some(&at(1)));
}

#[test]
fn doubt_is_about_the_present_primary_and_ends_with_an_answer() {
    let now = Instant::now();
    let mut knowledge = Knowledge::default();
    knowledge
        .settle(verdict(1, 1, true), now)
        .expect("a primary");
    knowledge.doubt(&at(2));
    assert_eq!(knowledge.trusted(), Some(&at(1)));
    knowledge.doubt(&at(1));
    assert_eq!(knowledge.trusted(), None);
    assert!(knowledge.take_word(&words(1, 1)), "it is as it was known");
    assert_eq!(knowledge.trusted(), None, "one voice is too little");
    knowledge
        .settle(verdict(1, 1, true), now)
        .expect("a primary");
    assert_eq!(knowledge.trusted(), Some(&at(1)));
    assert!(knowledge.take_word(&words(2, 2)));
    assert_eq!(knowledge.trusted(), Some(&at(2)));
}
