//! How long each client is without its primary when Redis Sentinel puts another server in its place.
//!
//! One client at a time, and each time with a service of its own: a call every few milliseconds, a failover in between,
//! and in the end the new primary's own word for what it has.

mod arguments;
mod clients;
mod failover;
mod outcome;
mod round;
mod service;
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

pub use self::arguments::Arguments;
use self::{failover::Failover, outcome::Outcome, round::Round, service::Service};

/// Of undisturbed load, before the failover.
const BEFORE: Duration = Duration::from_secs(1);
/// Of load after it, in which clients are to find the new primary. An old primary that is well is told by the sentinels to
/// follow the new one after about ten seconds only, and until then nothing but the sentinels tells a client.
const AFTER: Duration = Duration::from_secs(15);
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
    let mut outcomes = Vec::new();
    for failover in arguments.failovers() {
        for client in arguments.peers() {
            outcomes.push(Outcome {
                failover,
                client,
                rounds: Vec::new(),
            });
        }
    }
    let progress = Progress::new(outcomes.len() * arguments.rounds());
    // Each client once, and then all again, so that a machine that becomes slower does so for all of them.
    for _ in 0..arguments.rounds() {
        for outcome in &mut outcomes {
            let Outcome {
                failover, client, ..
            } = *outcome;
            progress.at(&failover.to_string(), client);
            let round = observe(&programs, client, failover);
            outcome
                .rounds
                .push(round.with_context(|| format!("{client}, {failover}"))?);
        }
    }
    Ok(Findings {
        machine: Machine::this(),
        outcomes,
    })
}

fn observe(programs: &Programs, name: Name, failover: Failover) -> Result<Round> {
    let service = Arc::new(Service::start(programs)?);
    // A runtime of its own, so that nothing of a client disturbs the next.
    Flavour::MultiThread.block_on(async {
        let url = service.url();
        match name {
            Name::RedisSteward => watch(Steward::connect(&url), &service, failover).await,
            Name::RedisStewardPatient => {
                watch(PatientSteward::connect(&url), &service, failover).await
            }
            Name::RedisRs => watch(clients::redis_rs(&service), &service, failover).await,
            Name::Fred => watch(clients::fred(&service), &service, failover).await,
            Name::Rustis => watch(<Rustis as Connect>::connect(&url), &service, failover).await,
            _ => unreachable!("BUG: the command line offers no {name} for Sentinel"),
        }
    })
}

async fn watch<C: Client>(
    connecting: impl Future<Output = Result<C>>,
    service: &Arc<Service>,
    failover: Failover,
) -> Result<Round> {
    let client = timeout(PATIENCE, connecting);
    let client = client.await.context("connecting takes too long")??;
    let (stop, stopped) = oneshot::channel();
    let load = tokio::spawn(load::run(client.clone(), Call::key, BOUND, stopped));
    sleep(BEFORE).await;
    let struck = service.clone();
    let switch = spawn_blocking(move || failover.strike(&struck)).await??;
    sleep(AFTER).await;
    // The load ends also when nobody tells it to.
    let _ = stop.send(());
    let calls = load.await.context("the load")?;
    // Nothing that a client still holds back may reach the server after it was asked.
    let _ = timeout(PATIENCE, client.disconnect()).await;
    let (asked, keys, primary) = (service.clone(), calls.len(), switch.primary);
    let runs =
        spawn_blocking(move || count::runs(asked.server(primary)?, (0..keys).map(Call::key)))
            .await??;
    Ok(Round::of(failover, &switch, &calls, &runs))
}
