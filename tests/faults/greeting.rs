//! The server does not accept the whole greeting of a connection, and serves commands all the same.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use redis::cmd;
use redis_steward::{
    CircuitState, Config, Database, DatabaseConfig, Execution::NotSent, HealthEvent, HealthState,
    Protocol, Reason, Supervisor,
};

use crate::{
    SOON,
    common::{
        FaultProxy, Mode, RedisServer, Reply, Script, ScriptedServer, eventually_async, older_than,
        resp::bulk, script::handshake, spawn,
    },
    degraded, event, event_of, event_of_outage, stats, until_open,
};

/// The answer of a peer to a command; `None` hangs up, and no bytes are silence.
type Answer = Option<Vec<u8>>;

fn line(text: &str) -> Answer {
    Some(format!("{text}\r\n").into_bytes())
}

const SILENCE: Answer = Some(Vec::new());
const HANG_UP: Answer = None;

/// A server that stumbles at one thing.
struct Kind {
    name: &'static str,
    /// The part of the URL before the host.
    login: &'static str,
    script: Script,
    /// Whether the `redis` crate serves commands there, in RESP2 and RESP3.
    redis: [bool; 2],
}

/// A peer that answers some commands in its own way, and the others as a server does. A rule sees the name of a
/// command, and the number of words after it.
fn kind(
    name: &'static str,
    redis: [bool; 2],
    rule: impl Fn(&str, usize) -> Option<Answer> + Clone + Send + Sync + 'static,
) -> Kind {
    logging_in(name, "", redis, rule)
}

fn logging_in(
    name: &'static str,
    login: &'static str,
    redis: [bool; 2],
    rule: impl Fn(&str, usize) -> Option<Answer> + Clone + Send + Sync + 'static,
) -> Kind {
    let script = Script::sessions(move || {
        let rule = rule.clone();
        move |command: &[Vec<u8>]| answer(command, &rule)
    });
    Kind {
        name,
        login,
        script,
        redis,
    }
}

fn answer(command: &[Vec<u8>], rule: impl Fn(&str, usize) -> Option<Answer>) -> Answer {
    if let Some(answer) = rule(&name(command), command.len() - 1) {
        return answer;
    }
    handshake(command).or_else(|| match &*name(command) {
        "GET" => Some(bulk("a value")),
        _ => line("+OK"),
    })
}

/// In capitals, with the subcommand of CLIENT.
fn name(command: &[Vec<u8>]) -> String {
    let word = |at: usize| String::from_utf8_lossy(&command[at]).to_ascii_uppercase();
    match word(0).as_str() {
        "CLIENT" => format!("CLIENT {}", word(1)),
        name => name.to_owned(),
    }
}

/// Answers HELLO in its own way.
fn hello(name: &'static str, redis: [bool; 2], answer: Answer) -> Kind {
    kind(name, redis, move |command, _| {
        (command == "HELLO").then(|| answer.clone())
    })
}

/// Hangs up at all commands but these.
fn only(name: &'static str, redis: [bool; 2], known: &'static [&'static str]) -> Kind {
    kind(name, redis, move |command, _| {
        (!known.contains(&command)).then_some(HANG_UP)
    })
}

fn kinds() -> Vec<Kind> {
    let array = "*4\r\n$5\r\nproto\r\n:2\r\n$4\r\nrole\r\n$6\r\nmaster";
    vec![
        hello(
            "HELLO: an error without a code",
            [true, false],
            line("-unsupported command"),
        ),
        hello(
            "HELLO: NOPERM",
            [true, false],
            line("-NOPERM no permissions"),
        ),
        hello("HELLO: a RESP2 array", [true, true], line(array)),
        hello("HELLO: a hang-up", [true, false], HANG_UP),
        hello("HELLO: swallowed", [true, false], SILENCE),
        Kind {
            name: "HELLO: silence from then on",
            login: "",
            script: Script::sessions(|| {
                let mut is_deaf = false;
                move |command: &[Vec<u8>]| {
                    is_deaf |= name(command) == "HELLO";
                    if is_deaf {
                        SILENCE
                    } else {
                        answer(command, |_, _| None)
                    }
                }
            }),
            redis: [true, false],
        },
        Kind {
            name: "everything but AUTH: NOAUTH before it",
            login: ":s3cret@",
            script: Script::sessions(|| {
                let mut is_known = false;
                move |command: &[Vec<u8>]| {
                    is_known |= name(command) == "AUTH";
                    if is_known {
                        answer(command, |_, _| None)
                    } else {
                        line("-NOAUTH Authentication required.")
                    }
                }
            }),
            redis: [true, false],
        },
        logging_in(
            "HELLO: NOAUTH, always",
            ":s3cret@",
            [true, false],
            |command, _| (command == "HELLO").then(|| line("-NOAUTH HELLO must be called later")),
        ),
        logging_in(
            "AUTH: no users before 6.0",
            "app:s3cret@",
            [true, false],
            |command, args| match (command, args) {
                ("AUTH", 2) => Some(line("-ERR wrong number of arguments for 'auth' command")),
                ("HELLO", _) => Some(line("-ERR unknown command `HELLO`")),
                _ => None,
            },
        ),
        logging_in(
            "AUTH: the default user has no password",
            ":any@",
            [false, true],
            |command, args| {
                let refusal = "-ERR AUTH <password> called without any password configured for the \
                           default user. Are you sure your configuration is correct?";
                (command == "AUTH" && args == 1).then(|| line(refusal))
            },
        ),
        kind("PING: always PONG", [true, true], |command, _| {
            (command == "PING").then(|| line("+PONG"))
        }),
        kind("PING: renamed", [true, true], |command, _| {
            let refusal = "-ERR unknown command 'PING', with args beginning with: ";
            (command == "PING").then(|| line(refusal))
        }),
        kind("PING: forbidden", [true, true], |command, _| {
            let refusal = "-NOPERM this user has no permissions to run the 'ping' command";
            (command == "PING").then(|| line(refusal))
        }),
        kind("PING: a hang-up", [true, true], |command, _| {
            (command == "PING").then_some(HANG_UP)
        }),
        kind("CLIENT SETNAME: a hang-up", [true, true], |command, _| {
            (command == "CLIENT SETNAME").then_some(HANG_UP)
        }),
        kind("CLIENT SETINFO: a hang-up", [false, false], |command, _| {
            (command == "CLIENT SETINFO").then_some(HANG_UP)
        }),
        kind("SELECT: refused", [true, true], |command, _| {
            (command == "SELECT").then(|| line("-ERR DB index is out of range"))
        }),
        only(
            "a proxy that hangs up at the unknown",
            [false, false],
            &["GET", "SET", "PING"],
        ),
        only("GET alone", [false, false], &["GET"]),
    ]
}

async fn get(database: &Database) -> String {
    let got = database.query(cmd("GET").arg("key")).await;
    got.unwrap_or_else(|error| panic!("{error}"))
}

/// Whether a connection of the `redis` crate serves a GET there.
async fn redis_serves(url: &str) -> bool {
    let client = redis::Client::open(url).expect("a URL");
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_millis(500)))
        .set_response_timeout(Some(Duration::from_millis(500)));
    let connected = client.get_multiplexed_async_connection_with_config(&config);
    match connected.await {
        Ok(mut connection) => cmd("GET")
            .arg("key")
            .query_async::<String>(&mut connection)
            .await
            .is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn row_53_a_server_that_does_not_accept_the_greeting_is_used_all_the_same() {
    for kind in kinds() {
        for (version, redis_serves_it) in [2, 3].into_iter().zip(kind.redis) {
            let peer = ScriptedServer::start([kind.script.clone()]);
            let place = format!("127.0.0.1:{}", peer.port());
            let url = format!("redis://{}{place}/0?protocol={version}", kind.login);
            let about = format!("{}, RESP{version}", kind.name);
            assert_eq!(redis_serves(&url).await, redis_serves_it, "{about}");
            let main = DatabaseConfig::from_url(url).connect_timeout(Duration::from_millis(800));
            let (supervisor, main) = spawn(main).await;
            for _ in 0..100 {
                assert_eq!(get(&main).await, "a value", "{about}");
            }
            // It has been learnt, so that further connections are opened at the first attempt.
            let before = peer.accepted();
            let leases = [main.lease().await, main.lease().await];
            for lease in leases {
                let mut lease = lease.unwrap_or_else(|error| panic!("{about}: {error}"));
                let got: String = lease.query(cmd("GET").arg("key")).await.expect("get");
                assert_eq!(got, "a value", "{about}");
            }
            assert_eq!(peer.accepted() - before, 2, "{about}");
            let seen = stats(&supervisor);
            assert_eq!(
                (seen.pool.dial_failures, seen.circuit),
                (0, CircuitState::Closed),
                "{about}"
            );
            supervisor.shutdown(SOON).await;
        }
    }
}

/// The endpoint is checked while its connections are refused, and it does not accept a PING of its own.
#[tokio::test]
async fn row_53_an_outage_of_such_a_server_ends() {
    for (about, at_ping) in [("hangs up", HANG_UP), ("ignores it", SILENCE)] {
        let peer = ScriptedServer::start([Script::sessions(move || {
            let at_ping = at_ping.clone();
            move |command: &[Vec<u8>]| {
                answer(command, |name, _| (name == "PING").then(|| at_ping.clone()))
            }
        })]);
        let proxy = FaultProxy::start(peer.port());
        let main =
            DatabaseConfig::from_url(proxy.url()).connect_timeout(Duration::from_millis(400));
        let (supervisor, main) = spawn(main).await;
        proxy.refuse();
        proxy.reset_all();
        until_open(&supervisor).await;
        proxy.heal();
        let back = Instant::now();
        supervisor.ready(SOON).await.expect("ready again");
        assert!(
            back.elapsed() < Duration::from_secs(5),
            "{about}: {:?}",
            back.elapsed()
        );
        assert_eq!(get(&main).await, "a value", "{about}");
        supervisor.shutdown(SOON).await;
    }
}

/// The open connection is asked when no new one can be opened, and it does not accept a PING.
#[tokio::test]
async fn row_53_an_open_connection_is_not_asked_what_it_does_not_bear() {
    let peer = ScriptedServer::start([Script::sessions(|| {
        |command: &[Vec<u8>]| answer(command, |name, _| (name == "PING").then_some(HANG_UP))
    })]);
    let proxy = FaultProxy::start(peer.port());
    let main =
        DatabaseConfig::from_url(proxy.url()).health_check_interval(Duration::from_millis(50));
    let (supervisor, main) = spawn(main).await;
    let mut events = supervisor.subscribe();
    proxy.refuse();
    let gets = || peer.count("GET");
    event_of(&mut events, degraded(Reason::Unreachable)).await;
    let asked = gets();
    eventually_async(SOON, "it is asked again and again", || gets() > asked + 5).await;
    assert_eq!(get(&main).await, "a value");
    let seen = stats(&supervisor);
    assert_eq!((seen.pool.lost, seen.circuit), (0, CircuitState::Closed));
    supervisor.shutdown(SOON).await;
}

/// The password is wrong, and no other form of AUTH makes it right.
#[tokio::test]
async fn row_54_a_wrong_password_is_final() {
    let server = RedisServer::builder().requirepass("s3cret").start();
    for login in [":wrong", "app:wrong"] {
        let url = format!("redis://{login}@127.0.0.1:{}", server.port());
        let supervisor = Supervisor::spawn(Config::single(url)).await.expect("spawn");
        let mut events = supervisor.subscribe();
        event_of_outage(&mut events, Reason::Rejected).await;
        supervisor.shutdown(SOON).await;
    }
    let logins = server.errorstat("WRONGPASS");
    assert!(logins <= 4, "{logins} attempts to log in");
}

/// A form of AUTH that was right once may be wrong later.
#[tokio::test]
async fn row_54_a_server_that_learns_about_users_is_logged_in_to() {
    let old = |command: &[Vec<u8>]| {
        answer(command, |name, args| match (name, args) {
            ("AUTH", 2) => Some(line("-ERR wrong number of arguments for 'auth' command")),
            _ => None,
        })
    };
    let new = |command: &[Vec<u8>]| {
        answer(command, |name, args| match (name, args) {
            ("AUTH", 1) => Some(line("-WRONGPASS invalid username-password pair")),
            _ => None,
        })
    };
    let peer =
        ScriptedServer::start([Script::sessions(move || old), Script::sessions(move || new)]);
    let url = format!("redis://app:s3cret@127.0.0.1:{}", peer.port());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(url)).await;
    for _ in 0..2 {
        let mut lease = main.lease().await.expect("a lease");
        let got: String = lease.query(cmd("GET").arg("key")).await.expect("get");
        assert_eq!(got, "a value");
    }
    supervisor.shutdown(SOON).await;
}

/// The connections of the pool, as the server sees them: their protocols, and the number that has a name.
fn protocols(server: &RedisServer) -> Vec<String> {
    let clients = server.clients_named("redis-steward:main");
    clients
        .iter()
        .map(|client| client["resp"].clone())
        .collect()
}

/// A connection of the pool's own says which protocol it speaks. The next lease gets another connection.
async fn protocol_of_a_lease(main: &Database) -> String {
    let mut lease = main.lease().await.expect("a lease");
    let about: String = lease.query(cmd("CLIENT").arg("INFO")).await.expect("info");
    let _: () = lease.query(cmd("SELECT").arg(0)).await.expect("selected");
    let field = about
        .split_whitespace()
        .find(|field| field.starts_with("resp="));
    field.expect("the protocol").to_owned()
}

/// Greetings are cut off by a server that accepts them when it does not die.
#[tokio::test]
async fn row_55_a_server_that_dies_during_the_greeting_gets_the_whole_one_again() {
    if older_than(7, 0, "the protocol in CLIENT LIST") {
        return;
    }
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    let main = DatabaseConfig::from_url(proxy.url())
        .protocol(Protocol::Resp3)
        .health_check_interval(Duration::from_millis(100));
    let (supervisor, main) = spawn(main).await;
    for turn in 0..20 {
        proxy.set(Mode::CutAfter { reply_bytes: 0 });
        proxy.reset_all();
        let before = proxy.accepted();
        let cut = "some greetings are cut off";
        eventually_async(SOON, cut, || proxy.accepted() > before + turn % 5).await;
        proxy.set(Mode::Pass);
        supervisor.ready(SOON).await.expect("ready again");
        let pong: String = main.query(cmd("PING")).await.expect("ping");
        assert_eq!(pong, "PONG");
        assert_eq!(protocol_of_a_lease(&main).await, "resp=3");
        assert!(
            protocols(&server).iter().all(|resp| resp == "3"),
            "turn {turn}"
        );
    }
    supervisor.shutdown(SOON).await;
}

/// A fault that looks like a custom: HELLO is hung up at every time, until it is not.
#[tokio::test]
async fn row_55_a_protocol_that_was_missing_is_found_again() {
    let is_ill = Arc::new(AtomicBool::new(true));
    let peer = ScriptedServer::start([Script::sessions({
        let is_ill = is_ill.clone();
        move || {
            let (is_ill, mut protocol) = (is_ill.clone(), "RESP2");
            move |command: &[Vec<u8>]| match &*name(command) {
                "HELLO" if is_ill.load(SeqCst) => HANG_UP,
                "GET" => Some(bulk(protocol)),
                name => {
                    if name == "HELLO" {
                        protocol = "RESP3";
                    }
                    answer(command, |_, _| None)
                }
            }
        }
    })]);
    let main = DatabaseConfig::from_url(peer.url())
        .protocol(Protocol::Resp3)
        .health_check_interval(Duration::from_millis(100));
    let (supervisor, main) = spawn(main).await;
    let protocol = async || {
        let mut lease = main.lease().await.expect("a lease");
        let protocol: String = lease.query(cmd("GET").arg("key")).await.expect("get");
        // The next lease gets another connection.
        let _: () = lease.query(cmd("SELECT").arg(0)).await.expect("selected");
        protocol
    };
    assert_eq!(protocol().await, "RESP2");
    is_ill.store(false, SeqCst);
    let deadline = Instant::now() + SOON;
    while protocol().await != "RESP3" {
        assert!(Instant::now() < deadline, "RESP3 is found to work again");
    }
    supervisor.shutdown(SOON).await;
}

/// A peer that reads the whole greeting before it hangs up answers none of it. Here it dislikes one command.
fn reading_all(disliked: &'static str) -> Script {
    Script::sessions(move || {
        let (mut held, mut dislikes) = (Vec::new(), false);
        move |command: &[Vec<u8>]| {
            let name = name(command);
            dislikes |= name == disliked;
            held.extend(answer(command, |_, _| None)?);
            match &*name {
                "PING" | "GET" if dislikes => HANG_UP,
                "PING" | "GET" => Some(std::mem::take(&mut held)),
                _ => SILENCE,
            }
        }
    })
}

/// The names that a connection has told.
fn introductions(peer: &ScriptedServer, connection: usize) -> Vec<String> {
    let seen = peer.seen_on(connection);
    let names = seen.iter().map(|command| name(command));
    names.filter(|name| name.starts_with("CLIENT")).collect()
}

const NAMES: [&str; 3] = ["CLIENT SETNAME", "CLIENT SETINFO", "CLIENT SETINFO"];

/// Announcements are the latest of what a greeting asks for, so they are left out before names are.
#[tokio::test]
async fn row_53_a_peer_that_hangs_up_at_announcements_alone_is_told_all_names() {
    let peer = ScriptedServer::start([reading_all("CLIENT MAINT_NOTIFICATIONS")]);
    let main = DatabaseConfig::from_url(peer.url()).protocol(Protocol::Resp3);
    let (supervisor, main) = spawn(main).await;
    assert_eq!(get(&main).await, "a value");
    let _lease = main.lease().await.expect("a lease");
    for connection in [peer.accepted() - 2, peer.accepted() - 1] {
        assert_eq!(introductions(&peer, connection), NAMES);
    }
    supervisor.shutdown(SOON).await;
}

/// Two servers behind one address, of which one is going away: every other connection ends early.
#[tokio::test]
async fn row_55_one_of_two_servers_that_is_going_away_changes_no_greeting() {
    let leaving = Script::sessions(|| |_: &[Vec<u8>]| HANG_UP);
    let staying = Script::sessions(|| |command: &[Vec<u8>]| answer(command, |_, _| None));
    let scripts = [leaving, staying.clone()].into_iter().cycle().take(20);
    let peer = ScriptedServer::start(scripts);
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let main = DatabaseConfig::from_url(peer.url()).protocol(protocol);
        let (supervisor, main) = spawn(main).await;
        assert_eq!(get(&main).await, "a value");
        let told = introductions(&peer, peer.accepted() - 1);
        assert_eq!(told[..3], NAMES, "{protocol:?}");
        supervisor.shutdown(SOON).await;
    }
}

/// A server that was stalled for most of the time of a dial is no server that does not accept HELLO.
#[tokio::test]
async fn row_55_a_server_that_stalls_during_the_greeting_gets_the_whole_one() {
    if older_than(7, 0, "the protocol in CLIENT LIST") {
        return;
    }
    let server = RedisServer::start();
    let proxy = FaultProxy::start(server.port());
    for accepted in 1..=3 {
        server.freeze();
        let before = proxy.accepted();
        let main = DatabaseConfig::from_url(proxy.url())
            .protocol(Protocol::Resp3)
            .connect_timeout(Duration::from_secs(2));
        let supervisor = Supervisor::spawn(Config::new().database("main", main)).await;
        let supervisor = supervisor.expect("spawn");
        let shortened = "a greeting was given up";
        eventually_async(SOON, shortened, || proxy.accepted() - before >= accepted).await;
        server.thaw();
        supervisor.ready(SOON).await.expect("ready");
        assert_eq!(protocols(&server), ["3"], "after {accepted} greetings");
        supervisor.shutdown(SOON).await;
        eventually_async(SOON, "all is closed", || protocols(&server).is_empty()).await;
    }
}

/// A user without the permission for a courtesy is not caught asking at every probe.
#[tokio::test]
async fn row_56_refused_courtesies_are_not_asked_for_again() {
    if older_than(6, 2, "subcommands in ACL rules") {
        return;
    }
    let server = RedisServer::start();
    let set = [
        "ACL", "SETUSER", "app", "on", ">s3cret", "~*", "+@all", "-ping", "-client", "-select",
    ];
    assert_eq!(server.cli(&set), "OK");
    let url = format!("redis://app:s3cret@127.0.0.1:{}/0", server.port());
    let main = DatabaseConfig::from_url(url).health_check_interval(Duration::from_millis(20));
    let (supervisor, main) = spawn(main).await;
    assert_eq!(server.cli(&["ACL", "LOG", "RESET"]), "OK");
    let greetings = server.commandstat("hello");
    let lease = main.lease().await.expect("a lease");
    let probed = || server.commandstat("hello") >= greetings + 20;
    eventually_async(SOON, "twenty probes", probed).await;
    assert_eq!(server.command(&["ACL", "LOG"]), Reply::Array(Vec::new()));
    assert_eq!(stats(&supervisor).circuit, CircuitState::Closed);
    drop(lease);
    supervisor.shutdown(SOON).await;
}

/// An answer to PING that may be over in a moment proves no connection.
#[tokio::test]
async fn row_57_an_error_that_may_be_over_soon_is_no_proof() {
    for (refusal, expected) in [
        ("-LOADING Redis is loading the dataset", Reason::Loading),
        ("-BUSY Redis is busy running a script", Reason::Busy),
        ("-MASTERDOWN Link with MASTER is down", Reason::PrimaryDown),
        ("-NOAUTH Authentication required.", Reason::Rejected),
        ("-ERR max number of clients reached", Reason::ServerFull),
        ("-ERR Connection timed out", Reason::Unreachable),
    ] {
        let peer = ScriptedServer::start([Script::sessions(move || {
            move |command: &[Vec<u8>]| {
                answer(command, |name, _| (name == "PING").then(|| line(refusal)))
            }
        })]);
        let main = DatabaseConfig::from_url(peer.url())
            .command_timeout(Duration::from_millis(300))
            .connect_timeout(Duration::from_millis(200));
        let config = Config::new().database("main", main);
        let supervisor = Supervisor::spawn(config).await.expect("spawn");
        let is_it = |event: &HealthEvent| match event.state {
            HealthState::Degraded { reason } | HealthState::Down { reason, .. } => {
                reason == expected
            }
            _ => false,
        };
        event(&mut supervisor.subscribe(), is_it).await;
        let main = supervisor.database("main").expect("main");
        let got = main.query::<i64>(cmd("STRLEN").arg("key")).await;
        assert_eq!(
            got.expect_err("no connection").execution(),
            NotSent,
            "{refusal}"
        );
        assert_eq!(peer.count("STRLEN"), 0, "{refusal}");
        supervisor.shutdown(SOON).await;
    }
}
