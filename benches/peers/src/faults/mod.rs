//! What callers get to feel of each client when its server fails.
//!
//! One client at a time, or all at once where the server flaps, each with a server of its own: a call
//! every few milliseconds, a fault in between, and in the end the server's own word for what it has run.

mod arguments;
pub mod client;
pub mod clients;
pub mod count;
mod fault;
pub mod load;
pub mod outcome;
mod table;

use std::{thread, time::Duration};

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

pub use self::arguments::{Arguments, asked};
use self::{
    client::Connect,
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
/// Between the beginnings of clients that are observed at the same time, so that their servers do not
/// fail and start at the same moments.
const STAGGER: Duration = Duration::from_millis(100);

/// Everything that was found out.
#[derive(Serialize)]
struct Findings {
    machine: Machine,
    outcomes: Vec<Outcome>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let findings = arguments.files.take(
        || find_out(&arguments.faults(), &arguments.peers()),
        table::markdown,
    )?;
    report::print(&table::text(&findings))
}

fn find_out(faults: &[Fault], names: &[Name]) -> Result<Findings> {
    let programs = Programs::default();
    interrupt::end_on_signal(programs.clone())?;
    let progress = Progress::new(faults.len() * names.len());
    let mut outcomes = Vec::new();
    for &fault in faults {
        let observe = |name| {
            progress.at(&fault.to_string(), name);
            let server = Server::start_synced(&programs)?;
            // A runtime of its own, so that nothing of a client disturbs the next.
            let outcome = Flavour::MultiThread.block_on(observe(name, fault, server));
            outcome.with_context(|| format!("{name}, {fault}"))
        };
        let observed: Result<Vec<_>> = if fault.is_flapping() {
            at_once(names, observe)
        } else {
            names.iter().copied().map(observe).collect()
        };
        outcomes.extend(observed?);
    }
    Ok(Findings {
        machine: Machine::this(),
        outcomes,
    })
}

/// All clients at the same time: the load is small, and one after the other would take too long.
fn at_once(
    names: &[Name],
    observe: impl Fn(Name) -> Result<Outcome> + Sync,
) -> Result<Vec<Outcome>> {
    let observe = &observe;
    thread::scope(|scope| {
        let start = |(place, &name)| {
            scope.spawn(move || {
                thread::sleep(STAGGER * place);
                observe(name)
            })
        };
        let running: Vec<_> = (0..).zip(names).map(start).collect();
        let outcomes = running.into_iter().map(|thread| thread.join());
        outcomes
            .map(|outcome| outcome.expect("an observation does not panic"))
            .collect()
    })
}

async fn observe(name: Name, fault: Fault, server: Server) -> Result<Outcome> {
    let experiment = Experiment { name, fault };
    match name {
        Name::RedisSteward => experiment.run::<clients::Steward>(server).await,
        Name::RedisStewardPatient => experiment.run::<clients::PatientSteward>(server).await,
        Name::RedisRs => experiment.run::<clients::Multiplexed>(server).await,
        Name::RedisRsManager => experiment.run::<clients::Manager>(server).await,
        Name::DeadpoolRedis => experiment.run::<clients::Deadpool>(server).await,
        Name::Bb8Redis => experiment.run::<clients::Bb8>(server).await,
        Name::Fred => experiment.run::<clients::Fred>(server).await,
        Name::Rustis => experiment.run::<clients::Rustis>(server).await,
        Name::RedisTower => experiment.run::<clients::Tower>(server).await,
        Name::ValkeyGlide => experiment.run::<clients::Glide>(server).await,
        Name::FredPool | Name::RedisStewardObserved | Name::RedisBenchmark => {
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
    async fn run<C: Connect>(self, server: Server) -> Result<Outcome> {
        let url = server.url();
        let client = timeout(PATIENCE, C::connect(&url));
        let client = client.await.context("connecting takes too long")??;
        let (stop, stopped) = oneshot::channel();
        let load = tokio::spawn(load::run(client.clone(), Call::key, BOUND, stopped));
        sleep(BEFORE).await;
        let fault = self.fault;
        let (server, spans) = spawn_blocking(move || strike(fault, server)).await??;
        sleep(AFTER).await;
        // The load ends also when nobody tells it to.
        let _ = stop.send(());
        let calls = load.await.context("the load")?;
        // Nothing that a client still holds back may reach the server after it was asked.
        let _ = timeout(PATIENCE, client.disconnect()).await;
        let keys = calls.len();
        let runs = spawn_blocking(move || {
            server.check()?;
            count::runs(&server, (0..keys).map(Call::key))
        });
        let runs = runs.await??;
        Ok(Outcome::of(
            self.name,
            self.fault,
            C::PROMISES,
            &spans,
            &calls,
            &runs,
        ))
    }
}

fn strike(fault: Fault, mut server: Server) -> Result<(Server, Vec<Span>)> {
    let spans = fault.strike(&mut server)?;
    Ok((server, spans))
}
