//! Memory of waiting databases, connections and commands. All figures are of the heap but one: resident
//! memory can be measured only once, before there is freed memory to be used again.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use redis::{Value, cmd};
use redis_steward::{Config, Database, DatabaseConfig, Supervisor};

use crate::{
    common::{RedisServer, eventually_async},
    heap::Held,
};

const DATABASES: usize = 1_000;
const COMMANDS: usize = 10_000;
const SOON: Duration = Duration::from_secs(20);
/// Long enough that no command times out.
const LONG: Duration = Duration::from_secs(300);

pub(crate) async fn print() {
    println!("memory, in bytes");
    let server = RedisServer::start();
    // Memory that is allocated once for the whole process does not belong to a database.
    connected(&server, 1).await;
    let one = connected(&server, 1).await;
    let many = connected(&server, DATABASES).await;
    let unconnected = unconnected(&server, DATABASES).await;
    line("a supervisor with 1 database, connected", one.heap);
    line("each of 1,000 databases, connected", many.heap);
    line("  its idle connection", many.heap - unconnected.heap);
    line("  the rest", unconnected.heap);
    line("  resident memory of it all", many.resident);
    let (in_flight, parked) = (in_flight().await, parked().await);
    line("a command in flight, 16 B key, of 10,000", in_flight.heap);
    line("a parked command, 16 B key, of 10,000", parked.heap);
    println!();
}

fn line(name: &str, bytes: f64) {
    println!("{name:<42} {bytes:>8.0}");
}

/// Memory per database, each with an idle connection.
async fn connected(server: &RedisServer, databases: usize) -> Held {
    let before = Held::settled().await;
    let supervisor = spawn(databases, || DatabaseConfig::from_url(server.url())).await;
    let held = Held::settled().await.per(databases, before);
    assert_eq!(open(&supervisor), databases);
    supervisor.shutdown(SOON).await;
    held
}

/// Memory per database, after the janitor has closed the connections.
async fn unconnected(server: &RedisServer, databases: usize) -> Held {
    let before = Held::settled().await;
    let supervisor = spawn(databases, || {
        DatabaseConfig::from_url(server.url())
            .min_idle(0)
            .idle_timeout(Duration::from_millis(1))
    })
    .await;
    eventually_async(SOON, "no connection", || open(&supervisor) == 0).await;
    let held = Held::settled().await.per(databases, before);
    supervisor.shutdown(SOON).await;
    held
}

async fn spawn(databases: usize, database: impl Fn() -> DatabaseConfig) -> Supervisor {
    let config = Config::new().sweep_interval(Duration::from_millis(200));
    let config = (0..databases).fold(config, |config, number| {
        config.database(format!("database-{number:04}"), database())
    });
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    supervisor
}

fn open(supervisor: &Supervisor) -> usize {
    let databases = supervisor.statistics().databases;
    databases.values().map(|database| database.pool.open).sum()
}

/// Memory per command that a stopped server does not answer.
async fn in_flight() -> Held {
    let server = RedisServer::start();
    let supervisor = Supervisor::spawn(patient(&server)).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let main = supervisor.database("main").expect("main");
    server.freeze();
    let held = per_waiting_command(&server, &main, || {
        supervisor.statistics().databases["main"].in_flight
    });
    let held = held.await;
    supervisor.shutdown(SOON).await;
    held
}

/// Memory per command that waits for a connection to a server that accepts it and does not greet.
async fn parked() -> Held {
    let server = RedisServer::start();
    server.freeze();
    let supervisor = Supervisor::spawn(patient(&server)).await.expect("spawn");
    let main = supervisor.database("main").expect("main");
    let held = per_waiting_command(&server, &main, || {
        supervisor.statistics().databases["main"].pool.parked
    });
    let held = held.await;
    supervisor.shutdown(SOON).await;
    held
}

fn patient(server: &RedisServer) -> Config {
    let main = DatabaseConfig::from_url(server.url())
        .command_timeout(LONG)
        .attempt_timeout(LONG)
        .connect_timeout(LONG / 2)
        .without_tcp_user_timeout();
    Config::new().database("main", main)
}

/// The memory that the crate holds per command. The futures of the callers are not included: callers hold
/// them.
async fn per_waiting_command(
    server: &RedisServer,
    main: &Database,
    waiting: impl Fn() -> usize,
) -> Held {
    let get = cmd("GET").arg("a key of 16 byte").take();
    let mut calls: Vec<_> = (0..COMMANDS)
        .map(|_| Box::pin(main.execute(&get)))
        .collect();
    let before = Held::settled().await;
    poll_fn(|cx| {
        for call in &mut calls {
            let polled = Pin::new(call).poll(cx);
            assert!(polled.is_pending(), "no reply can have come");
        }
        Poll::Ready(())
    })
    .await;
    eventually_async(SOON, "all wait", || waiting() == COMMANDS).await;
    let held = Held::settled().await.per(COMMANDS, before);
    server.thaw();
    for call in calls {
        assert_eq!(call.await.expect("a reply"), Value::Nil);
    }
    held
}
