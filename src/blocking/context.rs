//! Whether a thread may be blocked.

use std::task::{Context, Poll, Waker};

use tokio::{runtime::Handle, task::coop::poll_proceed};

/// Whether the thread is polling an async task of tokio, so that blocking it would block its runtime.
///
/// Tokio polls a task with a budget that makes it yield, of 128 steps at present. `spawn_blocking` and
/// `block_in_place` have no budget. Tokio does not tell the budget, so this takes steps until none is
/// left, and then restores them all.
///
/// Two cases look like plain threads: a future in `unconstrained`, and a root future after
/// `block_in_place`, until it is polled again.
///
/// A plain thread pays about 4 ns, for the look at a thread-local. A thread of `spawn_blocking` pays
/// about a microsecond for all steps, which is little beside a round trip.
pub(super) fn is_async() -> bool {
    if Handle::try_current().is_err() {
        return false;
    }
    let mut cx = Context::from_waker(Waker::noop());
    // The guard remembers the budget before the first step, and restores it on drop.
    let Poll::Ready(_restored) = poll_proceed(&mut cx) else {
        return true;
    };
    (0..STEPS).any(|_| {
        poll_proceed(&mut cx)
            .map(|step| step.made_progress())
            .is_pending()
    })
}

/// The largest budget: tokio keeps it in a byte.
const STEPS: u32 = u8::MAX as u32;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::{runtime::Builder, task};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        runtime.expect("a runtime")
    }

    /// The number of steps until the task must yield.
    fn budget_left() -> u32 {
        let mut cx = Context::from_waker(Waker::noop());
        let mut steps = 0;
        while let Poll::Ready(step) = poll_proceed(&mut cx) {
            step.made_progress();
            steps += 1;
        }
        steps
    }

    #[test]
    fn a_task_has_the_same_budget_after_the_question() {
        let left = |questions: u32| {
            runtime().block_on(poll_fn(move |_| {
                assert!((0..questions).all(|_| is_async()));
                Poll::Ready(budget_left())
            }))
        };
        let unasked = left(0);
        assert!((1..=STEPS).contains(&unasked), "{unasked}");
        assert_eq!(left(3), unasked);
    }

    #[test]
    fn a_task_without_any_budget_left_is_a_task() {
        let is_async = runtime().block_on(poll_fn(|_| {
            budget_left();
            Poll::Ready(is_async())
        }));
        assert!(is_async);
    }

    #[test]
    fn a_thread_that_has_entered_a_runtime_may_be_blocked() {
        let runtime = runtime();
        let _entered = runtime.enter();
        assert!(!is_async());
        assert!(runtime.block_on(async { is_async() }));
        assert!(!is_async());
    }

    #[test]
    fn a_block_on_inside_of_spawn_blocking_is_async() {
        let seen = runtime().block_on(async {
            let thread = task::spawn_blocking(|| {
                let inside = Handle::current().block_on(async { is_async() });
                (is_async(), inside)
            });
            thread.await.expect("a thread")
        });
        assert_eq!(seen, (false, true));
    }
}
