//! One case: every contender connects, warms up, and takes its turn in every round.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Error, Result, anyhow};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    case::Case,
    contender::{Contender, Name},
    dataset::{Dataset, Records},
    figures::Figures,
    progress::Progress,
    server::Server,
};

/// A turn, or a connection, that takes so much longer than it should will never end.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Settings {
    #[serde(rename = "round_millis", serialize_with = "millis")]
    pub round: Duration,
    pub rounds: usize,
}

/// What one contender achieved in one case.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub peer: Name,
    #[serde(flatten)]
    pub medians: Figures,
    pub rounds: Vec<Figures>,
}

impl Outcome {
    pub fn throughput(&self) -> f64 {
        self.medians.operations_per_second
    }

    pub fn cpu(&self) -> f64 {
        self.medians.cpu_micros_per_operation
    }

    pub fn p99(&self) -> f64 {
        self.medians.p99_micros
    }
}

/// Measures all of `names` in one case. Whatever goes wrong is reported with who and where, and
/// as the end of the server if that is what it was.
pub fn measure(
    server: &Server,
    case: Case,
    names: &[Name],
    settings: Settings,
    progress: &Progress,
) -> Result<Vec<Outcome>> {
    let measured = Dataset::write(&server.url(), case).and_then(|dataset| {
        case.flavour.block_on(async {
            let entries = connect(server, case, names, &dataset.records).await?;
            in_turns(case, entries, dataset, settings, progress).await
        })
    });
    measured.map_err(|error| explain(server, case, error))
}

struct Entry {
    name: Name,
    contender: Box<dyn Contender>,
    rounds: Vec<Figures>,
}

async fn connect(
    server: &Server,
    case: Case,
    names: &[Name],
    records: &Arc<[Records]>,
) -> Result<Vec<Entry>> {
    let mut entries = Vec::with_capacity(names.len());
    for &name in names {
        let connecting = timeout(PATIENCE, name.connect(server, case, records)).await;
        let connected =
            connecting.unwrap_or_else(|_| Err(anyhow!("no connection within {PATIENCE:?}")));
        entries.push(Entry {
            name,
            contender: connected.with_context(|| format!("{name}: connecting"))?,
            rounds: Vec::new(),
        });
    }
    Ok(entries)
}

async fn in_turns(
    case: Case,
    mut entries: Vec<Entry>,
    mut dataset: Dataset,
    settings: Settings,
    progress: &Progress,
) -> Result<Vec<Outcome>> {
    for entry in &mut entries {
        progress.at(case, entry.name);
        dataset.renew()?;
        entry.turn(settings.round / 2).await?;
    }
    for round in 0..settings.rounds {
        for index in order(round, entries.len()) {
            let entry = &mut entries[index];
            progress.at(case, entry.name);
            dataset.renew()?;
            let figures = entry.turn(settings.round).await?;
            entry.rounds.push(figures);
        }
    }
    let mut outcomes = Vec::with_capacity(entries.len());
    for entry in entries {
        outcomes.push(entry.finish().await?);
    }
    Ok(outcomes)
}

impl Entry {
    async fn turn(&mut self, length: Duration) -> Result<Figures> {
        let patience = length + PATIENCE;
        let turn = timeout(patience, self.contender.round(length)).await;
        turn.unwrap_or_else(|_| Err(anyhow!("a call did not end within {patience:?}")))
            .with_context(|| self.name.to_string())
    }

    async fn finish(self) -> Result<Outcome> {
        let leaving = timeout(PATIENCE, self.contender.disconnect()).await;
        leaving
            .unwrap_or_else(|_| Err(anyhow!("not done within {PATIENCE:?}")))
            .with_context(|| format!("{}: disconnecting", self.name))?;
        Ok(Outcome {
            peer: self.name,
            medians: Figures::medians(&self.rounds),
            rounds: self.rounds,
        })
    }
}

/// Everybody's place in a round. It rotates, and every second round goes the other way, so that
/// nobody always comes after the same one.
fn order(round: usize, contenders: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..contenders)
        .map(|place| (place + round) % contenders)
        .collect();
    if !round.is_multiple_of(2) {
        order.reverse();
    }
    order
}

fn explain(server: &Server, case: Case, error: Error) -> Error {
    // The clients notice its end a moment before the system reports it.
    std::thread::sleep(Duration::from_millis(100));
    let error = match server.check() {
        Ok(()) => error,
        Err(gone) => error.context(gone),
    };
    error.context(case.name())
}

fn millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u128(duration.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_rotates_and_turns_round() {
        assert_eq!(order(0, 3), [0, 1, 2]);
        assert_eq!(order(1, 3), [0, 2, 1]);
        assert_eq!(order(2, 3), [2, 0, 1]);
        assert_eq!(order(3, 1), [0]);
    }

    #[test]
    fn nobody_always_follows_the_same_one() {
        let followed = |round| {
            let order = order(round, 9);
            let place = order.iter().position(|&index| index == 4);
            place
                .and_then(|place| place.checked_sub(1))
                .map(|before| order[before])
        };
        let before: std::collections::HashSet<_> = (0..5).map(followed).collect();
        assert!(before.len() > 1, "{before:?}");
    }
}
