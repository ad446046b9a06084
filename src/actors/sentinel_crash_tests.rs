//! Goal: failovers are followed after a crash of the actor that follows them, and replicas are looked at after a crash of
//! the one that does. Method: the actor panics, and the sentinels are told to fail over.

use std::{sync::Arc, time::Duration};

use actix::Addr;
use tokio::{runtime::Handle, sync::oneshot};

use super::{crash_tests::Crash, supervisor::SupervisorActor};
use crate::{
    common::{Sentinels, eventually_async, skip_notice, version::is_embedded},
    config::{Config, DatabaseConfig, resolve},
    events::HealthState,
    lifeline::ShutdownReport,
    messages::{Child, Replicate, Shutdown},
    net::{Executor, SocketConnector},
    registry::Registry,
    state::DatabaseState,
};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn row_139_failovers_are_followed_after_a_crash() {
    if is_embedded() {
        return skip_notice("it needs sentinels");
    }
    actix_rt::System::new().block_on(crash_and_fail_over());
}

#[test]
fn row_154_replicas_are_looked_at_after_a_crash() {
    if is_embedded() {
        return skip_notice("it needs sentinels");
    }
    actix_rt::System::new().block_on(crash_and_look());
}

/// A supervisor of one database of the service, which is healthy.
struct Rig {
    registry: Arc<Registry>,
    supervisor: Addr<SupervisorActor>,
    stopped: oneshot::Receiver<ShutdownReport>,
}

impl Rig {
    async fn start(site: &Sentinels) -> Self {
        let config = Config::new().database("main", DatabaseConfig::from_url(site.url()));
        let settings = resolve(config).expect("a valid configuration");
        let executor = Executor::new(Some(Handle::current()));
        let connector = Arc::new(SocketConnector::default());
        let registry = Registry::new(&settings, executor, connector);
        let (sender, stopped) = oneshot::channel();
        let supervisor = SupervisorActor::create_with(registry.clone(), sender);
        let latest = || registry.hub.latest("main");
        let is_healthy = || latest().is_some_and(|event| event.state == HealthState::Healthy);
        eventually_async(SOON, "it is healthy", is_healthy).await;
        Self {
            registry,
            supervisor,
            stopped,
        }
    }

    async fn crash(&self, child: Child) {
        let told = self.supervisor.send(Crash(child)).await;
        told.expect("the supervisor lives");
    }

    async fn stop(self) {
        self.supervisor.do_send(Shutdown { grace: SOON });
        self.stopped.await.expect("a report");
    }
}

async fn crash_and_look() {
    let site = Sentinels::start();
    let rig = Rig::start(&site).await;
    let main = rig.registry.find("main").expect("configured");
    main.replicas.want();
    rig.supervisor.send(Replicate).await.expect("it lives");
    let serve = || {
        let present = main.replicas.view.present();
        present.as_ref().is_some_and(|view| view.usable.len() == 2)
    };
    eventually_async(SOON, "both serve", serve).await;
    let before = rig.registry.all_parts(&main.id);
    let seen = main.replicas.view.present().clone();
    rig.crash(Child::Replicas).await;
    let is_new =
        || main.replicas.view.present().as_ref().map(Arc::as_ptr) != seen.as_ref().map(Arc::as_ptr);
    eventually_async(SOON, "they are looked at again", || is_new() && serve()).await;
    let after = rig.registry.all_parts(&main.id);
    let ids = |states: Vec<Arc<DatabaseState>>| {
        let mut ids: Vec<_> = states.iter().map(|state| state.id.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(before), ids(after), "they are the same");
    rig.stop().await;
}

async fn crash_and_fail_over() {
    let site = Sentinels::start();
    let rig = Rig::start(&site).await;
    // Another event may follow it.
    let mut events = rig.registry.hub.subscribe();
    rig.crash(Child::Sentinels).await;
    site.fail_over();
    let told = async {
        loop {
            let event = events.next().await.expect("the supervisor lives");
            if let Some(failover) = event.failover {
                return failover;
            }
        }
    };
    let failover = tokio::time::timeout(SOON, told).await.expect("a failover");
    let new = site.primary_after(site.servers[0].port());
    assert_eq!(*failover.to, format!("127.0.0.1:{}", new.port()));
    rig.stop().await;
}
