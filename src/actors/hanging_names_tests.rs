//! Goal: names whose look-ups hang neither disturb the application and the other databases, nor delay the
//! end (rows 63 and 64 of the fault matrix). Method: a resolver whose look-ups hang until the end of the
//! test, and a real server by a name that resolves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::cmd;
use tokio::{runtime::Handle, sync::oneshot, task::spawn_blocking};

use super::supervisor::SupervisorActor;
use crate::{
    call::{CallEngine, Overrides},
    common::{RedisServer, eventually_async},
    config::{Config, DatabaseConfig, resolve},
    events::HealthState,
    messages::Shutdown,
    net::{Executor, SocketConnector, hanging_names::HangingNames},
    registry::Registry,
};

const SOON: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
const HOSTS: usize = 80;

#[test]
fn row_63_hosts_that_hang_disturb_neither_the_application_nor_the_end() {
    let names = HangingNames::default();
    let server = RedisServer::start();
    let url = format!("redis://known:{}", server.port());
    let config = Config::new().database("main", DatabaseConfig::from_url(url));
    let config = (0..HOSTS).fold(config, |config, number| {
        let url = format!("redis://hangs-{number}");
        config.database(url.clone(), DatabaseConfig::from_url(url))
    });
    let settings = resolve(config).expect("a valid configuration");
    let connector = SocketConnector {
        resolver: names.resolver(),
    };
    let system = actix_rt::System::new();
    let told_to_stop = system.block_on(async {
        let executor = Executor::new(Some(Handle::current()));
        let registry = Registry::new(&settings, executor, Arc::new(connector));
        let (sender, stopped) = oneshot::channel();
        let supervisor = SupervisorActor::create_with(registry.clone(), sender);
        let latest = || registry.hub.latest("main").map(|event| event.state);
        let is_healthy = || latest() == Some(HealthState::Healthy);
        eventually_async(SOON, "main is healthy", is_healthy).await;
        eventually_async(SOON, "all hang", || names.hanging() == HOSTS).await;

        let began = Instant::now();
        spawn_blocking(|| ()).await.expect("it runs");
        assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());

        server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        let main = registry.databases.get("main").expect("main").clone();
        let main = CallEngine::new(main);
        let options = main.options(Overrides::default());
        let pong = main.execute(&cmd("PING"), &options).await;
        pong.expect("a connection by its name, while others hang");

        assert_eq!(names.hanging(), HOSTS);
        let began = Instant::now();
        supervisor.do_send(Shutdown { grace: SECOND });
        stopped.await.expect("it stops");
        began
    });
    drop(system);
    let took = told_to_stop.elapsed();
    assert!(took < 2 * SECOND, "{took:?}");
    assert!(names.hanging() > 0, "nothing has waited for the look-ups");
}
