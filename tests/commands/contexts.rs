//! Goal: the blocking handle never blocks a runtime, and works where a runtime permits blocking. Method:
//! calls from every async context; a proxy counts the bytes that must not be sent.

use std::time::{Duration, Instant};

use redis::{Commands, ConnectionLike, cmd, pipe};
use redis_steward::{BlockingDatabase, DatabaseConfig, Error, Execution, Stage};

use crate::{
    common::{self, RedisServer, proc::sockets_to},
    thread_rig::Rig,
};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn no_async_context_is_ever_blocked() {
    let rig = Rig::start();
    let before = rig.proxy.request_bytes();
    let (main, supervisor) = (&rig.main, &rig.supervisor);
    let refused_before = supervisor.statistics().databases["main"].refused;
    let spawned = || {
        let main = main.clone();
        tokio::spawn(async move { assert_would_block(&main) })
    };
    let local = || {
        let main = main.clone();
        tokio::task::spawn_local(async move { assert_would_block(&main) })
    };
    for runtime in [current_thread(), multi_thread()] {
        runtime.block_on(async { assert_would_block(main) });
        runtime.block_on(async { spawned().await.expect("a task") });
        runtime.block_on(async {
            let tasks = tokio::task::LocalSet::new();
            tasks.run_until(async { assert_would_block(main) }).await;
            let task = async { local().await.expect("a task") };
            tasks.run_until(task).await;
        });
        // After other work of the same task, and between other tasks.
        runtime.block_on(async {
            for _ in 0..300 {
                tokio::task::coop::consume_budget().await;
                assert_would_block(main);
            }
            let both = async {
                assert_would_block(main);
                tokio::task::yield_now().await;
                assert_would_block(main);
            };
            tokio::join!(both, async { assert_would_block(main) });
        });
        // An async block inside spawn_blocking.
        let inner = main.clone();
        runtime.block_on(async {
            let thread = tokio::task::spawn_blocking(move || {
                let handle = tokio::runtime::Handle::current();
                handle.block_on(async { assert_would_block(&inner) });
            });
            thread.await.expect("a thread");
        });
    }
    actix_rt::System::new().block_on(async {
        assert_would_block(main);
        let arbiter = actix_rt::Arbiter::new();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let of_arbiter = main.clone();
        arbiter.spawn(async move {
            assert_would_block(&of_arbiter);
            sender.send(()).expect("the test waits");
        });
        receiver.await.expect("it was refused");
        arbiter.stop();
        arbiter.join().expect("a thread");
        local().await.expect("a task");
    });
    let refused = supervisor.statistics().databases["main"].refused - refused_before;
    assert!(refused > 300, "{refused}");
    rig.assert_nothing_written_since(before);
    rig.end();
}

#[test]
fn calls_work_where_a_runtime_permits_blocking() {
    let rig = Rig::start();
    let ping = |main: &BlockingDatabase| {
        let pong: String = main.query(cmd("PING")).expect("a reply");
        assert_eq!(pong, "PONG");
    };
    for runtime in [current_thread(), multi_thread()] {
        let main = rig.main.clone();
        let of_blocking = async { tokio::task::spawn_blocking(move || ping(&main)).await };
        runtime.block_on(of_blocking).expect("a thread");
        // A plain thread that has entered a runtime.
        let _entered = runtime.enter();
        ping(&rig.main);
    }
    let runtime = multi_thread();
    runtime.block_on(async { tokio::task::block_in_place(|| ping(&rig.main)) });
    let main = rig.main.clone();
    runtime.block_on(async {
        let task = tokio::spawn(async move {
            tokio::task::block_in_place(|| ping(&main));
            // The task may not block any more after block_in_place.
            assert_would_block(&main);
        });
        task.await.expect("a task");
    });
    rig.end();
}

/// The connections run on the same runtime, where a blocking call would wait for itself.
#[test]
fn spawn_blocking_works_on_the_runtime_of_the_connections() {
    let server = RedisServer::start();
    for runtime in [current_thread(), multi_thread()] {
        runtime.block_on(async {
            let (supervisor, main) = common::spawn(DatabaseConfig::from_url(server.url())).await;
            assert_would_block(&main.blocking());
            let mut main = main.blocking();
            let thread = tokio::task::spawn_blocking(move || {
                for turn in 0..100 {
                    main.set::<_, _, ()>("turn", turn).expect("set");
                    assert_eq!(main.get::<_, i32>("turn").expect("get"), turn);
                }
            });
            thread.await.expect("a thread");
            supervisor.shutdown(SOON).await;
        });
    }
    assert_eq!(sockets_to(server.port()), 0);
}

#[test]
fn a_runtime_that_is_not_driven_does_not_hang_a_thread() {
    let server = RedisServer::start();
    let home = current_thread();
    let main = DatabaseConfig::from_url(server.url());
    let (supervisor, main) = home.block_on(common::spawn(main));
    let main = main.blocking();
    let timeout = Duration::from_millis(100);
    let start = Instant::now();
    let error = main
        .with_timeout(timeout)
        .execute(cmd("INCR").arg("n"))
        .expect_err("its runtime is not driven");
    let took = start.elapsed();
    assert!(took >= timeout, "{took:?}: {error}");
    assert!(took < timeout + Duration::from_secs(2), "{took:?}: {error}");
    match &error {
        Error::TimedOut {
            stage,
            execution,
            timeout: had,
            ..
        } => {
            assert_eq!((*stage, *execution), (Stage::Runtime, Execution::Unknown));
            assert_eq!(*had, timeout);
        }
        other => panic!("another error: {other}"),
    }
    assert!(error.to_string().contains("Io::Dedicated"), "{error}");

    // The timed-out command is not sent when the runtime is driven again.
    let driven = home.block_on(async {
        let main = main.clone();
        let exists = move || main.query::<bool>(cmd("EXISTS").arg("n"));
        tokio::task::spawn_blocking(exists).await
    });
    assert!(!driven.expect("a thread").expect("a reply"));
    let in_flight = supervisor.statistics().databases["main"].in_flight;
    assert_eq!(in_flight, 0);
    home.block_on(supervisor.shutdown(SOON));
    assert_eq!(sockets_to(server.port()), 0);
}

/// Tries every kind of call.
#[track_caller]
fn assert_would_block(main: &BlockingDatabase) {
    let mut main = main.clone();
    let start = Instant::now();
    for result in [
        main.execute(&cmd("PING")).map_err(Into::into),
        main.query(cmd("PING")).map_err(Into::into),
        main.pipeline(pipe().ping()).map_err(Into::into),
        cmd("PING").query(&mut main),
        pipe().ping().query(&mut main),
        main.req_packed_command(b"*1\r\n$4\r\nPING\r\n"),
    ] {
        let error: redis::RedisError = result.expect_err("it would block");
        match Error::from_redis(&error) {
            Some(own @ Error::WouldBlockRuntime { database }) => {
                assert_eq!((&**database, own.execution()), ("main", Execution::NotSent));
                assert!(!own.is_timeout() && !error.is_timeout());
                assert!(own.to_string().contains("spawn_blocking"), "{own}");
            }
            _ => panic!("{error}"),
        }
    }
    assert!(!main.check_connection());
    assert!(start.elapsed() < SOON, "at once");
}

fn multi_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
