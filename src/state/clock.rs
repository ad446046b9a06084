//! The clock and the randomness of all code above the sockets.

use std::time::SystemTime;

use tokio::time::Instant;

/// The present moment; a test can pause the clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day, for people.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// A random number from 0 to 1, by which pauses differ.
pub(crate) fn jitter() -> f64 {
    fastrand::f64()
}
