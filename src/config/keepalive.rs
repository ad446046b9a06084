//! TCP keepalive.

use std::time::Duration;

/// When the operating system asks a silent peer whether it is still there (TCP keepalive, RFC 1122
/// section 4.2.3.6).
///
/// It finds the peer of an *idle* connection gone, and keeps firewalls and NAT tables from
/// forgetting the connection. A connection with commands under way is watched by the attempt
/// timeout, which is far quicker.
///
/// ```
/// use redis_steward::{DatabaseConfig, Keepalive};
/// use std::time::Duration;
///
/// let keepalive = Keepalive::new().idle(Duration::from_secs(120)).count(3);
/// let cache = DatabaseConfig::new().keepalive(keepalive);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Keepalive {
    pub(crate) idle: Duration,
    pub(crate) interval: Duration,
    pub(crate) count: u32,
}

impl Keepalive {
    /// 5 questions, 60 s apart, after 600 s of silence.
    pub const fn new() -> Self {
        Self {
            idle: Duration::from_secs(600),
            interval: Duration::from_secs(60),
            count: 5,
        }
    }

    /// Silence before the first question, in whole seconds. Default 600 s; range 1 s to 32,767 s.
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Time between two questions, in whole seconds. Default 60 s; range 1 s to 32,767 s.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Unanswered questions after which the connection is dead. Default 5; range 1 to 127.
    pub const fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }
}

impl Default for Keepalive {
    fn default() -> Self {
        Self::new()
    }
}
