//! Where a server has said that it goes.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use crate::config::Address;

/// The address that dials take in the place of that of the settings, for some time: names and load balancers follow
/// a server that moves a little later than it goes.
#[derive(Debug, Default)]
pub(super) struct Moved(ArcSwapOption<Move>);

/// The new server may need a moment until it accepts connections. The present ones serve meanwhile.
const MOST_FAILURES: u32 = 5;
/// So long it is tried at least: refusals come fast.
const TRIED_FOR: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Move {
    from: Address,
    to: Address,
    since: Instant,
    until: Instant,
    /// The next dial takes the present address instead.
    is_doubted: AtomicBool,
    failures: AtomicU32,
}

impl Moved {
    /// Dials to `from` lead to this address until then, or no other if there is none.
    pub(super) fn set(&self, from: &Address, to: Option<Address>, until: Instant) {
        let moved = to.map(|to| Move {
            from: from.clone(),
            to,
            since: Instant::now(),
            until,
            is_doubted: AtomicBool::new(false),
            failures: AtomicU32::new(0),
        });
        self.0.store(moved.map(Into::into));
    }

    /// Where dials to this address lead now, if that is elsewhere.
    pub(super) fn present(&self, address: &Address) -> Option<Address> {
        let moved = self.0.load();
        let moved = moved.as_ref()?;
        let holds = moved.from == *address && Instant::now() < moved.until;
        (holds && !moved.is_doubted.load(Relaxed)).then(|| moved.to.clone())
    }

    /// A dial has failed. The new address is given up after some failures. If no connection is left, both addresses take
    /// turns.
    pub(super) fn failed(&self, serves: bool) {
        let moved = self.0.load();
        let Some(moved) = &*moved else { return };
        let failures = moved.failures.fetch_add(1, Relaxed) + 1;
        if !serves {
            moved.is_doubted.fetch_xor(true, Relaxed);
        } else if failures >= MOST_FAILURES && moved.since.elapsed() >= TRIED_FOR {
            moved.is_doubted.store(true, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str) -> Address {
        Address::of_host(host, 6379).expect("an address")
    }

    #[tokio::test(start_paused = true)]
    async fn dials_lead_to_the_new_address_until_the_time_is_over() {
        let moved = Moved::default();
        let (old, new, other) = (address("old"), address("new"), address("other"));
        assert_eq!(moved.present(&old), None);
        let limit = Duration::from_secs(5);
        moved.set(&old, Some(new.clone()), Instant::now() + limit);
        assert_eq!(moved.present(&old), Some(new.clone()));
        assert_eq!(moved.present(&other), None, "the settings have changed");
        for expected in [None, Some(new.clone())] {
            moved.failed(false);
            assert_eq!(moved.present(&old), expected, "both take turns");
        }
        tokio::time::advance(limit).await;
        assert_eq!(moved.present(&old), None);
        moved.set(&old, Some(new.clone()), Instant::now() + limit);
        for _ in 0..2 * MOST_FAILURES {
            moved.failed(true);
            assert_eq!(
                moved.present(&old),
                Some(new.clone()),
                "it is just starting"
            );
        }
        tokio::time::advance(TRIED_FOR).await;
        moved.failed(true);
        assert_eq!(moved.present(&old), None, "it is given up");
        moved.set(&old, Some(new.clone()), Instant::now() + limit);
        tokio::time::advance(TRIED_FOR).await;
        for _ in 1..MOST_FAILURES {
            moved.failed(true);
            assert_eq!(moved.present(&old), Some(new.clone()));
        }
        moved.set(&old, Some(new.clone()), Instant::now() + limit);
        moved.set(&old, None, Instant::now() + limit);
        assert_eq!(moved.present(&old), None, "it goes back");
    }
}
