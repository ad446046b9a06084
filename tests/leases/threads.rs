//! Goal: threads have the same leases and blocking commands as tasks. Method: plain threads, and a real
//! server that lists its clients.

use std::{
    thread,
    time::{Duration, Instant},
};

use redis::{Commands, ConnectionLike, cmd};
use redis_steward::{
    BlockingDatabase, Config, DatabaseConfig, Error, Execution, PoolStats, Stage, Supervisor,
};

use crate::common::{RedisServer, eventually};

const SOON: Duration = Duration::from_secs(10);

struct Rig {
    server: RedisServer,
    supervisor: Supervisor,
    main: BlockingDatabase,
}

impl Rig {
    fn with(adjust: impl FnOnce(DatabaseConfig) -> DatabaseConfig) -> Self {
        let server = RedisServer::start();
        let main = adjust(DatabaseConfig::from_url(server.url()));
        let config = Config::new().database("main", main);
        let supervisor = Supervisor::spawn_blocking(config).expect("spawn");
        let main = supervisor.database("main").expect("configured").blocking();
        Self {
            server,
            supervisor,
            main,
        }
    }

    fn pool(&self) -> PoolStats {
        self.supervisor.statistics().databases["main"].pool.clone()
    }
}

#[test]
fn transactions_of_the_redis_crate_work_on_a_lease() {
    let rig = Rig::with(|main| main.acquire_timeout(SOON));
    thread::scope(|scope| {
        for _ in 0..4 {
            let main = rig.main.clone();
            scope.spawn(move || {
                let mut lease = main.lease().expect("a lease");
                for _ in 0..25 {
                    let (_,): (i64,) = redis::transaction(&mut lease, &["n"], |lease, pipe| {
                        let now: Option<i64> = lease.get("n")?;
                        pipe.set("n", now.unwrap_or_default() + 1)
                            .ignore()
                            .get("n")
                            .query(lease)
                    })
                    .expect("executed");
                }
            });
        }
    });
    assert_eq!(
        rig.main.query::<i64>(cmd("GET").arg("n")).expect("get"),
        100
    );
    eventually(SOON, "all leases are back", || rig.pool().in_use == 0);
    assert_eq!(rig.pool().discarded, 0, "EXEC leaves them clean");
}

#[test]
fn changes_on_a_lease_stay_with_its_thread() {
    let rig = Rig::with(|main| main);
    let mut lease = rig.main.lease().expect("a lease");
    let () = lease.query(cmd("SELECT").arg(3)).expect("selected");
    let () = lease.set("k", "in 3").expect("set");
    assert!(lease.is_open() && lease.check_connection());
    assert_eq!(rig.server.cli(&["EXISTS", "k"]), "0");
    drop(lease);
    eventually(SOON, "it is closed", || rig.pool().discarded == 1);
    let mut lease = rig.main.lease().expect("another");
    let nothing: Option<String> = lease.get("k").expect("get");
    assert_eq!(nothing, None);
    rig.server
        .cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    eventually(SOON, "the loss is known", || !lease.is_open());
}

#[test]
fn a_blocking_command_waits_for_its_own_timeout() {
    // Shorter than the command blocks, and long enough for a busy machine.
    let rig = Rig::with(|main| main.command_timeout(Duration::from_millis(700)));
    let mut main = rig.main.clone();
    let start = Instant::now();
    let nothing: Option<(String, String)> = main.blpop("list", 1.5).expect("nothing, in time");
    assert_eq!(nothing, None);
    assert!(start.elapsed() >= Duration::from_millis(1_500));
    let waiting = thread::spawn(move || main.blpop::<_, (String, String)>("list", 0.0));
    let is_blocked = || rig.server.info("clients")["blocked_clients"] == "1";
    eventually(SOON, "it waits", is_blocked);
    let mut other = rig.main.clone();
    let _: i64 = other.rpush("list", "job").expect("as usual");
    let popped = waiting.join().expect("a thread").expect("popped");
    assert_eq!(popped, ("list".into(), "job".into()));
}

#[test]
fn no_lease_is_an_error_in_time_on_a_thread_and_at_once_in_a_task() {
    // The first one needs a dial within it.
    let acquire = Duration::from_secs(1);
    let rig = Rig::with(|main| main.max_connections(2).acquire_timeout(acquire));
    let held = rig.main.lease().expect("the only one");
    let error = rig.main.lease().expect_err("there is no second connection");
    match error {
        Error::TimedOut { stage, timeout, .. } => {
            assert_eq!((stage, timeout), (Stage::Acquire, acquire));
        }
        other => panic!("{other}"),
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let refused = runtime.block_on(async { rig.main.lease() });
    let error = refused.expect_err("in a task");
    assert!(matches!(error, Error::WouldBlockRuntime { .. }), "{error}");
    drop(held);
    let _next = rig.main.lease().expect("the returned lease");
}

#[test]
fn a_command_on_a_broken_lease_is_not_sent() {
    let timeout = Duration::from_millis(300);
    let rig = Rig::with(|main| {
        main.command_timeout(timeout)
            .acquire_timeout(Duration::from_secs(60))
            .failure_threshold(10_000)
    });
    let mut lease = rig.main.lease().expect("a lease");
    eventually(SOON, "the shared one is open", || rig.pool().shared == 1);
    rig.server.kill();
    eventually(SOON, "the loss is known", || rig.pool().lost == 2);
    match lease.execute(&cmd("PING")).expect_err("no server") {
        Error::TimedOut {
            stage, execution, ..
        } => assert_eq!((stage, execution), (Stage::Acquire, Execution::NotSent)),
        other => panic!("{other}"),
    }
}
