//! What a client under a fault comes to, from its calls and the server's own count of them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use redis_steward::Execution;
use serde::Serialize;

use super::{
    client::Promises,
    fault::{Fault, Span},
    load::{Call, End},
};
use crate::{contender::Name, figures::median};

/// A client may take so long to notice that the server is back. What fails later is held against it.
const SETTLED_AFTER: Duration = Duration::from_millis(100);
/// A busy machine wakes a timer so much late.
const TOLERANCE: Duration = Duration::from_millis(50);

#[derive(Debug, Serialize)]
pub struct Outcome {
    pub fault: Fault,
    pub client: Name,
    pub calls: usize,
    pub acknowledged: usize,
    /// With an error, or not at all.
    pub failed: usize,
    /// Those of them that did not end while the bench waited.
    pub hung: usize,
    /// Of calls made between the fault and the settling of the client, however they ended.
    pub disturbed_p50_millis: Option<f64>,
    pub disturbed_max_millis: Option<f64>,
    /// Of all calls.
    pub slowest_millis: f64,
    /// For each outage: from the server's return to the first success of a call that was made after the
    /// fault. It may lie after further outages.
    pub first_success_millis: Vec<Option<f64>>,
    /// Of the calls made when the server was back, before the client should have settled.
    pub failed_at_first: usize,
    /// Of the calls made after that.
    pub failed_after_recovery: usize,
    /// How often the server has run any of the calls.
    pub server_count: u64,
    /// `server_count` less those acknowledged: what ran without its caller's knowing.
    pub unacknowledged: i64,
    /// Acknowledged and not run.
    pub lost: usize,
    /// Runs of a call after its first.
    pub ran_twice: u64,
    /// Of a client that promises a deadline: the calls that took longer.
    pub past_deadline: Option<usize>,
    /// Of a client that tells whether a failed call ran.
    pub told: Option<Told>,
    /// How often calls failed with what.
    pub errors: BTreeMap<String, usize>,
}

/// What the client said of its failed calls, and whether it is true.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Told {
    /// Failed calls that may have run, or not.
    pub unknown: usize,
    /// Those of them that ran.
    pub unknown_and_ran: usize,
    /// Said not to have run, but they did; or the other way round.
    pub untrue: usize,
    /// At least as many ran as were acknowledged, and no more than those and the unknown.
    pub adds_up: bool,
}

impl Outcome {
    /// `runs` says how often each of the calls ran.
    pub fn of(
        client: Name,
        fault: Fault,
        promises: Promises,
        spans: &[Span],
        calls: &[Call],
        runs: &[u64],
    ) -> Self {
        assert_eq!(calls.len(), runs.len(), "BUG: each call has a counter");
        let number = |is: &dyn Fn(&Call) -> bool| calls.iter().filter(|call| is(call)).count();
        let is_disturbed = |call: &&Call| spans.iter().any(|span| span.disturbs(call));
        let disturbed = calls.iter().filter(is_disturbed);
        let disturbed: Vec<_> = disturbed.map(|call| millis(call.took)).collect();
        let failed_after = |is: &dyn Fn(Duration) -> bool| {
            number(&|call| !call.is_acknowledged() && after_return(spans, call).is_some_and(is))
        };
        let acknowledged = number(&Call::is_acknowledged);
        let server_count = runs.iter().sum();
        Self {
            fault,
            client,
            calls: calls.len(),
            acknowledged,
            failed: calls.len() - acknowledged,
            hung: number(&|call| call.end == End::Hung),
            disturbed_max_millis: disturbed.iter().copied().reduce(f64::max),
            disturbed_p50_millis: (!disturbed.is_empty()).then(|| median(disturbed)),
            slowest_millis: calls
                .iter()
                .map(|call| millis(call.took))
                .fold(0.0, f64::max),
            first_success_millis: first_successes(spans, calls),
            failed_at_first: failed_after(&|after| after < SETTLED_AFTER),
            failed_after_recovery: failed_after(&|after| after >= SETTLED_AFTER),
            server_count,
            unacknowledged: server_count as i64 - acknowledged as i64,
            lost: pairs(calls, runs)
                .filter(|(call, runs)| call.is_acknowledged() && *runs == 0)
                .count(),
            ran_twice: runs.iter().map(|runs| runs.saturating_sub(1)).sum(),
            past_deadline: promises
                .deadline
                .map(|deadline| number(&|call| call.took > deadline + TOLERANCE)),
            told: promises.tells_execution.then(|| told(calls, runs)),
            errors: errors(calls),
        }
    }
}

impl Span {
    fn disturbs(&self, call: &Call) -> bool {
        (self.struck..self.back + SETTLED_AFTER).contains(&call.started)
    }
}

impl Call {
    fn execution(&self) -> Option<Execution> {
        match &self.end {
            End::Failed(failure) => failure.execution,
            End::Acknowledged | End::Hung => None,
        }
    }
}

/// How long after the server's return a call was made. None if the server was away at any time of it, which
/// is no fault of the client.
fn after_return(spans: &[Span], call: &Call) -> Option<Duration> {
    let is_over = |span: &&Span| span.struck <= call.ended();
    let last = spans.iter().rfind(is_over)?;
    call.started.checked_duration_since(last.back)
}

fn first_successes(spans: &[Span], calls: &[Call]) -> Vec<Option<f64>> {
    let wait = |span: &Span| {
        let first = first_success(span, calls)?;
        Some(millis(first.saturating_duration_since(span.back)))
    };
    spans.iter().map(wait).collect()
}

/// The first after the fault. A call that was under way when it struck may have been answered before,
/// and its caller only woken afterwards; so it does not count.
fn first_success(span: &Span, calls: &[Call]) -> Option<Instant> {
    let made_after = calls.iter().filter(|call| call.started >= span.struck);
    let succeeded = made_after.filter(|call| call.is_acknowledged());
    let ends = succeeded.map(Call::ended);
    ends.filter(|&end| end >= span.lifted).min()
}

/// `runs` says how often each of the calls ran.
pub fn told(calls: &[Call], runs: &[u64]) -> Told {
    let mut told = Told::default();
    for (call, runs) in pairs(calls, runs) {
        let Some(execution) = call.execution() else {
            continue;
        };
        match execution {
            Execution::Unknown => {
                told.unknown += 1;
                told.unknown_and_ran += usize::from(runs > 0);
            }
            Execution::Executed => told.untrue += usize::from(runs == 0),
            _ => told.untrue += usize::from(runs > 0),
        }
    }
    let acknowledged = calls.iter().filter(|call| call.is_acknowledged()).count();
    let count = runs.iter().sum::<u64>() as usize;
    told.adds_up = (acknowledged..=acknowledged + told.unknown).contains(&count);
    told
}

fn pairs<'a>(calls: &'a [Call], runs: &'a [u64]) -> impl Iterator<Item = (&'a Call, u64)> {
    calls.iter().zip(runs.iter().copied())
}

/// How often calls failed with what.
pub fn errors<'a>(calls: impl IntoIterator<Item = &'a Call>) -> BTreeMap<String, usize> {
    let mut errors = BTreeMap::new();
    for call in calls {
        if let End::Failed(failure) = &call.end {
            *errors.entry(kind(&failure.cause)).or_default() += 1;
        }
    }
    errors
}

/// An error's text without its numbers, which differ from call to call.
fn kind(cause: &str) -> String {
    let mut kind = String::with_capacity(cause.len());
    for character in cause.chars() {
        match character {
            '0'..='9' if kind.ends_with('#') => {}
            '0'..='9' => kind.push('#'),
            other => kind.push(other),
        }
    }
    kind
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::client::Failure;

    const MS: Duration = Duration::from_millis(1);
    const PROMISES: Promises = Promises {
        deadline: Some(Duration::from_secs(5)),
        tells_execution: true,
    };

    /// A run whose fault strikes after 1 s, is lifted 3 s later, and has the server back in 20 ms.
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

        fn outcome(&self, promises: Promises) -> Outcome {
            let spans = [Span {
                struck: self.start + MS * 1000,
                lifted: self.start + MS * 4000,
                back: self.start + MS * 4020,
            }];
            let (client, fault) = (Name::RedisSteward, Fault::Kill);
            Outcome::of(client, fault, promises, &spans, &self.calls, &self.runs)
        }
    }

    fn failed(execution: Option<Execution>) -> End {
        End::Failed(Failure {
            cause: "lost after 12.5 ms".into(),
            execution,
        })
    }

    #[test]
    fn calls_are_told_apart_by_when_they_were_made() {
        let run = Run::new()
            .call(0, 1, End::Acknowledged, 1)
            .call(1000, 40, failed(None), 0)
            .call(2000, 2060, End::Acknowledged, 1)
            .call(4119, 30, failed(None), 0)
            .call(4120, 1, failed(None), 0)
            .call(4200, 10_000, End::Hung, 0);
        let outcome = run.outcome(PROMISES);
        assert_eq!((outcome.calls, outcome.acknowledged), (6, 2));
        assert_eq!((outcome.failed, outcome.hung), (4, 1));
        assert_eq!(outcome.disturbed_p50_millis, Some(40.0));
        assert_eq!(outcome.disturbed_max_millis, Some(2060.0));
        assert_eq!(outcome.slowest_millis, 10_000.0);
        assert_eq!(outcome.first_success_millis, [Some(40.0)]);
        assert_eq!(outcome.failed_at_first, 1);
        assert_eq!(outcome.failed_after_recovery, 2);
        assert_eq!(outcome.past_deadline, Some(1));
        assert_eq!(
            outcome.errors,
            BTreeMap::from([("lost after #.# ms".into(), 3)])
        );
    }

    #[test]
    fn only_a_success_after_the_fault_is_a_recovery() {
        let run = Run::new()
            .call(0, 4500, End::Acknowledged, 1)
            .call(1000, 1, End::Acknowledged, 1)
            .call(4500, 1, failed(None), 0);
        assert_eq!(run.outcome(PROMISES).first_success_millis, [None]);
        let run = run.call(3990, 15, End::Acknowledged, 1);
        // The server answered this caller before it answered the bench.
        assert_eq!(run.outcome(PROMISES).first_success_millis, [Some(0.0)]);
    }

    #[test]
    fn each_outage_has_a_recovery_of_its_own() {
        let run = Run::new()
            .call(1000, 3100, failed(None), 0)
            .call(4050, 1, failed(None), 0)
            .call(4200, 1, failed(None), 0)
            // The next outage strikes these.
            .call(4900, 200, failed(None), 0)
            .call(5100, 1000, End::Acknowledged, 1);
        let at = |millis| run.start + MS * millis;
        let outage = |struck| Span {
            struck: at(struck),
            lifted: at(struck + 800),
            back: at(struck + 810),
        };
        let spans = [outage(3200), outage(5000), outage(9000)];
        let (client, fault) = (Name::Fred, Fault::FlapKill);
        let outcome = Outcome::of(client, fault, PROMISES, &spans, &run.calls, &run.runs);
        let waits = [Some(2090.0), Some(290.0), None];
        assert_eq!(outcome.first_success_millis, waits);
        assert_eq!(outcome.failed_at_first, 1);
        assert_eq!(outcome.failed_after_recovery, 1);
    }

    #[test]
    fn the_count_of_the_server_is_compared_with_what_callers_know() {
        let run = Run::new()
            .call(0, 1, End::Acknowledged, 1)
            .call(1000, 1, failed(Some(Execution::Unknown)), 1)
            .call(1005, 1, failed(Some(Execution::Unknown)), 0)
            .call(1010, 1, failed(Some(Execution::NotSent)), 0);
        let outcome = run.outcome(PROMISES);
        assert_eq!((outcome.server_count, outcome.unacknowledged), (2, 1));
        assert_eq!((outcome.lost, outcome.ran_twice), (0, 0));
        let told = Told {
            unknown: 2,
            unknown_and_ran: 1,
            untrue: 0,
            adds_up: true,
        };
        assert_eq!(outcome.told, Some(told));
    }

    #[test]
    fn what_a_client_says_wrongly_is_found_also_where_the_sum_is_right() {
        let run = Run::new()
            .call(1000, 1, failed(Some(Execution::Unknown)), 0)
            .call(1005, 1, failed(Some(Execution::NotSent)), 1);
        let told = run.outcome(PROMISES).told.expect("it tells");
        assert_eq!((told.untrue, told.adds_up), (1, true));
        let run = run.call(1010, 1, failed(Some(Execution::NotSent)), 1);
        let told = run.outcome(PROMISES).told.expect("it tells");
        assert_eq!((told.untrue, told.adds_up), (2, false));
    }

    #[test]
    fn lost_calls_and_second_runs_are_found_where_they_even_out() {
        let run = Run::new()
            .call(0, 1, End::Acknowledged, 0)
            .call(1000, 1, End::Acknowledged, 2);
        let silent = Promises {
            deadline: None,
            tells_execution: false,
        };
        let outcome = run.outcome(silent);
        assert_eq!(outcome.unacknowledged, 0);
        assert_eq!((outcome.lost, outcome.ran_twice), (1, 1));
        assert_eq!((outcome.told, outcome.past_deadline), (None, None));
    }
}
