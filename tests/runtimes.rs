//! Goal: the crate works from every kind of runtime and from none, outlives the one it was spawned
//! in, and leaves no thread and no socket. Method: each test builds the runtimes it is about; the
//! kernel tells which threads this process has, the server which clients it has.

mod common;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use actix::{Actor, Context, Handler, Message, Recipient, ResponseFuture};
use common::{RedisServer, eventually, eventually_async, proc};
use futures_executor::block_on;
use redis::{AsyncCommands, Value};
use redis_steward::{
    Config, Database, Error, Execute, Execution, HealthEvent, HealthState, Io, Subscribe,
    Supervisor,
};
use tokio::runtime::{Builder, Runtime};

const SOON: Duration = Duration::from_secs(10);
const THREADS: &str = "redis-steward";
/// As much of `redis-steward-io` as the kernel keeps.
const IO_THREAD: &str = "redis-steward-i";

#[test]
fn it_works_on_a_multi_thread_runtime() {
    let rig = Rig::new();
    multi_thread().block_on(use_and_shut_down(&rig.server));
    rig.end();
}

#[test]
fn it_works_on_a_current_thread_runtime() {
    let rig = Rig::new();
    current_thread().block_on(use_and_shut_down(&rig.server));
    rig.end();
}

#[test]
fn it_works_in_an_actix_system() {
    let rig = Rig::new();
    actix_rt::System::new().block_on(use_and_shut_down(&rig.server));
    rig.end();
}

async fn use_and_shut_down(server: &RedisServer) {
    let supervisor = Supervisor::spawn(Config::single(server.url()))
        .await
        .expect("a supervisor");
    supervisor.ready(SOON).await.expect("a healthy database");
    // Connections run here, so only the actors have a thread.
    assert_eq!(proc::threads_named(THREADS), [THREADS]);
    assert_works(&supervisor).await;
    let report = supervisor.shutdown(SOON).await;
    assert_eq!((report.completed, report.unfinished), (0, 0));
}

#[test]
fn it_works_without_a_runtime() {
    let rig = Rig::new();
    let supervisor =
        Supervisor::spawn_blocking(Config::single(rig.server.url())).expect("a supervisor");
    block_on(async {
        supervisor.ready(SOON).await.expect("a healthy database");
        assert_works(&supervisor).await;
    });
    let mut threads = proc::threads_named(THREADS);
    threads.sort();
    assert_eq!(threads, [THREADS, IO_THREAD]);
    block_on(supervisor.shutdown(SOON));
    rig.end();
}

#[test]
fn spawn_works_on_a_thread_without_a_runtime_too() {
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
    // Shutting down is possible from elsewhere as well.
    block_on(supervisor.shutdown(SOON));
    rig.end();
}

#[test]
fn supervisors_in_one_process_do_not_disturb_each_other() {
    let rig = Rig::new();
    multi_thread().block_on(async {
        let (first, second) = (rig.spawn().await, rig.spawn().await);
        let goes_on = tokio::spawn({
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
        goes_on.await.expect("the second one goes on");
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
        // None of these keeps it running.
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
fn a_command_under_way_does_not_keep_a_dropped_supervisor_running() {
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
fn handles_work_on_after_the_runtime_of_the_spawn_has_ended() {
    let rig = Rig::new();
    for home in [multi_thread(), current_thread()] {
        let supervisor = home.block_on(rig.spawn());
        drop(home);
        let main = supervisor.database("main").expect("the database");
        eventually(SOON, "commands work again", || {
            match block_on(ping(&main)) {
                Ok(()) => true,
                // A command that was caught in between is told so.
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
fn a_command_on_a_runtime_that_ends_is_told_that_nobody_knows() {
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
fn dedicated_connections_need_nobody_to_drive_them() {
    let rig = Rig::new();
    let home = current_thread();
    let config = Config::single(rig.server.url()).io(Io::Dedicated);
    let supervisor = home
        .block_on(Supervisor::spawn(config))
        .expect("a supervisor");
    for _ in 0..3 {
        home.block_on(assert_works(&supervisor));
        // Nobody drives `home` now.
        block_on(assert_works(&supervisor));
    }
    assert!(proc::threads_named(THREADS).contains(&IO_THREAD.to_owned()));
    home.block_on(supervisor.shutdown(SOON));
    rig.end();
}

/// The limit that the documentation of `spawn` states: connections progress while their runtime is
/// driven. When it is again, what is overdue is told so, and was not sent.
#[test]
fn a_command_that_is_overdue_ends_when_its_runtime_is_driven_again() {
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
    assert!(!caller.is_finished(), "nobody drives its connection");
    let driven = async { eventually_async(SOON, "it ends", || caller.is_finished()).await };
    home.block_on(driven);
    let error = caller.join().expect("a thread").expect_err("too late");
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.execution(), Execution::NotSent);
    home.block_on(supervisor.shutdown(SOON));
    rig.end();
}

#[test]
fn shutdown_does_not_wait_for_a_runtime_that_nobody_drives() {
    let rig = Rig::new();
    let home = current_thread();
    let supervisor = home.block_on(rig.spawn());
    let start = Instant::now();
    block_on(supervisor.shutdown(Duration::ZERO));
    // Two patiences of one second, and slack for a loaded machine.
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    until_no_thread_is_left();
    drop(home);
    rig.end();
}

#[test]
fn an_actor_of_the_application_sends_commands_to_a_recipient() {
    let rig = Rig::new();
    actix_rt::System::new().block_on(async {
        let supervisor = rig.spawn().await;
        let redis = supervisor
            .database("main")
            .expect("the database")
            .recipient();
        let visitors = Visitors { redis }.start();
        for visit in 1..=100 {
            let count = visitors.send(Visit).await.expect("an actor that runs");
            assert_eq!(count.expect("a count"), Value::Int(visit));
        }
        supervisor.shutdown(SOON).await;
        let refused = visitors.send(Visit).await.expect("an actor that runs");
        refused.expect_err("it was shut down");
    });
    rig.end();
}

#[test]
fn an_actor_of_the_application_gets_every_health_event_to_the_last() {
    let rig = Rig::new();
    actix_rt::System::new().block_on(async {
        let supervisor = rig.spawn().await;
        let (sender, received) = std::sync::mpsc::channel();
        let listener = Listener(sender).start();
        let subscribed = supervisor
            .recipient()
            .send(Subscribe(listener.clone().recipient()))
            .await;
        subscribed.expect("a supervisor that runs");
        let mut states = Vec::new();
        eventually_async(SOON, "the current state arrives", || {
            states.extend(received.try_iter());
            !states.is_empty()
        })
        .await;
        supervisor.shutdown(SOON).await;
        eventually_async(SOON, "the last state arrives", || {
            states.extend(received.try_iter());
            states.last() == Some(&HealthState::Stopped)
        })
        .await;
        assert_eq!(states, [HealthState::Healthy, HealthState::Stopped]);
    });
    rig.end();
}

struct Visitors {
    redis: Recipient<Execute>,
}

#[derive(Message)]
#[rtype(result = "Result<Value, String>")]
struct Visit;

impl Actor for Visitors {
    type Context = Context<Self>;
}

impl Handler<Visit> for Visitors {
    type Result = ResponseFuture<Result<Value, String>>;

    fn handle(&mut self, _: Visit, _: &mut Self::Context) -> Self::Result {
        let mut command = redis::cmd("INCR");
        command.arg("visits");
        let reply = self.redis.send(Execute::new(command).timeout(SOON));
        Box::pin(async move {
            match reply.await {
                Ok(reply) => reply.map_err(|error| error.to_string()),
                Err(closed) => Err(closed.to_string()),
            }
        })
    }
}

struct Listener(std::sync::mpsc::Sender<HealthState>);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<HealthEvent> for Listener {
    type Result = ();

    fn handle(&mut self, event: HealthEvent, _: &mut Self::Context) {
        self.0.send(event.state).expect("the test listens");
    }
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

/// The kernel lists a thread for some microseconds after it was joined.
fn until_no_thread_is_left() {
    eventually(SOON, "no thread is left", || {
        proc::threads_named(THREADS).is_empty()
    });
}

/// A server, and this process to itself: threads have the same names in every test, so one that
/// counts them cannot run beside another.
struct Rig {
    server: RedisServer,
    _alone: MutexGuard<'static, ()>,
}

impl Rig {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        // What a test before this one has left when it failed.
        until_no_thread_is_left();
        Self {
            server: RedisServer::start(),
            _alone: alone,
        }
    }

    async fn spawn(&self) -> Supervisor {
        let config = Config::single(self.server.url());
        let supervisor = Supervisor::spawn(config).await.expect("a supervisor");
        supervisor.ready(SOON).await.expect("a healthy database");
        supervisor
    }

    /// Everything was stopped: proves that nothing is left.
    fn end(self) {
        until_no_thread_is_left();
        assert_eq!(proc::sockets_to(self.server.port()), 0);
        eventually(SOON, "the server has no client", || {
            self.server.clients_named(THREADS).is_empty()
        });
    }
}
