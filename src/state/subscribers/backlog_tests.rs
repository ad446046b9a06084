//! Goal: a queue keeps its bounds, tells exactly what it has dropped, and everything is in its place. Method: each policy
//! by itself, and random events against a naive model.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::backlog::*;
use crate::events::{EndCause, GapCause, PubSubEvent, WhenFull};

fn message(number: u64) -> PubSubEvent {
    PubSubEvent::Message {
        channel: "c".into(),
        pattern: None,
        payload: number.to_string().into(),
    }
}

fn backlog(max_messages: usize, when_full: WhenFull) -> Backlog {
    Backlog::new(Bounds {
        max_messages,
        max_bytes: usize::MAX,
        when_full,
    })
}

fn taken(backlog: &mut Backlog) -> Vec<PubSubEvent> {
    let next = || match backlog.pop() {
        Popped::Event(event) => Some(event),
        Popped::Nothing | Popped::End => None,
    };
    std::iter::from_fn(next).collect()
}

fn at(second: u64) -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_secs(second)
}

fn interrupted(second: u64, cause: GapCause) -> PubSubEvent {
    PubSubEvent::Interrupted {
        at: at(second),
        cause,
    }
}

fn gap(from: u64, to: u64, cause: GapCause) -> PubSubEvent {
    PubSubEvent::Gap {
        from: at(from),
        to: at(to),
        cause,
    }
}

#[test]
fn what_comes_after_a_loss_waits_for_the_end_of_the_gap() {
    let mut backlog = backlog(10, WhenFull::DropOldest);
    backlog.push(message(1));
    backlog.interrupt(at(1), GapCause::Moved);
    // One of several channels is back before the others.
    backlog.push(message(2));
    assert_eq!(
        taken(&mut backlog),
        [message(1), interrupted(1, GapCause::Moved)]
    );
    backlog.still_interrupted(at(2), GapCause::Isolated);
    assert_eq!(taken(&mut backlog), [interrupted(2, GapCause::Isolated)]);
    backlog.resume(at(3));
    assert_eq!(
        taken(&mut backlog),
        [gap(1, 3, GapCause::Moved), message(2)]
    );
    assert_eq!(backlog.pop(), Popped::Nothing);
}

#[test]
fn an_end_within_a_gap_is_told() {
    let mut backlog = backlog(10, WhenFull::DropOldest);
    backlog.interrupt(at(1), GapCause::Moved);
    backlog.end(EndCause::Removed, at(2));
    backlog.push(message(1));
    backlog.interrupt(at(3), GapCause::Moved);
    assert_eq!(
        taken(&mut backlog),
        [
            interrupted(1, GapCause::Moved),
            gap(1, 2, GapCause::Moved),
            PubSubEvent::Ended(EndCause::Removed)
        ]
    );
    assert_eq!(backlog.pop(), Popped::End);
    assert_eq!(backlog.pop(), Popped::End);
}

#[test]
fn dropped_messages_are_counted_where_they_were() {
    let mut oldest = backlog(2, WhenFull::DropOldest);
    let mut newest = backlog(2, WhenFull::DropNewest);
    for queue in [&mut oldest, &mut newest] {
        queue.push(message(1));
        queue.interrupt(at(1), GapCause::Moved);
        queue.resume(at(2));
        for number in 2..=5 {
            queue.push(message(number));
        }
    }
    let loss = [interrupted(1, GapCause::Moved), gap(1, 2, GapCause::Moved)];
    let [lost, gap] = loss;
    let lagged = PubSubEvent::Lagged;
    assert_eq!(
        taken(&mut oldest),
        [
            lagged(1),
            lost.clone(),
            gap.clone(),
            lagged(2),
            message(4),
            message(5)
        ]
    );
    assert_eq!(
        taken(&mut newest),
        [message(1), lost, gap, message(2), lagged(3)]
    );
}

#[derive(Clone, Debug)]
enum Happening {
    /// Of so many bytes.
    Message(usize),
    Interrupted,
    StillInterrupted,
    Resumed,
    Taken(usize),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        10 => (1..30_usize).prop_map(Happening::Message),
        2 => Just(Happening::Interrupted),
        1 => Just(Happening::StillInterrupted),
        2 => Just(Happening::Resumed),
        3 => (0..5_usize).prop_map(Happening::Taken),
    ]
}

/// Takes events, and checks them against the numbers of the messages.
#[derive(Default)]
struct Reader {
    /// The number of the last message that was taken or counted.
    seen: u64,
    dropped: u64,
    is_gap_due: bool,
}

impl Reader {
    /// A message's number is that of the ones before it, taken or dropped, and one more.
    fn take(&mut self, event: PubSubEvent) {
        match event {
            PubSubEvent::Message { channel, .. } => {
                let number: u64 = std::str::from_utf8(&channel)
                    .expect("text")
                    .parse()
                    .expect("a number");
                assert_eq!(number, self.seen + 1);
                assert!(!self.is_gap_due, "a gap is missing");
                self.seen = number;
            }
            PubSubEvent::Lagged(count) => {
                self.seen += count;
                self.dropped += count;
            }
            PubSubEvent::Interrupted { .. } => self.is_gap_due = true,
            PubSubEvent::Gap { from, to, .. } => {
                assert!(from <= to);
                self.is_gap_due = false;
            }
            other => panic!("unexpected: {other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn everything_is_delivered_or_counted_in_its_place(
        drops_oldest in any::<bool>(),
        happenings in prop::collection::vec(happening(), 0..400),
    ) {
        let when_full = if drops_oldest { WhenFull::DropOldest } else { WhenFull::DropNewest };
        let mut backlog = Backlog::new(Bounds { max_messages: 5, max_bytes: 60, when_full });
        let (mut pushed, mut dropped) = (0_u64, 0);
        let mut reader = Reader::default();
        for (second, happening) in (0..).zip(happenings) {
            match happening {
                Happening::Message(length) => {
                    pushed += 1;
                    dropped += backlog.push(PubSubEvent::Message {
                        channel: pushed.to_string().into(),
                        pattern: None,
                        payload: vec![b'x'; length].into(),
                    }).dropped;
                }
                Happening::Interrupted => backlog.interrupt(at(second), GapCause::Moved),
                Happening::StillInterrupted => backlog.still_interrupted(at(second), GapCause::Isolated),
                Happening::Resumed => backlog.resume(at(second)),
                Happening::Taken(count) => {
                    for _ in 0..count {
                        if let Popped::Event(event) = backlog.pop() {
                            reader.take(event);
                        }
                    }
                }
            }
            prop_assert!(backlog.len() <= 100, "{} entries", backlog.len());
        }
        backlog.resume(at(1_000));
        taken(&mut backlog).into_iter().for_each(|event| reader.take(event));
        prop_assert_eq!(reader.seen, pushed);
        prop_assert_eq!(reader.dropped, dropped);
    }
}
