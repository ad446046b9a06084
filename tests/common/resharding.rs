//! How slots of a [`Cluster`] move from one primary to another.

use super::{Cluster, Reply};

/// Keys that move to another node at once.
const KEYS_AT_ONCE: &str = "100";

impl Cluster {
    /// Moves a slot with its keys from one primary to another, as an operator's tool does.
    pub fn migrate_slot(&self, slot: u16, from: usize, to: usize) {
        self.begin_migration(slot, from, to);
        self.move_keys(slot, from, to);
        self.end_migration(slot, from, to);
    }

    /// From now on the source answers ASK for keys of the slot that it does not have.
    pub fn begin_migration(&self, slot: u16, from: usize, to: usize) {
        self.set_slot(to, slot, &["IMPORTING", self.id(from)]);
        self.set_slot(from, slot, &["MIGRATING", self.id(to)]);
    }

    /// Moves the keys that the slot has now.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) {
        let source = self.node(from);
        let port = self.data_port(to).to_string();
        loop {
            let question = ["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), KEYS_AT_ONCE];
            let keys: Vec<String> = match source.command(&question) {
                Reply::Array(keys) => keys.iter().map(ToString::to_string).collect(),
                other => panic!("no keys of slot {slot}: {other}"),
            };
            if keys.is_empty() {
                return;
            }
            let mut order = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "10000"];
            if let Some(password) = &self.settings.password {
                order.extend(["AUTH", password]);
            }
            order.push("KEYS");
            order.extend(keys.iter().map(String::as_str));
            let reply = source.cli(&order);
            // Callers may have deleted them meanwhile.
            assert!(matches!(&*reply, "OK" | "NOKEY"), "{order:?}: {reply}");
        }
    }

    /// Gives the slot to the target: it learns it first, then the source, then the other primaries.
    pub fn end_migration(&self, slot: u16, from: usize, to: usize) {
        let owner = ["NODE", self.id(to)];
        self.set_slot(to, slot, &owner);
        let others = self.present().filter(|node| ![from, to].contains(node));
        for other in [from].into_iter().chain(others) {
            // Replicas are not told. Before 7.0 a source that has heard of its last slot's new owner is one already.
            let reply = self.order_slot(other, slot, &owner);
            assert!(
                reply == "OK" || reply.ends_with("only with masters."),
                "{owner:?} of slot {slot} at node {other}: {reply}"
            );
        }
    }

    fn set_slot(&self, node: usize, slot: u16, rest: &[&str]) {
        let reply = self.order_slot(node, slot, rest);
        assert_eq!(reply, "OK", "{rest:?} of slot {slot} at node {node}");
    }

    fn order_slot(&self, node: usize, slot: u16, rest: &[&str]) -> String {
        let slot = slot.to_string();
        self.node(node)
            .cli(&[&["CLUSTER", "SETSLOT", &slot][..], rest].concat())
    }
}
