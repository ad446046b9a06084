//! `bench`: the throughput and the latency of a server.
//!
//! - this file: the run · `halt`: its early end · `keys`: the keys that it uses, and their removal · `load`: the callers · `peer`: redis-benchmark
//!   beside it · `report`: the results

mod halt;
mod keys;
mod load;
mod peer;
mod report;

use std::{process::ExitCode, time::Duration};

use redis_steward::{Config, Database, Supervisor, redis::cmd};

use crate::{arguments::BenchArguments, ending::Ending, failure::Failure, output::Output, target};
use halt::Halt;
use keys::Keys;
use load::Load;
use peer::Peer;
use report::Report;

pub(crate) async fn run(arguments: BenchArguments, output: &Output) -> Result<ExitCode, Failure> {
    let config = target::of_several(std::slice::from_ref(&arguments.target), arguments.env)?;
    let name = chosen(&config, &arguments)?;
    let keys = Keys::new(&arguments)?;
    // From here on a signal ends the load, and not the removal of the keys.
    let mut ending = Ending::new()?;
    let supervisor = Supervisor::spawn(target::named_for_tool(config.clone())).await?;
    let database = supervisor.database(&*name)?;
    database.execute(&cmd("PING")).await?;

    let halt = Halt::new();
    let measuring = measure(&supervisor, &database, &config, &keys, &arguments, &halt);
    tokio::pin!(measuring);
    let measured = tokio::select! {
        measured = &mut measuring => measured,
        () = ending.asked() => {
            halt.ask();
            // A write that is under way would bring back a key that is removed.
            measuring.await
        }
    };
    let removed = keys.remove(&database).await;
    supervisor.shutdown(Duration::from_secs(1)).await;
    match &measured {
        Ok(Some(report)) => report.print(output)?,
        Err(_) => {}
        Ok(None) => output.message("redis-steward: interrupted; nothing was measured to its end"),
    }
    if let Err(error) = removed {
        return Err(Failure::Run(format!(
            "keys that begin with {} were not removed, and expire in {:?}: {error}",
            keys.prefix(),
            keys.expiry()
        )));
    }
    match measured? {
        Some(report) if report.is_ok() => Ok(ExitCode::SUCCESS),
        _ => Ok(ExitCode::FAILURE),
    }
}

/// The database of a file: the one that was chosen, or the only one.
fn chosen(config: &Config, arguments: &BenchArguments) -> Result<String, Failure> {
    let databases = target::setting(config, "number");
    let mut names = databases.into_keys();
    let chosen = match (&arguments.database, names.len()) {
        (Some(name), _) => names.find(|known| known == name),
        (None, 1) => names.next(),
        (None, _) => {
            let names = names.collect::<Vec<_>>().join(", ");
            let message = format!("choose one of {names} by --database");
            return Err(Failure::Usage(message));
        }
    };
    chosen.ok_or_else(|| Failure::Usage("there is no database of this name".into()))
}

/// Measures, or stops early and returns nothing if the run is halted.
async fn measure<'a>(
    supervisor: &Supervisor,
    database: &Database,
    config: &Config,
    keys: &Keys,
    arguments: &'a BenchArguments,
    halt: &Halt,
) -> Result<Option<Report<'a>>, Failure> {
    keys.fill(database, halt).await?;
    let health = database.health_check(Duration::from_secs(2)).await;
    let load = Load::new(database, keys, arguments, halt);
    let before = supervisor.statistics();
    load.run().await;
    if halt.is_asked() {
        return Ok(None);
    }
    let interval = supervisor.statistics().since(&before);
    let took = interval.uptime;
    let stats = interval.databases.get(database.name());
    let stats = stats.expect("BUG: a database has statistics").clone();
    let rate = stats.commands() as f64 / took.as_secs_f64();
    let peer = Peer::of(config, database.name(), arguments);
    let compared = peer.run(keys, arguments, rate, halt).await;
    if halt.is_asked() {
        return Ok(None);
    }
    Ok(Some(Report {
        arguments,
        address: peer.address().to_owned(),
        server: health.server,
        took,
        stats,
        peer: compared,
    }))
}
