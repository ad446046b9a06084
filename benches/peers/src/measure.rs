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
    peer::WrongReply,
    progress::Progress,
    site::Site,
};

/// A turn, or a connection, that takes so much longer than it should will never end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a contender may fail in a case.
const FAILURES: usize = 3;

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
    /// Why turns were repeated.
    pub failures: Vec<String>,
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
    site: &Site,
    case: Case,
    names: &[Name],
    settings: Settings,
    progress: &Progress,
) -> Result<Vec<Outcome>> {
    let measured = Dataset::write(&site.address(case)?, case).and_then(|dataset| {
        case.flavour.block_on(async {
            let entries = connect(site, case, names, &dataset.records).await?;
            in_turns(case, entries, dataset, settings, progress).await
        })
    });
    measured.map_err(|error| explain(site, case, error))
}

struct Entry {
    name: Name,
    contender: Box<dyn Contender>,
    rounds: Vec<Figures>,
    failures: Vec<String>,
}

async fn connect(
    site: &Site,
    case: Case,
    names: &[Name],
    records: &Arc<[Records]>,
) -> Result<Vec<Entry>> {
    let address = site.address(case)?;
    let mut entries = Vec::with_capacity(names.len());
    for &name in names {
        let connecting = name.connect(address.clone(), site.programs(), case, records);
        let connected = within("connecting", connecting).await;
        entries.push(Entry {
            name,
            contender: connected.with_context(|| name.to_string())?,
            rounds: Vec::new(),
            failures: Vec::new(),
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
        progress.at(&case.name(), entry.name);
        entry.turn(&mut dataset, settings.round / 2).await?;
    }
    for round in 0..settings.rounds {
        for index in order(round, entries.len()) {
            let entry = &mut entries[index];
            progress.at(&case.name(), entry.name);
            let figures = entry.turn(&mut dataset, settings.round).await?;
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
    /// Repeats a turn that failed, because some clients have fixed timeouts which a busy machine
    /// exceeds. Wrong replies, and who fails again and again, end the run.
    async fn turn(&mut self, dataset: &mut Dataset, length: Duration) -> Result<Figures> {
        let figures = loop {
            dataset.renew()?;
            match self.attempt(length).await {
                Ok(figures) => break figures,
                Err(error) if self.failures.len() < FAILURES && !error.is::<WrongReply>() => {
                    self.failures.push(format!("{error:#}"));
                }
                Err(error) => return Err(error.context(self.name.to_string())),
            }
            within("connecting again", self.contender.reconnect())
                .await
                .with_context(|| self.name.to_string())?;
        };
        if self.name != Name::RedisBenchmark {
            dataset.check().with_context(|| self.name.to_string())?;
        }
        Ok(figures)
    }

    async fn attempt(&mut self, length: Duration) -> Result<Figures> {
        let patience = length + PATIENCE;
        let turn = timeout(patience, self.contender.round(length)).await;
        turn.unwrap_or_else(|_| Err(anyhow!("a call did not end within {patience:?}")))
    }

    async fn finish(self) -> Result<Outcome> {
        within("disconnecting", self.contender.disconnect())
            .await
            .with_context(|| self.name.to_string())?;
        Ok(Outcome {
            peer: self.name,
            medians: Figures::medians(&self.rounds),
            rounds: self.rounds,
            failures: self.failures,
        })
    }
}

async fn within<T>(step: &'static str, task: impl Future<Output = Result<T>>) -> Result<T> {
    let ended = timeout(PATIENCE, task).await;
    ended
        .unwrap_or_else(|_| Err(anyhow!("not done within {PATIENCE:?}")))
        .context(step)
}

/// Everybody's place in a round. The stride through the list differs from round to round, so that
/// everybody comes after somebody else each time: whoever comes after redis-benchmark, say, finds
/// the server and the processor in another state.
fn order(round: usize, contenders: usize) -> Vec<usize> {
    let strides: Vec<_> = (1..=contenders)
        .filter(|&stride| common_divisor(stride, contenders) == 1)
        .collect();
    let stride = strides[round % strides.len()];
    (0..contenders)
        .map(|place| (round + place * stride) % contenders)
        .collect()
}

fn common_divisor(a: usize, b: usize) -> usize {
    match b {
        0 => a,
        _ => common_divisor(b, a % b),
    }
}

fn explain(site: &Site, case: Case, error: Error) -> Error {
    // The clients notice its end a moment before the system reports it.
    std::thread::sleep(Duration::from_millis(100));
    let error = match site.check() {
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
    use std::pin::Pin;

    use anyhow::bail;

    use super::*;
    use crate::{contender::Turn, peer::expect, program::Programs, server::Server};

    #[test]
    fn everybody_has_one_turn_in_a_round() {
        for contenders in 1..=9 {
            for round in 0..12 {
                let mut order = order(round, contenders);
                order.sort_unstable();
                assert!(order.into_iter().eq(0..contenders));
            }
        }
    }

    /// Fails a few times, or gives wrong replies.
    struct Unlucky {
        failures_left: usize,
        lies: bool,
    }

    impl Contender for Unlucky {
        fn round(&mut self, _: Duration) -> Turn<'_> {
            Box::pin(async {
                if self.lies {
                    expect(1, 2)?;
                }
                match self.failures_left.checked_sub(1) {
                    None => Ok(FIGURES),
                    Some(left) => {
                        self.failures_left = left;
                        bail!("a timeout")
                    }
                }
            })
        }

        fn reconnect(&mut self) -> Pin<Box<dyn Future<Output = Result<()>> + '_>> {
            Box::pin(async { Ok(()) })
        }

        fn disconnect(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<()>>>> {
            Box::pin(async { Ok(()) })
        }
    }

    const FIGURES: Figures = Figures {
        operations_per_second: 1.0,
        cpu_micros_per_operation: 1.0,
        p50_micros: 1.0,
        p99_micros: 1.0,
        p999_micros: None,
        hit_share: None,
    };

    /// What the turn of such a contender gives, and why it was repeated.
    fn turn(contender: Unlucky) -> (Result<Figures>, Vec<String>) {
        let server = Server::start(&Programs::default()).expect("a server");
        let case = Case::quick()[0];
        let mut dataset = Dataset::write(&server.address(), case).expect("a data set");
        let mut entry = Entry {
            name: Name::Bb8Redis,
            contender: Box::new(contender),
            rounds: Vec::new(),
            failures: Vec::new(),
        };
        let turn = entry.turn(&mut dataset, Duration::ZERO);
        let figures = case.flavour.block_on(turn);
        (figures, entry.failures)
    }

    #[test]
    fn a_turn_that_fails_is_repeated_and_that_is_told() {
        let (figures, failures) = turn(Unlucky {
            failures_left: 2,
            lies: false,
        });
        assert_eq!(figures.expect("the third attempt"), FIGURES);
        assert_eq!(failures, ["a timeout", "a timeout"]);
    }

    #[test]
    fn who_fails_again_and_again_ends_the_run() {
        let (figures, failures) = turn(Unlucky {
            failures_left: usize::MAX,
            lies: false,
        });
        let error = figures.expect_err("no attempt succeeds");
        assert_eq!(format!("{error:#}"), "bb8-redis: a timeout");
        assert_eq!(failures.len(), FAILURES);
    }

    #[test]
    fn a_wrong_reply_ends_the_run() {
        let (figures, failures) = turn(Unlucky {
            failures_left: 0,
            lies: true,
        });
        let error = figures.expect_err("a wrong reply");
        assert!(error.is::<WrongReply>(), "{error:#}");
        assert!(failures.is_empty(), "{failures:?}");
    }

    #[test]
    fn everybody_follows_somebody_else_in_each_of_five_rounds() {
        for one in 0..9 {
            let mut followed: Vec<_> = (0..5)
                .filter_map(|round| {
                    let order = order(round, 9);
                    let place = order.iter().position(|&index| index == one)?;
                    Some(order[place.checked_sub(1)?])
                })
                .collect();
            let rounds = followed.len();
            followed.sort_unstable();
            followed.dedup();
            assert_eq!(followed.len(), rounds, "{one} follows somebody twice");
        }
    }
}
