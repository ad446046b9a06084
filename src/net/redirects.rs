//! Replies of a node that send their callers to another one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use oneshot::AsyncReceiver;
use tokio::time::timeout;

/// A caller that does not go on with what it has waits for its thread, or is not polled. Others go on without it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The redirects of one node that callers have and have not followed yet. They are followed in the order in which they came,
/// so that commands reach the next node in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Redirects(Mutex<InHand>);

#[derive(Debug, Default)]
struct InHand {
    last: u64,
    /// In their order, and how to wake those that wait for their turn.
    redirects: BTreeMap<Place, Option<oneshot::Sender<()>>>,
}

/// Those that have had their turn and could not go on come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Stalled(u64),
    Waiting(u64),
}

/// A redirect that is not followed yet. It is when this is dropped.
#[derive(Debug)]
pub(crate) struct RedirectInHand {
    place: Place,
    all: Arc<Redirects>,
}

impl Redirects {
    /// One that has come.
    pub(super) fn take(self: &Arc<Self>) -> RedirectInHand {
        self.add(Place::Waiting)
    }

    /// One that has had its turn, and whose node is not known yet.
    pub(crate) fn stall(self: &Arc<Self>) -> RedirectInHand {
        self.add(Place::Stalled)
    }

    fn add(self: &Arc<Self>, place: impl FnOnce(u64) -> Place) -> RedirectInHand {
        let mut in_hand = self.lock();
        in_hand.last += 1;
        let place = place(in_hand.last);
        in_hand.redirects.insert(place, None);
        RedirectInHand {
            place,
            all: self.clone(),
        }
    }

    /// Whether all that came were followed.
    pub(crate) fn are_followed(&self) -> bool {
        self.lock().redirects.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, InHand> {
        // A panic elsewhere cannot have left it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RedirectInHand {
    /// Waits until those that came before are followed.
    pub(crate) async fn turn(&self) {
        if let Some(turn) = self.awaited() {
            let turns = async {
                let mut turn = Some(turn);
                while let Some(awaited) = turn {
                    // An error says that it is not looked for any more.
                    let _ = awaited.await;
                    turn = self.awaited();
                }
            };
            // An error says that it takes too long.
            let _ = timeout(PATIENCE, turns).await;
        }
    }

    /// What tells that this is the first one, unless it is.
    fn awaited(&self) -> Option<AsyncReceiver<()>> {
        let mut in_hand = self.all.lock();
        let first = in_hand.redirects.first_key_value();
        if first.is_none_or(|(first, _)| *first == self.place) {
            return None;
        }
        let (wake, turn) = oneshot::async_channel();
        in_hand.redirects.insert(self.place, Some(wake));
        Some(turn)
    }
}

impl Drop for RedirectInHand {
    fn drop(&mut self) {
        let next = {
            let mut in_hand = self.all.lock();
            in_hand.redirects.remove(&self.place);
            let mut first = in_hand.redirects.first_entry();
            first.as_mut().and_then(|first| first.get_mut().take())
        };
        if let Some(next) = next {
            // It may have gone.
            let _ = next.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    #[tokio::test]
    async fn redirects_are_followed_in_the_order_in_which_they_came() {
        let all = Arc::<Redirects>::default();
        let [first, second, third] = [(); 3].map(|()| all.take());
        {
            let mut turn = pin!(third.turn());
            let mut cx = Context::from_waker(Waker::noop());
            assert_eq!(turn.as_mut().poll(&mut cx), Poll::Pending);
            first.turn().await;
            drop(second);
            assert_eq!(turn.as_mut().poll(&mut cx), Poll::Pending);
            drop(first);
            assert_eq!(turn.poll(&mut cx), Poll::Ready(()));
        }
        assert!(!all.are_followed());
        drop(third);
        assert!(all.are_followed());
    }

    #[tokio::test]
    async fn one_that_cannot_go_on_goes_before_those_that_came_later() {
        let all = Arc::<Redirects>::default();
        let [first, second] = [(); 2].map(|()| all.take());
        let mut cx = Context::from_waker(Waker::noop());
        {
            let mut turn = pin!(second.turn());
            assert_eq!(turn.as_mut().poll(&mut cx), Poll::Pending);
            drop(first);
            let stalled = all.stall();
            assert_eq!(turn.as_mut().poll(&mut cx), Poll::Pending);
            stalled.turn().await;
            drop(stalled);
            assert_eq!(turn.poll(&mut cx), Poll::Ready(()));
        }
        drop(second);
        assert!(all.are_followed());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_never_followed_does_not_hold_the_others_up_for_good() {
        let all = Arc::<Redirects>::default();
        let [_kept, second] = [(); 2].map(|()| all.take());
        second.turn().await;
    }
}
