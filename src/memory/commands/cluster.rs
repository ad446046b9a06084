//! The commands of a cluster. A server that is no node of one refuses them, as Redis does.

use bytes::Bytes;

use super::help::help;
use crate::{
    memory::{
        arguments::integer,
        command::{
            Command,
            flags::{FAST, LOADING, STALE},
        },
        context::Context,
        halt::{Halt, Outcome},
        node::Node,
        reply::Reply,
    },
    policy::slots::Slot,
};

const ALWAYS: u32 = LOADING | STALE;

const LAST: u16 = Slot::COUNT - 1;

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command::new("readonly", 1, ALWAYS | FAST, (0, 0, 0), done),
    Command::new("readwrite", 1, ALWAYS | FAST, (0, 0, 0), done),
    Command::new("asking", 1, FAST, (0, 0, 0), done),
    Command::new("cluster", -2, 0, (0, 0, 0), about),
    Command::new("cluster|countkeysinslot", 3, STALE, (0, 0, 0), countkeysinslot),
    Command::new("cluster|getkeysinslot", 4, STALE, (0, 0, 0), getkeysinslot),
    Command::new("cluster|help", 2, ALWAYS, (0, 0, 0), about),
    Command::new("cluster|info", 2, STALE, (0, 0, 0), info),
    Command::new("cluster|keyslot", 3, STALE, (0, 0, 0), keyslot),
    Command::new("cluster|links", 2, STALE, (0, 0, 0), links),
    Command::new("cluster|myid", 2, STALE, (0, 0, 0), myid),
    Command::new("cluster|myshardid", 2, STALE, (0, 0, 0), myshardid),
    Command::new("cluster|nodes", 2, STALE, (0, 0, 0), nodes),
    Command::new("cluster|shards", 2, STALE, (0, 0, 0), shards),
    Command::new("cluster|slots", 2, STALE, (0, 0, 0), slots),
];

fn node<'a>(cx: &'a Context<'_>) -> Result<&'a Node, Halt> {
    let node = cx.engine.cluster.as_ref();
    node.ok_or(Halt::error(
        "ERR This instance has cluster support disabled",
    ))
}

/// READONLY, READWRITE and ASKING: there are no replicas, and no slots that move.
fn done(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    node(cx)?;
    Ok(Reply::OK)
}

fn info(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    node(cx)?;
    let count = Slot::COUNT;
    let text = format!(
        "cluster_state:ok\r\ncluster_slots_assigned:{count}\r\ncluster_slots_ok:{count}\r\n\
         cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:1\r\ncluster_size:1\r\n\
         cluster_current_epoch:0\r\ncluster_my_epoch:0\r\ncluster_stats_messages_sent:0\r\n\
         cluster_stats_messages_received:0\r\ntotal_cluster_links_buffer_limit_exceeded:0\r\n"
    );
    Ok(Reply::Verbatim(text.into()))
}

/// There are no other nodes.
fn links(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    node(cx)?;
    Ok(Reply::Array(Vec::new()))
}

fn myid(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::bulk(node(cx)?.id.clone()))
}

fn myshardid(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::bulk(node(cx)?.shard_id.clone()))
}

/// The port by which the client has reached the server, as it may have several; for a client that came by none, that of
/// the latest socket.
fn port(cx: &mut Context<'_>) -> u16 {
    let port = cx.session().port;
    port.unwrap_or(cx.engine.settings.port)
}

/// As in Redis, a node that no other one has met does not know its own host, so that clients take the one that they have
/// reached it by.
fn nodes(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let port = port(cx);
    let bus_port = u32::from(port) + 10_000;
    let id = &node(cx)?.id;
    let line = format!("{id} :{port}@{bus_port} myself,master - 0 0 0 connected 0-{LAST}\n");
    Ok(Reply::Verbatim(line.into()))
}

fn slots(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let port = port(cx);
    let node = Reply::Array(vec![
        Reply::text(""),
        Reply::Integer(port.into()),
        Reply::bulk(node(cx)?.id.clone()),
        Reply::Map(Vec::new()),
    ]);
    let range = vec![Reply::Integer(0), Reply::Integer(LAST.into()), node];
    Ok(Reply::Array(vec![Reply::Array(range)]))
}

fn shards(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let port = port(cx);
    let node = Reply::Map(vec![
        (Reply::text("id"), Reply::bulk(node(cx)?.id.clone())),
        (Reply::text("port"), Reply::Integer(port.into())),
        (Reply::text("ip"), Reply::text("")),
        (Reply::text("endpoint"), Reply::text("")),
        (Reply::text("role"), Reply::text("master")),
        (Reply::text("replication-offset"), Reply::Integer(0)),
        (Reply::text("health"), Reply::text("online")),
    ]);
    let slots = vec![Reply::Integer(0), Reply::Integer(LAST.into())];
    Ok(Reply::Array(vec![Reply::Map(vec![
        (Reply::text("slots"), Reply::Array(slots)),
        (Reply::text("nodes"), Reply::Array(vec![node])),
    ])]))
}

fn keyslot(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    node(cx)?;
    Ok(Reply::Integer(Slot::of(&args[2]).number().into()))
}

/// Nothing is kept by slot, so all keys are looked at.
fn countkeysinslot(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    node(cx)?;
    let slot = slot(&args[2])?.ok_or(Halt::error("ERR Invalid slot"))?;
    let keys = cx.db().keys().filter(|key| Slot::of(key) == slot);
    Ok(Reply::count(keys.count()))
}

fn getkeysinslot(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    node(cx)?;
    let (slot, most) = (slot(&args[2])?, integer(&args[3])?);
    let (Some(slot), Ok(most)) = (slot, usize::try_from(most)) else {
        return Err(Halt::error("ERR Invalid slot or number of keys"));
    };
    let keys = cx.db().keys().filter(|key| Slot::of(key) == slot);
    Ok(Reply::bulks(keys.take(most).cloned()))
}

fn slot(argument: &[u8]) -> Result<Option<Slot>, Halt> {
    let number = u16::try_from(integer(argument)?).ok();
    Ok(number.and_then(Slot::new))
}

fn about(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    node(cx)?;
    Ok(help(args, HELP))
}

const HELP: &[&str] = &[
    "COUNTKEYSINSLOT <slot>",
    "    Return the number of keys in <slot>.",
    "GETKEYSINSLOT <slot> <count>",
    "    Return key names stored by current node in a slot.",
    "INFO",
    "    Return information about the cluster.",
    "KEYSLOT <key>",
    "    Return the hash slot for <key>.",
    "MYID",
    "    Return the node id.",
    "MYSHARDID",
    "    Return the node's shard id.",
    "NODES",
    "    Return cluster configuration seen by node. Output format:",
    "    <id> <ip:port> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...",
    "SLOTS",
    "    Return information about slots range mappings. Each range is made of:",
    "    start, end, master and replicas IP addresses, ports and ids",
    "SHARDS",
    "    Return information about slot range mappings and the nodes associated with them.",
    "LINKS",
    "    Return information about all network links between this node and its peers.",
    "    Output format is an array where each array element is a map containing attributes of a link",
];
