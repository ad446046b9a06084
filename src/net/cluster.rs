//! What nodes answer to questions about their cluster.

use std::ops::RangeInclusive;

use redis::{FromRedisValue as _, Value};

use crate::config::Address;

/// The primary and the replicas of a range of slots.
pub(crate) type Range = (RangeInclusive<u16>, Address, Vec<Address>);

/// Reads the reply to `CLUSTER SLOTS` of the node at this address.
///
/// A host that is missing, empty or `?` is that of the node that was asked. What comes behind the port of a node is not
/// read.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read_slots(reply: &Value, asked: &Address) -> Result<Vec<Range>, String> {
    let Value::Array(ranges) = reply else {
        return Err("CLUSTER SLOTS was not answered with an array".into());
    };
    ranges
        .iter()
        .map(|range| {
            read_range(range, asked)
                .ok_or_else(|| "CLUSTER SLOTS was answered with a range that is none".into())
        })
        .collect()
}

fn read_range(range: &Value, asked: &Address) -> Option<Range> {
    let Value::Array(fields) = range else {
        return None;
    };
    let [Value::Int(first), Value::Int(last), primary, replicas @ ..] = fields.as_slice() else {
        return None;
    };
    let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
    let replicas = replicas.iter().filter_map(|node| read_node(node, asked));
    (first <= last).then_some(())?;
    Some((first..=last, read_node(primary, asked)?, replicas.collect()))
}

fn read_node(node: &Value, asked: &Address) -> Option<Address> {
    let Value::Array(fields) = node else {
        return None;
    };
    let [host, Value::Int(port), ..] = fields.as_slice() else {
        return None;
    };
    let host = match host {
        Value::Nil => None,
        host => Some(String::from_redis_value_ref(host).ok()?),
    };
    at(host.as_deref(), u16::try_from(*port).ok()?, asked)
}

fn at(host: Option<&str>, port: u16, asked: &Address) -> Option<Address> {
    match (host, asked) {
        (None | Some("" | "?"), Address::Tcp { host, .. }) => Address::of_host(host, port),
        // A server in this process is all of its cluster.
        (_, Address::Memory(_)) => Some(asked.clone()),
        (Some(host), _) => Address::of_host(host, port),
        (None, _) => None,
    }
}

/// Reads the epoch of the cluster from the reply to `CLUSTER INFO`, if it has one.
pub(crate) fn read_epoch(reply: &Value) -> Option<u64> {
    let info = String::from_redis_value_ref(reply).ok()?;
    let mut lines = info.lines();
    lines.find_map(|line| {
        line.strip_prefix("cluster_current_epoch:")?
            .trim()
            .parse()
            .ok()
    })
}

/// Whether the reply to `CLUSTER NODES` of the node at this address has this node as a primary that is up.
pub(crate) fn has_primary(reply: &Value, sought: &Address, asked: &Address) -> bool {
    let Ok(nodes) = String::from_redis_value_ref(reply) else {
        return false;
    };
    nodes
        .lines()
        .any(|line| is_primary(line, sought, asked).is_some())
}

/// The line of a node: its id, `ip:port@bus-port[,host name…]`, its flags, and more.
fn is_primary(line: &str, sought: &Address, asked: &Address) -> Option<()> {
    let mut words = line.split_ascii_whitespace();
    let (place, flags) = (words.nth(1)?, words.next()?);
    let mut flags = flags.split(',');
    let is_up = flags
        .clone()
        .all(|flag| !["fail", "handshake", "noaddr"].contains(&flag));
    if !is_up || !flags.any(|flag| flag == "master") {
        return None;
    }
    let mut names = place.split(',');
    let (ip, port) = names.next()?.split_once('@')?.0.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let names = [ip].into_iter().chain(names);
    // A port for TLS is not told here.
    let is_sought = |name: &str| {
        let address = at(Some(name), port, asked);
        address.as_ref() == Some(sought)
            || matches!((address, sought), (Some(Address::Tcp { host, .. }), Address::Tcp { host: of_sought, .. }) if host == *of_sought)
    };
    names.into_iter().any(is_sought).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Address {
        address("asked", 1)
    }

    fn address(host: &str, port: u16) -> Address {
        Address::of_host(host, port).expect("an address")
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn node(host: Value, port: i64) -> Value {
        let more = Value::Array(vec![text("hostname"), text("h")]);
        Value::Array(vec![host, Value::Int(port), text("id"), more])
    }

    fn slots(first: i64, last: i64, nodes: Vec<Value>) -> Value {
        let mut fields = vec![Value::Int(first), Value::Int(last)];
        fields.extend(nodes);
        Value::Array(fields)
    }

    #[test]
    fn slots_are_read_and_a_missing_host_is_that_of_whoever_was_asked() {
        let reply = Value::Array(vec![
            slots(
                0,
                99,
                vec![node(text("10.0.0.1"), 7000), node(Value::Nil, 7001)],
            ),
            slots(
                100,
                16_383,
                vec![node(text("?"), 7002), node(text(""), 7003)],
            ),
        ]);
        let expected = vec![
            (
                0..=99,
                address("10.0.0.1", 7000),
                vec![address("asked", 7001)],
            ),
            (
                100..=16_383,
                address("asked", 7002),
                vec![address("asked", 7003)],
            ),
        ];
        assert_eq!(read_slots(&reply, &asked()), Ok(expected));
        for nonsense in [
            Value::Nil,
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![slots(5, 4, vec![node(text("h"), 1)])]),
            Value::Array(vec![slots(0, 70_000, vec![node(text("h"), 1)])]),
            Value::Array(vec![slots(0, 1, vec![])]),
            Value::Array(vec![slots(0, 1, vec![node(text("h"), 0x1_0000)])]),
        ] {
            read_slots(&nonsense, &asked()).expect_err("nonsense");
        }
    }

    #[test]
    fn epochs_are_read() {
        let info = text("cluster_state:ok\r\ncluster_current_epoch:6\r\ncluster_my_epoch:2\r\n");
        assert_eq!(read_epoch(&info), Some(6));
        assert_eq!(read_epoch(&text("cluster_state:ok\r\n")), None);
    }

    #[test]
    fn primaries_that_are_up_are_found_by_address_and_name() {
        let nodes = text(
            "a 10.0.0.1:7000@17000,first myself,master - 0 0 1 connected 0-5\n\
             b 10.0.0.2:7001@17001 slave a 0 0 1 connected\n\
             c 10.0.0.3:7002@17002,,shard-id=1 master,fail - 0 0 2 disconnected\n\
             d :7003@17003 master - 0 0 3 connected\n",
        );
        for (host, port, is_there) in [
            ("10.0.0.1", 7000, true),
            ("first", 7000, true),
            ("10.0.0.2", 7001, false),
            ("10.0.0.3", 7002, false),
            ("asked", 7003, true),
            ("elsewhere", 7000, false),
        ] {
            let found = has_primary(&nodes, &address(host, port), &asked());
            assert_eq!(found, is_there, "{host}:{port}");
        }
    }
}
