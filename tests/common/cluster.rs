//! A Redis Cluster: primaries with the slots spread over them, and replicas of each, every node a process of its own.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    RedisServer,
    cluster_view::NodeView,
    over_tls,
    server::percent_encoded,
    version::version,
    wait::{eventually, poll},
};

/// Milliseconds after which a silent node counts as dead.
const NODE_TIMEOUT: &str = "1000";
/// A handshake that has taken longer than the timeout of nodes is forgotten.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// A vote may fail and be repeated, and a replica waits after that.
const BOUND: Duration = Duration::from_secs(60);

/// How to start a [`Cluster`].
#[derive(Clone)]
#[must_use]
pub struct ClusterBuilder {
    primaries: usize,
    replicas: usize,
    pub(super) password: Option<String>,
    tls: bool,
    args: Vec<(String, String)>,
}

impl ClusterBuilder {
    /// Asks clients, and the nodes each other, for this password.
    pub fn requirepass(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Has the nodes speak TLS with each other and with clients. The fixture asks them without it.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Passes `--key value` to each node, in place of the fixture's own value for that key.
    pub fn arg(mut self, key: &str, value: &str) -> Self {
        self.args.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts the nodes, and waits until each says that the cluster is complete.
    pub fn start(self) -> Cluster {
        let turn = Turn::take();
        let nodes = self.primaries * (1 + self.replicas);
        let nodes = (0..nodes).map(|_| Node::start(&self)).collect();
        let cluster = Cluster {
            nodes,
            settings: self,
            _turn: turn,
        };
        cluster.form();
        cluster
    }
}

/// The nodes of a cluster. They are killed on drop.
///
/// A node is named by its number. At the start the first ones are the primaries, with the slots spread over them in
/// order, and then come the replicas of the first, the replicas of the second …
pub struct Cluster {
    nodes: Vec<Node>,
    pub(super) settings: ClusterBuilder,
    _turn: Turn,
}

struct Node {
    server: RedisServer,
    id: String,
    /// It was killed or stopped by the test, so it is not asked.
    is_away: AtomicBool,
}

impl Cluster {
    /// So many primaries, and so many replicas of each.
    pub fn start(primaries: usize, replicas: usize) -> Self {
        Self::builder(primaries, replicas).start()
    }

    pub fn builder(primaries: usize, replicas: usize) -> ClusterBuilder {
        ClusterBuilder {
            primaries,
            replicas,
            password: None,
            tls: false,
            args: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn node(&self, node: usize) -> &RedisServer {
        &self.nodes[node].server
    }

    /// The identifier of a node in the cluster.
    pub fn id(&self, node: usize) -> &str {
        &self.nodes[node].id
    }

    /// The number of the node at this port.
    pub fn at_port(&self, port: u16) -> usize {
        let mut servers = self.nodes.iter().map(|node| &node.server);
        servers
            .position(|server| server.port() == port)
            .expect("a node of the cluster")
    }

    /// Host and port of each node.
    pub fn seeds(&self) -> Vec<String> {
        let servers = self.nodes.iter().map(|node| &node.server);
        servers
            .map(|server| format!("127.0.0.1:{}", server.port()))
            .collect()
    }

    /// The URL of the cluster, with each node as a seed, and the password if there is one.
    pub fn url(&self) -> String {
        let password = self.settings.password.as_deref();
        let user = password.map_or(String::new(), |password| {
            format!(":{}@", percent_encoded(password))
        });
        format!("redis+cluster://{user}{}", self.seeds().join(","))
    }

    /// The same over TLS.
    pub fn tls_url(&self) -> String {
        let servers = self.nodes.iter().map(|node| &node.server);
        let seeds = servers.map(|server| format!("127.0.0.1:{}", server.tls_port()));
        let seeds: Vec<_> = seeds.collect();
        let ca = over_tls::ca_file();
        format!(
            "rediss+cluster://{}?ca_file={}",
            seeds.join(","),
            ca.display()
        )
    }

    /// The port at which other nodes reach a node.
    pub(super) fn data_port(&self, node: usize) -> u16 {
        let server = self.node(node);
        if self.settings.tls {
            server.tls_port()
        } else {
            server.port()
        }
    }

    /// The replicas that this primary had at the start.
    pub fn replicas_of(&self, primary: usize) -> std::ops::Range<usize> {
        let first = self.settings.primaries + primary * self.settings.replicas;
        first..first + self.settings.replicas
    }

    /// The nodes that the test has not taken away.
    pub fn present(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|node| !self.nodes[*node].is_away.load(Ordering::SeqCst))
    }

    /// The slot of a key.
    pub fn slot_of(&self, key: &str) -> u16 {
        let mut nodes = self.present();
        let node = self.node(nodes.next().expect("a node"));
        let slot = node.cli(&["CLUSTER", "KEYSLOT", key]);
        slot.trim().parse().expect("a slot")
    }

    /// The nodes that say that they are primaries with slots.
    pub fn primaries_now(&self) -> Vec<usize> {
        let serves = |node: &usize| {
            let own = NodeView::own(self.node(*node));
            own.is_some_and(|own| own.is_primary() && !own.slots.is_empty())
        };
        self.present().filter(serves).collect()
    }

    /// The primary of a slot, by what the nodes say of themselves. Of two that both claim it, the newer one.
    ///
    /// # Panics
    ///
    /// When no node serves the slot within the time that a failover takes.
    pub fn primary_of(&self, slot: u16) -> usize {
        let claim = |node: usize| {
            let own = NodeView::own(self.node(node))?;
            own.serves(slot).then_some((own.epoch, node))
        };
        let newest = || self.present().filter_map(claim).max();
        let found = poll(BOUND, Duration::from_millis(5), newest);
        found
            .unwrap_or_else(|| panic!("no primary serves slot {slot}"))
            .1
    }

    /// SIGKILL.
    pub fn kill(&self, node: usize) {
        self.nodes[node].is_away.store(true, Ordering::SeqCst);
        self.node(node).kill();
    }

    /// Kills a primary once its replicas have all that it has answered, so that nothing which was acknowledged is lost.
    pub fn kill_in_step(&self, node: usize) {
        self.hold_writes(node);
        self.kill(node);
    }

    /// The same with a freeze. Once it goes on, it is a replica.
    pub fn freeze_in_step(&self, node: usize) {
        self.hold_writes(node);
        self.freeze(node);
    }

    /// The node answers no writes from now on, and its replicas have all those that it has answered.
    pub fn hold_writes(&self, node: usize) {
        let server = self.node(node);
        assert_eq!(server.cli(&["CLIENT", "PAUSE", "20000", "WRITE"]), "OK");
        self.until_replicated(node);
    }

    /// Waits until the replicas of a primary have all that it has answered.
    pub fn until_replicated(&self, node: usize) {
        let server = self.node(node);
        let offset = |server: &RedisServer, key: &str| server.info("replication").get(key).cloned();
        eventually(BOUND, "the replicas have all writes", || {
            let all = offset(server, "master_repl_offset");
            let mut replicas = self.all_replicas_now(node).peekable();
            let has_one = replicas.peek().is_some();
            has_one
                && replicas.all(|replica| offset(self.node(replica), "slave_repl_offset") == all)
        });
    }

    /// Starts a node again with what it knew of the cluster. Its data are gone, unless the cluster was started with
    /// persistence.
    pub fn restart(&self, node: usize) {
        self.node(node).restart();
        self.nodes[node].is_away.store(false, Ordering::SeqCst);
    }

    /// SIGSTOP: it accepts connections and answers nothing.
    pub fn freeze(&self, node: usize) {
        self.nodes[node].is_away.store(true, Ordering::SeqCst);
        self.node(node).freeze();
    }

    /// SIGCONT.
    pub fn thaw(&self, node: usize) {
        self.node(node).thaw();
        self.nodes[node].is_away.store(false, Ordering::SeqCst);
    }

    /// Makes a replica the primary, with the consent of the primary (`CLUSTER FAILOVER`), and waits until it says that it
    /// is one. The others learn it in a moment; [`until_settled`](Self::until_settled) waits for that.
    pub fn failover_by_hand(&self, replica: usize) {
        let mut ordered = None::<Instant>;
        eventually(BOUND, "the replica is the primary", || {
            let own = NodeView::own(self.node(replica));
            if own.is_some_and(|own| own.is_primary()) {
                return true;
            }
            // The server gives up after 5 s. It refuses while it is not linked to its primary.
            if ordered.is_none_or(|at| at.elapsed() > Duration::from_secs(6)) {
                let reply = self.node(replica).cli(&["CLUSTER", "FAILOVER"]);
                ordered = (reply == "OK").then(Instant::now);
            }
            false
        });
    }

    /// Waits until a replica of a lost node says that it is the primary now. The others learn it in a moment.
    pub fn await_promotion(&self, of: usize) -> usize {
        let shard = self.shard_of(of);
        let is_promoted = |node: &usize| {
            *node != of
                && self.shard_of(*node) == shard
                && NodeView::own(self.node(*node))
                    .is_some_and(|own| own.is_primary() && !own.slots.is_empty())
        };
        let promoted = || self.present().find(is_promoted);
        poll(BOUND, Duration::from_millis(2), promoted)
            .unwrap_or_else(|| panic!("no replica of node {of} was promoted:\n{}", self.views()))
    }

    /// A replica that this primary has now, if one is there.
    pub fn replica_now(&self, primary: usize) -> Option<usize> {
        self.all_replicas_now(primary).next()
    }

    fn all_replicas_now(&self, primary: usize) -> impl Iterator<Item = usize> {
        let id = self.id(primary);
        let follows = move |node: &usize| {
            let own = NodeView::own(self.node(*node));
            own.is_some_and(|own| own.primary.as_deref() == Some(id))
        };
        self.present().filter(follows)
    }

    /// The primary at the start that this node is, or is a replica of.
    fn shard_of(&self, node: usize) -> usize {
        let Self { settings, .. } = self;
        match node.checked_sub(settings.primaries) {
            Some(replica) if replica < settings.primaries * settings.replicas => {
                replica / settings.replicas
            }
            _ => node,
        }
    }

    /// Adds a primary without slots, and returns its number.
    pub fn add_primary(&mut self) -> usize {
        let node = self.nodes.len();
        self.nodes.push(Node::start(&self.settings));
        for other in self.present().filter(|other| *other != node) {
            self.meet(node, other);
        }
        self.until_known();
        self.until_settled();
        node
    }

    /// Removes a node without slots: the others forget it, and it forgets them. It goes on running, and counts as away.
    pub fn remove(&self, node: usize) {
        self.nodes[node].is_away.store(true, Ordering::SeqCst);
        // Two nodes at a time cannot be told, and in between one may hear of it from another, so it is repeated.
        let id = self.id(node);
        eventually(BOUND, "the node is forgotten", || {
            let mut is_known = false;
            for other in self.present() {
                let all = NodeView::all_of(self.node(other)).unwrap_or_default();
                if all.iter().any(|known| known.id == id) {
                    is_known = true;
                    self.node(other).cli(&["CLUSTER", "FORGET", id]);
                }
            }
            !is_known
        });
        assert_eq!(self.node(node).cli(&["CLUSTER", "RESET"]), "OK");
    }

    /// Waits until all nodes that are present agree who serves which slots and who is whose replica, each slot is served,
    /// and each replica is linked to its primary and shown by `CLUSTER SLOTS`. Nodes that are away do not count.
    pub fn until_settled(&self) {
        let settled = poll(BOUND, Duration::from_millis(5), || {
            self.is_settled().then_some(())
        });
        assert!(
            settled.is_some(),
            "the nodes do not agree:\n{}",
            self.views()
        );
    }

    /// Waits until the file of each node has what the node has: one that has just synchronized writes a new file first.
    pub fn until_saved(&self) {
        eventually(BOUND, "the files are complete", || {
            self.present().all(|node| {
                let info = self.node(node).info("persistence");
                let is_over = |key: &str| info.get(key).is_none_or(|value| value == "0");
                is_over("aof_rewrite_in_progress") && is_over("aof_rewrite_scheduled")
            })
        });
    }

    fn is_settled(&self) -> bool {
        let members = |node: usize| {
            let all = NodeView::all_of(self.node(node))?;
            let present: Vec<_> = self.present().map(|node| self.id(node)).collect();
            let is_present = |view: &NodeView| present.contains(&&*view.id);
            let known = all.iter().filter(|view| is_present(view)).count();
            if known != present.len() || !all.iter().all(|view| !is_present(view) || view.is_well())
            {
                return None;
            }
            let mut members: Vec<_> = all
                .into_iter()
                .filter(is_present)
                // With another epoch, a node may take one that is not the newest.
                .map(|view| (view.id, view.primary, view.slots, view.epoch))
                .collect();
            members.sort_by(|one, other| one.0.cmp(&other.0));
            Some(members)
        };
        let mut views = self.present().map(members);
        let Some(Some(first)) = views.next() else {
            return false;
        };
        if !views.all(|view| view.as_ref() == Some(&first)) {
            return false;
        }
        let is_shown = |(_, primary, slots, _): &&(String, Option<String>, Vec<_>, u64)| {
            primary.is_some() || !slots.is_empty()
        };
        let shown: Vec<_> = first.iter().filter(is_shown).map(|(id, ..)| id).collect();
        let shows_all = |node: usize| {
            let text = self.node(node).try_command(&["CLUSTER", "SLOTS"]);
            let text = text.map_or(String::new(), |reply| reply.to_string());
            shown.iter().all(|id| text.contains(*id))
        };
        self.present()
            .all(|node| self.is_up(node) && shows_all(node))
    }

    /// Whether a node says that the cluster is complete and, if it is a replica, that it has its primary's data.
    fn is_up(&self, node: usize) -> bool {
        let Ok(info) = self.node(node).try_command(&["CLUSTER", "INFO"]) else {
            return false;
        };
        let info = info.to_string();
        let is_complete = ["cluster_state:ok\r\n", "cluster_slots_ok:16384\r\n"]
            .iter()
            .all(|line| info.contains(line));
        let Ok(replication) = self.node(node).try_command(&["INFO", "replication"]) else {
            return false;
        };
        let replication = replication.to_string();
        is_complete
            && (replication.contains("role:master")
                || replication.contains("master_link_status:up"))
    }

    fn form(&self) {
        let primaries = self.settings.primaries;
        for node in 0..self.len() {
            // Without epochs of their own, two primaries would first have to settle which has the greater.
            let epoch = (node + 1).to_string();
            let reply = self
                .node(node)
                .cli(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
            assert_eq!(reply, "OK");
        }
        for primary in 0..primaries {
            let first = primary * 16_384 / primaries;
            let end = (primary + 1) * 16_384 / primaries;
            let slots = (first..end).map(|slot| slot.to_string());
            let order: Vec<_> = ["CLUSTER".into(), "ADDSLOTS".into()]
                .into_iter()
                .chain(slots)
                .collect();
            let order: Vec<_> = order.iter().map(String::as_str).collect();
            assert_eq!(self.node(primary).cli(&order), "OK");
        }
        for node in 0..self.len() {
            for other in 0..node {
                self.meet(node, other);
            }
        }
        self.until_known();
        for primary in 0..primaries {
            for replica in self.replicas_of(primary) {
                let order = ["CLUSTER", "REPLICATE", self.id(primary)];
                eventually(BOUND, "it becomes a replica", || {
                    self.node(replica).cli(&order) == "OK"
                });
            }
        }
        self.until_settled();
    }

    fn meet(&self, node: usize, other: usize) {
        let other = self.node(other);
        let (port, cluster_port) = (other.port().to_string(), other.cluster_port().to_string());
        let order = ["CLUSTER", "MEET", "127.0.0.1", &port, &cluster_port];
        assert_eq!(self.node(node).cli(&order), "OK");
    }

    /// Waits until each node knows every other by its name. Those that do not are introduced again at times: on a busy machine a
    /// handshake may take too long, and is forgotten.
    fn until_known(&self) {
        let strangers_of = |node: usize| {
            let all = NodeView::all_of(self.node(node)).unwrap_or_default();
            let knows = |other: &usize| {
                let id = self.id(*other);
                all.iter().any(|view| view.id == id && view.is_well())
            };
            let others = self.present().filter(|other| !knows(other));
            others.map(|other| (node, other)).collect::<Vec<_>>()
        };
        let mut introduced = Instant::now();
        eventually(BOUND, "the nodes know each other", || {
            let strangers: Vec<_> = self.present().flat_map(strangers_of).collect();
            if introduced.elapsed() >= HANDSHAKE {
                introduced = Instant::now();
                for (node, other) in &strangers {
                    self.meet(*node, *other);
                }
            }
            strangers.is_empty()
        });
    }

    /// What each node says, for the message of a test that fails.
    fn views(&self) -> String {
        let view = |node: usize| {
            let server = self.node(node);
            let nodes = server.try_command(&["CLUSTER", "NODES"]);
            let nodes = nodes.map_or_else(|error| error.to_string(), |nodes| nodes.to_string());
            format!(
                "node {node} at {}:\n{nodes}{}\n",
                server.port(),
                server.log_tail()
            )
        };
        self.present().map(view).collect()
    }
}

impl Node {
    fn start(settings: &ClusterBuilder) -> Self {
        let mut builder = RedisServer::builder()
            .cluster()
            .arg("cluster-node-timeout", NODE_TIMEOUT)
            // A replica that was cut off for long may be promoted nevertheless.
            .arg("cluster-replica-validity-factor", "0")
            .arg("repl-diskless-sync-delay", "0")
            // `CLUSTER SLOTS` does not show a replica that has received nothing, not even a ping of its primary.
            .arg("repl-ping-replica-period", "1");
        if version() >= (7, 0) {
            // A primary that has lost its last slot stays one.
            builder = builder.arg("cluster-allow-replica-migration", "no");
        }
        if settings.tls {
            builder = builder.tls().arg("tls-cluster", "yes");
        }
        if let Some(password) = &settings.password {
            builder = builder.requirepass(password).arg("masterauth", password);
        }
        for (key, value) in &settings.args {
            builder = builder.arg(key, value);
        }
        let server = builder.start();
        let id = server.cli(&["CLUSTER", "MYID"]);
        Self {
            server,
            id,
            is_away: AtomicBool::new(false),
        }
    }
}

/// The right to run a cluster. On a busy machine nodes take each other for dead.
struct Turn(());

/// The clusters that run now.
static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();
const MOST_AT_ONCE: usize = 2;

impl Turn {
    fn take() -> Self {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |running: &mut usize| *running >= MOST_AT_ONCE;
        *ENDED
            .wait_while(running, is_full)
            .unwrap_or_else(PoisonError::into_inner) += 1;
        Self(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}
