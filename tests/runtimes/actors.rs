//! Goal: actors of an application send commands to a recipient and receive health events. Method: small
//! actors in an actix system, and a real server.

use std::{sync::mpsc, time::Duration};

use actix::{Actor, Context, Handler, Message, Recipient, ResponseFuture};
use redis::Value;
use redis_steward::{Execute, HealthEvent, HealthState, Subscribe};

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
