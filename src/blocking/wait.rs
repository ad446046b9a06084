//! Waiting for a future on a thread without a runtime.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use crate::state::clock;

/// A thread that wakes so much later than it asked for was stopped, and the runtime with it.
const STANDSTILL: Duration = Duration::from_millis(250);
/// The time that the runtime then gets to hand out the replies that came meanwhile.
const GRACE: Duration = Duration::from_secs(1);

/// Blocks the thread until the future ends, at most for `patience`; `None` if it has not ended by then. If
/// the process was stopped meanwhile, it has a second from then.
///
/// The clock is not read for a future that is ready at once.
pub(super) fn block_on<T>(
    mut future: Pin<&mut impl Future<Output = T>>,
    patience: Duration,
) -> Option<T> {
    let parked = Arc::new(Parked {
        thread: thread::current(),
        is_woken: AtomicBool::new(false),
    });
    let waker = Waker::from(parked.clone());
    let mut cx = Context::from_waker(&waker);
    if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
        return Some(output);
    }
    let mut until = clock::now() + patience;
    loop {
        if parked.is_woken.swap(false, Acquire)
            && let Poll::Ready(output) = future.as_mut().poll(&mut cx)
        {
            return Some(output);
        }
        let now = clock::now();
        if now >= until + STANDSTILL {
            until = now + GRACE;
        }
        let left = until.saturating_duration_since(now);
        if left.is_zero() {
            return None;
        }
        // The flag tells of a wake. The token of `park` does not: other code on this thread may take it,
        // such as a channel that is read while a reply is converted, or leave one behind.
        if !parked.is_woken.load(Acquire) {
            thread::park_timeout(left);
        }
    }
}

/// A thread that waits or is about to wait.
struct Parked {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Release);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, poll_fn, ready},
        pin::pin,
        sync::mpsc,
        time::Instant,
    };

    use super::*;

    const SOON: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn a_future_that_is_ready_needs_no_patience() {
        assert_eq!(block_on(pin!(ready(1)), Duration::ZERO), Some(1));
    }

    #[test]
    fn a_future_that_never_ends_is_given_up() {
        let start = Instant::now();
        assert_eq!(block_on(pin!(pending::<()>()), SHORT), None);
        assert!(start.elapsed() >= SHORT);
    }

    #[test]
    fn a_wake_from_another_thread_ends_the_wait() {
        let (sender, receiver) = oneshot::async_channel();
        let waker = thread::spawn(move || sender.send(7));
        assert_eq!(block_on(pin!(receiver), SOON), Some(Ok(7)));
        waker.join().expect("a thread").expect("a waiting receiver");
    }

    #[test]
    fn a_future_that_wakes_itself_is_polled_again() {
        let mut turns = 0;
        let future = poll_fn(|cx| {
            turns += 1;
            cx.waker().wake_by_ref();
            if turns < 100 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        });
        assert_eq!(block_on(pin!(future), SOON), Some(()));
        assert_eq!(turns, 100);
    }

    #[test]
    fn wakes_without_end_do_not_prolong_the_wait() {
        let is_over = &AtomicBool::new(false);
        let (sender, receiver) = mpsc::sync_channel::<Waker>(1);
        thread::scope(|scope| {
            scope.spawn(move || {
                let waker = receiver.recv().expect("a waker");
                while !is_over.load(Acquire) {
                    waker.wake_by_ref();
                }
            });
            let future = poll_fn(|cx| {
                // One is enough.
                let _ = sender.try_send(cx.waker().clone());
                Poll::<()>::Pending
            });
            let output = block_on(pin!(future), SHORT);
            is_over.store(true, Release);
            assert_eq!(output, None);
        });
    }

    /// The future converts the reply, with code that may park the thread itself.
    #[test]
    fn a_token_that_the_future_takes_is_not_missed() {
        let start = Instant::now();
        let mut turns = 0;
        let future = poll_fn(|cx| {
            turns += 1;
            cx.waker().wake_by_ref();
            thread::park();
            if turns < 2 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        });
        assert_eq!(block_on(pin!(future), SOON), Some(()));
        assert!(start.elapsed() < SOON);
    }

    #[test]
    fn a_foreign_token_is_no_wake() {
        let mut turns = 0;
        let future = poll_fn(|_| {
            turns += 1;
            Poll::<()>::Pending
        });
        thread::current().unpark();
        assert_eq!(block_on(pin!(future), SHORT), None);
        assert_eq!(turns, 1);
    }
}
