//! Where a server has said that it goes.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use crate::config::Address;

/// The addresses that dials take in the place of that of the settings, for some time: names and load balancers follow
/// a server that moves a little later than it goes.
///
/// The announcement may be wrong, or the new address out of reach from here. So until a connection there is open, no
/// caller waits for it alone.
#[derive(Debug, Default)]
pub(super) struct Moved(ArcSwapOption<Move>);

/// Which addresses a dial takes while nothing has answered at the new one yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WhileMoving {
    /// The old one, and the new one if that fails: it is for a caller.
    #[default]
    OldFirst,
    /// The new one, and the old one if that fails: nothing serves.
    NewFirst,
    /// The new one: others serve, which the connection is to succeed.
    NewOnly,
}

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
    /// A connection to the new address was open.
    is_confirmed: AtomicBool,
    /// Dials take the old address alone.
    is_given_up: AtomicBool,
    /// The next dial begins with the other address.
    is_turned: AtomicBool,
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
            is_confirmed: AtomicBool::new(false),
            is_given_up: AtomicBool::new(false),
            is_turned: AtomicBool::new(false),
            failures: AtomicU32::new(0),
        });
        self.0.store(moved.map(Into::into));
    }

    /// The addresses for a dial to this one, in the order in which it tries them; empty if its server does not move.
    pub(super) fn places(&self, address: &Address, aim: WhileMoving) -> VecDeque<Address> {
        let moved = self.0.load();
        match &*moved {
            Some(moved) if moved.from == *address && Instant::now() < moved.until => {
                moved.places(aim)
            }
            _ => VecDeque::new(),
        }
    }

    /// The new address is one where the server is.
    pub(super) fn confirm(&self) {
        if let Some(moved) = &*self.0.load() {
            moved.is_confirmed.store(true, Relaxed);
        }
    }

    /// A dial has failed. The new address is given up after some failures. If no connection is left, both addresses take
    /// turns.
    pub(super) fn failed(&self, serves: bool) {
        let moved = self.0.load();
        let Some(moved) = &*moved else { return };
        let failures = moved.failures.fetch_add(1, Relaxed) + 1;
        if !serves {
            // The old address may be gone.
            moved.is_given_up.store(false, Relaxed);
            moved.is_turned.fetch_xor(true, Relaxed);
        } else if !moved.is_confirmed.load(Relaxed)
            && failures >= MOST_FAILURES
            && moved.since.elapsed() >= TRIED_FOR
        {
            moved.is_given_up.store(true, Relaxed);
        }
    }
}

impl Move {
    fn places(&self, aim: WhileMoving) -> VecDeque<Address> {
        let (old, new) = (&self.from, &self.to);
        let is_turned = self.is_turned.load(Relaxed);
        if self.is_given_up.load(Relaxed) {
            return [old].map(Clone::clone).into();
        }
        if self.is_confirmed.load(Relaxed) {
            let place = if is_turned { old } else { new };
            return [place].map(Clone::clone).into();
        }
        match aim {
            WhileMoving::NewOnly => [new].map(Clone::clone).into(),
            WhileMoving::NewFirst if !is_turned => [new, old].map(Clone::clone).into(),
            WhileMoving::NewFirst | WhileMoving::OldFirst => [old, new].map(Clone::clone).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        WhileMoving::{NewFirst, NewOnly, OldFirst},
        *,
    };

    fn address(host: &str) -> Address {
        Address::of_host(host, 6379).expect("an address")
    }

    const LIMIT: Duration = Duration::from_secs(5);

    /// A server that moves now.
    struct Rig {
        moved: Moved,
        old: Address,
        new: Address,
    }

    impl Rig {
        fn new() -> Self {
            let rig = Self {
                moved: Moved::default(),
                old: address("old"),
                new: address("new"),
            };
            assert!(rig.moved.places(&rig.old, NewOnly).is_empty());
            rig.announce(Some(&rig.new));
            rig
        }

        fn announce(&self, to: Option<&Address>) {
            self.moved
                .set(&self.old, to.cloned(), Instant::now() + LIMIT);
        }

        fn assert_places<const N: usize>(&self, aim: WhileMoving, expected: [&Address; N]) {
            assert_eq!(
                self.moved.places(&self.old, aim),
                expected.map(Clone::clone)
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn dials_lead_to_the_new_address_until_the_time_is_over() {
        let rig = Rig::new();
        let (old, new) = (&rig.old, &rig.new);
        rig.assert_places(NewOnly, [new]);
        let other = rig.moved.places(&address("other"), NewOnly);
        assert!(other.is_empty(), "the settings have changed");
        rig.moved.confirm();
        for aim in [NewOnly, NewFirst, OldFirst] {
            rig.assert_places(aim, [new]);
        }
        for expected in [old, new] {
            rig.moved.failed(false);
            rig.assert_places(OldFirst, [expected]);
        }
        tokio::time::advance(LIMIT).await;
        rig.assert_places(NewOnly, []);
        rig.announce(Some(new));
        rig.announce(None);
        rig.assert_places(NewOnly, []);
    }

    #[tokio::test(start_paused = true)]
    async fn until_something_answers_there_callers_do_not_depend_on_the_new_address() {
        let rig = Rig::new();
        let (old, new) = (&rig.old, &rig.new);
        rig.assert_places(OldFirst, [old, new]);
        rig.assert_places(NewFirst, [new, old]);
        rig.moved.failed(false);
        rig.assert_places(NewFirst, [old, new]);
        rig.assert_places(OldFirst, [old, new]);
        rig.assert_places(NewOnly, [new]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_address_where_something_has_answered_is_not_given_up() {
        let rig = Rig::new();
        rig.moved.confirm();
        tokio::time::advance(TRIED_FOR).await;
        for _ in 0..2 * MOST_FAILURES {
            rig.moved.failed(true);
        }
        rig.assert_places(OldFirst, [&rig.new]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_address_where_nothing_answers_is_given_up() {
        let rig = Rig::new();
        let (old, new) = (&rig.old, &rig.new);
        for _ in 0..2 * MOST_FAILURES {
            rig.moved.failed(true);
            // It may be just starting.
            rig.assert_places(NewOnly, [new]);
        }
        tokio::time::advance(TRIED_FOR).await;
        rig.moved.failed(true);
        for aim in [NewOnly, NewFirst, OldFirst] {
            rig.assert_places(aim, [old]);
        }
        rig.moved.failed(false);
        rig.assert_places(NewFirst, [old, new]);
        rig.announce(Some(new));
        tokio::time::advance(TRIED_FOR).await;
        for _ in 1..MOST_FAILURES {
            rig.moved.failed(true);
            rig.assert_places(NewOnly, [new]);
        }
    }
}
