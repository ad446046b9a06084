//! The closed loop: so many tasks, each with one call outstanding, and every reply checked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio_util::task::AbortOnDropHandle;

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
    // Dropped with this, so that nobody goes on when the turn is given up.
    let callers: Vec<_> = (0..case.outstanding)
        .map(|task| {
            let caller = Caller {
                peer: peer.clone(),
                case,
                records: records.clone(),
                task,
            };
            AbortOnDropHandle::new(case.flavour.spawn(caller.call_until(stop.clone())))
        })
        .collect();
    tokio::time::sleep(length).await;
    stop.store(true, Ordering::Relaxed);
    let mut ended = Vec::with_capacity(callers.len());
    for caller in callers {
        ended.push(caller.await.context("a task of the load")?);
    }
    // Now that no call is under way.
    let tallies = ended.into_iter().collect::<Result<Vec<_>>>()?;
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
    /// At least once for each key. Somebody else looks at the clock for the end of the round, so that a call which is not
    /// timed costs no look at it.
    async fn call_until(mut self, stop: Arc<AtomicBool>) -> Result<Tally> {
        let every = if self.case.outstanding == 1 {
            1
        } else {
            SAMPLE
        };
        let mut calls = 0;
        let mut latencies = Vec::new();
        loop {
            // Tasks are out of step, so that also those with a few calls are heard.
            let timed = (calls + self.task).is_multiple_of(every).then(Instant::now);
            self.call(calls).await?;
            if let Some(start) = timed {
                latencies.push(start.elapsed().as_nanos() as u64);
            }
            calls += 1;
            if calls >= self.case.turns() && stop.load(Ordering::Relaxed) {
                return Ok(Tally { calls, latencies });
            }
        }
    }

    async fn call(&mut self, earlier: usize) -> Result<()> {
        let Records { keys, values } = &self.records[self.task];
        let peer = &mut self.peer;
        let (place, before) = (earlier % self.case.turns(), earlier / self.case.turns());
        match self.case.command {
            Command::Get => expect_value(&values[place], peer.get(&keys[place]).await?.as_ref()),
            Command::Set => peer.set(&keys[place], &values[place]).await,
            Command::Incr => {
                let expected = count_start(self.task) + before as i64 + 1;
                expect(expected, peer.incr(&keys[place]).await?)
            }
            Command::Pipeline => expect_values(values, &peer.pipeline(keys).await?),
            Command::Mget => expect_values(values, &peer.mget(keys).await?),
        }
    }
}

fn expect_values<R: AsRef<[u8]>>(values: &[Bytes], replies: &[R]) -> Result<()> {
    expect(values.len(), replies.len())?;
    let mut pairs = values.iter().zip(replies);
    pairs.try_for_each(|(value, reply)| expect_value(value, reply.as_ref()))
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
        p999_micros: latencies
            .has_seen(1_000)
            .then(|| latencies.micros_at(0.999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{address::Address, case::Service, peer::WrongReply, runtime::Flavour};

    /// A client without a server, which gives every caller what the caller before it should get.
    #[derive(Clone)]
    struct Swapping {
        records: Arc<[Records]>,
        by: usize,
    }

    impl Swapping {
        fn value(&self, key: &str) -> Bytes {
            let all = self.records.iter();
            let mut pairs = all.flat_map(|it| it.keys.iter().zip(&it.values));
            let number = pairs
                .position(|(own, _)| own == key)
                .expect("a key of the case");
            let mut values = self.records.iter().flat_map(|it| &it.values).cycle();
            values
                .nth(number + self.by)
                .expect("it goes on for ever")
                .clone()
        }
    }

    impl Peer for Swapping {
        type Reply = Bytes;

        async fn connect(_: &Address) -> Result<Self> {
            unreachable!("the test makes it")
        }

        async fn get(&mut self, key: &str) -> Result<Bytes> {
            Ok(self.value(key))
        }

        async fn set(&mut self, _: &str, _: &Bytes) -> Result<()> {
            Ok(())
        }

        async fn incr(&mut self, key: &str) -> Result<i64> {
            let task = self
                .records
                .iter()
                .position(|it| it.keys.iter().any(|own| own == key));
            Ok(count_start(task.expect("a key of the case") + self.by) + 1)
        }

        async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Bytes>> {
            Ok(keys.iter().map(|key| self.value(key)).collect())
        }

        async fn mget(&mut self, keys: &[String]) -> Result<Vec<Bytes>> {
            self.pipeline(keys).await
        }
    }

    fn one_call(command: Command, service: Service, by: usize) -> Result<()> {
        let case = Case {
            command,
            bytes: 16,
            outstanding: 2,
            flavour: Flavour::CurrentThread,
            service,
        };
        let records: Arc<[Records]> = (0..case.outstanding)
            .map(|task| Records::of(task, case.keys_per_task(), case.bytes))
            .collect();
        let mut caller = Caller {
            peer: Swapping {
                records: records.clone(),
                by,
            },
            case,
            records,
            task: 0,
        };
        case.flavour.block_on(caller.call(0))
    }

    #[test]
    fn a_reply_that_belongs_to_another_caller_is_wrong() {
        for command in [Command::Get, Command::Incr, Command::Pipeline] {
            one_call(command, Service::Server, 0).expect("the right reply");
            let error = one_call(command, Service::Server, 1).expect_err("another's reply");
            assert!(error.is::<WrongReply>(), "{error:#}");
        }
    }

    #[test]
    fn a_reply_that_belongs_to_another_key_of_the_cluster_is_wrong() {
        for command in [Command::Get, Command::Pipeline, Command::Mget] {
            one_call(command, Service::Cluster, 0).expect("the right reply");
            let error = one_call(command, Service::Cluster, 1).expect_err("another's reply");
            assert!(error.is::<WrongReply>(), "{error:#}");
        }
    }
}
