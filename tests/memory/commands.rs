//! Goal: commands of any number and size leak no memory, and allocate no more than today. Method: an
//! allocator that counts.

use std::time::Duration;

use redis::{Cmd, Value, cmd};
use redis_steward::{Database, DatabaseConfig};
use tokio::{runtime::Builder, task::JoinSet};

use crate::{
    ALLOCATOR, alone,
    common::{RedisServer, eventually_async, spawn},
    live_bytes,
};

const COMMANDS: usize = 1_000_000;
const OUTSTANDING: usize = 256;
const LONG: Duration = Duration::from_secs(120);
/// The fill of buffers, queues and lists of the runtime varies by about 20 KiB. A leak of one byte per
/// command would be a million bytes.
const SLACK: usize = 256 * 1024;
/// Much less than the buffers of a burst of [`LARGE`] values.
const SMALL_SLACK: usize = 32 * 1024;
const LARGE: usize = 12 * 1024;
/// A ratchet, to be lowered with every saved allocation. Today: the encoded command, the reply channel,
/// and the value.
const ALLOCATIONS_PER_GET: usize = 3;

#[test]
fn commands_leak_no_memory_and_allocate_little() {
    let mut runtime = Builder::new_multi_thread();
    alone(runtime.worker_threads(2), commands_run());
}

async fn commands_run() {
    let server = RedisServer::start();
    // No command may time out on a slow machine.
    let database = DatabaseConfig::from_url(server.url())
        .command_timeout(LONG)
        .attempt_timeout(LONG);
    let (supervisor, main) = spawn(database).await;
    let unused = live_bytes();

    mixed(&main, COMMANDS / 10).await;
    let before = live_bytes();
    mixed(&main, COMMANDS).await;
    let after = live_bytes();
    assert!(
        after < before + SLACK,
        "{before} bytes before, {after} after"
    );

    let allocations = allocations_per_get(&main).await;
    // Allocations of the actors are counted as well.
    assert!(
        allocations < ALLOCATIONS_PER_GET as f64 + 0.5,
        "{allocations} allocations per GET"
    );

    burst(&main).await;
    // An idle connection frees its buffers when it checks its deadlines.
    let soon = main.with_timeout(Duration::from_secs(1));
    soon.query::<()>(cmd("PING")).await.expect("pong");
    let no_more = || live_bytes() < unused + SMALL_SLACK;
    eventually_async(LONG, "buffers and queues are freed", no_more).await;

    drop(main);
    supervisor.shutdown(Duration::ZERO).await;
}

/// Runs this number of commands: SET, GET and INCR.
async fn mixed(main: &Database, commands: usize) {
    let mut callers = JoinSet::new();
    for caller in 0..OUTSTANDING {
        let main = main.clone();
        callers.spawn(async move {
            let (value, counter) = (format!("value:{caller}"), format!("counter:{caller}"));
            let reset = cmd("SET").arg(&counter).arg(0).take();
            assert_eq!(execute(&main, &reset).await, Value::Okay);
            let set = cmd("SET").arg(&value).arg("0123456789abcdef").take();
            let get = cmd("GET").arg(&value).take();
            let increment = cmd("INCR").arg(&counter).take();
            let stored = Value::BulkString(b"0123456789abcdef".into());
            for turn in 1..=commands / OUTSTANDING / 3 {
                assert_eq!(execute(&main, &set).await, Value::Okay);
                assert_eq!(execute(&main, &get).await, stored);
                assert_eq!(execute(&main, &increment).await, Value::Int(turn as i64));
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.expect("a caller got its own replies");
    }
}

/// Runs many concurrent commands with large values.
async fn burst(main: &Database) {
    let value = "v".repeat(LARGE);
    let calls = (0..OUTSTANDING).map(|number| {
        let (main, key, value) = (main.clone(), format!("large:{number}"), value.clone());
        async move {
            let set = cmd("SET").arg(&key).arg(&value).take();
            assert_eq!(execute(&main, &set).await, Value::Okay);
            let get = cmd("GET").arg(&key).take();
            assert_eq!(
                execute(&main, &get).await,
                Value::BulkString(value.into_bytes())
            );
        }
    });
    let callers: JoinSet<()> = calls.collect();
    callers.join_all().await;
}

async fn allocations_per_get(main: &Database) -> f64 {
    const GETS: usize = 10_000;
    let get = cmd("GET").arg("value:0").take();
    let before = allocations();
    for _ in 0..GETS {
        let value = execute(main, &get).await;
        assert!(matches!(value, Value::BulkString(_)));
    }
    (allocations() - before) as f64 / GETS as f64
}

async fn execute(main: &Database, command: &Cmd) -> Value {
    main.execute(command).await.expect("a reply")
}

fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}
