//! Callers that give up.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// A caller that gives up on one call in three, at a random point.
pub struct Patience {
    random: fastrand::Rng,
    /// How often it did.
    pub gave_up: u64,
}

impl Patience {
    pub fn seeded(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { random, gave_up: 0 }
    }

    /// The outcome of the call, unless its future was dropped before there was one. It has been
    /// polled at least once.
    pub async fn wait<F: Future>(&mut self, call: F) -> Option<F::Output> {
        let output = match self.random.u8(0..6) {
            0 => polled(call, self.random.u8(1..=3)).await,
            1 => {
                let limit = Duration::from_micros(self.random.u64(0..100_000));
                tokio::time::timeout(limit, call).await.ok()
            }
            _ => Some(call.await),
        };
        self.gave_up += u64::from(output.is_none());
        output
    }
}

/// Polls so many times, however often others run in between, and then drops.
async fn polled<F: Future>(call: F, polls: u8) -> Option<F::Output> {
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
