//! The closed loop: so many tasks, each with one call outstanding, and every reply checked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    case::{Case, Command},
    dataset::{Records, count_start},
    figures::{Figures, Latencies},
    peer::{Peer, expect, expect_value},
    usage::Usage,
};

/// With more than one call outstanding, every so many calls are timed.
const SAMPLE: usize = 8;

/// Puts load on a client for about as long as `length`.
pub async fn run<P: Peer>(
    peer: &P,
    case: Case,
    records: &Arc<[Records]>,
    length: Duration,
) -> Result<Figures> {
    let stop = Arc::new(AtomicBool::new(false));
    let cpu = Usage::Own.now();
    let start = Instant::now();
    let callers: Vec<_> = (0..case.outstanding)
        .map(|task| {
            let caller = Caller {
                peer: peer.clone(),
                case,
                records: records.clone(),
                task,
            };
            case.flavour.spawn(caller.call_until(stop.clone()))
        })
        .collect();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    let mut tallies = Vec::with_capacity(callers.len());
    for caller in callers {
        tallies.push(caller.await.context("a task of the load")??);
    }
    let (elapsed, cpu) = (start.elapsed(), Usage::Own.now() - cpu);
    Ok(summed(case, &tallies, elapsed, cpu))
}

/// One task with one call outstanding.
struct Caller<P> {
    peer: P,
    case: Case,
    records: Arc<[Records]>,
    task: usize,
}

struct Tally {
    calls: usize,
    /// In nanoseconds. They go into a histogram when the round is over.
    latencies: Vec<u64>,
}

impl<P: Peer> Caller<P> {
    /// Somebody else looks at the clock for the end of the round, so that a call which is not
    /// timed costs no look at it.
    async fn call_until(mut self, stop: Arc<AtomicBool>) -> Result<Tally> {
        let every = if self.case.outstanding == 1 {
            1
        } else {
            SAMPLE
        };
        let mut calls = 0;
        let mut latencies = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            // Tasks are out of step, so that also those with a few calls are heard.
            let timed = (calls + self.task).is_multiple_of(every).then(Instant::now);
            self.call(calls).await?;
            if let Some(start) = timed {
                latencies.push(start.elapsed().as_nanos() as u64);
            }
            calls += 1;
        }
        Ok(Tally { calls, latencies })
    }

    async fn call(&mut self, earlier: usize) -> Result<()> {
        let Records { keys, values } = &self.records[self.task];
        let peer = &mut self.peer;
        match self.case.command {
            Command::Get => expect_value(&values[0], peer.get(&keys[0]).await?.as_ref()),
            Command::Set => peer.set(&keys[0], &values[0]).await,
            Command::Incr => {
                let expected = count_start(self.task) + earlier as i64 + 1;
                expect(expected, peer.incr(&keys[0]).await?)
            }
            Command::Pipeline => {
                let replies = peer.pipeline(keys).await?;
                expect(values.len(), replies.len())?;
                let mut pairs = values.iter().zip(&replies);
                pairs.try_for_each(|(value, reply)| expect_value(value, reply.as_ref()))
            }
        }
    }
}

fn summed(case: Case, tallies: &[Tally], elapsed: Duration, cpu: Duration) -> Figures {
    let calls: usize = tallies.iter().map(|tally| tally.calls).sum();
    let operations = (calls * case.command.operations()) as f64;
    let mut latencies = Latencies::new();
    for &nanos in tallies.iter().flat_map(|tally| &tally.latencies) {
        latencies.record(nanos);
    }
    Figures {
        operations_per_second: operations / elapsed.as_secs_f64(),
        cpu_micros_per_operation: cpu.as_secs_f64() * 1e6 / operations,
        p50_micros: latencies.micros_at(0.5),
        p99_micros: latencies.micros_at(0.99),
        p999_micros: Some(latencies.micros_at(0.999)),
    }
}
