//! Goal: each rule of the machine by itself. Method: calls and answers, and what comes of them.

use super::*;

fn channel(name: &'static str) -> Topic {
    Topic::Channel(name.into())
}

fn asks(machine: &mut Subscriptions) -> Vec<Ask> {
    std::iter::from_fn(|| machine.poll()).collect()
}

fn subscribe(name: &'static str) -> Ask {
    Ask::Subscribe(channel(name))
}

fn unsubscribe(name: &'static str) -> Ask {
    Ask::Unsubscribe(channel(name))
}

/// Connected, with these channels confirmed for the first subscriber.
fn confirmed(names: &[&'static str]) -> Subscriptions {
    let mut machine = Subscriptions::default();
    machine.connected();
    machine.join(1, names.iter().map(|name| channel(name)).collect());
    asks(&mut machine);
    for name in names {
        machine.subscribed(&channel(name)).expect("in step");
    }
    machine.take_notices();
    machine
}

#[test]
fn a_channel_is_asked_for_once_and_ended_by_its_last_listener() {
    let mut machine = Subscriptions::default();
    assert!(!machine.wants_connection());
    let first = machine.join(1, vec![channel("a"), channel("b")]);
    let second = machine.join(2, vec![channel("a")]);
    assert!(machine.wants_connection());
    assert_eq!(asks(&mut machine), [], "there is no connection");
    machine.connected();
    assert_eq!(asks(&mut machine), [subscribe("a"), subscribe("b")]);
    machine.subscribed(&channel("a")).expect("in step");
    assert_eq!(machine.take_notices(), [Notice::Joined(second)]);
    machine.subscribed(&channel("b")).expect("in step");
    assert_eq!(machine.take_notices(), [Notice::Joined(first)]);
    let third = machine.join(3, vec![channel("a")]);
    assert_eq!(machine.take_notices(), [Notice::Joined(third)]);
    let listeners: Vec<_> = machine.listeners(&channel("a")).collect();
    assert_eq!(listeners, [1, 2, 3]);
    machine.remove(1);
    assert_eq!(asks(&mut machine), [unsubscribe("b")]);
    machine.remove(2);
    assert_eq!(asks(&mut machine), []);
    machine.remove(3);
    assert_eq!(asks(&mut machine), [unsubscribe("a")]);
    assert!(!machine.wants_connection());
}

#[test]
fn a_channel_that_is_begun_again_waits_for_its_end() {
    let mut machine = confirmed(&["a"]);
    machine.leave(1, &[channel("a")]);
    assert_eq!(asks(&mut machine), [unsubscribe("a")]);
    let again = machine.join(1, vec![channel("a")]);
    assert_eq!(asks(&mut machine), [], "one command at a time");
    assert_eq!(machine.listeners(&channel("a")).count(), 0);
    machine.unsubscribed(&channel("a"));
    assert_eq!(asks(&mut machine), [subscribe("a")]);
    assert_eq!(machine.take_notices(), [], "nothing is missed");
    machine.subscribed(&channel("a")).expect("in step");
    assert_eq!(machine.take_notices(), [Notice::Joined(again)]);
}

#[test]
fn a_loss_is_a_gap_until_all_channels_of_a_subscriber_are_back() {
    let mut machine = confirmed(&["a", "b"]);
    machine.join(2, vec![channel("a")]);
    let waiting = machine.join(3, vec![channel("c")]);
    machine.take_notices();
    machine.lost();
    let mut told = machine.take_notices();
    told.sort_by_key(|notice| format!("{notice:?}"));
    assert_eq!(told, [Notice::Interrupted(1), Notice::Interrupted(2)]);
    machine.connected();
    assert_eq!(asks(&mut machine), ["a", "b", "c"].map(subscribe));
    machine.subscribed(&channel("a")).expect("in step");
    assert_eq!(machine.take_notices(), [Notice::Resumed(2)]);
    // Lost again: no further gap begins for the first.
    machine.lost();
    assert_eq!(machine.take_notices(), [Notice::Interrupted(2)]);
    machine.connected();
    asks(&mut machine);
    for name in ["a", "b", "c"] {
        machine.subscribed(&channel(name)).expect("in step");
    }
    assert_eq!(
        machine.take_notices(),
        [
            Notice::Resumed(2),
            Notice::Resumed(1),
            Notice::Joined(waiting)
        ]
    );
}

#[test]
fn a_request_is_confirmed_when_all_its_channels_are_at_once() {
    let mut machine = Subscriptions::default();
    machine.connected();
    let ticket = machine.join(1, vec![channel("a"), channel("b")]);
    asks(&mut machine);
    machine.subscribed(&channel("a")).expect("in step");
    machine.lost();
    assert_eq!(machine.take_notices(), [Notice::Interrupted(1)]);
    machine.connected();
    asks(&mut machine);
    machine.subscribed(&channel("a")).expect("in step");
    assert_eq!(machine.take_notices(), [Notice::Resumed(1)]);
    machine.subscribed(&channel("b")).expect("in step");
    assert_eq!(machine.take_notices(), [Notice::Joined(ticket)]);
}

#[test]
fn a_refusal_takes_a_request_back_and_a_channel_from_whoever_had_it() {
    let mut machine = confirmed(&["a", "kept"]);
    machine.lost();
    machine.take_notices();
    let ticket = machine.join(2, vec![channel("a"), channel("own")]);
    machine.connected();
    assert_eq!(asks(&mut machine), ["a", "kept", "own"].map(subscribe));
    let refused = machine.refused().expect("in step");
    assert_eq!(
        refused,
        Refused::Topic {
            topic: channel("a"),
            subscribers: vec![1],
            tickets: vec![ticket],
        }
    );
    assert_eq!(machine.take_notices(), []);
    machine.subscribed(&channel("kept")).expect("in step");
    assert_eq!(machine.take_notices(), [Notice::Resumed(1)]);
    machine.subscribed(&channel("own")).expect("in step");
    assert_eq!(asks(&mut machine), [unsubscribe("own")]);
    assert_eq!(machine.topics(), 1);
}

#[test]
fn an_unasked_end_is_a_gap_and_asked_for_again() {
    let mut machine = confirmed(&["a", "b"]);
    machine.unsubscribed(&channel("b"));
    assert_eq!(machine.take_notices(), [Notice::Interrupted(1)]);
    assert_eq!(asks(&mut machine), [subscribe("b")]);
    machine.subscribed(&channel("b")).expect("in step");
    assert_eq!(machine.take_notices(), [Notice::Resumed(1)]);
    // One that crosses the command to end it.
    machine.leave(1, &[channel("a")]);
    assert_eq!(asks(&mut machine), [unsubscribe("a")]);
    machine.unsubscribed(&channel("a"));
    machine.unsubscribed(&channel("a"));
    assert_eq!(asks(&mut machine), []);
    assert_eq!(machine.take_notices(), []);
}

#[test]
fn answers_that_do_not_fit_are_noticed() {
    let mut machine = confirmed(&["a"]);
    assert!(machine.subscribed(&channel("a")).is_err());
    assert!(machine.answered().is_err());
    assert!(machine.refused().is_err());
    machine.asked(Own::Question);
    machine.asked(Own::Login);
    assert!(machine.is_owed());
    assert!(machine.answered().is_ok());
    assert_eq!(machine.refused(), Ok(Refused::Login));
    assert!(!machine.is_owed());
}
