//! Servers that announce their maintenance, as Redis Enterprise does. No free server does it, so scripted ones play them:
//! an announcement goes out to each connection that was open when it was made, before the reply to its next command.

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use redis_steward::{MaintenanceNotifications, Protocol};
use tokio::task::JoinSet;

use super::*;
use crate::common::{
    Script, ScriptedServer,
    ports::free_port,
    resp::{bulk, encode},
    script::handshake,
    spawn,
};

/// A server that announces what it is told to.
pub(crate) struct Node {
    server: Arc<ScriptedServer>,
    stage: Arc<Stage>,
}

#[derive(Default)]
struct Stage {
    announcements: Mutex<Vec<Vec<u8>>>,
    /// Comes before the reply to the PING of the next greeting.
    at_ping: Mutex<Option<Vec<u8>>>,
    /// How long each reply takes, in milliseconds.
    delay: AtomicU64,
    closes: AtomicBool,
}

impl Node {
    pub(crate) fn start() -> Self {
        let stage = Arc::<Stage>::default();
        let of_script = stage.clone();
        let script = Script::sessions(move || {
            let stage = of_script.clone();
            let mut told = stage.announcements.lock().unwrap().len();
            let mut is_greeted = false;
            move |command: &[Vec<u8>]| {
                let mut reply = handshake(command);
                if let Some(greeting) = reply.take_if(|_| !is_greeted) {
                    is_greeted = command[0] == b"PING";
                    let early = stage.at_ping.lock().unwrap().take_if(|_| is_greeted);
                    return Some([early.unwrap_or_default(), greeting].concat());
                }
                let reply = match reply {
                    Some(reply) => reply,
                    None => bulk(command.get(1)?),
                };
                std::thread::sleep(Duration::from_millis(stage.delay.load(SeqCst)));
                let announcements = stage.announcements.lock().unwrap();
                let mut answer = announcements[told..].concat();
                told = announcements.len();
                answer.extend(reply);
                (!stage.closes.load(SeqCst)).then_some(answer)
            }
        });
        let server = Arc::new(ScriptedServer::start([script]));
        Self { server, stage }
    }

    pub(crate) fn announce(&self, words: &[&str]) {
        self.stage.announcements.lock().unwrap().push(push(words));
    }

    fn moves_to(&self, other: &Self, sequence: usize) {
        let (sequence, to) = (sequence.to_string(), other.address());
        self.announce(&["MOVING", &sequence, "15", &to]);
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    pub(crate) fn config(&self) -> DatabaseConfig {
        DatabaseConfig::from_url(self.server.url()).protocol(Protocol::Resp3)
    }

    /// The same by way of a proxy.
    pub(crate) fn config_through(&self, proxy: &FaultProxy) -> DatabaseConfig {
        DatabaseConfig::from_url(proxy.url()).protocol(Protocol::Resp3)
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port()
    }

    /// From now on each reply after a greeting takes so many milliseconds.
    pub(crate) fn slow_down(&self, delay: u64) {
        self.stage.delay.store(delay, SeqCst);
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.server.count(name)
    }

    fn echoes(&self) -> usize {
        self.server.count("ECHO")
    }

    /// How often it was asked for announcements, and in which form.
    fn asked(&self) -> Vec<String> {
        let seen = self.server.seen();
        let asked = seen.iter().filter(|command| {
            let word = command.get(1).map(|word| word.as_slice());
            word == Some(b"MAINT_NOTIFICATIONS")
        });
        let words = asked.map(|command| String::from_utf8(command.join(&b' ')).unwrap());
        words.collect()
    }
}

/// A push of these words.
fn push(words: &[&str]) -> Vec<u8> {
    let mut push = encode(words);
    push[0] = b'>';
    push
}

/// Callers that ask all the time, and check each reply.
struct Load {
    callers: JoinSet<u64>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    fn start(main: &Database) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let mut callers = JoinSet::new();
        for caller in 0..8 {
            let (main, is_over) = (main.clone(), is_over.clone());
            callers.spawn(async move {
                let mut calls = 0;
                while !is_over.load(SeqCst) {
                    let nonce = format!("{caller}-{calls}");
                    let reply: String = main.query(cmd("ECHO").arg(&nonce)).await.expect("a reply");
                    assert_eq!(reply, nonce);
                    calls += 1;
                }
                calls
            });
        }
        Self { callers, is_over }
    }

    /// The number of calls, of which none has failed.
    async fn end(self) -> u64 {
        self.is_over.store(true, SeqCst);
        self.callers.join_all().await.into_iter().sum()
    }
}

pub(crate) async fn echo(main: &Database, text: &str) -> Result<String, Error> {
    main.query(cmd("ECHO").arg(text)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_240_a_server_that_moves_is_left_before_it_goes() {
    let (old, new) = (Node::start(), Node::start());
    let (supervisor, main) = spawn(old.config()).await;
    let mut events = supervisor.subscribe();
    let expected = ["CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip"];
    let load = Load::start(&main);
    eventually_async(SOON, "the load runs", || old.echoes() > 100).await;
    assert_eq!(old.asked(), expected);
    old.moves_to(&new, 1);
    eventually_async(SOON, "the new one is open", || new.server.accepted() > 0).await;
    eventually_async(SOON, "the old one is closed", || old.server.open() == 0).await;
    let before = new.echoes();
    eventually_async(SOON, "calls go on", || new.echoes() > before + 100).await;
    let calls = load.end().await;
    assert_eq!(
        old.echoes() + new.echoes(),
        calls as usize,
        "none ran twice"
    );

    let handoff = loop {
        if let Some(handoff) = events.next().await.expect("an event").handoff {
            break handoff;
        }
    };
    assert_eq!(
        (&*handoff.from, &*handoff.to),
        (&*old.address(), &*new.address())
    );
    let stats = stats(&supervisor);
    assert_eq!((stats.pool.handoffs, stats.pool.evicted.moved), (1, 1));
    assert_eq!((stats.pool.lost, stats.lost, stats.retried), (0, 0, 0));
    assert_eq!(stats.health, HealthState::Healthy);
    supervisor.shutdown(SOON).await;
}

/// A server that greets nobody until it is told to.
fn starting() -> (ScriptedServer, Arc<OnceLock<()>>) {
    let accepts = Arc::<OnceLock<()>>::default();
    let greets = accepts.clone();
    let server = ScriptedServer::start([Script::answering_all(move |command| {
        if command[0] == b"HELLO" {
            greets.wait();
        }
        handshake(command).unwrap_or_else(|| bulk(&command[1]))
    })]);
    (server, accepts)
}

/// A dial that the new server answers late shows the order: the old connection serves until the new one is open.
#[tokio::test]
async fn row_240_the_successor_is_open_before_the_old_connection_goes() {
    let old = Node::start();
    let (slow, accepts) = starting();
    let (supervisor, main) = spawn(old.config()).await;
    old.announce(&["MOVING", "1", "15", &format!("127.0.0.1:{}", slow.port())]);
    echo(&main, "a").await.expect("the announcement");
    eventually_async(SOON, "the successor is dialled", || slow.count("HELLO") > 0).await;
    let before = old.echoes();
    for _ in 0..10 {
        echo(&main, "b").await.expect("the old one serves");
    }
    assert_eq!((old.echoes(), slow.count("ECHO")), (before + 10, 0));
    accepts.set(()).expect("once");
    let is_there = || stats(&supervisor).pool.evicted.moved == 1;
    eventually_async(SOON, "the successor is open", is_there).await;
    echo(&main, "c").await.expect("the new one serves");
    assert_eq!((old.echoes(), slow.count("ECHO")), (before + 10, 1));
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_241_ten_moves_under_load_fail_no_call() {
    let nodes = [Node::start(), Node::start()];
    let (supervisor, main) = spawn(nodes[0].config()).await;
    let load = Load::start(&main);
    for turn in 0..10 {
        let [from, to] = [turn % 2, (turn + 1) % 2].map(|at| &nodes[at]);
        let before = to.echoes();
        from.moves_to(to, turn);
        eventually_async(SOON, "calls go to the new one", || to.echoes() > before).await;
        eventually_async(SOON, "the old one is closed", || from.server.open() == 0).await;
    }
    let calls = load.end().await;
    let echoes: usize = nodes.iter().map(Node::echoes).sum();
    assert_eq!(echoes, calls as usize, "none ran twice");
    let stats = stats(&supervisor);
    assert_eq!((stats.pool.handoffs, stats.pool.evicted.moved), (10, 10));
    assert_eq!((stats.pool.lost, stats.lost, stats.retried), (0, 0, 0));
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_242_without_an_address_the_present_one_is_dialled_after_half_of_the_time() {
    let node = Node::start();
    let (supervisor, main) = spawn(node.config()).await;
    echo(&main, "a").await.expect("a reply");
    let announced = Instant::now();
    let null = b">4\r\n$6\r\nMOVING\r\n:1\r\n:2\r\n_\r\n".to_vec();
    node.stage.announcements.lock().unwrap().push(null);
    echo(&main, "b").await.expect("the announcement");
    let has_moved = || stats(&supervisor).pool.evicted.moved == 1;
    eventually_async(SOON, "another connection serves", has_moved).await;
    let took = announced.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    echo(&main, "c").await.expect("the new connection");
    eventually_async(SOON, "the old one is closed", || node.server.open() == 1).await;
    let stats = stats(&supervisor);
    assert_eq!(
        (stats.pool.handoffs, stats.pool.opened, stats.pool.lost),
        (1, 2, 0)
    );
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_243_slow_replies_during_maintenance_are_no_fault() {
    for (begins, ends) in [
        (
            &["MIGRATING", "1", "2", "[\"1\"]"][..],
            ["MIGRATED", "2", "[\"1\"]"],
        ),
        (&["FAILING_OVER", "1", "2"], ["FAILED_OVER", "2", "7"]),
        (
            &["SMIGRATING", "1", "5,70-90"],
            ["SMIGRATED", "2", "5,70-90"],
        ),
    ] {
        let node = Node::start();
        let limit = Duration::from_millis(100);
        let main = node.config().attempt_timeout(limit);
        let (supervisor, main) = spawn(main).await;
        node.announce(begins);
        echo(&main, "a").await.expect("the announcement");
        node.stage.delay.store(300, SeqCst);
        for _ in 0..3 {
            echo(&main, "b").await.expect("a slow reply");
        }
        // Calls that end sooner than a reply comes are no evidence either.
        let hasty = main.with_timeout(2 * limit);
        for _ in 0..6 {
            echo(&hasty, "c").await.expect_err("no reply in time");
        }
        let present = stats(&supervisor);
        assert_eq!(
            (present.slow, present.health),
            (0, HealthState::Healthy),
            "{begins:?}"
        );
        assert_eq!(
            (present.pool.opened, present.pool.lost),
            (1, 0),
            "{begins:?}"
        );

        node.announce(&ends);
        echo(&main, "d").await.expect("the end is announced");
        echo(&main, "e").await.expect("a slow reply");
        let slow = || stats(&supervisor).slow;
        assert!(slow() > 0, "{ends:?}: a slow reply counts again");
        supervisor.shutdown(SOON).await;
    }
}

/// Several shards of one server migrate at the same time, and one of them is there sooner.
#[tokio::test]
async fn row_243_slow_replies_are_no_fault_until_the_last_shard_has_moved() {
    for [first, second] in [["[\"1\"]", "[\"2\"]"], ["", ""]] {
        let node = Node::start();
        let main = node.config().attempt_timeout(Duration::from_millis(100));
        let (supervisor, main) = spawn(main).await;
        node.announce(&["MIGRATING", "1", "2", first]);
        node.announce(&["MIGRATING", "2", "2", second]);
        node.announce(&["MIGRATED", "3", first]);
        echo(&main, "a").await.expect("the announcements");
        node.stage.delay.store(300, SeqCst);
        echo(&main, "b").await.expect("a slow reply");
        assert_eq!(stats(&supervisor).slow, 0, "the second one is under way");
        node.announce(&["MIGRATED", "4", second]);
        echo(&main, "c").await.expect("the end is announced");
        echo(&main, "d").await.expect("a slow reply");
        assert!(stats(&supervisor).slow > 0);
        supervisor.shutdown(SOON).await;
    }
}

/// A burst within one turn of the connection, of which the last announcement is the one that matters.
#[tokio::test]
async fn row_243_an_end_behind_many_announcements_is_heard() {
    let node = Node::start();
    let main = node.config().attempt_timeout(Duration::from_millis(100));
    let (supervisor, main) = spawn(main).await;
    node.announce(&["MIGRATING", "1", "2", "first"]);
    for shard in 0..200 {
        let shard = shard.to_string();
        node.announce(&["MIGRATING", "2", "2", &shard]);
        node.announce(&["MIGRATED", "3", &shard]);
    }
    node.announce(&["MIGRATED", "4", "first"]);
    echo(&main, "a").await.expect("the announcements");
    node.stage.delay.store(300, SeqCst);
    echo(&main, "b").await.expect("a slow reply");
    assert!(stats(&supervisor).slow > 0, "all is over");
    supervisor.shutdown(SOON).await;
}

/// The same replies without an announcement open the circuit, so the test above can fail.
#[tokio::test]
async fn row_243_without_an_announcement_they_are_a_fault() {
    let node = Node::start();
    let limit = Duration::from_millis(100);
    let main = node.config().attempt_timeout(limit);
    let (supervisor, main) = spawn(main).await;
    node.stage.delay.store(300, SeqCst);
    echo(&main, "a").await.expect("a slow reply");
    assert_eq!(stats(&supervisor).slow, 1);
    let hasty = main.with_timeout(2 * limit);
    for _ in 0..6 {
        echo(&hasty, "c").await.expect_err("no reply in time");
    }
    let is_noticed = || {
        let stats = stats(&supervisor);
        stats.health != HealthState::Healthy || stats.pool.lost > 0
    };
    eventually_async(SOON, "it is noticed", is_noticed).await;
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_244_announcements_that_make_no_sense_change_nothing() {
    let node = Node::start();
    let (supervisor, main) = spawn(node.config()).await;
    echo(&main, "a").await.expect("a reply");
    let huge = "9".repeat(40);
    for words in [
        &["MOVING"][..],
        &["MOVING", "1"],
        &["MOVING", "one", "1", "127.0.0.1:1"],
        &["MOVING", "1", "-1", "127.0.0.1:1"],
        &["MOVING", "1", &huge, "127.0.0.1:1"],
        &["MOVING", "1", "1", "127.0.0.1"],
        &["MOVING", "1", "1", "127.0.0.1:99999"],
        &["MOVING", "1", "1", ":1"],
        &["MOVING", "1", "1", "\u{1}:1"],
        &["MIGRATING", "x", "y"],
        &["MIGRATED"],
        &["SMIGRATED", "\u{fffd}"],
        &["FAILED_OVER", ""],
        &["MOVED", "1", "1", "127.0.0.1:1"],
        &["moving", "1", "1", "127.0.0.1:1"],
    ] {
        node.announce(words);
        let reply = echo(&main, "b").await.expect("a reply");
        assert_eq!(reply, "b", "{words:?}");
    }
    for raw in [
        &b">1\r\n*1\r\n$6\r\nMOVING\r\n"[..],
        b">4\r\n$6\r\nMOVING\r\n:1\r\n*0\r\n_\r\n",
        b">4\r\n$6\r\nMOVING\r\n:1\r\n:1\r\n$2\r\n\xff\xfe\r\n",
    ] {
        let before = stats(&supervisor).pool.opened;
        node.stage.announcements.lock().unwrap().push(raw.to_vec());
        let reply = echo(&main, "b").await;
        // A push without a kind is no push at all, and ends its connection as ever.
        let is_malformed = stats(&supervisor).pool.opened > before || reply.is_err();
        assert_eq!(is_malformed, raw.starts_with(b">1"), "{raw:?}");
    }
    assert_eq!(stats(&supervisor).pool.handoffs, 0);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_245_a_server_without_announcements_is_asked_once() {
    let peer = ScriptedServer::start([Script::answering_all(|command| {
        if command
            .get(1)
            .is_some_and(|word| word == b"MAINT_NOTIFICATIONS")
        {
            return b"-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n".to_vec();
        }
        handshake(command).unwrap_or_else(|| bulk(&command[1]))
    })]);
    let main = DatabaseConfig::from_url(peer.url()).protocol(Protocol::Resp3);
    let (supervisor, main) = spawn(main).await;
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(main.lease().await.expect("a lease"));
    }
    let words: Vec<_> = peer
        .seen()
        .into_iter()
        .map(|words| words.join(&b' '))
        .collect();
    let asked = |what: &str| {
        let starts = words
            .iter()
            .filter(|words| words.starts_with(what.as_bytes()));
        starts.count()
    };
    assert_eq!(asked("CLIENT MAINT_NOTIFICATIONS"), 1, "{words:?}");
    assert_eq!(asked("CLIENT SETNAME"), 4, "names are told all the same");
    assert_eq!(peer.accepted(), 4, "no dial took two connections");
    drop(leases);
    supervisor.shutdown(SOON).await;

    let real = RedisServer::start();
    let main = DatabaseConfig::from_url(real.url()).protocol(Protocol::Resp3);
    let (supervisor, main) = spawn(main).await;
    assert_eq!(echo(&main, "a").await.expect("a reply"), "a");
    let _lease = main.lease().await.expect("a lease");
    supervisor.shutdown(SOON).await;
}

/// A proxy that hangs up at what it does not know costs the announcements alone.
#[tokio::test]
async fn row_245_a_peer_that_hangs_up_at_the_question_is_not_asked_again() {
    let words = &["CLIENT", "MAINT_NOTIFICATIONS"];
    let peer = ScriptedServer::start([Script::hanging_up_at(words)]);
    let main = DatabaseConfig::from_url(peer.url()).protocol(Protocol::Resp3);
    let (supervisor, main) = spawn(main).await;
    let before = peer.accepted();
    let _lease = main.lease().await.expect("a lease");
    assert_eq!(peer.accepted(), before + 1, "it is remembered");
    let last = peer.seen_on(before);
    let has = |word: &[u8]| {
        last.iter()
            .any(|words| words.iter().any(|known| known == word))
    };
    assert!(has(b"HELLO") && has(b"SETNAME") && !has(b"MAINT_NOTIFICATIONS"));
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_246_nothing_is_asked_in_resp2_or_if_that_is_not_wanted() {
    let node = Node::start();
    let off = MaintenanceNotifications::Off;
    for main in [
        node.config().protocol(Protocol::Resp2),
        node.config().maintenance_notifications(off),
    ] {
        let (supervisor, main) = spawn(main).await;
        echo(&main, "a").await.expect("a reply");
        supervisor.shutdown(SOON).await;
    }
    assert_eq!(node.asked(), Vec::<String>::new());
    let none = MaintenanceNotifications::NoAddress;
    let (supervisor, main) = spawn(node.config().maintenance_notifications(none)).await;
    echo(&main, "a").await.expect("a reply");
    let expected = ["CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type none"];
    assert_eq!(node.asked(), expected);
    supervisor.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_247_an_address_where_no_server_answers_takes_nothing_from_callers() {
    let node = Node::start();
    let nowhere = free_port();
    let (supervisor, main) = spawn(node.config()).await;
    let load = Load::start(&main);
    node.announce(&["MOVING", "1", "15", &format!("127.0.0.1:{nowhere}")]);
    let is_given_up = || stats(&supervisor).pool.evicted.moved == 1;
    eventually_async(SOON, "the address is given up", is_given_up).await;
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(main.lease().await.expect("a lease"));
    }
    load.end().await;
    let pool = stats(&supervisor).pool;
    assert_eq!((pool.lost, pool.handoffs), (0, 0));
    assert!(pool.dial_failures >= 5, "{pool:?}");
    drop(leases);
    // The old connection goes, and the old address is the only one left.
    node.stage.closes.store(true, SeqCst);
    let _ = echo(&main, "a").await;
    node.stage.closes.store(false, SeqCst);
    let patient = main.patient().with_timeout(SOON);
    assert_eq!(echo(&patient, "b").await.expect("the old address"), "b");
    supervisor.shutdown(SOON).await;
}

/// A peer that accepts and says nothing takes the whole time of a dial, as a network that swallows packets does.
#[tokio::test]
async fn row_247_an_address_that_swallows_packets_delays_no_lease() {
    let node = Node::start();
    let silent = ScriptedServer::start([Script::silent()]);
    let limit = Duration::from_secs(8);
    let main = node.config().connect_timeout(limit);
    let main = main.command_timeout(4 * limit).acquire_timeout(limit / 2);
    let (supervisor, main) = spawn(main).await;
    node.announce(&["MOVING", "1", "60", &format!("127.0.0.1:{}", silent.port())]);
    echo(&main, "a").await.expect("the announcement");
    let is_dialled = || silent.accepted() > 0;
    eventually_async(SOON, "the new address is dialled", is_dialled).await;
    let mut leases = Vec::new();
    for _ in 0..3 {
        let mut lease = main.lease().await.expect("a lease at the old address");
        let reply: String = lease.query(cmd("ECHO").arg("b")).await.expect("a reply");
        assert_eq!(reply, "b");
        leases.push(lease);
    }
    assert_eq!((node.echoes(), silent.accepted()), (4, 1));
    drop(leases);

    // The last shared connection goes while the new address is dialled.
    node.stage.closes.store(true, SeqCst);
    let _ = echo(&main, "c").await;
    node.stage.closes.store(false, SeqCst);
    let hasty = main.patient().with_timeout(3 * limit / 4);
    assert_eq!(echo(&hasty, "d").await.expect("the old address"), "d");
    supervisor.shutdown(SOON).await;
}

/// A server that is not ready yet, although its address was told.
#[tokio::test]
async fn row_247_leases_of_meanwhile_move_when_the_new_address_answers() {
    let old = Node::start();
    let (slow, accepts) = starting();
    let main = old.config().connect_timeout(SOON).command_timeout(3 * SOON);
    let (supervisor, main) = spawn(main).await;
    let announcement = ["MOVING", "1", "60", &format!("127.0.0.1:{}", slow.port())];
    old.announce(&announcement);
    echo(&main, "a").await.expect("the announcement");
    eventually_async(SOON, "the successor is dialled", || slow.count("HELLO") > 0).await;
    let idle = main.lease().await.expect("a lease at the old address");
    let mut lease = main.lease().await.expect("a lease at the old address");
    drop(idle);
    // It is told as well, which begins no other move.
    old.announce(&announcement);
    let reply: String = lease.query(cmd("ECHO").arg("b")).await.expect("a reply");
    assert_eq!((reply.as_str(), old.echoes()), ("b", 2));
    accepts.set(()).expect("once");
    // The shared one, and the idle one.
    let are_moved = || stats(&supervisor).pool.evicted.moved == 2;
    eventually_async(SOON, "the idle one is replaced as well", are_moved).await;
    drop(lease);
    eventually_async(SOON, "the old address is left", || old.server.open() == 0).await;
    let pool = stats(&supervisor).pool;
    assert_eq!((pool.handoffs, pool.evicted.moved, pool.lost), (1, 3, 0));
    let mut lease = main.lease().await.expect("a lease at the new address");
    let reply: String = lease.query(cmd("ECHO").arg("c")).await.expect("a reply");
    assert_eq!((reply.as_str(), slow.count("ECHO")), ("c", 1));
    drop(lease);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_248_a_lease_stays_where_it_is_until_it_is_given_back() {
    let (old, new) = (Node::start(), Node::start());
    let (supervisor, main) = spawn(old.config()).await;
    let mut lease = main.lease().await.expect("a lease");
    old.moves_to(&new, 1);
    let has_moved = || stats(&supervisor).pool.evicted.moved == 1;
    // It is told on the lease first.
    let reply: String = lease.query(cmd("ECHO").arg("a")).await.expect("a reply");
    assert_eq!(reply, "a");
    eventually_async(SOON, "the shared connection is replaced", has_moved).await;
    let reply: String = lease
        .query(cmd("ECHO").arg("b"))
        .await
        .expect("the old one");
    assert_eq!((reply.as_str(), old.echoes(), new.echoes()), ("b", 2, 0));
    drop(lease);
    eventually_async(SOON, "it is closed", || old.server.open() == 0).await;
    let mut lease = main.lease().await.expect("a lease");
    let reply: String = lease
        .query(cmd("ECHO").arg("c"))
        .await
        .expect("the new one");
    assert_eq!((reply.as_str(), old.echoes(), new.echoes()), ("c", 2, 1));
    let pool = stats(&supervisor).pool;
    assert_eq!((pool.handoffs, pool.evicted.moved, pool.lost), (1, 2, 0));
    drop(lease);
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_249_an_announcement_within_the_greeting_is_not_missed() {
    let (old, new) = (Node::start(), Node::start());
    let words = ["MOVING", "1", "15", &new.address()];
    *old.stage.at_ping.lock().unwrap() = Some(push(&words));
    let (supervisor, main) = spawn(old.config()).await;
    let has_moved = || stats(&supervisor).pool.evicted.moved == 1;
    eventually_async(SOON, "the connection is replaced", has_moved).await;
    echo(&main, "a").await.expect("the new one");
    assert_eq!((old.echoes(), new.echoes()), (0, 1));
    supervisor.shutdown(SOON).await;
}

/// The one node of a cluster, which announces that it moves, or that slots of it have moved. All slots are at this port.
fn cluster_node(slots_at: Arc<AtomicU64>, moves_to: Arc<AtomicU64>) -> ScriptedServer {
    ScriptedServer::start([Script::answering(move |command| {
        let words: Vec<_> = command.iter().map(|word| word.as_slice()).collect();
        match words[..] {
            [b"CLUSTER", b"SLOTS"] => {
                let port = slots_at.load(SeqCst);
                let node = format!("*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n");
                format!("*1\r\n*3\r\n:0\r\n:16383\r\n{node}").into_bytes()
            }
            [b"CLUSTER", b"INFO"] => {
                bulk("cluster_state:ok\r\ncluster_current_epoch:1\r\ncluster_my_epoch:1\r\n")
            }
            [b"GET", b"moved"] => {
                let triplets = "*1\r\n*3\r\n$3\r\na:1\r\n$3\r\nb:2\r\n$3\r\n1-5\r\n";
                let push = format!(">3\r\n$9\r\nSMIGRATED\r\n:1\r\n{triplets}");
                [push.into_bytes(), bulk("no")].concat()
            }
            [b"GET", b"moving"] => {
                let to = format!("127.0.0.1:{}", moves_to.load(SeqCst));
                [push(&["MOVING", "1", "60", &to]), bulk("old")].concat()
            }
            _ => bulk("new"),
        }
    })])
}

/// A cluster of one node, which announces that some of its slots have moved.
#[tokio::test]
async fn row_250_moved_slots_are_asked_for() {
    let slots_at = Arc::new(AtomicU64::new(0));
    let node = cluster_node(slots_at.clone(), Arc::default());
    slots_at.store(node.port().into(), SeqCst);
    let url = format!("redis+cluster://127.0.0.1:{}?protocol=3", node.port());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(url)).await;
    let get = |key: &'static str| {
        let main = main.clone();
        async move { main.query::<String>(cmd("GET").arg(key)).await }
    };
    get("a").await.expect("a reply");
    let surveys = || {
        let seen = node.seen();
        let surveys = seen
            .iter()
            .filter(|words| words.last().unwrap() == b"SLOTS");
        surveys.count()
    };
    for _ in 0..3 {
        let before = surveys();
        get("moved").await.expect("a reply");
        // Otherwise they are asked for every 30 s.
        let limit = Duration::from_secs(10);
        eventually_async(limit, "the slots are asked for", || surveys() > before).await;
    }
    get("b").await.expect("a reply");
    supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_255_a_node_of_a_cluster_that_moves_is_left_before_it_goes() {
    let (slots_at, moves_to) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let old = cluster_node(slots_at.clone(), moves_to.clone());
    let new = cluster_node(slots_at.clone(), moves_to.clone());
    slots_at.store(old.port().into(), SeqCst);
    moves_to.store(new.port().into(), SeqCst);
    let url = format!("redis+cluster://127.0.0.1:{}?protocol=3", old.port());
    let (supervisor, main) = spawn(DatabaseConfig::from_url(url)).await;
    let get =
        async |key: &str| -> String { main.query(cmd("GET").arg(key)).await.expect("a reply") };
    get("a").await;
    assert_eq!(new.accepted(), 0);
    assert_eq!(get("moving").await, "old");
    eventually_async(SOON, "the new one is open", || new.accepted() > 0).await;
    let deadline = Instant::now() + SOON;
    while new.count("GET") == 0 {
        get("a").await;
        assert!(Instant::now() < deadline, "commands go to the new one");
    }
    let before = old.count("GET");
    for _ in 0..10 {
        get("a").await;
    }
    assert_eq!(old.count("GET"), before);
    supervisor.shutdown(SOON).await;
}
