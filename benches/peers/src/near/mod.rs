//! A turn with a near cache: what it is to answer is read beforehand, and the server tells how much of it was asked for all
//! the same.

mod gets;
mod writer;

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use self::{gets::Gets, writer::Writer};
use crate::{
    address::Address,
    case::{Case, Command, FRESH_EVERY},
    dataset::{Records, changed},
    figures::Figures,
    load::{self, Round, expect_ever},
    peer::{Peer, expect_value},
};

/// Until all keys are answered from memory.
const FILLED_WITHIN: Duration = Duration::from_secs(5);
/// Until a change that the server has made is seen.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(1);
/// One call in so many may reach the server where all are to be hits: what is kept grows old at some time.
const MISSES: usize = 100;

/// Puts load on a client with a near cache. In a mixed case another connection changes the keys meanwhile.
pub async fn run<P: Peer>(
    peer: &P,
    address: &Address,
    case: Case,
    records: &Arc<[Records]>,
    turn: usize,
    length: Duration,
) -> Result<Figures> {
    let mut gets = Gets::connect(address)?;
    let set = &records[0];
    fill(&mut peer.clone(), set, &mut gets).await?;
    let writer = match case.command {
        Command::Mixed => Some(Writer::start(address, records)?),
        _ => None,
    };
    let before = gets.count()?;
    let round = load::run(peer, case, records, turn, length).await?;
    let asked = gets.count()? - before;
    if let Some(writer) = writer {
        writer.end()?;
        expect_last_values(&mut peer.clone(), set).await?;
    }
    let Round { mut figures, calls } = round;
    check(case, calls, asked)?;
    let hits = calls.saturating_sub(asked);
    figures.hit_share = Some(hits as f64 / calls as f64);
    Ok(figures)
}

/// Reads all keys until none is asked of the server.
async fn fill<P: Peer>(peer: &mut P, set: &Records, gets: &mut Gets) -> Result<()> {
    let start = Instant::now();
    loop {
        let before = gets.count()?;
        for place in 0..set.keys.len() {
            expect_value_of(set, place, peer.get(&set.keys[place]).await?.as_ref())?;
        }
        let asked = gets.count()? - before;
        if asked == 0 {
            return Ok(());
        }
        if start.elapsed() > FILLED_WITHIN {
            bail!("it still asks the server for {asked} keys that it has read before");
        }
        // What has just been written may still be told of.
        tokio::time::sleep(POLL).await;
    }
}

fn expect_value_of(set: &Records, place: usize, got: &[u8]) -> Result<()> {
    if set.changes.is_empty() {
        return expect_value(&set.values[place], got);
    }
    expect_ever(set, place, got)
}

/// Nobody changes the keys any more, so that what was kept of them before is wrong as soon as the server has told.
async fn expect_last_values<P: Peer>(peer: &mut P, set: &Records) -> Result<()> {
    let start = Instant::now();
    for (place, key) in set.keys.iter().enumerate() {
        let last = changed(place, set.changes[place].load(Ordering::SeqCst));
        loop {
            let seen = expect_value(&last, peer.get(key).await?.as_ref());
            match seen {
                Err(_) if start.elapsed() < SEEN_WITHIN => tokio::time::sleep(POLL).await,
                seen => break seen.with_context(|| format!("{key}, {SEEN_WITHIN:?} later"))?,
            }
        }
    }
    Ok(())
}

/// Whether the case was what its name says.
fn check(case: Case, calls: usize, asked: usize) -> Result<()> {
    if case.command == Command::Mixed {
        let fresh = (calls / FRESH_EVERY).saturating_sub(case.outstanding);
        ensure!(
            asked >= fresh,
            "{fresh} of {calls} calls were for keys that it did not know, and it asked for {asked}"
        );
        return Ok(());
    }
    ensure!(
        asked * MISSES <= calls,
        "{asked} of {calls} calls reached the server, and all were to be answered from memory"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        case::Service, contender::Name, dataset::Dataset, peer::WrongReply, program::Programs,
        runtime::Flavour, site::Site,
    };

    fn case(command: Command, flavour: Flavour) -> Case {
        Case {
            command,
            bytes: 16,
            outstanding: 4,
            flavour,
            service: Service::Near,
        }
    }

    #[test]
    fn every_client_answers_from_memory_and_sees_what_another_connection_changes() {
        let programs = Programs::default();
        let site = Site::start(&programs, &[]).expect("a server");
        for flavour in [Flavour::CurrentThread, Flavour::MultiThread] {
            for command in [Command::Get, Command::Mixed] {
                let case = case(command, flavour);
                let address = site.address(case).expect("an address");
                let dataset = Dataset::write(&address, case).expect("a data set");
                for name in Name::measured().filter(|name| name.is_able_to(case)) {
                    let turns = case.flavour.block_on(async {
                        let connecting =
                            name.connect(address.clone(), &programs, case, &dataset.records);
                        let mut contender = connecting.await?;
                        let mut shares = Vec::new();
                        for _ in 0..2 {
                            let figures = contender.round(Duration::from_millis(30)).await?;
                            shares.extend(figures.hit_share);
                        }
                        contender.disconnect().await?;
                        Ok(shares)
                    });
                    let shares = turns.unwrap_or_else(|error| panic!("{name}: {error:#}"));
                    let expected = match command {
                        // A task that has made 19 calls has asked for one key that is not there.
                        Command::Mixed => 0.1..=0.95,
                        _ => 0.99..=1.0,
                    };
                    assert_eq!(shares.len(), 2);
                    assert!(
                        shares.iter().all(|share| expected.contains(share)),
                        "{name}, {command:?}: {shares:?}"
                    );
                }
            }
        }
    }

    /// A cache that is never told of anything, or none.
    #[derive(Clone)]
    struct Kept<'a> {
        set: &'a Records,
    }

    impl Kept<'static> {
        fn of(case: Case) -> Self {
            let set = Box::leak(Box::new(Records::of_case(0, case)));
            Self { set }
        }
    }

    impl Peer for Kept<'static> {
        type Reply = bytes::Bytes;

        async fn connect(_: &Address) -> Result<Self> {
            unreachable!("the test makes it")
        }

        async fn get(&mut self, key: &str) -> Result<bytes::Bytes> {
            let place = self.set.keys.iter().position(|own| own == key);
            Ok(place.map_or_else(bytes::Bytes::new, |place| self.set.values[place].clone()))
        }

        async fn set(&mut self, _: &str, _: &bytes::Bytes) -> Result<()> {
            unreachable!("it is not asked for")
        }

        async fn incr(&mut self, _: &str) -> Result<i64> {
            unreachable!("it is not asked for")
        }

        async fn pipeline(&mut self, _: &[String]) -> Result<Vec<bytes::Bytes>> {
            unreachable!("it is not asked for")
        }
    }

    #[test]
    fn a_cache_that_misses_a_change_is_wrong() {
        let case = case(Command::Mixed, Flavour::CurrentThread);
        let site = Site::start(&Programs::default(), &[]).expect("a server");
        let address = site.address(case).expect("an address");
        let dataset = Dataset::write(&address, case).expect("a data set");
        let peer = Kept::of(case);
        let length = Duration::from_millis(20);
        let turn = run(&peer, &address, case, &dataset.records, 0, length);
        let error = case.flavour.block_on(turn).expect_err("a stale value");
        assert!(error.is::<WrongReply>(), "{error:#}");
    }

    #[test]
    fn calls_that_reach_the_server_are_no_hits_and_calls_that_do_not_are_no_misses() {
        let hits = case(Command::Get, Flavour::CurrentThread);
        check(hits, 1000, 10).expect("some grow old");
        assert!(check(hits, 1000, 11).is_err());
        let mixed = case(Command::Mixed, Flavour::CurrentThread);
        check(mixed, 1000, 96).expect("nearly a tenth, less one for each task");
        assert!(check(mixed, 1000, 95).is_err());
    }
}
