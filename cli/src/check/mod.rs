//! `check`: a file, its servers, and the rights of its users.
//!
//! - this file: the run, and waiting until each database is known to work or not · `rights`: what the user may run ·
//!   `report`: the results

mod report;
mod rights;

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use futures_util::future::join_all;
use redis_steward::{HealthCheck, HealthState, Reason, Supervisor};
use tokio::time::timeout;

use crate::{arguments::CheckArguments, failure::Failure, output::Output, target};
use report::{Checked, Report};
use rights::Rights;

pub(crate) async fn run(arguments: CheckArguments, output: &Output) -> Result<ExitCode, Failure> {
    let config = target::of_file(&arguments.file)?;
    let addresses = target::setting(&config, "address");
    let supervisor = Supervisor::spawn(target::named_for_tool(config.clone())).await?;
    // Those that are not known in time are judged as they are then.
    let _ = timeout(arguments.within, settled(&supervisor)).await;
    let health = supervisor.health(arguments.within).await;
    let rights = rights(&supervisor, health.databases.values(), arguments.within).await;
    supervisor.shutdown(Duration::from_secs(1)).await;

    let checks = health.databases.into_iter().zip(rights);
    let databases = checks.map(|((name, health), rights)| {
        let address = addresses.get(&*name).cloned().unwrap_or_default();
        let checked = Checked {
            address,
            health,
            rights,
        };
        (name.to_string(), checked)
    });
    let report = Report {
        file: arguments.file.file.display().to_string(),
        databases: databases.collect(),
        notes: &config,
    };
    report.print(output)?;
    let is_well = report.is_ok() && !(arguments.strict && report.has_remarks());
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Waits until each database works, or is known not to.
async fn settled(supervisor: &Supervisor) {
    let mut states: BTreeMap<_, bool> = supervisor
        .databases()
        .into_iter()
        .map(|name| (name, false))
        .collect();
    let mut events = supervisor.subscribe();
    while states.values().any(|is_settled| !is_settled) {
        let Some(event) = events.next().await else {
            return;
        };
        states.insert(event.database, is_settled(&event.state));
    }
}

/// Whether it is not just about to change, as while the first attempts fail or the server loads its dataset.
fn is_settled(state: &HealthState) -> bool {
    match state {
        HealthState::Starting => false,
        HealthState::Degraded { reason } => matches!(
            reason,
            Reason::MemoryFallback
                | Reason::ReadOnly
                | Reason::CannotSave
                | Reason::OutOfMemory
                | Reason::NoReplicas
        ),
        _ => true,
    }
}

/// The rights of the users of those databases whose server answers.
async fn rights(
    supervisor: &Supervisor,
    checks: impl Iterator<Item = &HealthCheck>,
    within: Duration,
) -> Vec<Option<Rights>> {
    let tried = checks.map(async |check| {
        check.ping?;
        let database = supervisor.database(&*check.database).ok()?;
        Some(rights::of(&database.with_timeout(within)).await)
    });
    join_all(tried).await
}
