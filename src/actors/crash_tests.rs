//! Goal: a child that panics is restarted, a child that panics in a loop is given up, and other databases
//! never notice (rows 40 and 41 of the fault matrix). Method: the actors run on the test's own thread
//! against a real server, and get a message that makes them panic.

use std::{future::Future, sync::Arc, time::Duration};

use actix::{Addr, Context, Handler, Message};
use futures_util::{FutureExt as _, future::maybe_done};
use redis::{Value, cmd};
use tokio::{runtime::Handle, sync::oneshot};

use super::{
    clusters::ClustersActor, health::HealthActor, janitor::JanitorActor,
    panicking::PanickingConnector, pool::PoolActor, relay::RelayActor, replicas::ReplicasActor,
    sentinels::SentinelsActor, subscribers::SubscribersActor, supervisor::SupervisorActor,
};
use crate::{
    call::{CallEngine, Overrides},
    common::{RedisServer, eventually_async},
    config::{Config, DatabaseConfig, resolve},
    error::Error,
    events::{CircuitState, HealthState, Reason},
    execution::Execution,
    identity::DatabaseId,
    lifeline::ShutdownReport,
    messages::{Child, Execute, Operate, Operation, Revive, Shutdown},
    net::{Connector, Executor, SocketConnector},
    registry::Registry,
};

const SOON: Duration = Duration::from_secs(10);
/// The maximum of connections of "one".
const MAX_CONNECTIONS: usize = 3;

/// Makes a child panic.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Crash(pub(super) Child);

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Panic;

impl Handler<Crash> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, Crash(child): Crash, _: &mut Context<Self>) {
        match child {
            Child::Health => self.health.as_ref().expect("health").do_send(Panic),
            Child::Janitor => self.janitor.as_ref().expect("janitor").do_send(Panic),
            Child::Sentinels => self.sentinels.as_ref().expect("sentinels").do_send(Panic),
            Child::Replicas => self.replicas.as_ref().expect("replicas").do_send(Panic),
            Child::Clusters => self.clusters.as_ref().expect("clusters").do_send(Panic),
            Child::Subscribers => self
                .subscribers
                .as_ref()
                .expect("subscribers")
                .do_send(Panic),
            Child::Pool(name) => self.pools[&name].do_send(Panic),
            Child::Relay(name) => self.relays[&name].do_send(Panic),
        }
    }
}

macro_rules! panics {
    ($($actor:ty),*) => {$(
        impl Handler<Panic> for $actor {
            type Result = ();

            fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
                panic!("told to");
            }
        }
    )*};
}

panics!(
    PoolActor,
    RelayActor,
    HealthActor,
    JanitorActor,
    ReplicasActor,
    ClustersActor,
    SentinelsActor,
    SubscribersActor
);

/// A supervisor with the databases "one" and "two" on a real server.
struct Rig {
    server: RedisServer,
    registry: Arc<Registry>,
    supervisor: Addr<SupervisorActor>,
    stopped: oneshot::Receiver<ShutdownReport>,
}

impl Rig {
    async fn start() -> Self {
        Self::start_with(Arc::new(SocketConnector::default())).await
    }

    async fn start_with(connector: Arc<dyn Connector>) -> Self {
        let server = RedisServer::start();
        let config = Config::new()
            .database(
                "one",
                DatabaseConfig::from_url(server.url()).max_connections(MAX_CONNECTIONS),
            )
            .database("two", DatabaseConfig::from_url(server.url_with_db(1)));
        let settings = resolve(config).expect("a valid configuration");
        let executor = Executor::new(Some(Handle::current()));
        let registry = Registry::new(&settings, executor, connector);
        let (sender, stopped) = oneshot::channel();
        let supervisor = SupervisorActor::create_with(registry.clone(), sender);
        let rig = Self {
            server,
            registry,
            supervisor,
            stopped,
        };
        rig.until("one", HealthState::Healthy).await;
        rig.until("two", HealthState::Healthy).await;
        rig
    }

    fn database(&self, name: &str) -> CallEngine {
        let state = self.registry.databases.get(name).expect("a database");
        CallEngine::new(state.clone())
    }

    fn ping(&self, name: &str) -> impl Future<Output = Result<Value, Error>> + use<> {
        let database = self.database(name);
        let options = database.options(Overrides::default().with_timeout(SOON));
        async move { database.execute(&cmd("PING"), &options).await }
    }

    async fn crash(&self, child: Child) {
        self.supervisor
            .send(Crash(child))
            .await
            .expect("the supervisor lives");
    }

    async fn until(&self, name: &str, state: HealthState) {
        let latest = || self.registry.hub.latest(name).map(|event| event.state);
        let condition = format!("{name} is {state}");
        eventually_async(SOON, &condition, || latest() == Some(state.clone())).await;
    }

    fn id(&self, name: &str) -> DatabaseId {
        self.registry.find(name).expect("a database").id.clone()
    }

    fn pool(&self, name: &str) -> Child {
        Child::Pool(self.id(name))
    }

    fn restarts(&self, name: &str) -> u64 {
        self.registry.statistics().databases[name].pool.restarts
    }

    /// A call that waits for a connection, because the server is down.
    async fn parked_ping(&self) -> impl Future<Output = Result<Value, Error>> + use<> {
        let one = || self.registry.statistics().databases["one"].pool.clone();
        eventually_async(SOON, "the loss is noticed", || one().dial_failures > 0).await;
        let mut ping = Box::pin(self.ping("one"));
        assert!((&mut ping).now_or_never().is_none());
        assert_eq!(self.parked(), 1);
        ping
    }

    fn parked(&self) -> usize {
        self.registry.statistics().databases["one"].pool.parked
    }

    async fn stop(self) {
        self.supervisor.do_send(Shutdown { grace: SOON });
        self.stopped.await.expect("it stops");
        let clients = || self.server.clients_named("redis-steward").len();
        eventually_async(SOON, "no connection is left", || clients() == 0).await;
    }
}

fn run(test: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(test);
}

#[test]
fn row_40_a_pool_that_panics_is_started_again_and_handles_go_on() {
    run(async {
        let rig = Rig::start().await;
        let opened = || rig.registry.statistics().databases["one"].pool.opened;
        assert_eq!(opened(), 1);
        let mut events = rig.registry.hub.subscribe();
        rig.crash(rig.pool("one")).await;
        eventually_async(SOON, "a new pool has a connection", || opened() == 2).await;
        assert_eq!(
            rig.ping("one").await.expect("pong"),
            Value::SimpleString("PONG".into())
        );
        assert_eq!((rig.restarts("one"), rig.restarts("two")), (1, 0));
        let mut states = Vec::new();
        while states.len() < 3 {
            let event = events.next().await.expect("an event");
            if &*event.database == "one" {
                states.push(event.state);
            }
        }
        let restarted = HealthState::Degraded {
            reason: Reason::Restarted,
        };
        assert_eq!(
            states,
            [HealthState::Healthy, restarted, HealthState::Healthy]
        );
        rig.ping("two").await.expect("undisturbed");
        rig.stop().await;
    });
}

#[test]
fn leases_of_a_crashed_pool_go_on_and_count_until_they_are_given_back() {
    run(async {
        let rig = Rig::start().await;
        let one = rig.database("one");
        let options = one.options(Overrides::default().with_timeout(SOON));
        let pool = || {
            let pool = rig.registry.statistics().databases["one"].pool.clone();
            assert!(pool.open + pool.opening <= MAX_CONNECTIONS, "{pool:?}");
            pool
        };
        let mut leases = Vec::new();
        for _ in 1..MAX_CONNECTIONS {
            leases.push(one.acquire(options, None).await.expect("a lease"));
        }
        rig.crash(rig.pool("one")).await;
        let is_shared = || (pool().shared, pool().opened) == (1, 4);
        eventually_async(SOON, "a new pool has a connection", is_shared).await;
        rig.ping("one").await.expect("over the new connection");
        for lease in &mut leases {
            let pong = one.execute_on(lease, &cmd("PING"), &options).await;
            assert_eq!(pong.expect("pong"), Value::SimpleString("PONG".into()));
        }
        // The leases take up room although the new pool does not know them.
        let waiting = actix_rt::spawn({
            let one = one.clone();
            async move { one.acquire(options, None).await }
        });
        eventually_async(SOON, "there is no third", || pool().waiting == 1).await;
        assert_eq!((pool().in_use, pool().available), (MAX_CONNECTIONS - 1, 0));
        drop(leases.pop());
        let third = waiting.await.expect("a task").expect("in its place");
        assert_eq!(
            (pool().in_use, pool().open),
            (MAX_CONNECTIONS - 1, MAX_CONNECTIONS)
        );
        drop((leases, third));
        // Only the connections of the new pool can be lent again.
        let is_settled = || (pool().open, pool().shared, pool().idle) == (2, 1, 1);
        eventually_async(SOON, "all are back", is_settled).await;
        rig.stop().await;
    });
}

#[test]
fn a_connection_that_panics_is_replaced_and_its_callers_learn_of_it() {
    run(async {
        let connector = PanickingConnector::default();
        let rig = Rig::start_with(Arc::new(connector.clone())).await;
        connector.arm();
        let error = rig.ping("one").await.expect_err("its task panicked");
        assert!(matches!(error, Error::Abandoned { .. }), "{error}");
        assert_eq!(error.execution(), Execution::Unknown);
        rig.ping("one").await.expect("over the next connection");
        rig.ping("two").await.expect("undisturbed");
        assert_eq!((rig.restarts("one"), rig.restarts("two")), (0, 0));
        let pools = rig.registry.statistics().databases;
        assert_eq!((pools["one"].pool.lost, pools["two"].pool.lost), (1, 0));
        let in_flight = || rig.database("one").state.in_flight.now();
        assert_eq!(in_flight(), (0, 0), "its room came back");
        rig.stop().await;
    });
}

#[test]
fn row_81_calls_keep_their_order_through_crashes_of_the_pool() {
    run(async {
        let rig = Rig::start().await;
        let one = rig.database("one");
        let options = one.options(Overrides::default().with_timeout(SOON));
        let push = async |number: usize| {
            let push = cmd("RPUSH").arg("calls").arg(number).take();
            one.execute(&push, &options).await
        };
        let mut calls = Vec::new();
        for crash in 1..=5 {
            rig.crash(rig.pool("one")).await;
            while rig.restarts("one") < crash || rig.parked() > 0 {
                for _ in 0..fastrand::usize(1..20) {
                    let mut call = Box::pin(maybe_done(push(calls.len())));
                    let _ = (&mut call).now_or_never();
                    calls.push(call);
                }
                tokio::task::yield_now().await;
            }
        }
        for call in &mut calls {
            call.as_mut().await;
            let output = call.as_mut().take_output().expect("it is done");
            output.expect("no call is lost");
        }
        let list = cmd("LRANGE").arg("calls").arg(0).arg(-1).take();
        let list = one.execute(&list, &options).await.expect("the list");
        let list: Vec<usize> = redis::from_redis_value(list).expect("numbers");
        assert!(list.iter().copied().eq(0..calls.len()), "{list:?}");
        drop(calls);
        rig.stop().await;
    });
}

#[test]
fn row_84_parked_requests_wait_for_the_pool_that_follows_a_crash() {
    run(async {
        let rig = Rig::start().await;
        rig.server.kill();
        let call = actix_rt::spawn(rig.parked_ping().await);
        rig.crash(rig.pool("one")).await;
        eventually_async(SOON, "it is restarted", || rig.restarts("one") == 1).await;
        assert_eq!(rig.parked(), 1);
        rig.server.restart();
        let pong = call.await.expect("a task").expect("from the next pool");
        assert_eq!(pong, Value::SimpleString("PONG".into()));
        rig.until("one", HealthState::Healthy).await;
        assert_eq!(rig.parked(), 0);
        rig.stop().await;
    });
}

#[test]
fn row_84_parked_requests_of_a_pool_that_is_given_up_were_not_sent() {
    run(async {
        let rig = Rig::start().await;
        rig.server.kill();
        let call = actix_rt::spawn(rig.parked_ping().await);
        for crash in 1..=5 {
            rig.crash(rig.pool("one")).await;
            eventually_async(SOON, "it is restarted", || rig.restarts("one") == crash).await;
        }
        rig.crash(rig.pool("one")).await;
        let error = call.await.expect("a task").expect_err("given up");
        assert!(matches!(error, Error::Failed { .. }), "{error}");
        assert_eq!((error.execution(), rig.parked()), (Execution::NotSent, 0));
        rig.supervisor.do_send(Revive(rig.id("one")));
        rig.server.restart();
        rig.until("one", HealthState::Healthy).await;
        rig.ping("one").await.expect("pong");
        rig.stop().await;
    });
}

#[test]
fn a_relay_that_panics_is_started_again() {
    run(async {
        let rig = Rig::start().await;
        let relay = || {
            let state = rig.database("one").state;
            let relay = state.relay.load();
            relay.as_deref().expect("a relay").clone()
        };
        let first = relay();
        rig.crash(Child::Relay(rig.id("one"))).await;
        eventually_async(SOON, "there is another", || relay() != first).await;
        let pong = relay().send(Execute::new(cmd("PING"))).await;
        let pong = pong.expect("a relay that runs").expect("pong");
        assert_eq!(pong, Value::SimpleString("PONG".into()));
        rig.stop().await;
    });
}

#[test]
fn row_41_a_pool_that_crashes_in_a_loop_is_given_up_and_others_are_not() {
    run(async {
        let rig = Rig::start().await;
        for crash in 1..=5 {
            rig.crash(rig.pool("one")).await;
            eventually_async(SOON, "it is restarted", || rig.restarts("one") == crash).await;
        }
        rig.crash(rig.pool("one")).await;
        rig.until("one", HealthState::Failed).await;
        let error = rig.ping("one").await.expect_err("given up");
        assert!(matches!(error, Error::Failed { .. }), "{error}");
        rig.ping("two").await.expect("undisturbed");
        // A new health actor does not revive it.
        rig.crash(Child::Health).await;
        rig.until("one", HealthState::Failed).await;
        assert!(rig.ping("one").await.is_err());
        // A revival does, with a new budget of crashes.
        rig.supervisor.do_send(Revive(rig.id("one")));
        rig.until("one", HealthState::Healthy).await;
        rig.ping("one").await.expect("pong");
        // An isolated database stays isolated, also when its pool is given up and revived.
        let operate = |operation| Operate {
            database: rig.id("one"),
            operation,
        };
        let isolated = rig.supervisor.send(operate(Operation::Isolate)).await;
        isolated.expect("operated");
        for crash in 7..=11 {
            rig.crash(rig.pool("one")).await;
            eventually_async(SOON, "it is restarted", || rig.restarts("one") == crash).await;
        }
        rig.crash(rig.pool("one")).await;
        rig.until("one", HealthState::Failed).await;
        rig.supervisor.do_send(Revive(rig.id("one")));
        rig.until("one", HealthState::Isolated).await;
        assert!(rig.ping("one").await.is_err());
        let reset = rig.supervisor.send(operate(Operation::Reset)).await;
        reset.expect("operated");
        rig.ping("one").await.expect("pong");
        rig.until("one", HealthState::Healthy).await;
        rig.stop().await;
    });
}

#[test]
fn an_isolated_database_stays_isolated_when_the_health_actor_crashes() {
    run(async {
        let rig = Rig::start().await;
        for crash_first in [true, false] {
            let isolate = Operate {
                database: rig.id("one"),
                operation: Operation::Isolate,
            };
            if crash_first {
                rig.crash(Child::Health).await;
            }
            rig.supervisor.send(isolate).await.expect("operated");
            assert!(rig.ping("one").await.is_err());
            if !crash_first {
                rig.crash(Child::Health).await;
            }
            rig.until("one", HealthState::Isolated).await;
            assert!(rig.ping("one").await.is_err());
            let reset = Operate {
                database: rig.id("one"),
                operation: Operation::Reset,
            };
            rig.supervisor.send(reset).await.expect("operated");
            rig.ping("one").await.expect("pong");
            rig.until("one", HealthState::Healthy).await;
        }
        rig.stop().await;
    });
}

#[test]
fn row_40_health_goes_on_after_a_crash_and_subscribers_do_not_notice() {
    run(async {
        let rig = Rig::start().await;
        let mut events = rig.registry.hub.subscribe();
        rig.crash(Child::Health).await;
        rig.crash(rig.pool("two")).await;
        rig.server.kill();
        let is_open = |name: &str| {
            let stats = rig.registry.statistics();
            stats.databases[name].circuit == CircuitState::Open
        };
        eventually_async(SOON, "the circuits open", || {
            is_open("one") && is_open("two")
        })
        .await;
        rig.server.restart();
        for name in ["one", "two"] {
            rig.until(name, HealthState::Healthy).await;
            rig.ping(name).await.expect("pong");
        }
        let mut last = None;
        while last != Some(("two".into(), HealthState::Healthy)) {
            let event = events.next().await.expect("an event");
            last = Some((event.database.to_string(), event.state));
        }
        rig.crash(Child::Janitor).await;
        rig.ping("one").await.expect("the janitor is not missed");
        rig.stop().await;
    });
}
