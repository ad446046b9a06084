//! A Redis Cluster: primaries with the slots spread over them, and replicas of each, which end with it.

use std::{
    ops::Range,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use redis::{Connection, RedisResult, Value, cmd};

use crate::{address::Address, program::Programs, server::Server};

const SLOTS: u16 = 16_384;
/// Nodes get to know each other in a moment, and replicas in a few seconds that they are shown.
const FORMED_WITHIN: Duration = Duration::from_secs(60);
const PROMOTED_WITHIN: Duration = Duration::from_secs(60);
/// How exactly it is known when a replica is the primary.
const POLL: Duration = Duration::from_millis(2);
const PRIMARY: &str = "role:master\r\n";
const SELDOM: Duration = Duration::from_millis(50);

pub struct Cluster {
    /// The primaries, and then the replicas: as many of the first, of the second …
    nodes: Vec<Server>,
    primaries: usize,
    replicas: usize,
}

impl Cluster {
    /// Starts so many primaries, and so many replicas of each, and waits until all agree.
    pub fn start(
        programs: &Programs,
        primaries: usize,
        replicas: usize,
        timeout: Duration,
    ) -> Result<Self> {
        let nodes = (0..primaries * (1 + replicas)).map(|_| Server::start_node(programs, timeout));
        let cluster = Self {
            nodes: nodes.collect::<Result<_>>()?,
            primaries,
            replicas,
        };
        cluster.form()?;
        Ok(cluster)
    }

    pub fn address(&self) -> Address {
        let ports: Arc<[u16]> = self.nodes.iter().map(|node| node.port).collect();
        Address::of_cluster(ports)
    }

    /// An error if a node is gone.
    pub fn check(&self) -> Result<()> {
        self.nodes.iter().try_for_each(Server::check)
    }

    pub fn shards(&self) -> Range<usize> {
        0..self.primaries
    }

    pub fn primary(&self, shard: usize) -> &Server {
        &self.nodes[shard]
    }

    fn replicas_of(&self, shard: usize) -> &[Server] {
        let first = self.primaries + shard * self.replicas;
        &self.nodes[first..first + self.replicas]
    }

    /// A tag that keeps keys in this shard, wherever its slots lie now.
    pub fn tag(&self, shard: usize) -> Result<String> {
        let mut connection = self.primary(shard).connect()?;
        let own = self.slots(shard);
        for number in 0_u32.. {
            let tag = format!("{{{number}}}");
            let mut question = cmd("CLUSTER");
            question.arg("KEYSLOT").arg(&tag);
            if own.contains(&question.query(&mut connection)?) {
                return Ok(tag);
            }
        }
        unreachable!("BUG: some number is in each shard")
    }

    /// Kills the primary of a shard, and returns when it was gone.
    pub fn kill(&self, shard: usize) -> Instant {
        self.primary(shard).kill();
        Instant::now()
    }

    /// Waits until a replica of a shard says that it is a primary. Returns it, and when it said so first.
    pub fn promoted(&self, shard: usize) -> Result<(&Server, Instant)> {
        let connect = |node| Ok((node, Server::connect(node)?));
        let replicas = self.replicas_of(shard).iter().map(connect);
        let mut replicas: Vec<_> = replicas.collect::<Result<_>>()?;
        let start = Instant::now();
        while start.elapsed() < PROMOTED_WITHIN {
            for (node, connection) in &mut replicas {
                if replication(connection)?.contains(PRIMARY) {
                    return Ok((node, Instant::now()));
                }
            }
            sleep(POLL);
        }
        bail!("no replica is promoted within {PROMOTED_WITHIN:?}")
    }

    fn slots(&self, shard: usize) -> Range<u16> {
        let border = |shard: usize| (shard * usize::from(SLOTS) / self.primaries) as u16;
        border(shard)..border(shard + 1)
    }

    fn form(&self) -> Result<()> {
        let connect = |node| Server::connect(node);
        let mut connections: Vec<_> = self.nodes.iter().map(connect).collect::<Result<_>>()?;
        for shard in self.shards() {
            // Without epochs of their own, two primaries would first have to settle which has the greater.
            let epoch = (shard + 1).to_string();
            order(&mut connections[shard], &["SET-CONFIG-EPOCH", &epoch])?;
            let Range { start, end } = self.slots(shard);
            let (first, last) = (start.to_string(), (end - 1).to_string());
            order(&mut connections[shard], &["ADDSLOTSRANGE", &first, &last])?;
        }
        let (port, node_port) = (self.nodes[0].port, self.nodes[0].node_port());
        let (port, node_port) = (port.to_string(), node_port.to_string());
        for connection in &mut connections[1..] {
            order(connection, &["MEET", "127.0.0.1", &port, &node_port])?;
        }
        for shard in self.shards() {
            let id: String = cmd("CLUSTER").arg("MYID").query(&mut connections[shard])?;
            let first = self.primaries + shard * self.replicas;
            for replica in &mut connections[first..first + self.replicas] {
                // It first has to hear of that primary.
                until("replicas know their primaries", || {
                    Ok(order(replica, &["REPLICATE", &id]).is_ok())
                })?;
            }
        }
        for connection in &mut connections {
            until("the nodes agree", || self.is_complete(connection))?;
        }
        Ok(())
    }

    /// Whether a node knows all others and who serves what, and if it is a replica, has what its primary has.
    fn is_complete(&self, node: &mut Connection) -> Result<bool> {
        let info: String = cmd("CLUSTER").arg("INFO").query(node)?;
        let size = format!("cluster_size:{}\r\n", self.primaries);
        let replication = replication(node)?;
        let ranges: Vec<Vec<Value>> = cmd("CLUSTER").arg("SLOTS").query(node)?;
        // Its first and its last slot, the primary, and the replicas.
        let fields = 2 + 1 + self.replicas;
        Ok(info.contains("cluster_state:ok\r\n")
            && info.contains(&size)
            && (replication.contains(PRIMARY) || replication.contains("master_link_status:up"))
            && ranges.len() == self.primaries
            && ranges.iter().all(|range| range.len() == fields))
    }
}

fn order(node: &mut Connection, words: &[&str]) -> RedisResult<()> {
    cmd("CLUSTER").arg(words).exec(node)
}

fn replication(node: &mut Connection) -> RedisResult<String> {
    cmd("INFO").arg("replication").query(node)
}

fn until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < FORMED_WITHIN {
        if is_so()? {
            return Ok(());
        }
        sleep(SELDOM);
    }
    bail!("not within {FORMED_WITHIN:?}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_a_primary_is_killed_its_replica_serves_its_slots_with_what_it_had() {
        let timeout = Duration::from_secs(2);
        let cluster = Cluster::start(&Programs::default(), 3, 1, timeout).expect("a cluster");
        let incr = |server: &Server, key: &str| {
            let mut connection = server.connect().expect("connected");
            cmd("INCR").arg(key).query::<i64>(&mut connection)
        };
        let tags: Vec<_> = cluster.shards().map(|shard| cluster.tag(shard)).collect();
        let tags: Vec<_> = tags.into_iter().collect::<Result<_>>().expect("tags");
        for (shard, tag) in tags.iter().enumerate() {
            assert_eq!(incr(cluster.primary(shard), tag), Ok(1));
            let other = cluster.primary((shard + 1) % 3);
            let moved = incr(other, tag).expect_err("it serves other slots");
            assert_eq!(moved.code(), Some("MOVED"));
        }
        let killed = cluster.kill(1);
        assert!(cluster.check().is_err());
        let (replica, promoted) = cluster.promoted(1).expect("a new primary");
        assert!(promoted > killed);
        assert_eq!(incr(replica, &tags[1]), Ok(2));
    }
}
