//! Goal: failovers are followed after a crash of the actor that follows them. Method: the actor panics, and the
//! sentinels are told to fail over.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::oneshot};

use super::{crash_tests::Crash, supervisor::SupervisorActor};
use crate::{
    common::{Sentinels, eventually_async, skip_notice, version::is_embedded},
    config::{Config, DatabaseConfig, resolve},
    events::HealthState,
    messages::{Child, Shutdown},
    net::{Executor, SocketConnector},
    registry::Registry,
};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn row_139_failovers_are_followed_after_a_crash() {
    if is_embedded() {
        return skip_notice("it needs sentinels");
    }
    actix_rt::System::new().block_on(crash_and_fail_over());
}

async fn crash_and_fail_over() {
    let site = Sentinels::start();
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

    let crash = Crash(Child::Sentinels);
    supervisor.send(crash).await.expect("the supervisor lives");
    site.fail_over();
    // Another event may have followed it.
    let mut events = registry.hub.subscribe();
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
    supervisor.do_send(Shutdown { grace: SOON });
    stopped.await.expect("a report");
}
