//! A caller that cancels some of its calls.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

/// Cancels one call in three, at a random point.
pub struct ImpatientCaller {
    random: fastrand::Rng,
    /// The number of calls that it has cancelled.
    pub cancelled: u64,
}

impl ImpatientCaller {
    pub fn seeded(seed: u64) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            cancelled: 0,
        }
    }

    /// The outcome of the call, or `None` if its future was dropped before. The future is polled at
    /// least once.
    pub async fn wait<F: Future>(&mut self, call: F) -> Option<F::Output> {
        let output = match self.random.u8(0..6) {
            0 => poll_then_drop(call, self.random.u8(1..=3)).await,
            1 => {
                let limit = Duration::from_micros(self.random.u64(0..100_000));
                tokio::time::timeout(limit, call).await.ok()
            }
            _ => Some(call.await),
        };
        self.cancelled += u64::from(output.is_none());
        output
    }
}

/// Polls this number of times, with other tasks in between, and then drops the call.
async fn poll_then_drop<F: Future>(call: F, polls: u8) -> Option<F::Output> {
    let mut call = pin!(call);
    for _ in 0..polls {
        let poll = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = poll {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}
