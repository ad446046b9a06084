//! Goal: actors of an application send commands to a recipient and receive health events. Method: small
//! actors in an actix system, and a real server.

use std::{sync::mpsc, time::Duration};

use actix::{Actor, Context, Handler, Message, Recipient, ResponseFuture};
use redis::Value;
use redis_steward::{Error, Execute, Execution, HealthEvent, HealthState, Limit, Subscribe};

use crate::{Rig, common::eventually_async};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn an_actor_sends_commands_to_a_recipient() {
    let rig = Rig::new();
    actix_rt::System::new().block_on(async {
        let supervisor = rig.spawn().await;
        let redis = supervisor
            .database("main")
            .expect("the database")
            .recipient();
        let visitors = Visitors { redis }.start();
        for visit in 1..=100 {
            let count = visitors.send(Visit).await.expect("an actor that runs");
            assert_eq!(count.expect("a count"), Value::Int(visit));
        }
        supervisor.shutdown(SOON).await;
        let refused = visitors.send(Visit).await.expect("an actor that runs");
        refused.expect_err("it was shut down");
    });
    rig.end();
}

#[test]
fn row_83_messages_beyond_the_bound_are_refused() {
    const BOUND: usize = 3;
    let rig = Rig::new();
    actix_rt::System::new().block_on(async {
        let supervisor = rig.spawn_with(|main| main.max_in_flight(BOUND)).await;
        let main = supervisor.database("main").expect("the database");
        let redis = main.recipient();
        let pause = ["CLIENT", "PAUSE", "60000", "WRITE"];
        assert_eq!(rig.server.cli(&pause), "OK");
        let incr = || Execute::new(redis::cmd("INCR").arg("n").take()).timeout(SOON);
        let stats = || supervisor.statistics().databases["main"].clone();
        let waiting: Vec<_> = (0..BOUND).map(|_| redis.send(incr())).collect();
        eventually_async(SOON, "they are under way", || stats().in_flight == BOUND).await;

        let refused = redis.send(incr()).await.expect("a relay that runs");
        let error = refused.expect_err("it is one too many");
        assert_eq!(error.execution(), Execution::NotSent);
        match error {
            Error::Overloaded { limit, .. } => assert_eq!(limit, Limit::Commands(BOUND)),
            other => panic!("another error: {other}"),
        }
        redis.do_send(incr());
        eventually_async(SOON, "it is counted", || stats().refused == 2).await;

        assert_eq!(rig.server.cli(&["CLIENT", "UNPAUSE"]), "OK");
        for reply in waiting {
            reply.await.expect("a relay that runs").expect("a count");
        }
        let count = redis.send(incr()).await.expect("a relay that runs");
        assert_eq!(count.expect("there is room"), Value::Int(BOUND as i64 + 1));
        supervisor.shutdown(SOON).await;
    });
    rig.end();
}

#[test]
fn an_actor_receives_every_health_event() {
    let rig = Rig::new();
    actix_rt::System::new().block_on(async {
        let supervisor = rig.spawn().await;
        let (sender, received) = mpsc::channel();
        let listener = Listener(sender).start();
        let subscribed = supervisor
            .recipient()
            .send(Subscribe(listener.clone().recipient()))
            .await;
        subscribed.expect("a supervisor that runs");
        let mut states = Vec::new();
        eventually_async(SOON, "the current state arrives", || {
            states.extend(received.try_iter());
            !states.is_empty()
        })
        .await;
        supervisor.shutdown(SOON).await;
        eventually_async(SOON, "the last state arrives", || {
            states.extend(received.try_iter());
            states.last() == Some(&HealthState::Stopped)
        })
        .await;
        assert_eq!(states, [HealthState::Healthy, HealthState::Stopped]);
    });
    rig.end();
}

struct Visitors {
    redis: Recipient<Execute>,
}

#[derive(Message)]
#[rtype(result = "Result<Value, String>")]
struct Visit;

impl Actor for Visitors {
    type Context = Context<Self>;
}

impl Handler<Visit> for Visitors {
    type Result = ResponseFuture<Result<Value, String>>;

    fn handle(&mut self, _: Visit, _: &mut Self::Context) -> Self::Result {
        let mut command = redis::cmd("INCR");
        command.arg("visits");
        let reply = self.redis.send(Execute::new(command).timeout(SOON));
        Box::pin(async move {
            match reply.await {
                Ok(reply) => reply.map_err(|error| error.to_string()),
                Err(closed) => Err(closed.to_string()),
            }
        })
    }
}

struct Listener(mpsc::Sender<HealthState>);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<HealthEvent> for Listener {
    type Result = ();

    fn handle(&mut self, event: HealthEvent, _: &mut Self::Context) {
        self.0.send(event.state).expect("the test listens");
    }
}
