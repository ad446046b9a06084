//! What one node says of a cluster: its answer to `CLUSTER NODES`.

use std::ops::RangeInclusive;

use super::{RedisServer, Reply};

/// A node as another node, or itself, describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    pub id: String,
    pub port: u16,
    /// `myself`, `master`, `slave`, `fail?`, `fail`, `handshake`, `noaddr` …
    pub flags: Vec<String>,
    /// The identifier of its primary, if it is a replica.
    pub primary: Option<String>,
    pub epoch: u64,
    pub is_linked: bool,
    pub slots: Vec<RangeInclusive<u16>>,
}

impl NodeView {
    /// The answer of a node; `None` if it gives none.
    pub fn all_of(server: &RedisServer) -> Option<Vec<Self>> {
        match server.try_command(&["CLUSTER", "NODES"]) {
            Ok(Reply::Bulk(lines)) => {
                let lines = String::from_utf8(lines).expect("text");
                Some(lines.lines().map(Self::read).collect())
            }
            _ => None,
        }
    }

    /// What a node says of itself.
    pub fn own(server: &RedisServer) -> Option<Self> {
        let all = Self::all_of(server)?;
        all.into_iter().find(|node| node.has("myself"))
    }

    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    pub fn is_primary(&self) -> bool {
        self.has("master")
    }

    pub fn serves(&self, slot: u16) -> bool {
        self.is_primary() && self.slots.iter().any(|range| range.contains(&slot))
    }

    /// Whether it is a member like any other: known, and not taken for dead.
    pub fn is_well(&self) -> bool {
        let doubts = ["fail?", "fail", "handshake", "noaddr"];
        self.is_linked && !doubts.iter().any(|doubt| self.has(doubt))
    }

    /// `<id> <ip:port@cport[,hostname]> <flags> <primary> <ping> <pong> <epoch> <link> <slot>...`. A slot that moves is
    /// told in brackets.
    fn read(line: &str) -> Self {
        let words: Vec<_> = line.split(' ').collect();
        let (address, _) = words[1].split_once('@').expect("a port of the cluster");
        let (_, port) = address.rsplit_once(':').expect("a port");
        let range = |range: &&str| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            first.parse().expect("a slot")..=last.parse().expect("a slot")
        };
        let slots = words[8..].iter().filter(|slot| !slot.starts_with('['));
        Self {
            id: words[0].to_owned(),
            port: port.parse().expect("a port"),
            flags: words[2].split(',').map(str::to_owned).collect(),
            primary: (words[3] != "-").then(|| words[3].to_owned()),
            epoch: words[6].parse().expect("an epoch"),
            is_linked: words[7] == "connected",
            slots: slots.map(range).collect(),
        }
    }
}
