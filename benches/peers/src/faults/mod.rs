//! What callers get to feel of each client when its server fails.
//!
//! One client at a time, each with a server of its own: a call every few milliseconds, a fault in
//! between, and in the end the server's own word for what it has run.

mod arguments;
mod client;
mod clients;
mod fault;
mod load;
mod outcome;
mod table;

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::{
    sync::oneshot,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{
    contender::Name, interrupt, machine::Machine, program::Programs, progress::Progress, report,
    runtime::Flavour, server::Server,
};

pub use self::arguments::Arguments;
use self::{
    client::Client,
    clients::Steward,
    fault::{Fault, Span},
    load::Call,
    outcome::Outcome,
};

/// Of undisturbed load, before the fault and after it.
const BEFORE: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(5);
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
    report::check_files(&[
        ("--json", &arguments.json),
        ("--markdown", &arguments.markdown),
    ])?;
    let findings = find_out(&arguments.faults(), &arguments.peers())?;
    if let Some(path) = &arguments.json {
        report::write(path, &(serde_json::to_string_pretty(&findings)? + "\n"))?;
    }
    if let Some(path) = &arguments.markdown {
        report::write(path, &table::markdown(&findings))?;
    }
    report::print(&table::text(&findings))
}

fn find_out(faults: &[Fault], names: &[Name]) -> Result<Findings> {
    let programs = Programs::default();
    interrupt::end_on_signal(programs.clone())?;
    let progress = Progress::new(faults.len() * names.len());
    let mut outcomes = Vec::new();
    for &fault in faults {
        for &name in names {
            progress.at(&fault.to_string(), name);
            let server = Server::start_synced(&programs)?;
            // A runtime of its own, so that nothing of a client disturbs the next.
            let outcome = Flavour::MultiThread.block_on(observe(name, fault, server));
            outcomes.push(outcome.with_context(|| format!("{name}, {fault}"))?);
        }
    }
    Ok(Findings {
        machine: Machine::this(),
        outcomes,
    })
}

async fn observe(name: Name, fault: Fault, server: Server) -> Result<Outcome> {
    let experiment = Experiment { name, fault };
    match name {
        Name::RedisSteward => experiment.run::<Steward>(server).await,
        Name::RedisRs => experiment.run::<clients::Multiplexed>(server).await,
        Name::RedisRsManager => experiment.run::<clients::Manager>(server).await,
        Name::DeadpoolRedis => experiment.run::<clients::Deadpool>(server).await,
        Name::Bb8Redis => experiment.run::<clients::Bb8>(server).await,
        Name::Fred => experiment.run::<clients::Fred>(server).await,
        Name::Rustis => experiment.run::<clients::Rustis>(server).await,
        Name::FredPool | Name::RedisBenchmark => {
            unreachable!("BUG: the command line offers no {name} for faults")
        }
    }
}

/// One client under one fault.
struct Experiment {
    name: Name,
    fault: Fault,
}

impl Experiment {
    async fn run<C: Client>(self, server: Server) -> Result<Outcome> {
        let url = server.url();
        let client = timeout(PATIENCE, C::connect(&url));
        let client = client.await.context("connecting takes too long")??;
        let (stop, stopped) = oneshot::channel();
        let load = tokio::spawn(load::run(client.clone(), BOUND, stopped));
        sleep(BEFORE).await;
        let fault = self.fault;
        let (server, span) = spawn_blocking(move || strike(fault, server)).await??;
        sleep(AFTER).await;
        // The load ends also when nobody tells it to.
        let _ = stop.send(());
        let calls = load.await.context("the load")?;
        // Nothing that a client still holds back may reach the server after it was asked.
        let _ = timeout(PATIENCE, client.disconnect()).await;
        let keys = calls.len();
        let runs = spawn_blocking(move || runs(&server, keys)).await??;
        Ok(Outcome::of(
            self.name,
            self.fault,
            C::PROMISES,
            &span,
            &calls,
            &runs,
        ))
    }
}

fn strike(fault: Fault, mut server: Server) -> Result<(Server, Span)> {
    let span = fault.strike(&mut server)?;
    Ok((server, span))
}

/// How often the server has run each call.
fn runs(server: &Server, calls: usize) -> Result<Vec<u64>> {
    server.check()?;
    let mut connection = redis::Client::open(server.url())?.get_connection()?;
    let keys: Vec<_> = (0..calls).map(Call::key).collect();
    let counts: Vec<Option<u64>> = redis::cmd("MGET").arg(keys).query(&mut connection)?;
    Ok(counts.into_iter().map(Option::unwrap_or_default).collect())
}
