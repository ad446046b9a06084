//! What one kill comes to for a client, from its calls and the nodes' own count of them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::faults::{
    client::Promises,
    load::{Call, End},
    outcome::{errors, told},
};

/// When a shard was without a primary.
pub struct Kill {
    /// The primary was gone.
    pub struck: Instant,
    /// Its replica said for the first time that it is the primary.
    pub promoted: Instant,
}

/// The calls to one shard, and how often each has run, by its present primary.
pub struct Shard {
    pub calls: Vec<Call>,
    pub runs: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Round {
    /// Of one shard; there are as many to each of the others.
    pub calls: usize,
    /// From the kill until the replica says that it is the primary.
    pub promotion_millis: f64,
    /// From the promotion to the first success of a call to that shard that was made after the kill. None if there is
    /// none.
    pub first_success_millis: Option<f64>,
    /// Calls to that shard with an error, or without an end.
    pub failed: usize,
    /// The same of all other shards.
    pub failed_elsewhere: usize,
    /// Those of both that did not end while the bench waited.
    pub hung: usize,
    /// Failed calls of which the client says that they may have run, or of one that does not tell, all.
    pub may_have_run: usize,
    /// Runs of a call after its first.
    pub ran_twice: u64,
    /// Acknowledged calls that the present primary does not have.
    pub lost: usize,
    /// Failed calls of which the client said the wrong thing, if it tells.
    pub untrue: Option<usize>,
    /// Of the calls to all other shards that were made after the kill.
    pub slowest_elsewhere_millis: f64,
    /// How often calls failed with what.
    pub errors: BTreeMap<String, usize>,
}

impl Round {
    pub fn of(promises: Promises, kill: &Kill, struck: usize, shards: &[Shard]) -> Self {
        let dead = &shards[struck];
        let others = || {
            let others = shards.iter().enumerate();
            others.filter(|&(shard, _)| shard != struck)
        };
        let slowest = others().map(|(_, shard)| shard.slowest_since(kill.struck));
        let may_have_run: usize = shards
            .iter()
            .map(|shard| shard.may_have_run(promises))
            .sum();
        let untrue = || {
            shards
                .iter()
                .map(|shard| told(&shard.calls, &shard.runs).untrue)
        };
        Self {
            calls: dead.calls.len(),
            promotion_millis: millis(kill.promoted - kill.struck),
            first_success_millis: dead.first_success(kill).map(millis),
            failed: dead.failed(),
            failed_elsewhere: others().map(|(_, shard)| shard.failed()).sum(),
            hung: shards.iter().map(Shard::hung).sum(),
            may_have_run,
            ran_twice: shards.iter().map(Shard::ran_twice).sum(),
            lost: shards.iter().map(Shard::lost).sum(),
            untrue: promises.tells_execution.then(|| untrue().sum()),
            slowest_elsewhere_millis: millis(slowest.max().unwrap_or_default()),
            errors: errors(shards.iter().flat_map(|shard| &shard.calls)),
        }
    }
}

impl Shard {
    /// Of those calls that were made after the kill, which only the new primary can have answered. It does so before the
    /// bench sees that it is one, or after.
    fn first_success(&self, kill: &Kill) -> Option<Duration> {
        let later = self.calls.iter().filter(|call| call.started >= kill.struck);
        let ends = later.filter(|call| call.is_acknowledged()).map(Call::ended);
        let first = ends.min()?;
        Some(first.saturating_duration_since(kill.promoted))
    }

    fn slowest_since(&self, moment: Instant) -> Duration {
        let later = self.calls.iter().filter(|call| call.started >= moment);
        later.map(|call| call.took).max().unwrap_or_default()
    }

    fn failed(&self) -> usize {
        self.number(|call| !call.is_acknowledged())
    }

    fn hung(&self) -> usize {
        self.number(|call| call.end == End::Hung)
    }

    /// Nobody has said anything of a call that hung.
    fn may_have_run(&self, promises: Promises) -> usize {
        match promises.tells_execution {
            true => told(&self.calls, &self.runs).unknown + self.hung(),
            false => self.failed(),
        }
    }

    fn ran_twice(&self) -> u64 {
        self.runs.iter().map(|runs| runs.saturating_sub(1)).sum()
    }

    fn lost(&self) -> usize {
        let pairs = self.calls.iter().zip(&self.runs);
        pairs
            .filter(|&(call, &runs)| call.is_acknowledged() && runs == 0)
            .count()
    }

    fn number(&self, is: impl Fn(&Call) -> bool) -> usize {
        self.calls.iter().filter(|call| is(call)).count()
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use redis_steward::Execution;

    use super::*;
    use crate::faults::client::Failure;

    const MS: Duration = Duration::from_millis(1);

    fn failed(execution: Option<Execution>) -> End {
        End::Failed(Failure {
            cause: "refused".into(),
            execution,
        })
    }

    /// A primary that is killed after 1 s, and its replica is promoted 2 s later.
    fn round(
        tells_execution: bool,
        dead: &[(u32, u32, End, u64)],
        other: &[(u32, u32, End, u64)],
    ) -> Round {
        let start = Instant::now();
        let shard = |calls: &[(u32, u32, End, u64)]| Shard {
            calls: calls
                .iter()
                .map(|(at, took, end, _)| Call {
                    started: start + MS * *at,
                    took: MS * *took,
                    end: end.clone(),
                })
                .collect(),
            runs: calls.iter().map(|(.., runs)| *runs).collect(),
        };
        let kill = Kill {
            struck: start + MS * 1000,
            promoted: start + MS * 3000,
        };
        let promises = Promises {
            deadline: None,
            tells_execution,
        };
        Round::of(promises, &kill, 1, &[shard(other), shard(dead)])
    }

    #[test]
    fn what_happens_to_the_dead_shard_and_to_the_others_is_told_apart() {
        let unknown = failed(Some(Execution::Unknown));
        let refused = failed(Some(Execution::NotExecuted));
        let dead = [
            // Answered before the kill, and its caller woken afterwards.
            (999, 3, End::Acknowledged, 1),
            (999, 3, unknown, 1),
            (1005, 1, refused.clone(), 0),
            (1010, 10_000, End::Hung, 2),
            (2900, 130, End::Acknowledged, 1),
            (3100, 1, End::Acknowledged, 0),
        ];
        let other = [
            (500, 90, End::Acknowledged, 1),
            (1500, 40, End::Acknowledged, 1),
            (2000, 1, refused, 1),
        ];
        let expected = Round {
            calls: 6,
            promotion_millis: 2000.0,
            first_success_millis: Some(30.0),
            failed: 3,
            failed_elsewhere: 1,
            hung: 1,
            may_have_run: 2,
            ran_twice: 1,
            lost: 1,
            untrue: Some(1),
            slowest_elsewhere_millis: 40.0,
            errors: [("refused".to_owned(), 3)].into(),
        };
        assert_eq!(round(true, &dead, &other), expected);
    }

    #[test]
    fn a_client_that_does_not_tell_leaves_each_failed_call_open() {
        let dead = [(1005, 1, failed(None), 0), (1010, 1, failed(None), 1)];
        let round = round(false, &dead, &[]);
        assert_eq!((round.failed, round.may_have_run), (2, 2));
        assert_eq!(round.untrue, None);
        assert_eq!(round.first_success_millis, None);
    }

    #[test]
    fn a_success_before_the_promotion_is_seen_has_no_wait() {
        let dead = [(2000, 998, End::Acknowledged, 1)];
        assert_eq!(round(true, &dead, &[]).first_success_millis, Some(0.0));
    }
}
