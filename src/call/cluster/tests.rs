//! Goal: the calls of one task for a slot reach its nodes in the order in which they were made, while the slot moves.
//! Method: two nodes whose mailboxes the test reads, so that it says what each node answers, and when.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
};

use futures_util::poll;
use redis::cmd;
use tokio::{
    runtime::Handle,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Duration, Instant, advance, sleep},
};

use super::*;
use crate::{
    backend::Server,
    config::{Address, Config, DatabaseConfig, resolve},
    identity::PartOf,
    messages::Waiting,
    net::{Activity, Answered, Dialler, Executor, FixedAddress, Origin, Request, SocketConnector},
    policy::gate_state::GateState,
    state::{ClusterNode, DatabaseState, Route, SlotTable},
};

/// Sends as the crate does, and does something right before the first time.
#[derive(Clone)]
struct Late {
    is_done: Arc<AtomicBool>,
    before: Arc<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Late")
    }
}

impl Backend for Late {
    fn send(&self, state: &DatabaseState, request: Request) {
        if !self.is_done.swap(true, Relaxed) {
            (self.before)();
        }
        Server.send(state, request);
    }

    fn send_later(&self, state: &DatabaseState, request: Request, pause: Duration) {
        Server.send_later(state, request, pause);
    }

    fn send_elsewhere(&self, state: &DatabaseState, request: Request, origin: Origin) {
        Server.send_elsewhere(state, request, origin);
    }

    fn lend(&self, state: &DatabaseState, waiting: Waiting) {
        Server.lend(state, waiting);
    }
}

struct Node {
    address: Address,
    state: Arc<DatabaseState>,
    mailbox: UnboundedReceiver<Request>,
}

struct Site {
    engine: CallEngine,
    nodes: [Node; 2],
}

impl Site {
    /// All slots are at the first node.
    fn new() -> Self {
        let config = DatabaseConfig::cluster(["10.0.0.1:6379"]);
        let settings = resolve(Config::new().database("main", config)).expect("settings");
        let settings = settings.databases[0].clone();
        let executor = Arc::new(Executor::new(Some(Handle::current())));
        let roster = Arc::default();
        let state = |settings, part_of, whole: Option<&Arc<DatabaseState>>| {
            // Unused: nothing here dials.
            let dialler = Dialler::new(FixedAddress, Arc::new(SocketConnector::default()));
            let whole = whole.map(|whole| &whole.cluster);
            let now = Instant::now().into_std();
            let executor = executor.clone();
            let roster = Arc::clone(&roster);
            DatabaseState::new(settings, part_of, whole, dialler, executor, roster, now)
        };
        let whole = state(settings.clone(), None, None);
        whole.set_gate(GateState::Free);
        let nodes = [1, 2].map(|n| {
            let address = Address::of_host(&format!("10.0.0.{n}"), 6379).expect("an address");
            let settings = Arc::new(settings.of_part(&address));
            let part_of = PartOf::Nodes(whole.id.clone());
            let state = state(settings, Some(part_of), Some(&whole));
            state.set_gate(GateState::Free);
            let (sender, mailbox) = unbounded_channel();
            state.parking.open();
            state.parking.publish(&[Arc::new(Route {
                id: n,
                mailbox: sender,
                address: address.clone(),
                activity: Arc::new(Activity::starting(Instant::now())),
                number: None,
            })]);
            Node {
                address,
                state,
                mailbox,
            }
        });
        let site = Self {
            engine: CallEngine::new(whole),
            nodes,
        };
        site.publish(0);
        site
    }

    /// Nodes that are asked now tell that the node of this position has all slots.
    fn publish(&self, at: u16) {
        let table = self.table(at);
        self.engine.state.cluster.publish(table, Instant::now());
    }

    fn table(&self, at: u16) -> SlotTable {
        let nodes = self.nodes.iter().map(|node| ClusterNode {
            address: node.address.clone(),
            state: node.state.clone(),
            has_slots: Arc::new(AtomicBool::new(true)),
            replicas: Arc::default(),
        });
        let owners = [Some(at); Slot::COUNT as usize];
        SlotTable::new(nodes.collect(), &owners, None)
    }

    /// The first node says that the slot has moved to the second one.
    fn move_slot(&self) {
        let [first, second] = &self.nodes;
        let cluster = &self.engine.state.cluster;
        assert!(cluster.moved(slot(), &second.address, Some(&first.state)));
    }
}

impl Node {
    /// The next request, with its command.
    fn next(&mut self) -> Option<(String, Request)> {
        let request = self.mailbox.try_recv().ok()?;
        let words = String::from_utf8_lossy(&request.bytes).into_owned();
        let words = words.split("\r\n").skip(2).step_by(2).collect::<Vec<_>>();
        Some((words.join(" ").trim().into(), request))
    }

    /// Answers what has been sent to it, and returns the commands but for the questions of this crate.
    fn answer(&mut self) -> Vec<String> {
        let mut commands = Vec::new();
        while let Some((command, mut request)) = self.next() {
            request.responder.finish(Ok(Answered {
                reply: Reply::One(Value::Okay),
                origin: Origin::Connection(0),
                redirects: None,
            }));
            if command != "PING" {
                commands.push(command);
            }
        }
        commands
    }
}

fn slot() -> Slot {
    Slot::of(b"key")
}

type Call<'a> = Pin<Box<dyn Future<Output = Result<Value, Error>> + 'a>>;

/// A call that has handed its request over, or waits to do so.
async fn made<B: Backend>(engine: &CallEngine<B>, value: u8) -> Call<'_> {
    let mut call: Call<'_> = Box::pin(async move {
        let command = cmd("RPUSH").arg("key").arg(value).take();
        let options = engine.options(super::super::Overrides::default());
        engine.execute(&command, &options).await
    });
    assert!(poll!(&mut call).is_pending(), "nobody has answered");
    call
}

/// Time passes, and the tasks of the crate run.
async fn pass(time: Duration) {
    advance(time).await;
    // All of them.
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_those_that_were_made_before_its_slot_moved() {
    let mut site = Site::new();
    let engine = site.engine.clone();
    let mut early = made(&engine, 1).await;
    site.move_slot();
    let late = made(&engine, 2).await;
    pass(Duration::from_millis(100)).await;
    let [first, second] = &mut site.nodes;
    assert_eq!(
        second.answer(),
        [""; 0],
        "the first node has not answered yet"
    );
    assert_eq!(first.answer(), ["RPUSH key 1"]);
    assert_eq!(
        poll!(&mut early).map(Result::ok),
        Poll::Ready(Some(Value::Okay))
    );
    // It answers the question that it is asked then.
    for _ in 0..10 {
        pass(Duration::from_millis(1)).await;
        first.answer();
    }
    assert_eq!(second.answer(), ["RPUSH key 2"]);
    drop(late);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_node_is_not_waited_for_for_longer_than_an_attempt() {
    let mut site = Site::new();
    let engine = site.engine.clone();
    let _early = made(&engine, 1).await;
    site.move_slot();
    let _late = made(&engine, 2).await;
    let limit = site.nodes[0].state.settings.load().attempt_timeout;
    pass(limit - Duration::from_millis(10)).await;
    assert_eq!(site.nodes[1].answer(), [""; 0]);
    pass(Duration::from_millis(20)).await;
    assert_eq!(site.nodes[1].answer(), ["RPUSH key 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_strays_does_not_let_later_calls_come_before_held_ones() {
    let mut site = Site::new();
    let engine = site.engine.clone();
    let _early = made(&engine, 1).await;
    site.move_slot();
    let _held = made(&engine, 2).await;
    // The first node is asked by now.
    pass(Duration::from_millis(10)).await;
    let first = site.nodes[0].state.clone();
    engine.state.cluster.strayed(slot(), &first);
    let _next = made(&engine, 3).await;
    let limit = first.settings.load().attempt_timeout;
    pass(limit - Duration::from_millis(30)).await;
    assert_eq!(site.nodes[1].answer(), [""; 0]);
    pass(Duration::from_millis(50)).await;
    let both = site.nodes[1].answer();
    assert_eq!(both, ["RPUSH key 2", "RPUSH key 3"]);
}

/// What happens to the slot while a thread stands still.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Moved,
    Published,
    /// A table that has it where it was, and then the word of the node.
    PublishedAndMoved,
}

/// A thread that looks for the node of its slot and then stands still hands its request over when all is settled long since.
#[tokio::test(start_paused = true)]
async fn a_request_that_comes_after_its_slot_has_left_holds_later_calls() {
    for meanwhile in [
        Meanwhile::Moved,
        Meanwhile::Published,
        Meanwhile::PublishedAndMoved,
    ] {
        let site = Site::new();
        let [first, second] = &site.nodes;
        let (cluster, address) = (site.engine.state.clone(), second.address.clone());
        let by = first.state.clone();
        let [same, other] = [0, 1].map(|at| std::sync::Mutex::new(Some(site.table(at))));
        let before = move || {
            let publish = |table: &std::sync::Mutex<Option<SlotTable>>| {
                let table = table.lock().expect("a lock").take();
                cluster
                    .cluster
                    .publish(table.expect("a table"), Instant::now());
            };
            let move_slot = || cluster.cluster.moved(slot(), &address, Some(&by));
            // As long as that, nobody waits for the node.
            by.set_gate(GateState::Open);
            match meanwhile {
                Meanwhile::Moved => assert!(move_slot()),
                Meanwhile::Published => publish(&other),
                Meanwhile::PublishedAndMoved => {
                    publish(&same);
                    assert!(move_slot());
                }
            }
            by.set_gate(GateState::Free);
        };
        let late = Late {
            is_done: Arc::default(),
            before: Arc::new(before),
        };
        let engine = CallEngine::on(site.engine.state.clone(), late);
        let mut site = site;
        let _strayed = made(&engine, 1).await;
        let _next = made(&engine, 2).await;
        let [first, second] = &mut site.nodes;
        pass(Duration::from_millis(10)).await;
        assert_eq!(second.answer(), [""; 0], "{meanwhile:?}");
        for _ in 0..10 {
            first.answer();
            pass(Duration::from_millis(1)).await;
        }
        assert_eq!(second.answer(), ["RPUSH key 2"], "{meanwhile:?}");
    }
}
