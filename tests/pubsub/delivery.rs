//! Goal: messages reach streams, actors and threads alike. Method: one of each.

use std::{thread, time::Duration};

use actix::{Actor, Arbiter, Context, Handler, ResponseFuture};
use futures_util::StreamExt as _;
use redis_steward::{EndCause, Error, PubSubEvent};
use tokio::sync::mpsc;

use super::{SOON, publish, subscribers, text};
use crate::common::{Rig, eventually_async};

struct Page(mpsc::UnboundedSender<PubSubEvent>);

impl Actor for Page {
    type Context = Context<Self>;
}

impl Handler<PubSubEvent> for Page {
    type Result = ();

    fn handle(&mut self, event: PubSubEvent, _: &mut Self::Context) {
        let _ = self.0.send(event);
    }
}

fn payload(event: PubSubEvent) -> String {
    match event {
        PubSubEvent::Message { payload, .. } => text(&payload),
        other => panic!("no message: {other:?}"),
    }
}

#[actix_rt::test]
async fn an_actor_gets_all_events_and_the_last_one() {
    let rig = Rig::start().await;
    let (seen, mut events) = mpsc::unbounded_channel();
    let page = Page(seen).start();
    let news = rig.main.subscribe(["news"]).await.expect("confirmed");
    news.deliver_to(page.recipient());
    for number in 0..100 {
        publish(&rig.server, "news", &number.to_string());
    }
    for number in 0..100 {
        let event = events.recv().await.expect("an event");
        assert_eq!(payload(event), number.to_string());
    }
    rig.supervisor.shutdown(SOON).await;
    let last = events.recv().await.expect("an event");
    assert_eq!(last, PubSubEvent::Ended(EndCause::ShuttingDown));
}

/// An actor that has never handled its first event.
struct Stuck(mpsc::UnboundedSender<PubSubEvent>);

impl Actor for Stuck {
    type Context = Context<Self>;
}

impl Handler<PubSubEvent> for Stuck {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, event: PubSubEvent, _: &mut Self::Context) -> Self::Result {
        let _ = self.0.send(event);
        Box::pin(std::future::pending())
    }
}

#[actix_rt::test]
async fn a_slow_actor_does_not_hold_a_shutdown() {
    let rig = Rig::start().await;
    let (seen, mut events) = mpsc::unbounded_channel();
    let news = rig.main.subscribe(["news"]).await.expect("confirmed");
    news.deliver_to(Stuck(seen).start().recipient());
    for number in ["1", "2", "3"] {
        publish(&rig.server, "news", number);
    }
    assert_eq!(payload(events.recv().await.expect("an event")), "1");
    let have_come = || rig.stats().subscriptions.messages == 3;
    eventually_async(SOON, "all have come", have_come).await;
    rig.supervisor.shutdown(SOON).await;
    assert_eq!(rig.stats().subscriptions.subscribers, 0, "delivered");
    for number in ["2", "3"] {
        assert_eq!(payload(events.recv().await.expect("an event")), number);
    }
    let last = events.recv().await.expect("an event");
    assert_eq!(last, PubSubEvent::Ended(EndCause::ShuttingDown));
}

/// An actor that handles no event before it is let go.
struct Busy {
    seen: mpsc::UnboundedSender<PubSubEvent>,
    go: std::sync::mpsc::Receiver<()>,
}

impl Actor for Busy {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.go.recv().expect("let go");
    }
}

impl Handler<PubSubEvent> for Busy {
    type Result = ();

    fn handle(&mut self, event: PubSubEvent, _: &mut Self::Context) {
        let _ = self.seen.send(event);
    }
}

#[actix_rt::test]
async fn an_actor_that_is_busy_during_a_shutdown_gets_all_events_afterwards() {
    let rig = Rig::start().await;
    let (seen, mut events) = mpsc::unbounded_channel();
    let (let_go, go) = std::sync::mpsc::channel();
    let arbiter = Arbiter::new();
    let busy = Busy::start_in_arbiter(&arbiter.handle(), |_| Busy { seen, go });
    let news = rig.main.subscribe(["news"]).await.expect("confirmed");
    news.deliver_to(busy.recipient());
    for number in ["1", "2"] {
        publish(&rig.server, "news", number);
    }
    let have_come = || rig.stats().subscriptions.messages == 2;
    eventually_async(SOON, "both have come", have_come).await;
    rig.supervisor.shutdown(SOON).await;
    let_go.send(()).expect("it waits");
    for number in ["1", "2"] {
        assert_eq!(payload(events.recv().await.expect("an event")), number);
    }
    let last = events.recv().await.expect("an event");
    assert_eq!(last, PubSubEvent::Ended(EndCause::ShuttingDown));
    arbiter.stop();
}

#[actix_rt::test]
async fn a_subscription_ends_with_its_actor() {
    let rig = Rig::start().await;
    let (seen, mut events) = mpsc::unbounded_channel();
    let page = Page(seen).start();
    let news = rig.main.subscribe(["news"]).await.expect("confirmed");
    news.deliver_to(page.clone().recipient());
    publish(&rig.server, "news", "1");
    assert_eq!(payload(events.recv().await.expect("an event")), "1");
    drop(page);
    // The recipient keeps it alive, until it stops itself: here nothing else does.
    publish(&rig.server, "news", "2");
    assert_eq!(payload(events.recv().await.expect("an event")), "2");
    assert_eq!(subscribers(&rig.server), 1);
    rig.supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn a_stream_works_with_its_combinators() {
    let rig = Rig::start().await;
    let news = rig.main.subscribe(["news"]).await.expect("confirmed");
    for number in 0..10 {
        publish(&rig.server, "news", &number.to_string());
    }
    let taken: Vec<_> = news.map(payload).take(10).collect().await;
    let expected: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(taken, expected);
    eventually_async(SOON, "it ends with the stream", || {
        subscribers(&rig.server) == 0
    })
    .await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_iterates() {
    let rig = Rig::start().await;
    let blocking = rig.main.blocking();
    let refused = blocking.subscribe(["news"]).expect_err("this is a task");
    assert!(
        matches!(refused, Error::WouldBlockRuntime { .. }),
        "{refused:?}"
    );
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let thread = thread::spawn(move || {
        let mut news = blocking.subscribe(["news"]).expect("confirmed");
        news.subscribe(["more"]).expect("confirmed");
        let brief = Duration::from_millis(20);
        assert_eq!(news.next_within(brief).expect("a thread"), None);
        ready.send(()).expect("a test that waits");
        let events: Result<Vec<_>, _> = news.by_ref().collect();
        events.expect("a thread")
    });
    is_ready.await.expect("subscribed");
    publish(&rig.server, "news", "1");
    publish(&rig.server, "more", "2");
    eventually_async(SOON, "both have come", || {
        rig.stats().subscriptions.messages == 2
    })
    .await;
    rig.supervisor.shutdown(SOON).await;
    let mut events = thread.join().expect("no panic");
    assert_eq!(
        events.pop(),
        Some(PubSubEvent::Ended(EndCause::ShuttingDown))
    );
    let payloads: Vec<_> = events.into_iter().map(payload).collect();
    assert_eq!(payloads, ["1", "2"]);
}
