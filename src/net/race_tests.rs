//! Goal: the order, the delays and the end of attempts at several addresses. Method: a paused clock, and
//! attempts that last as long as the test says.

use std::{
    io::ErrorKind::{self, ConnectionRefused, NetworkUnreachable, TimedOut},
    sync::{Arc, Mutex},
};

use tokio::time::timeout;

use super::*;

const MS: Duration = Duration::from_millis(1);
const V4: [&str; 3] = ["192.0.2.1:6379", "192.0.2.2:6379", "192.0.2.3:6379"];
const V6: [&str; 2] = ["[2001:db8::1]:6379", "[2001:db8::2]:6379"];

fn parsed(addresses: &[&str]) -> Vec<SocketAddr> {
    let addresses = addresses.iter().map(|address| address.parse());
    addresses
        .map(|address| address.expect("an address"))
        .collect()
}

/// How an attempt ends, and after how many milliseconds.
#[derive(Clone, Copy)]
enum End {
    Opens(u64),
    Fails(u64, ErrorKind),
    Never,
}

/// The attempts of a race: when each began, and how many are under way.
#[derive(Clone)]
struct Attempts {
    began: Instant,
    seen: Arc<Mutex<Vec<(Duration, SocketAddr)>>>,
    under_way: Arc<()>,
}

impl Attempts {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            seen: Arc::default(),
            under_way: Arc::new(()),
        }
    }

    /// Attempts at these addresses, which end as the test says.
    async fn race(&self, ends: &[(&str, End)]) -> io::Result<SocketAddr> {
        let addresses: Vec<_> = ends.iter().map(|(address, _)| *address).collect();
        let addresses = parsed(&addresses);
        let ends: Vec<_> = addresses
            .iter()
            .copied()
            .zip(ends.iter().map(|(_, end)| *end))
            .collect();
        race(addresses, |address| {
            let own = self.under_way.clone();
            self.seen
                .lock()
                .expect("seen")
                .push((self.began.elapsed(), address));
            let (_, end) = *ends
                .iter()
                .find(|(known, _)| *known == address)
                .expect("an end");
            async move {
                let _own = own;
                match end {
                    End::Opens(after) => {
                        sleep(after as u32 * MS).await;
                        Ok(address)
                    }
                    End::Fails(after, kind) => {
                        sleep(after as u32 * MS).await;
                        Err(kind.into())
                    }
                    End::Never => std::future::pending().await,
                }
            }
        })
        .await
    }

    /// The milliseconds at which attempts began, each with its address.
    fn seen(&self) -> Vec<(u128, String)> {
        let seen = self.seen.lock().expect("seen");
        let of = |(at, address): &(Duration, SocketAddr)| (at.as_millis(), address.to_string());
        seen.iter().map(of).collect()
    }

    fn under_way(&self) -> usize {
        Arc::strong_count(&self.under_way) - 1
    }
}

fn at<const N: usize>(expected: [(u128, &str); N]) -> Vec<(u128, String)> {
    expected.map(|(at, address)| (at, address.into())).into()
}

#[test]
fn families_take_turns_and_begin_with_the_first() {
    let texts = |addresses: &[&str]| {
        let turns = interleaved(parsed(addresses)).into_iter();
        turns.map(|address| address.to_string()).collect::<Vec<_>>()
    };
    let v6_first = texts(&[V6[0], V6[1], V4[0], V4[1], V4[2]]);
    assert_eq!(v6_first, [V6[0], V4[0], V6[1], V4[1], V4[2]]);
    let v4_first = texts(&[V4[0], V4[1], V6[0]]);
    assert_eq!(v4_first, [V4[0], V6[0], V4[1]]);
    assert_eq!(texts(&V4), V4);
    assert!(texts(&[]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_first_address_that_answers_in_time_is_the_only_one_tried() {
    let attempts = Attempts::new();
    let opened = attempts
        .race(&[(V4[0], End::Opens(249)), (V4[1], End::Opens(0))])
        .await;
    assert_eq!(opened.expect("a connection").to_string(), V4[0]);
    assert_eq!(attempts.seen(), at([(0, V4[0])]));
}

#[tokio::test(start_paused = true)]
async fn a_dead_address_costs_one_delay_and_is_dropped() {
    let attempts = Attempts::new();
    let ends = [
        (V6[0], End::Never),
        (V4[0], End::Never),
        (V6[1], End::Opens(10)),
    ];
    let opened = attempts.race(&ends).await.expect("a connection");
    assert_eq!(opened.to_string(), V6[1]);
    assert_eq!(attempts.began.elapsed(), 510 * MS);
    assert_eq!(
        attempts.seen(),
        at([(0, V6[0]), (250, V4[0]), (500, V6[1])])
    );
    assert_eq!(attempts.under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_starts_the_next_attempt_at_once() {
    let attempts = Attempts::new();
    let ends = [
        (V4[0], End::Never),
        (V4[1], End::Fails(30, ConnectionRefused)),
        (V4[2], End::Opens(5)),
    ];
    let opened = attempts.race(&ends).await.expect("a connection");
    assert_eq!(opened.to_string(), V4[2]);
    assert_eq!(
        attempts.seen(),
        at([(0, V4[0]), (250, V4[1]), (280, V4[2])])
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_address_may_still_win() {
    let attempts = Attempts::new();
    let opened = attempts
        .race(&[(V4[0], End::Opens(300)), (V4[1], End::Opens(100))])
        .await;
    assert_eq!(opened.expect("a connection").to_string(), V4[0]);
    assert_eq!(attempts.under_way(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_most_telling_failure_is_reported_with_the_number_of_addresses() {
    let attempts = Attempts::new();
    let ends = [
        (V6[0], End::Fails(0, NetworkUnreachable)),
        (V4[0], End::Fails(20, ConnectionRefused)),
        (V6[1], End::Fails(0, NetworkUnreachable)),
    ];
    let error = attempts.race(&ends).await.expect_err("all fail");
    assert_eq!(error.kind(), ConnectionRefused);
    let expected = format!("{}: {ConnectionRefused} (all 3 addresses failed)", V4[0]);
    assert_eq!(error.to_string(), expected);
    assert_eq!(attempts.began.elapsed(), 20 * MS);
}

#[tokio::test(start_paused = true)]
async fn the_failure_of_a_single_address_stays_as_it_is() {
    let error = race(parsed(&V4[..1]), async |_| {
        Err::<(), _>(io::Error::from_raw_os_error(111))
    });
    assert_eq!(error.await.expect_err("it fails").raw_os_error(), Some(111));
    let error = Attempts::new().race(&[]).await.expect_err("no address");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_race_that_is_dropped_drops_its_attempts() {
    let attempts = Attempts::new();
    let ends = [
        (V4[0], End::Never),
        (V4[1], End::Fails(0, TimedOut)),
        (V4[2], End::Never),
    ];
    assert!(timeout(400 * MS, attempts.race(&ends)).await.is_err());
    assert_eq!(attempts.seen().len(), 3);
    assert_eq!(attempts.under_way(), 0);
}
