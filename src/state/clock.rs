//! The clock and the dice of everything above the sockets.

use tokio::time::Instant;

/// The present moment; a test can pause the clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A random number from 0 to 1, for pauses that are to differ.
pub(crate) fn jitter() -> f64 {
    fastrand::f64()
}
