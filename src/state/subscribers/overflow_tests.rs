//! A subscription that ends because nothing reads it.

use bytes::Bytes;

use super::*;
use crate::{
    events::WhenFull,
    net::{CloseReason, Heard},
    state::clock,
};

fn channel(name: &'static str) -> Topic {
    Topic::Channel(Bytes::from_static(name.as_bytes()))
}

fn message(name: &'static str) -> Heard {
    Heard::Message {
        topic: channel(name),
        channel: Bytes::from_static(name.as_bytes()),
        payload: Bytes::from_static(b"1"),
    }
}

/// Channels are added while the queue overflows, before the server has confirmed them.
#[tokio::test]
async fn channels_that_are_added_to_a_subscription_that_overflows_are_refused() {
    let id = DatabaseId::new("main".into(), 1);
    let subscribers = Subscribers::new(id, Arc::new(Executor::new(None)));
    let driver = subscribers.drive(&CloseReason::Panicked);
    driver.connected();
    let (subscriber, _queue) = subscribers.add(Bounds {
        max_messages: 1,
        max_bytes: 100,
        when_full: WhenFull::End,
    });
    let deadline = clock::now() + std::time::Duration::from_secs(60);
    let join = |name| subscribers.join(subscriber, vec![channel(name)], deadline, false);
    let hear = |heard: Vec<Heard>| driver.hear(heard.into_iter()).expect("in step");
    let first = join("a");
    driver.take_asks(|_| {});
    hear(vec![Heard::Subscribed(channel("a"))]);
    first.await.expect("confirmed");

    let second = join("b");
    driver.take_asks(|_| {});
    hear(vec![message("a"), message("a")]);
    let refused = second.await.expect_err("it is over");
    assert!(
        matches!(refused, NotJoined::Overflowed { max_messages: 1 }),
        "{refused:?}"
    );
    let late = join("c").await.expect_err("it is over");
    assert!(matches!(late, NotJoined::Overflowed { .. }), "{late:?}");
    // Nothing listens to what the server confirms now.
    hear(vec![Heard::Subscribed(channel("b"))]);
    assert!(!driver.want_connection());
}
