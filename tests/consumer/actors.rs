//! Entries as messages to an actor.

use actix::{Actor, ActorContext, Context, Handler, ResponseFuture};
use redis_steward::{ConsumerError, HandleEntry};

use crate::{
    common::{Rig, eventually_async},
    record::{Record, SOON, add, assert_done, lacks_claims, many, number, pending, quick},
};

struct Biller {
    record: Record,
    stops_at: Option<u64>,
}

impl Actor for Biller {
    type Context = Context<Self>;
}

impl Handler<HandleEntry> for Biller {
    type Result = ResponseFuture<Result<(), Box<dyn std::error::Error + Send + Sync>>>;

    fn handle(&mut self, message: HandleEntry, ctx: &mut Self::Context) -> Self::Result {
        let entry = message.entry;
        if self.stops_at == Some(number(&entry)) {
            ctx.stop();
            return Box::pin(std::future::pending());
        }
        self.record.note(&entry);
        Box::pin(async move {
            match (number(&entry), entry.deliveries()) {
                (2, 1) => Err("not now".into()),
                _ => Ok(()),
            }
        })
    }
}

#[test]
fn entries_are_acknowledged_by_the_reply_of_an_actor() {
    if lacks_claims() {
        return;
    }
    actix_rt::System::new().block_on(async {
        let rig = Rig::start().await;
        add(&rig.main, 0..50).await;
        let record = Record::default();
        let biller = Biller {
            record: record.clone(),
            stops_at: None,
        };
        let consumer = quick(&rig.main).deliver_to(biller.start().recipient());
        let is_done = || consumer.statistics().acknowledged == 50;
        eventually_async(SOON, "all are acknowledged", is_done).await;
        assert_eq!((record.len(), record.times()[&2]), (51, 2));
        let statistics = consumer.stop(SOON).await.expect("a consumer that runs");
        assert_eq!((statistics.failed, statistics.claimed), (1, 1));
        assert_done(&rig).await;
        rig.end().await;
    });
}

#[test]
fn a_consumer_ends_with_its_actor() {
    if lacks_claims() {
        return;
    }
    actix_rt::System::new().block_on(async {
        let rig = Rig::start().await;
        add(&rig.main, 0..50).await;
        let biller = Biller {
            record: Record::default(),
            stops_at: Some(5),
        };
        let consumer = quick(&rig.main).deliver_to(biller.start().recipient());
        let error = consumer.ended().await;
        assert!(matches!(error, ConsumerError::RecipientStopped), "{error}");
        assert!(pending(&rig.main).await >= 1, "what was not handled stays");
        let statistics = consumer.statistics();
        assert_eq!(statistics.dead_lettered, 0);
        drop(consumer);
        rig.end().await;
    });
}

/// What the actor has answered a moment before its end must not be handled again.
#[test]
fn row_184_what_an_actor_has_handled_is_acknowledged_when_it_stops() {
    if lacks_claims() {
        return;
    }
    actix_rt::System::new().block_on(async {
        let rig = Rig::start().await;
        add(&rig.main, 0..50).await;
        let record = Record::default();
        let biller = Biller {
            record: record.clone(),
            stops_at: Some(5),
        };
        let consumer = quick(&rig.main)
            .claim_idle(SOON)
            .concurrency(many(50))
            .deliver_to(biller.start().recipient());
        let error = consumer.ended().await;
        assert!(matches!(error, ConsumerError::RecipientStopped), "{error}");
        let statistics = consumer.statistics();
        // The second one has answered with an error.
        assert_eq!((statistics.handled, statistics.acknowledged), (4, 4));
        assert_eq!((record.len(), pending(&rig.main).await), (5, 46));
        drop(consumer);
        rig.end().await;
    });
}
