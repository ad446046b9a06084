//! Goal: a crash of the actor of subscribers, or of the task of their connection, is a gap and nothing more. Method: the
//! actor gets a message that makes it panic, and the connection a socket that does.

use std::{future::poll_fn, sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::oneshot, time::timeout};

use super::{crash_tests::Crash, panicking::PanickingConnector, supervisor::SupervisorActor};
use crate::{
    common::{RedisServer, eventually_async},
    config::{Config, DatabaseConfig, resolve},
    events::{HealthState, PubSubEvent, Topic, WhenFull},
    messages::{Child, Shutdown},
    net::Executor,
    registry::Registry,
    state::{Bounds, SubscriberQueue, clock},
};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn row_208_subscriptions_survive_crashes() {
    actix_rt::System::new().block_on(crash_and_listen());
}

async fn next(queue: &SubscriberQueue) -> PubSubEvent {
    let next = timeout(SOON, poll_fn(|cx| queue.poll(cx)));
    next.await.expect("an event in time").expect("another one")
}

async fn crash_and_listen() {
    let server = RedisServer::start();
    let config = Config::new().database("main", DatabaseConfig::from_url(server.url()));
    let settings = resolve(config).expect("a valid configuration");
    let executor = Executor::new(Some(Handle::current()));
    let connector = PanickingConnector::default();
    let registry = Registry::new(&settings, executor, Arc::new(connector.clone()));
    let (sender, stopped) = oneshot::channel();
    let supervisor = SupervisorActor::create_with(registry.clone(), sender);
    let latest = || registry.hub.latest("main");
    let is_healthy = || latest().is_some_and(|event| event.state == HealthState::Healthy);
    eventually_async(SOON, "it is healthy", is_healthy).await;

    let state = registry.find("main").expect("main");
    let (id, queue) = state.subscribers.add(Bounds {
        max_messages: 10,
        max_bytes: 1_000,
        when_full: WhenFull::DropOldest,
    });
    let join = |name: &'static str| {
        let topics = vec![Topic::Channel(name.into())];
        state
            .subscribers
            .join(id, topics, clock::now() + SOON, true)
    };
    join("a").await.expect("confirmed");
    for round in 0..4 {
        if round % 2 == 0 {
            let crash = Crash(Child::Subscribers);
            supervisor.send(crash).await.expect("the supervisor lives");
        } else {
            connector.arm();
            state.subscribers.leave(id, &[Topic::Channel("b".into())]);
            join("b").await.expect("confirmed by another task");
        }
        let told = next(&queue).await;
        assert!(matches!(told, PubSubEvent::Interrupted { .. }), "{told:?}");
        while !matches!(next(&queue).await, PubSubEvent::Gap { .. }) {}
        assert_eq!(server.cli(&["PUBLISH", "a", "1"]), "1");
        let told = next(&queue).await;
        assert!(matches!(told, PubSubEvent::Message { .. }), "{told:?}");
    }
    supervisor.do_send(Shutdown { grace: SOON });
    stopped.await.expect("a report");
}
