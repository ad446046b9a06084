//! How long each client is without a shard of a Redis Cluster when its primary is killed, and whether the others notice.
//!
//! One client at a time, and each time with a cluster of its own: a call to each shard every few milliseconds, a kill in
//! between, and in the end the nodes' own word for what they have.

mod arguments;
mod clients;
mod nodes;
mod outcome;
mod round;
mod table;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::{
    sync::oneshot,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{
    contender::Name,
    faults::{
        client::{Client, Connect},
        clients::{PatientSteward, Rustis, Steward},
        count,
        load::{self, Call},
    },
    interrupt,
    machine::Machine,
    program::Programs,
    progress::Progress,
    report,
    runtime::Flavour,
};

pub use self::{arguments::Arguments, nodes::Cluster};
use self::{
    outcome::Outcome,
    round::{Kill, Round, Shard},
};

const PRIMARIES: usize = 3;
const REPLICAS: usize = 1;
/// The nodes take one that is silent for so long for dead.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);
/// The shard whose primary is killed.
const STRUCK: usize = 0;
/// Of undisturbed load, before the kill.
const BEFORE: Duration = Duration::from_secs(1);
/// Of load after the promotion, in which clients are to find the new primary.
const AFTER: Duration = Duration::from_secs(10);
/// The bench waits for no call longer.
const BOUND: Duration = Duration::from_secs(10);
/// Connecting and disconnecting that takes so long will never end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that was found out.
#[derive(Serialize)]
struct Findings {
    machine: Machine,
    outcomes: Vec<Outcome>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let findings = arguments
        .files
        .take(|| find_out(arguments), table::markdown)?;
    report::print(&table::text(&findings))
}

fn find_out(arguments: &Arguments) -> Result<Findings> {
    let programs = Programs::default();
    interrupt::end_on_signal(programs.clone())?;
    let outcome = |client| Outcome {
        client,
        rounds: Vec::new(),
    };
    let mut outcomes: Vec<_> = arguments.peers().into_iter().map(outcome).collect();
    let progress = Progress::new(outcomes.len() * arguments.rounds());
    // Each client once, and then all again, so that a machine that becomes slower does so for all of them.
    for _ in 0..arguments.rounds() {
        for Outcome { client, rounds } in &mut outcomes {
            progress.at("kill", *client);
            let round = observe(&programs, *client);
            rounds.push(round.with_context(|| client.to_string())?);
        }
    }
    Ok(Findings {
        machine: Machine::this(),
        outcomes,
    })
}

fn observe(programs: &Programs, name: Name) -> Result<Round> {
    let cluster = Cluster::start(programs, PRIMARIES, REPLICAS, NODE_TIMEOUT)?;
    let cluster = Arc::new(cluster);
    // A runtime of its own, so that nothing of a client disturbs the next.
    Flavour::MultiThread.block_on(async {
        let address = cluster.address();
        let url = address.url();
        match name {
            Name::RedisSteward => watch(Steward::connect(&url), &cluster).await,
            Name::RedisStewardPatient => watch(PatientSteward::connect(&url), &cluster).await,
            Name::RedisRs => watch(clients::redis_rs(&address), &cluster).await,
            Name::Fred => watch(clients::fred(&address), &cluster).await,
            Name::Rustis => watch(<Rustis as Connect>::connect(&url), &cluster).await,
            Name::RedisTower => watch(clients::tower(&address), &cluster).await,
            Name::ValkeyGlide => watch(clients::glide(&address), &cluster).await,
            _ => unreachable!("BUG: the command line offers no {name} for clusters"),
        }
    })
}

async fn watch<C: Client>(
    connecting: impl Future<Output = Result<C>>,
    cluster: &Arc<Cluster>,
) -> Result<Round> {
    let client = timeout(PATIENCE, connecting);
    let client = client.await.context("connecting takes too long")??;
    let asked = cluster.clone();
    let tags = spawn_blocking(move || {
        let tags = asked.shards().map(|shard| asked.tag(shard));
        tags.collect::<Result<Vec<_>>>()
    });
    let tags = tags.await?.context("looking for keys of each shard")?;
    let load = |tag: &String| {
        let (stop, stopped) = oneshot::channel();
        let load = load::run(client.clone(), keys(tag), BOUND, stopped);
        (stop, tokio::spawn(load))
    };
    let loads: Vec<_> = tags.iter().map(load).collect();
    sleep(BEFORE).await;
    let struck = cluster.clone();
    let kill = spawn_blocking(move || strike(&struck)).await??;
    sleep(AFTER).await;
    let mut calls = Vec::with_capacity(loads.len());
    let (stops, loads): (Vec<_>, Vec<_>) = loads.into_iter().unzip();
    for stop in stops {
        // The load ends also when nobody tells it to.
        let _ = stop.send(());
    }
    for load in loads {
        calls.push(load.await.context("the load")?);
    }
    // Nothing that a client still holds back may reach a node after it was asked.
    let _ = timeout(PATIENCE, client.disconnect()).await;
    let cluster = cluster.clone();
    let shards = spawn_blocking(move || counted(&cluster, &tags, calls)).await??;
    Ok(Round::of(C::PROMISES, &kill, STRUCK, &shards))
}

fn strike(cluster: &Cluster) -> Result<Kill> {
    let struck = cluster.kill(STRUCK);
    let (_, promoted) = cluster.promoted(STRUCK)?;
    Ok(Kill { struck, promoted })
}

/// The calls to each shard, with what its present primary says of them.
fn counted(cluster: &Cluster, tags: &[String], calls: Vec<Vec<Call>>) -> Result<Vec<Shard>> {
    let shard = |(shard, calls): (usize, Vec<Call>)| {
        let server = match shard {
            STRUCK => cluster.promoted(shard)?.0,
            _ => cluster.primary(shard),
        };
        let runs = count::runs(server, (0..calls.len()).map(keys(&tags[shard])))?;
        Ok(Shard { calls, runs })
    };
    calls.into_iter().enumerate().map(shard).collect()
}

/// Each call counts in a key of its own, and all keys have the same tag.
fn keys(tag: &str) -> impl Fn(usize) -> String + Send + use<> {
    let tag = tag.to_owned();
    move |number| format!("{tag}{}", Call::key(number))
}
