//! Goal: an actor that crashes in the middle of a change of the configuration ends in the new state. Method: a paused
//! clock and a server inside the process; the crash comes right before or after the actor is told of the change.

use std::time::Duration;

use actix::{Context, Handler, Message};
use tokio::time::sleep;

use super::{
    crash_tests::Panic,
    paused::{MINUTE, Rig, SECOND, run},
    supervisor::SupervisorActor,
};
use crate::{
    applied::DatabaseChange,
    config::{Config, DatabaseConfig, Settings, resolve},
    events::HealthState,
    messages::Apply,
};

/// Makes all actors panic that a change concerns.
#[derive(Message)]
#[rtype(result = "()")]
struct CrashAll;

impl Handler<CrashAll> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, _: CrashAll, _: &mut Context<Self>) {
        for pool in self.pools.values() {
            pool.do_send(Panic);
        }
        self.health.as_ref().expect("health").do_send(Panic);
        self.janitor.as_ref().expect("janitor").do_send(Panic);
    }
}

fn main() -> DatabaseConfig {
    DatabaseConfig::new().health_check_interval(24 * 60 * MINUTE)
}

fn settings(main: DatabaseConfig) -> Settings {
    resolve(Config::new().database("main", main)).expect("a valid configuration")
}

#[test]
fn a_crash_in_the_middle_of_a_change_ends_in_the_new_state() {
    run(async {
        for crashes_before in [true, false] {
            let rig = Rig::start(|main| main.max_connections(5)).await;
            let changed = main()
                .max_connections(8)
                .password("new")
                .sweep_interval(2 * SECOND)
                .failure_threshold(1);
            if crashes_before {
                rig.supervisor.do_send(CrashAll);
            }
            let applied = rig.supervisor.send(Apply(settings(changed)));
            let applied = applied.await.expect("it lives").expect("a report");
            if !crashes_before {
                rig.supervisor.do_send(CrashAll);
            }
            let change = &applied.databases["main"];
            assert!(
                matches!(change, DatabaseChange::Reconnecting { .. }),
                "{change:?}"
            );
            sleep(5 * SECOND).await;
            rig.ping().await;
            let pool = rig.pool();
            assert_eq!((pool.max, pool.shared, pool.restarts), (8, 1, 1));
            assert_eq!(rig.server.open(), 1, "the old connections are gone");
            assert!(pool.last_sweep.is_some_and(|since| since <= 2 * SECOND));
            let leases = rig.leases(7).await;
            assert_eq!(rig.pool().in_use, 7);
            drop(leases);
            // With the new threshold, the first failure opens the circuit.
            rig.server.die();
            sleep(SECOND).await;
            let health = rig.registry.statistics().databases["main"].health.clone();
            assert!(matches!(health, HealthState::Down { .. }), "{health}");
            rig.stop().await;
        }
    });
}

#[test]
fn a_pool_that_crashes_while_it_drains_has_no_successor() {
    run(async {
        let rig = Rig::start(|main| main).await;
        let lease = rig.lease().await;
        let other = Config::new().database("other", main());
        let settings = resolve(other).expect("a valid configuration");
        let removal = rig.supervisor.send(Apply(settings));
        let crash = async {
            sleep(Duration::from_millis(1)).await;
            rig.crash_leaving().await;
        };
        let (applied, ()) = tokio::join!(removal, crash);
        applied.expect("it lives").expect("a report");
        drop(lease);
        sleep(SECOND).await;
        assert_eq!(rig.registry.names(), [std::sync::Arc::from("other")]);
        let error = rig.try_ping().await.expect_err("removed");
        assert!(
            error.to_string().contains("there is no database"),
            "{error}"
        );
        assert_eq!(rig.server.open(), 1, "that of the other");
        rig.stop().await;
    });
}

/// Makes the pools of removed databases panic.
#[derive(Message)]
#[rtype(result = "()")]
struct CrashLeaving;

impl Handler<CrashLeaving> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, _: CrashLeaving, _: &mut Context<Self>) {
        for leaving in &self.leaving {
            leaving.pool.do_send(Panic);
        }
    }
}

impl Rig {
    async fn crash_leaving(&self) {
        self.supervisor.send(CrashLeaving).await.expect("it lives");
    }
}
