//! Goal: a full pool makes room for another shared connection when one is saturated, but not while callers
//! wait for a lease. Method: a paused clock, and a message that tells the pool of a saturation.

use actix::{Context, Handler, Message};
use redis::cmd;

use super::{
    paused::{MINUTE, Rig, SECOND, run},
    supervisor::SupervisorActor,
};
use crate::{call::Overrides, config::DatabaseConfig, messages::Saturated};

/// Makes the pool believe that a shared connection is saturated.
#[derive(Message)]
#[rtype(result = "()")]
struct Saturate;

impl Handler<Saturate> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, _: Saturate, _: &mut Context<Self>) {
        for pool in self.pools.values() {
            pool.do_send(Saturated);
        }
    }
}

#[test]
fn a_full_pool_replaces_an_idle_lease_with_a_shared_connection_when_saturated() {
    run(async {
        for min_idle in [1, 4] {
            let full = |main: DatabaseConfig| {
                main.max_connections(4)
                    .shared_connections(1, 2)
                    .min_idle(min_idle)
            };
            let rig = Rig::start(full).await;
            drop(rig.leases(3).await);
            rig.at(SECOND).await;
            assert_eq!((rig.pool().shared, rig.pool().idle), (1, 3));
            rig.supervisor.do_send(Saturate);
            rig.at(2 * SECOND).await;
            let pool = rig.pool();
            assert_eq!((pool.shared, pool.idle), (2, 2), "{pool:?}");
            assert_eq!((pool.opened, pool.evicted.displaced), (5, 1));
            rig.stop().await;
        }
    });
}

#[test]
fn a_saturated_pool_does_not_grow_while_a_caller_waits_for_a_lease() {
    run(async {
        let full = |main: DatabaseConfig| {
            main.max_connections(3)
                .shared_connections(1, 2)
                .acquire_timeout(MINUTE)
        };
        let rig = Rig::start(full).await;
        let mut leases = rig.leases(2).await;
        // There is no room now, and the wish for a connection is not kept for later.
        rig.supervisor.do_send(Saturate);
        rig.at(SECOND).await;
        let waiting = actix_rt::spawn({
            let main = rig.main.clone();
            let options = main.options(Overrides::default().with_timeout(MINUTE));
            async move { main.acquire(options, None).await }
        });
        rig.at(2 * SECOND).await;
        assert_eq!(rig.pool().waiting, 1);
        rig.supervisor.do_send(Saturate);
        // A connection whose session has changed is closed, which makes room.
        let mut changed = leases.pop().expect("two");
        let select = cmd("SELECT").arg(1).take();
        let options = rig.main.options(Overrides::default());
        let done = rig.main.execute_on(&mut changed, &select, &options);
        done.await.expect("selected");
        drop(changed);
        let third = waiting.await.expect("a task").expect("in its place");
        assert_eq!((rig.pool().shared, rig.pool().in_use), (1, 2));
        drop((leases, third));
        rig.stop().await;
    });
}
