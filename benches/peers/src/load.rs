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
    case::{Case, Command, FRESH_EVERY, Service},
    dataset::{Records, changes_of, count_start},
    figures::{Figures, Latencies},
    peer::{Peer, expect, expect_value},
    usage::Usage,
};

/// With more than one call outstanding, every so many calls are timed.
const SAMPLE: usize = 8;
/// The same with a near cache: a look at the clock takes nearly as long as a hit. It shares no divisor with [`IN_A_ROW`], so that all
/// calls between two pauses are timed.
const NEAR_SAMPLE: usize = 61;
/// A hit waits for nothing, so a task makes way for the others after so many calls. That is before tokio or a client would have
/// it do so within a call, which would then take as long as all others have their turn.
const IN_A_ROW: usize = 32;

/// What a turn comes to.
pub struct Round {
    pub figures: Figures,
    pub calls: usize,
}

/// Puts load on a client for about as long as `length`. `turn` is how many turns this client has had before.
pub async fn run<P: Peer>(
    peer: &P,
    case: Case,
    records: &Arc<[Records]>,
    turn: usize,
    length: Duration,
) -> Result<Round> {
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
                turn,
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
    turn: usize,
}

struct Tally {
    calls: usize,
    /// In nanoseconds. They go into a histogram when the round is over.
    latencies: Vec<u64>,
}

impl<P: Peer> Caller<P> {
    /// At least once for each key, except those that are read beforehand. Somebody else looks at the clock for the end of the round, so that a call which is not
    /// timed costs no look at it.
    async fn call_until(mut self, stop: Arc<AtomicBool>) -> Result<Tally> {
        let is_near = self.case.service == Service::Near;
        let every = match self.case.outstanding {
            _ if is_near => NEAR_SAMPLE,
            1 => 1,
            _ => SAMPLE,
        };
        let least = match self.case.command {
            // One of each kind.
            Command::Mixed => FRESH_EVERY,
            _ if is_near => 1,
            _ => self.case.turns(),
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
            if calls >= least && stop.load(Ordering::Relaxed) {
                return Ok(Tally { calls, latencies });
            }
            if is_near && calls.is_multiple_of(IN_A_ROW) {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn call(&mut self, earlier: usize) -> Result<()> {
        if self.case.command == Command::Mixed && earlier % FRESH_EVERY == FRESH_EVERY - 1 {
            return self.ask_for_none(earlier).await;
        }
        let sets = &self.records;
        let set = &sets[self.task % sets.len()];
        let Records { keys, values, .. } = set;
        let turns = self.case.turns();
        let (place, before) = ((self.start() + earlier) % turns, earlier / turns);
        let peer = &mut self.peer;
        match self.case.command {
            Command::Get => expect_value(&values[place], peer.get(&keys[place]).await?.as_ref()),
            Command::Set => peer.set(&keys[place], &values[place]).await,
            Command::Incr => {
                let expected = count_start(self.task) + before as i64 + 1;
                expect(expected, peer.incr(&keys[place]).await?)
            }
            Command::Pipeline => expect_values(values, &peer.pipeline(keys).await?),
            Command::Mget => expect_values(values, &peer.mget(keys).await?),
            Command::Mixed => expect_ever(set, place, peer.get(&keys[place]).await?.as_ref()),
        }
    }

    /// The first of its keys. Tasks that share them begin at different ones.
    fn start(&self) -> usize {
        match self.case.service {
            Service::Near => self.task * self.case.turns() / self.case.outstanding,
            Service::Server | Service::Tls | Service::Cluster => 0,
        }
    }

    /// Reads a key that is not there, and that this client has not asked for before.
    async fn ask_for_none(&mut self, earlier: usize) -> Result<()> {
        let key = format!("none:{}:{}:{earlier}", self.turn, self.task);
        expect_value(b"", self.peer.get(&key).await?.as_ref())
    }
}

fn expect_values<R: AsRef<[u8]>>(values: &[Bytes], replies: &[R]) -> Result<()> {
    expect(values.len(), replies.len())?;
    let mut pairs = values.iter().zip(replies);
    pairs.try_for_each(|(value, reply)| expect_value(value, reply.as_ref()))
}

/// Whether it is one of the values that this key ever had; a change counts from when it is sent.
pub fn expect_ever(records: &Records, place: usize, got: &[u8]) -> Result<()> {
    let is_one = |changes| changes <= records.changes[place].load(Ordering::SeqCst);
    if changes_of(place, got).is_some_and(is_one) {
        return Ok(());
    }
    expect_value(&records.values[place], got)
}

fn summed(case: Case, tallies: &[Tally], elapsed: Duration, cpu: Duration) -> Round {
    let calls: usize = tallies.iter().map(|tally| tally.calls).sum();
    let operations = (calls * case.command.operations()) as f64;
    let mut latencies = Latencies::new();
    for &nanos in tallies.iter().flat_map(|tally| &tally.latencies) {
        latencies.record(nanos);
    }
    let figures = Figures {
        operations_per_second: operations / elapsed.as_secs_f64(),
        cpu_micros_per_operation: cpu.as_secs_f64() * 1e6 / operations,
        p50_micros: latencies.micros_at(0.5),
        p99_micros: latencies.micros_at(0.99),
        p999_micros: latencies
            .has_seen(1_000)
            .then(|| latencies.micros_at(0.999)),
        hit_share: None,
    };
    Round { figures, calls }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{address::Address, dataset::changed, peer::WrongReply, runtime::Flavour};

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
        let sets = 0..case.key_sets();
        let records: Arc<[Records]> = sets.map(|set| Records::of_case(set, case)).collect();
        let mut caller = Caller {
            peer: Swapping {
                records: records.clone(),
                by,
            },
            case,
            records,
            task: 0,
            turn: 0,
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
    fn a_reply_of_a_near_cache_that_its_key_never_had_is_wrong() {
        for command in [Command::Get, Command::Mixed] {
            one_call(command, Service::Near, 0).expect("the right reply");
            let error = one_call(command, Service::Near, 1).expect_err("another's reply");
            assert!(error.is::<WrongReply>(), "{error:#}");
        }
        let case = Case {
            command: Command::Mixed,
            bytes: 16,
            outstanding: 1,
            flavour: Flavour::CurrentThread,
            service: Service::Near,
        };
        let records = Records::of_case(0, case);
        let value = changed(3, 2);
        assert!(expect_ever(&records, 3, &value).is_err());
        records.changes[3].store(2, Ordering::SeqCst);
        expect_ever(&records, 3, &value).expect("its present value");
        expect_ever(&records, 3, &changed(3, 0)).expect("its first value");
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
