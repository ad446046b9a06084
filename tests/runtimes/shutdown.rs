//! Goal: a shutdown gives every call a truthful result and leaves nothing behind (row 51 of
//! `docs/faults.md`). Method: calls in flight on a real server that is frozen or slow, and then the
//! contents of /proc and CLIENT LIST.

use std::time::{Duration, Instant};

use redis::{Value, cmd};
use redis_steward::{
    Config, Database, DatabaseConfig, Error, Execute, Execution, Lease, Supervisor,
};
use tokio::sync::MutexGuard;

use crate::{
    ALONE,
    common::{
        RedisServer, eventually_async,
        proc::{sockets_to, threads_named},
        words,
    },
};

const SOON: Duration = Duration::from_secs(10);

async fn spawn(server: &RedisServer) -> (Supervisor, Database) {
    let config = Config::new()
        .database("main", DatabaseConfig::from_url(server.url()))
        .database("other", DatabaseConfig::from_url(server.url()).number(1));
    let supervisor = Supervisor::spawn(config).await.expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let main = supervisor.database("main").expect("main");
    (supervisor, main)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duration_max_is_a_valid_grace_and_timeout() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let (supervisor, main) = spawn(&server).await;
    let patient = main.with_timeout(Duration::MAX);
    let pong: String = patient.query(cmd("PING")).await.expect("ping");
    assert_eq!(pong, "PONG");
    let execute = Execute::new(cmd("PING")).timeout(Duration::MAX);
    let pong = main.recipient().send(execute).await.expect("a pool");
    assert_eq!(
        pong.expect("ping"),
        redis::Value::SimpleString("PONG".into())
    );
    server.freeze();
    let calls = start_calls(&main, 1);
    let in_flight = || supervisor.statistics().databases["main"].in_flight;
    eventually_async(SOON, "it is in flight", || in_flight() == 1).await;
    let shutdown = tokio::spawn({
        let supervisor = supervisor.clone();
        async move { supervisor.shutdown(Duration::MAX).await }
    });
    let is_closed = || {
        let ping = main.with_timeout(Duration::from_millis(5));
        let error = futures_executor::block_on(ping.query::<()>(cmd("PING")));
        matches!(error, Err(Error::ShuttingDown { .. }))
    };
    eventually_async(SOON, "the gate is closed", is_closed).await;
    server.thaw();
    assert_eq!(shutdown.await.expect("shutdown").completed, 1);
    for call in calls {
        call.await.expect("task").expect("its reply");
    }
    assert_nothing_left(&server, turn).await;
}

/// Checks that no thread, socket, client or task is left.
async fn assert_nothing_left(server: &RedisServer, turn: MutexGuard<'_, ()>) {
    // The kernel lists a thread for a moment after it was joined.
    let is_gone = || threads_named("redis-steward").is_empty();
    eventually_async(SOON, "no thread is left", is_gone).await;
    assert_eq!(sockets_to(server.port()), 0);
    // The server notices a moment later.
    let clients = || server.clients_named("redis-steward").len();
    eventually_async(SOON, "the server has no client of ours", || clients() == 0).await;
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 0, "tasks");
    drop(turn);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_leaves_no_thread_socket_or_task() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    for _ in 0..20 {
        let (supervisor, main) = spawn(&server).await;
        let pong: String = main.query(cmd("PING")).await.expect("ping");
        assert_eq!(pong, "PONG");
        let report = supervisor.shutdown(SOON).await;
        assert_eq!((report.completed, report.unfinished), (0, 0));
    }
    assert_nothing_left(&server, turn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_in_flight_finish_within_the_grace_and_new_ones_are_refused() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let (supervisor, main) = spawn(&server).await;
    server.freeze();
    let calls = start_calls(&main, 100);
    let in_flight = || supervisor.statistics().databases["main"].in_flight;
    eventually_async(SOON, "all are in flight", || in_flight() == 100).await;

    let shutdown = tokio::spawn({
        let supervisor = supervisor.clone();
        async move { supervisor.shutdown(SOON).await }
    });
    // The gate closes before anything is drained.
    let error = loop {
        match main
            .with_timeout(Duration::from_millis(20))
            .query::<()>(cmd("PING"))
            .await
        {
            Err(error @ Error::ShuttingDown { .. }) => break error,
            other => drop(other),
        }
    };
    assert_eq!(error.execution(), Execution::NotSent);
    server.thaw();
    for call in calls {
        call.await
            .expect("task")
            .expect("finished within the grace");
    }
    let report = shutdown.await.expect("shutdown");
    assert!(report.completed >= 100, "{report:?}");
    // The last PING above may have been in flight when the shutdown began.
    assert!(report.unfinished <= 1, "{report:?}");
    let again = supervisor.shutdown(SOON).await;
    assert_eq!(again, report, "it is idempotent");
    assert_nothing_left(&server, turn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_cut_off_by_the_shutdown_are_unknown() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let (supervisor, main) = spawn(&server).await;
    server.freeze();
    let written = start_calls(&main, 50);
    let in_flight = || supervisor.statistics().databases["main"].in_flight;
    eventually_async(SOON, "they are in flight", || in_flight() == 50).await;
    let report = supervisor.shutdown(Duration::from_millis(300)).await;
    assert_eq!((report.completed, report.unfinished), (0, 50));
    for call in written {
        let error = call.await.expect("task").expect_err("the server is frozen");
        assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
        assert_eq!(error.execution(), Execution::Unknown, "{error}");
    }
    server.thaw();
    assert_nothing_left(&server, turn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_wait_for_a_connection_were_not_sent() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let main = DatabaseConfig::from_url(server.url()).failure_threshold(10_000);
    let supervisor = Supervisor::spawn(Config::new().database("main", main))
        .await
        .expect("spawn");
    supervisor.ready(SOON).await.expect("ready");
    let main = supervisor.database("main").expect("main");
    server.kill();
    let failures = || supervisor.statistics().databases["main"].pool.dial_failures;
    eventually_async(SOON, "the loss is noticed", || failures() > 0).await;
    let waiting = start_calls(&main, 30);
    let parked = || supervisor.statistics().databases["main"].pool.parked;
    eventually_async(SOON, "they are parked", || parked() == 30).await;
    let report = supervisor.shutdown(Duration::from_millis(100)).await;
    assert_eq!((report.completed, report.unfinished), (0, 30));
    for call in waiting {
        let error = call.await.expect("task").expect_err("no server");
        assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
        assert_eq!(error.execution(), Execution::NotSent, "{error}");
    }
    server.restart();
    assert_nothing_left(&server, turn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_86_a_user_who_may_not_unblock_waits_for_the_grace() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let rules = ["on", ">word", "~*", "&*", "+@all", "-client"];
    server.cli(&[&["ACL", "SETUSER", "worker"][..], &rules[..]].concat());
    let main = DatabaseConfig::from_url(server.url())
        .username("worker")
        .password("word");
    let (supervisor, main) = crate::common::spawn(main.max_connections(3)).await;
    let kept = main.lease().await.expect("a lease");
    let mut used = main.lease().await.expect("another");
    let waiting = tokio::spawn(main.with_timeout(SOON).lease());
    let pool = || supervisor.statistics().databases["main"].pool.clone();
    eventually_async(SOON, "there is no third", || pool().waiting == 1).await;
    let blocked = tokio::spawn(async move { used.query::<()>(words("BLPOP nothing 0")).await });
    until_blocked(&server, 1).await;

    let report = supervisor.shutdown(Duration::from_millis(300)).await;
    assert_eq!((report.completed, report.unfinished), (0, 1));
    let error = waiting.await.expect("task").expect_err("no more leases");
    assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
    assert_eq!(error.execution(), Execution::NotSent);
    let error = blocked.await.expect("task").expect_err("it was cut off");
    assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
    assert_eq!(error.execution(), Execution::Unknown);
    assert_eq!(sockets_to(server.port()), 0, "the kept lease has no socket");
    assert_is_over(kept).await;
    assert_nothing_left(&server, turn).await;
}

/// A lease that outlives the shutdown is told by its next command.
async fn assert_is_over(mut lease: Lease) {
    let error = lease
        .query::<()>(cmd("PING"))
        .await
        .expect_err("it is over");
    assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
    assert_eq!(error.execution(), Execution::NotSent);
}

async fn until_blocked(server: &RedisServer, clients: usize) {
    let blocked = || server.info("clients")["blocked_clients"].clone();
    let are_blocked = || blocked() == clients.to_string();
    eventually_async(SOON, "the workers wait", are_blocked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_86_blocked_workers_are_unblocked() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    server.cli(&["XGROUP", "CREATE", "log", "group", "$", "MKSTREAM"]);
    let (supervisor, main) = spawn(&server).await;
    let commands = [
        "BLPOP jobs 0",
        "BLMOVE a b LEFT RIGHT 0",
        "BZPOPMIN scores 30",
        "XREAD BLOCK 0 STREAMS log $",
        "XREADGROUP GROUP group me BLOCK 0 STREAMS log >",
    ];
    let work = |line| {
        let main = main.clone();
        tokio::spawn(async move { main.execute(&words(line)).await })
    };
    let workers: Vec<_> = commands.into_iter().map(work).collect();
    let mut lease = main.lease().await.expect("a lease");
    let mut both = redis::pipe();
    both.add_command(words("BLPOP jobs 0"))
        .add_command(words("BLPOP more 0"));
    let leased = tokio::spawn(async move { lease.pipeline::<(Value, Value)>(both).await });
    until_blocked(&server, 6).await;

    let start = Instant::now();
    let report = supervisor.shutdown(SOON).await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!((report.completed, report.unfinished), (6, 0));
    // As if their timeouts had passed.
    for worker in workers {
        assert_eq!(worker.await.expect("task").expect("a reply"), Value::Nil);
    }
    let replies = leased.await.expect("task").expect("two replies");
    assert_eq!(replies, (Value::Nil, Value::Nil));
    assert_nothing_left(&server, turn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_86_no_element_is_lost_that_is_pushed_meanwhile() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let mut delivered = 0;
    for round in 0..50 {
        let (supervisor, main) = spawn(&server).await;
        let worker = tokio::spawn(async move {
            let mut jobs: Vec<String> = Vec::new();
            loop {
                match main
                    .query::<Option<(String, String)>>(words("BLPOP jobs 0"))
                    .await
                {
                    Ok(popped) => jobs.extend(popped.map(|(_, job)| job)),
                    Err(error) => return (jobs, error),
                }
            }
        });
        until_blocked(&server, 1).await;
        let shutdown = tokio::spawn(async move { supervisor.shutdown(SOON).await });
        // At random moments of the shutdown.
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..3_000))).await;
        let job = format!("job-{round}");
        server.cli(&["RPUSH", "jobs", &job]);
        assert_eq!(shutdown.await.expect("task").unfinished, 0);
        let (jobs, error) = worker.await.expect("task");
        assert!(matches!(error, Error::ShuttingDown { .. }), "{error}");
        assert_eq!(error.execution(), Execution::NotSent, "{error}");
        let left = server.cli(&["LLEN", "jobs"]);
        server.cli(&["DEL", "jobs"]);
        delivered += jobs.len();
        match &jobs[..] {
            [] => assert_eq!(left, "1", "{job} is lost"),
            [popped] => assert_eq!((popped, &left[..]), (&job, "0")),
            _ => panic!("{job} came twice"),
        }
    }
    println!("{delivered} of 50 were delivered");
    assert_nothing_left(&server, turn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_87_an_idle_lease_is_waited_for_a_second() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let (supervisor, main) = spawn_lender(&server).await;
    let mut kept = main.lease().await.expect("a lease");
    kept.query::<()>(cmd("PING")).await.expect("a reply");
    let start = Instant::now();
    let report = supervisor.shutdown(Duration::MAX).await;
    let took = start.elapsed();
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(3)).contains(&took),
        "{took:?}"
    );
    assert_eq!((report.completed, report.unfinished), (0, 0));
    assert_eq!(sockets_to(server.port()), 0, "the kept lease has no socket");
    assert_is_over(kept).await;
    assert_nothing_left(&server, turn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_87_a_lease_with_a_command_in_flight_has_the_grace() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let (supervisor, main) = spawn_lender(&server).await;
    let mut lease = main.lease().await.expect("a lease");
    server.freeze();
    let calling = tokio::spawn(async move { lease.query::<i64>(words("INCR n")).await });
    let in_flight = || supervisor.statistics().databases["main"].in_flight;
    eventually_async(SOON, "it is in flight", || in_flight() == 1).await;
    let shutdown = tokio::spawn(async move { supervisor.shutdown(Duration::MAX).await });
    // Longer than an idle lease is waited for.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!shutdown.is_finished());
    server.thaw();
    assert_eq!(calling.await.expect("task").expect("its reply"), 1);
    // The lease was dropped with its task, long before the end of the grace.
    let report = shutdown.await.expect("shutdown");
    assert_eq!((report.completed, report.unfinished), (1, 0));
    assert_nothing_left(&server, turn).await;
}

/// A database with two connections to lend, beside the shared one.
async fn spawn_lender(server: &RedisServer) -> (Supervisor, Database) {
    crate::common::spawn(DatabaseConfig::from_url(server.url()).max_connections(3)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_shutdowns_are_one() {
    let turn = ALONE.lock().await;
    let server = RedisServer::start();
    let (supervisor, _main) = spawn(&server).await;
    let all: Vec<_> = (0..16)
        .map(|_| {
            let supervisor = supervisor.clone();
            tokio::spawn(async move { supervisor.shutdown(SOON).await })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.expect("task").unfinished, 0);
    }
    let error = supervisor.ready(SOON).await.expect_err("it has stopped");
    assert!(error.to_string().contains("shut down"), "{error}");
    assert!(
        supervisor.subscribe().next().await.is_some(),
        "the last states stay readable"
    );
    assert_nothing_left(&server, turn).await;
}

fn start_calls(
    database: &Database,
    calls: usize,
) -> Vec<tokio::task::JoinHandle<Result<i64, Error>>> {
    (0..calls)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move { database.query(cmd("INCR").arg("n")).await })
        })
        .collect()
}
