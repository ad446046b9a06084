//! Goal: commands that could give one caller's replies to another are never sent (row 37 of
//! `docs/faults.md`). Method: every listed command in every form, through a proxy that counts request
//! bytes, and beside 100 callers that check their replies; `INFO commandstats` confirms the result.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{AsyncCommands, Cmd, Pipeline, Value};
use redis_steward::{
    Config, Database, DatabaseConfig, Error, Execute, Execution, Refusal, Supervisor,
};

use crate::{
    common::{FaultProxy, RedisServer, eventually_async, proc},
    lists::{self, Class},
};

const SOON: Duration = Duration::from_secs(10);

const SESSION: &str = "AUTH pw|AUTH user pw|HELLO 2|HELLO 3 AUTH u p|RESET|QUIT|SELECT 1|MULTI|\
    EXEC|DISCARD|WATCH k|CLIENT TRACKING ON|CLIENT CACHING YES|CLIENT NO-EVICT ON|\
    CLIENT NO-TOUCH ON|CLIENT SETNAME x|CLIENT SETINFO LIB-NAME x|ASKING|READONLY|\
    HIMPORT PREPARE s f";

const SUBSCRIPTION: &str = "SUBSCRIBE c|PSUBSCRIBE c*|SSUBSCRIBE c|UNSUBSCRIBE|UNSUBSCRIBE c|\
    PUNSUBSCRIBE|SUNSUBSCRIBE";

const REPLIES: &str = "MONITOR|SYNC|PSYNC ? -1|REPLCONF listening-port 1|POST|HOST:|\
    CLIENT REPLY OFF|CLIENT REPLY SKIP|SCRIPT DEBUG YES|CLUSTER SYNCSLOTS x";

const ADMINISTRATIVE: &str = "SHUTDOWN|SHUTDOWN NOSAVE|DEBUG SLEEP 1|CONFIG GET port|\
    CONFIG SET maxmemory 1|CONFIG RESETSTAT|FLUSHALL|FLUSHALL ASYNC|FLUSHDB|SCRIPT KILL|\
    FUNCTION KILL|FUNCTION FLUSH|ACL LIST|ACL GETUSER default|ACL SETUSER u|REPLICAOF NO ONE|\
    SLAVEOF NO ONE|FAILOVER|MODULE UNLOAD m|SAVE|BGSAVE|BGREWRITEAOF|SWAPDB 0 1|CLIENT PAUSE 1|\
    CLIENT UNPAUSE|CLIENT KILL TYPE normal|CLUSTER RESET HARD|CLUSTER FAILOVER|PFDEBUG GETREG k|\
    PFSELFTEST|SLOWLOG RESET|LATENCY RESET";

#[tokio::test]
async fn a_forbidden_command_is_refused_before_a_byte_is_written() {
    let rig = Rig::start(false).await;
    let before = rig.proxy.request_bytes();
    for (command, refusal) in forbidden() {
        rig.assert_refused(rig.main.execute(&command).await, refusal, &command);
        // The same as a message.
        let sent = rig
            .main
            .recipient()
            .send(Execute::new(command.clone()))
            .await;
        rig.assert_refused(sent.expect("a pool that runs"), refusal, &command);
    }
    rig.assert_nothing_written_since(before).await;
    rig.end().await;
}

#[tokio::test]
async fn a_forbidden_command_refuses_its_whole_pipeline() {
    let rig = Rig::start(false).await;
    let before = rig.proxy.request_bytes();
    for (command, refusal) in forbidden() {
        for position in 0..3 {
            for atomic in [false, true] {
                let mut pipeline = Pipeline::new();
                for at in 0..3 {
                    if at == position {
                        pipeline.add_command(command.clone());
                    } else {
                        pipeline.cmd("INCR").arg("neighbour");
                    }
                }
                if atomic {
                    pipeline.atomic();
                }
                let result = rig.main.pipeline::<Value>(&pipeline).await;
                rig.assert_refused(result, refusal, &command);
            }
        }
    }
    rig.assert_nothing_written_since(before).await;
    assert_eq!(rig.server.cli(&["EXISTS", "neighbour"]), "0");
    rig.end().await;
}

#[tokio::test]
async fn typed_commands_return_the_refusal_as_a_redis_error() {
    let rig = Rig::start(false).await;
    let before = rig.proxy.request_bytes();
    let mut main = rig.main.clone();
    let errors = [
        main.client_setname::<_, ()>("other")
            .await
            .expect_err("refused"),
        main.flushall::<()>().await.expect_err("refused"),
    ];
    for error in errors {
        let own = Error::from_redis(&error).expect("an error of the crate");
        assert!(
            matches!(
                own,
                Error::CommandRefused {
                    refusal: Refusal::Session | Refusal::Administrative,
                    ..
                }
            ),
            "{own}"
        );
        assert_eq!(own.execution(), Execution::NotSent);
    }
    rig.assert_nothing_written_since(before).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forbidden_commands_do_not_disturb_other_callers() {
    let rig = Rig::start(false).await;
    let before = calls_by_command(&rig.server);
    let stop = Arc::new(AtomicBool::new(false));
    let echoes = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..100)
        .map(|caller| {
            let (main, stop, echoes) = (rig.main.clone(), stop.clone(), echoes.clone());
            tokio::spawn(async move {
                let mut turn = 0;
                while !stop.load(Relaxed) {
                    let nonce = format!("{caller}:{turn}");
                    let echoed: String = main
                        .query(redis::cmd("ECHO").arg(&nonce))
                        .await
                        .expect("an echo");
                    assert_eq!(echoed, nonce);
                    echoes.fetch_add(1, Relaxed);
                    turn += 1;
                }
            })
        })
        .collect();

    for (command, refusal) in forbidden() {
        rig.assert_refused(rig.main.execute(&command).await, refusal, &command);
        let mut pipeline = Pipeline::new();
        pipeline.add_command(command.clone());
        rig.assert_refused(
            rig.main.pipeline::<Value>(&pipeline).await,
            refusal,
            &command,
        );
        let result = rig.main.pipeline::<Value>(pipeline.atomic()).await;
        rig.assert_refused(result, refusal, &command);
        // Each attempt lies between two echoes.
        let seen = echoes.load(Relaxed);
        eventually_async(SOON, "callers continue", || echoes.load(Relaxed) > seen).await;
    }

    stop.store(true, Relaxed);
    for caller in callers {
        caller.await.expect("every reply was the caller's own");
    }
    let after = calls_by_command(&rig.server);
    let called: BTreeMap<_, _> = after
        .into_iter()
        .map(|(name, calls)| (name.clone(), calls - before.get(&name).unwrap_or(&0)))
        .filter(|(name, calls)| *calls > 0 && name != "info")
        .collect();
    assert_eq!(
        called,
        BTreeMap::from([("echo".to_owned(), echoes.load(Relaxed))])
    );
    rig.end().await;
}

#[tokio::test]
async fn allow_admin_permits_administration_only() {
    let rig = Rig::start(true).await;
    let port: BTreeMap<String, u16> = rig
        .main
        .query(redis::cmd("CONFIG").arg("GET").arg("port"))
        .await
        .expect("permitted");
    assert_eq!(port["port"], rig.server.port());
    let users: Vec<String> = rig
        .main
        .query(redis::cmd("acl").arg("users"))
        .await
        .expect("permitted");
    assert_eq!(users, ["default"]);
    rig.main
        .execute(redis::cmd("SET").arg("k").arg("v"))
        .await
        .expect("a key");
    rig.main
        .execute(&redis::cmd("FLUSHALL"))
        .await
        .expect("permitted");
    assert_eq!(rig.server.cli(&["DBSIZE"]), "0");

    let before = rig.proxy.request_bytes();
    for (command, refusal) in forbidden() {
        if refusal != Refusal::Administrative {
            rig.assert_refused(rig.main.execute(&command).await, refusal, &command);
        }
    }
    rig.assert_nothing_written_since(before).await;
    rig.end().await;
}

#[tokio::test]
async fn an_empty_command_is_refused() {
    let rig = Rig::start(true).await;
    let before = rig.proxy.request_bytes();
    let empty = Cmd::new();
    rig.assert_refused(rig.main.execute(&empty).await, Refusal::Empty, &empty);
    let mut pipeline = redis::pipe();
    pipeline.cmd("PING").add_command(Cmd::new());
    rig.assert_refused(
        rig.main.pipeline::<Value>(&pipeline).await,
        Refusal::Empty,
        &empty,
    );
    rig.assert_refused(
        rig.main.pipeline::<Value>(pipeline.atomic()).await,
        Refusal::Empty,
        &empty,
    );
    rig.assert_nothing_written_since(before).await;
    rig.end().await;
}

#[tokio::test]
async fn permitted_commands_that_resemble_forbidden_ones_run() {
    let rig = Rig::start(false).await;
    let mut main = rig.main.clone();
    main.xadd::<_, _, _, _, ()>("BLOCK", "1-1", &[("f", "v")])
        .await
        .expect("an entry");
    main.xgroup_create::<_, _, _, ()>("BLOCK", "STREAMS", "0")
        .await
        .expect("a group");
    for command in [
        "XREAD STREAMS BLOCK 0",
        "XREADGROUP GROUP STREAMS BLOCK COUNT 1 STREAMS BLOCK >",
        "CLIENT ID",
        "CLIENT LIST",
        "SCRIPT EXISTS x",
        "ECHO MULTI",
        "LPOP k",
        "CONFIG HELP",
        "ACL WHOAMI",
        "ACL CAT",
        "MODULE LIST",
        "SLOWLOG GET",
        "LATENCY LATEST",
    ] {
        let reply = rig.main.execute(&command_of(command)).await;
        assert!(reply.is_ok(), "{command}: {reply:?}");
    }
    rig.end().await;
}

/// A server behind a proxy that counts bytes, and a database without health probes: all bytes come
/// from the commands of the test.
struct Rig {
    server: RedisServer,
    proxy: FaultProxy,
    supervisor: Supervisor,
    main: Database,
}

impl Rig {
    async fn start(allow_admin: bool) -> Self {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(server.port());
        let database = DatabaseConfig::from_url(proxy.url())
            .allow_admin(allow_admin)
            // Probes would be counted as request bytes.
            .health_check_interval(Duration::from_secs(3600));
        let supervisor = Supervisor::spawn(Config::new().database("main", database))
            .await
            .expect("a supervisor");
        supervisor.ready(SOON).await.expect("a healthy database");
        let main = supervisor.database("main").expect("the database");
        main.execute(&redis::cmd("PING")).await.expect("a reply");
        Self {
            server,
            proxy,
            supervisor,
            main,
        }
    }

    #[track_caller]
    fn assert_refused<T>(&self, result: Result<T, Error>, expected: Refusal, command: &Cmd) {
        let error = result
            .err()
            .unwrap_or_else(|| panic!("not refused: {}", shown(command)));
        assert_eq!(error.execution(), Execution::NotSent, "{}", shown(command));
        match error {
            Error::CommandRefused { refusal, .. } => {
                assert_eq!(refusal, expected, "{}", shown(command));
            }
            other => panic!("{}: {other}", shown(command)),
        }
    }

    /// The reply to a PING shows that all bytes written before it have arrived.
    async fn assert_nothing_written_since(&self, before: u64) {
        let mark = redis::cmd("PING");
        self.main.execute(&mark).await.expect("a reply");
        let written = self.proxy.request_bytes() - before;
        assert_eq!(written, mark.get_packed_command().len() as u64);
    }

    async fn end(self) {
        let stats = || self.supervisor.statistics().databases["main"].clone();
        // The permit of a command is returned a moment after its reply is delivered.
        eventually_async(SOON, "nothing is in flight", || {
            (stats().in_flight, stats().in_flight_bytes) == (0, 0)
        })
        .await;
        assert_eq!(stats().pool.opened, 1, "the connection was never lost");
        self.supervisor.shutdown(SOON).await;
        assert_eq!(proc::sockets_to(self.proxy.port()), 0);
        eventually_async(SOON, "the server has no client", || {
            self.server.clients_named("redis-steward").is_empty()
        })
        .await;
    }
}

/// Every forbidden command in upper and lower case: all names of the reviewed list, and the lists above
/// with arguments.
fn forbidden() -> impl Iterator<Item = (Cmd, Refusal)> {
    let with_arguments = [
        (SESSION, Refusal::Session),
        (SUBSCRIPTION, Refusal::Subscription),
        (REPLIES, Refusal::Replies),
        (ADMINISTRATIVE, Refusal::Administrative),
    ]
    .into_iter()
    .flat_map(|(commands, refusal)| {
        commands
            .split('|')
            .map(move |command| (command.to_owned(), refusal))
    });
    let by_name = lists::REVIEWED.iter().flat_map(|(class, names)| {
        let refusal = refusal_of(*class);
        let names = names.split_whitespace();
        names.filter_map(move |name| Some((name.replace('|', " "), refusal?)))
    });
    with_arguments
        .chain(by_name)
        .flat_map(|(command, refusal)| {
            [command.to_ascii_uppercase(), command.to_ascii_lowercase()]
                .map(|words| (command_of(&words), refusal))
        })
}

fn refusal_of(class: Class) -> Option<Refusal> {
    match class {
        Class::Reads
        | Class::Writes
        | Class::Other
        | Class::Blocks
        | Class::BlocksReading
        | Class::Unwatches => None,
        Class::Watches | Class::Queues | Class::EndsTransaction | Class::Session => {
            Some(Refusal::Session)
        }
        Class::Subscription => Some(Refusal::Subscription),
        Class::Stream => Some(Refusal::Replies),
        Class::Administrative => Some(Refusal::Administrative),
    }
}

fn command_of(words: &str) -> Cmd {
    let mut command = Cmd::new();
    for word in words.split(' ') {
        command.arg(word);
    }
    command
}

fn shown(command: &Cmd) -> String {
    String::from_utf8_lossy(&command.get_packed_command()).replace("\r\n", " ")
}

fn calls_by_command(server: &RedisServer) -> BTreeMap<String, u64> {
    let calls = |stats: &str| stats.split([',', '=']).nth(1)?.parse().ok();
    server
        .info("commandstats")
        .into_iter()
        .filter_map(|(name, stats)| {
            Some((name.strip_prefix("cmdstat_")?.to_owned(), calls(&stats)?))
        })
        .collect()
}
