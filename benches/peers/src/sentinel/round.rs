//! What one failover comes to for a client, from its calls and the new primary's own count of them.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::failover::{Failover, Switch};
use crate::faults::load::{Call, End};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Round {
    pub calls: usize,
    /// With an error, or not at all.
    pub failed: usize,
    /// Those of them that did not end while the bench waited.
    pub hung: usize,
    /// From the failover until a sentinel names the new primary.
    pub switch_millis: f64,
    /// Without a write that is kept: from the kill to the first success of a call made after it. With an order, while the
    /// old primary goes on for a while, the longest time between two such writes. None if none was kept of the calls
    /// made after the switch.
    pub without_write_millis: Option<f64>,
    /// From the switch to the first success of a call made after it, where what was written is kept.
    pub after_switch_millis: Option<f64>,
    /// Acknowledged, begun after the switch, and not at the new primary.
    pub lost_after_switch: usize,
    /// Acknowledged and not at the new primary, whenever they were begun.
    pub lost: usize,
    /// Runs of a call after its first.
    pub ran_twice: u64,
}

impl Round {
    /// `runs` says how often each of the calls ran, by the new primary.
    pub fn of(failover: Failover, switch: &Switch, calls: &[Call], runs: &[u64]) -> Self {
        assert_eq!(calls.len(), runs.len(), "BUG: each call has a counter");
        let number = |is: &dyn Fn(&Call) -> bool| calls.iter().filter(|call| is(call)).count();
        let acknowledged = || {
            let pairs = calls.iter().zip(runs);
            pairs.filter(|(call, _)| call.is_acknowledged())
        };
        let lost = || acknowledged().filter(|&(_, &runs)| runs == 0);
        let kept = acknowledged().filter(|&(_, &runs)| runs > 0);
        let kept: Vec<_> = kept.map(|(call, _)| call).collect();
        let recovered = first_since(switch.switched, &kept);
        let without_write = recovered.and_then(|_| match failover {
            Failover::Kill => first_since(switch.struck, &kept),
            Failover::Ordered => longest_gap(switch.struck, &kept),
        });
        Self {
            calls: calls.len(),
            failed: number(&|call| !call.is_acknowledged()),
            hung: number(&|call| call.end == End::Hung),
            switch_millis: millis(switch.took()),
            without_write_millis: without_write.map(millis),
            after_switch_millis: recovered.map(millis),
            lost_after_switch: lost()
                .filter(|(call, _)| call.started >= switch.switched)
                .count(),
            lost: lost().count(),
            ran_twice: runs.iter().map(|runs| runs.saturating_sub(1)).sum(),
        }
    }
}

/// How long after `moment` the first of the calls made since then succeeded.
fn first_since(moment: Instant, kept: &[&Call]) -> Option<Duration> {
    let since = kept.iter().filter(|call| call.started >= moment);
    since.map(|call| call.ended() - moment).min()
}

/// Between two writes of which the later one ended after `moment`.
fn longest_gap(moment: Instant, kept: &[&Call]) -> Option<Duration> {
    let mut ends: Vec<_> = kept.iter().map(|call| call.ended()).collect();
    ends.sort_unstable();
    let pairs = ends.windows(2).filter(|pair| pair[1] > moment);
    pairs.map(|pair| pair[1] - pair[0]).max()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::client::Failure;

    const MS: Duration = Duration::from_millis(1);

    /// A failover after 1 s, which a sentinel tells of 2 s later.
    struct Run {
        start: Instant,
        calls: Vec<Call>,
        runs: Vec<u64>,
    }

    impl Run {
        fn new() -> Self {
            Self {
                start: Instant::now(),
                calls: Vec::new(),
                runs: Vec::new(),
            }
        }

        /// A call that was made at `at`, took `took` milliseconds, and ran so often.
        fn call(mut self, at: u32, took: u32, end: End, runs: u64) -> Self {
            self.calls.push(Call {
                started: self.start + MS * at,
                took: MS * took,
                end,
            });
            self.runs.push(runs);
            self
        }

        fn round(&self, failover: Failover) -> Round {
            let switch = Switch {
                struck: self.start + MS * 1000,
                switched: self.start + MS * 3000,
                primary: 1,
            };
            Round::of(failover, &switch, &self.calls, &self.runs)
        }
    }

    fn failed() -> End {
        End::Failed(Failure {
            cause: "refused".into(),
            execution: None,
        })
    }

    #[test]
    fn after_a_kill_the_first_success_of_a_later_call_counts() {
        let round = Run::new()
            .call(990, 1, End::Acknowledged, 1)
            .call(995, 2100, End::Acknowledged, 1)
            .call(1005, 1, failed(), 0)
            .call(2900, 150, End::Acknowledged, 1)
            .call(3010, 70, End::Acknowledged, 2)
            .call(3015, 10_000, End::Hung, 0)
            .round(Failover::Kill);
        let expected = Round {
            calls: 6,
            failed: 2,
            hung: 1,
            switch_millis: 2000.0,
            without_write_millis: Some(2050.0),
            after_switch_millis: Some(80.0),
            lost_after_switch: 0,
            lost: 0,
            ran_twice: 1,
        };
        assert_eq!(round, expected);
    }

    #[test]
    fn an_acknowledged_write_that_is_not_kept_is_lost_and_no_success() {
        let run = Run::new()
            .call(900, 1, End::Acknowledged, 1)
            .call(995, 1, End::Acknowledged, 0)
            .call(3000, 1, End::Acknowledged, 0);
        let round = run.round(Failover::Ordered);
        assert_eq!((round.lost, round.lost_after_switch), (2, 1));
        assert_eq!(round.without_write_millis, None);
        assert_eq!(round.after_switch_millis, None);
        let round = run
            .call(3200, 1, End::Acknowledged, 1)
            .round(Failover::Ordered);
        assert_eq!(round.without_write_millis, Some(2300.0));
        assert_eq!(round.after_switch_millis, Some(201.0));
    }

    #[test]
    fn with_an_order_the_longest_time_without_a_write_counts() {
        let round = Run::new()
            .call(0, 1, End::Acknowledged, 1)
            // A pause before the order is none of its matter.
            .call(990, 1, End::Acknowledged, 1)
            .call(1500, 1, End::Acknowledged, 1)
            .call(2900, 1, End::Acknowledged, 1)
            .call(3300, 1, End::Acknowledged, 1)
            .round(Failover::Ordered);
        assert_eq!(round.without_write_millis, Some(1400.0));
    }
}
