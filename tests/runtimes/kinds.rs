//! Goal: the crate works on every kind of runtime and without one, outlives the runtime of `spawn`, and
//! leaves no thread or socket. Method: each test builds its runtimes; the kernel lists the threads of
//! this process, and the server its clients.

use std::{
    thread,
    time::{Duration, Instant},
};

use futures_executor::block_on;
use redis::{AsyncCommands, Value};
use redis_steward::{Config, Database, Error, Execute, Execution, HealthState, Io, Supervisor};
use tokio::runtime::{Builder, Runtime};

use crate::{
    Rig, THREADS,
    common::{RedisServer, eventually, eventually_async, proc},
    until_no_thread_is_left,
};

const SOON: Duration = Duration::from_secs(10);
/// `redis-steward-io`, as the kernel truncates it.
const IO_THREAD: &str = "redis-steward-i";

#[test]
fn spawn_works_on_a_multi_thread_runtime() {
    let rig = Rig::new();
    multi_thread().block_on(use_and_shut_down(&rig.server));
    rig.end();
}

#[test]
fn spawn_works_on_a_current_thread_runtime() {
    let rig = Rig::new();
    current_thread().block_on(use_and_shut_down(&rig.server));
    rig.end();
}

#[test]
fn spawn_works_in_an_actix_system() {
    let rig = Rig::new();
    actix_rt::System::new().block_on(use_and_shut_down(&rig.server));
    rig.end();
}

#[test]
fn spawn_works_on_a_runtime_without_io() {
    let rig = Rig::new();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let supervisor = rig.spawn().await;
        assert_works(&supervisor).await;
        supervisor.shutdown(SOON).await;
    });
    rig.end();
}

/// The thread of the log ends when it has had nothing to write for a second.
fn are_the_threads(expected: &[&str]) {
    eventually(SOON, "no other thread is there", || {
        let mut threads = proc::threads_named(THREADS);
        threads.sort();
        threads == expected
    });
}

async fn use_and_shut_down(server: &RedisServer) {
    let supervisor = Supervisor::spawn(Config::single(server.url()))
        .await
        .expect("a supervisor");
    supervisor.ready(SOON).await.expect("a healthy database");
    // Connections run on this runtime, so the actors have the only thread.
    are_the_threads(&[THREADS]);
    assert_works(&supervisor).await;
    let report = supervisor.shutdown(SOON).await;
    assert_eq!((report.completed, report.unfinished), (0, 0));
}

#[test]
fn spawn_blocking_works_without_a_runtime() {
    let rig = Rig::new();
    let supervisor =
        Supervisor::spawn_blocking(Config::single(rig.server.url())).expect("a supervisor");
    block_on(async {
        supervisor.ready(SOON).await.expect("a healthy database");
        assert_works(&supervisor).await;
    });
    are_the_threads(&[THREADS, IO_THREAD]);
    block_on(supervisor.shutdown(SOON));
    rig.end();
}

#[test]
fn spawn_works_without_a_runtime() {
    let rig = Rig::new();
    block_on(async {
        let config = Config::single(rig.server.url());
        let supervisor = Supervisor::spawn(config).await.expect("a supervisor");
        assert_works(&supervisor).await;
        supervisor.shutdown(SOON).await;
    });
    rig.end();
}

#[test]
fn a_handle_works_on_another_runtime_than_its_supervisor() {
    let rig = Rig::new();
    let home = multi_thread();
    let supervisor = home.block_on(rig.spawn());
    current_thread().block_on(assert_works(&supervisor));
    actix_rt::System::new().block_on(assert_works(&supervisor));
    block_on(assert_works(&supervisor));
    // A shutdown works from another thread, too.
    block_on(supervisor.shutdown(SOON));
    rig.end();
}

#[test]
fn supervisors_in_one_process_do_not_disturb_each_other() {
    let rig = Rig::new();
    multi_thread().block_on(async {
        let (first, second) = (rig.spawn().await, rig.spawn().await);
        let continues = tokio::spawn({
            let mut main = second.database("main").expect("the database");
            async move {
                for turn in 0..2_000 {
                    assert_eq!(
                        main.incr::<_, _, i64>("turns", 1).await.expect("a number"),
                        turn + 1
                    );
                }
            }
        });
        let mut of_first = first.database("main").expect("the database");
        first.shutdown(SOON).await;
        let refused = of_first
            .get::<_, Value>("turns")
            .await
            .expect_err("it was shut down");
        assert!(
            matches!(
                Error::from_redis(&refused),
                Some(Error::ShuttingDown { .. })
            ),
            "{refused}"
        );
        continues.await.expect("the second one continues");
        assert_works(&second).await;
        second.shutdown(SOON).await;
    });
    rig.end();
}

#[test]
fn dropping_the_last_handle_stops_everything() {
    let rig = Rig::new();
    multi_thread().block_on(async {
        let supervisor = rig.spawn().await;
        let main = supervisor.database("main").expect("the database");
        // None of these keeps the supervisor running.
        let mut events = supervisor.subscribe();
        let (subscribe, execute) = (supervisor.recipient(), main.recipient());

        drop(supervisor);
        main.execute(&redis::cmd("PING"))
            .await
            .expect("a handle keeps it running");
        drop(main);
        until_no_thread_is_left();
        let mut last = None;
        while let Some(event) = events.next().await {
            last = Some(event.state);
        }
        assert_eq!(last, Some(HealthState::Stopped));
        assert!(!subscribe.connected() && !execute.connected());
        assert!(
            execute
                .send(Execute::new(redis::cmd("PING")))
                .await
                .is_err()
        );
    });
    rig.end();
}

#[test]
fn a_command_in_flight_does_not_keep_a_dropped_supervisor_running() {
    let rig = Rig::new();
    multi_thread().block_on(async {
        let supervisor = rig.spawn().await;
        let main = supervisor.database("main").expect("the database");
        rig.server.freeze();
        let abandoned = tokio::spawn(async move { main.execute(&redis::cmd("PING")).await });
        let in_flight = || supervisor.statistics().databases["main"].in_flight;
        eventually(SOON, "the command is in flight", || in_flight() == 1);
        abandoned.abort();
        drop(supervisor);
        until_no_thread_is_left();
        rig.server.thaw();
    });
    rig.end();
}

#[test]
fn handles_work_after_the_runtime_of_spawn_has_ended() {
    let rig = Rig::new();
    for home in [multi_thread(), current_thread()] {
        let supervisor = home.block_on(rig.spawn());
        drop(home);
        let main = supervisor.database("main").expect("the database");
        eventually(SOON, "commands work again", || {
            match block_on(ping(&main)) {
                Ok(()) => true,
                // A command in flight during the move fails.
                Err(Error::Abandoned { .. } | Error::ConnectionLost { .. }) => false,
                Err(other) => panic!("{other}"),
            }
        });
        block_on(assert_works(&supervisor));
        assert!(proc::threads_named(THREADS).contains(&IO_THREAD.to_owned()));
        block_on(supervisor.shutdown(SOON));
        until_no_thread_is_left();
    }
    rig.end();
}

#[test]
fn a_command_on_a_runtime_that_ends_is_unknown() {
    let rig = Rig::new();
    let home = multi_thread();
    let supervisor = home.block_on(rig.spawn());
    let main = supervisor.database("main").expect("the database");
    assert_eq!(
        rig.server.cli(&["CLIENT", "PAUSE", "100000", "WRITE"]),
        "OK"
    );
    let elsewhere = current_thread();
    let caller = elsewhere.spawn(async move { main.execute(redis::cmd("INCR").arg("n")).await });
    elsewhere.block_on(async {
        eventually_async(SOON, "the server has the command", || {
            rig.server.info("clients")["blocked_clients"] == "1"
        })
        .await;
    });
    drop(home);
    let error = elsewhere
        .block_on(caller)
        .expect("a task")
        .expect_err("no reply can come");
    assert_eq!(error.execution(), Execution::Unknown, "{error}");
    assert_eq!(rig.server.cli(&["CLIENT", "UNPAUSE"]), "OK");
    block_on(supervisor.shutdown(SOON));
    rig.end();
}

#[test]
fn dedicated_connections_run_without_the_callers_runtime() {
    let rig = Rig::new();
    let home = current_thread();
    let config = Config::single(rig.server.url()).io(Io::Dedicated);
    let supervisor = home
        .block_on(Supervisor::spawn(config))
        .expect("a supervisor");
    for _ in 0..3 {
        home.block_on(assert_works(&supervisor));
        // `home` is not driven now.
        block_on(assert_works(&supervisor));
    }
    assert!(proc::threads_named(THREADS).contains(&IO_THREAD.to_owned()));
    home.block_on(supervisor.shutdown(SOON));
    rig.end();
}

/// A documented limit of `spawn`: connections progress only while their runtime is driven. When it is
/// driven again, overdue commands time out and are not sent.
#[test]
fn an_overdue_command_ends_when_its_runtime_is_driven_again() {
    let rig = Rig::new();
    let home = current_thread();
    let supervisor = home.block_on(rig.spawn());
    let main = supervisor.database("main").expect("the database");
    let main = main.with_timeout(Duration::from_millis(50));
    let start = Instant::now();
    let caller = thread::spawn(move || block_on(ping(&main)));
    // Its time begins when its thread does, which on a busy machine is later than now.
    let overdue = || start.elapsed() > Duration::from_millis(500);
    eventually(SOON, "the command is overdue", overdue);
    assert!(!caller.is_finished(), "its runtime is not driven");
    let driven = async { eventually_async(SOON, "it ends", || caller.is_finished()).await };
    home.block_on(driven);
    let error = caller.join().expect("a thread").expect_err("too late");
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.execution(), Execution::NotSent);
    home.block_on(supervisor.shutdown(SOON));
    rig.end();
}

#[test]
fn shutdown_does_not_wait_for_a_runtime_that_is_not_driven() {
    let rig = Rig::new();
    let home = current_thread();
    let supervisor = home.block_on(rig.spawn());
    let start = Instant::now();
    block_on(supervisor.shutdown(Duration::ZERO));
    // Two bounded waits of one second, and slack for a loaded machine.
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    until_no_thread_is_left();
    drop(home);
    rig.end();
}

async fn assert_works(supervisor: &Supervisor) {
    let mut main = supervisor.database("main").expect("the database");
    main.set::<_, _, ()>("greeting", "hello")
        .await
        .expect("it is set");
    assert_eq!(
        main.get::<_, String>("greeting").await.expect("it is read"),
        "hello"
    );
}

async fn ping(main: &Database) -> Result<(), Error> {
    main.execute(&redis::cmd("PING")).await.map(drop)
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn current_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
