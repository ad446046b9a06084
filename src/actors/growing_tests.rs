//! Goal: a pool that is full makes room for another shared connection where one is needed, and not at
//! the cost of those who wait. Method: a paused clock, and a pool that is told that a connection has too
//! much to do.

use actix::{Context, Handler, Message};
use redis::cmd;

use super::{
    paused::{MINUTE, Rig, SECOND, run},
    supervisor::SupervisorActor,
};
use crate::{call::Overrides, config::DatabaseConfig, messages::Saturated};

/// Lets the pool believe that a shared connection has more to do than it can.
#[derive(Message)]
#[rtype(result = "()")]
struct Press;

impl Handler<Press> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, _: Press, _: &mut Context<Self>) {
        self.pools["main"].do_send(Saturated);
    }
}

#[test]
fn a_full_pool_grows_where_it_is_saturated() {
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
            rig.supervisor.do_send(Press);
            rig.at(2 * SECOND).await;
            let pool = rig.pool();
            assert_eq!((pool.shared, pool.idle), (2, 2), "{pool:?}");
            assert_eq!((pool.opened, pool.evicted.displaced), (5, 1));
            rig.stop().await;
        }
    });
}

#[test]
fn a_pool_does_not_grow_at_the_cost_of_those_who_wait() {
    run(async {
        let full = |main: DatabaseConfig| {
            main.max_connections(3)
                .shared_connections(1, 2)
                .acquire_timeout(MINUTE)
        };
        let rig = Rig::start(full).await;
        let mut leases = rig.leases(2).await;
        // There is no room, and none is kept for later.
        rig.supervisor.do_send(Press);
        rig.at(SECOND).await;
        let waiting = actix_rt::spawn({
            let main = rig.main.clone();
            let options = main.options(Overrides::default().with_timeout(MINUTE));
            async move { main.acquire(options, None).await }
        });
        rig.at(2 * SECOND).await;
        assert_eq!(rig.pool().waiting, 1);
        rig.supervisor.do_send(Press);
        // A connection that was changed makes room.
        let mut changed = leases.pop().expect("two");
        let select = cmd("SELECT").arg(1).take();
        let done = rig.main.execute_on(
            &mut changed,
            &select,
            rig.main.options(Overrides::default()),
        );
        done.await.expect("selected");
        drop(changed);
        let third = waiting.await.expect("a task").expect("in its place");
        assert_eq!((rig.pool().shared, rig.pool().in_use), (1, 2));
        drop((leases, third));
        rig.stop().await;
    });
}
