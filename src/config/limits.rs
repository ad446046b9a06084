//! Ranges of the settings, for the checks of the configuration and of the environment alike.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A day in seconds, to write the long durations with.
const DAY: u64 = 86_400;

/// The longest deadline, grace or interval: an endless one would overflow the clock.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(365 * DAY);

/// Timeouts and intervals. Timers tick in milliseconds, and `Instant + Duration` must not overflow.
pub(super) const DURATION: RangeInclusive<Duration> = Duration::from_millis(1)..=MAX_WAIT;

/// Times of TCP keepalive: whole seconds, which Linux takes up to 32,767 (`MAX_TCP_KEEPIDLE`,
/// `include/net/tcp.h`).
pub(super) const KEEPALIVE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(32_767);

/// Probes of TCP keepalive (`MAX_TCP_KEEPCNT` in the same file).
pub(super) const KEEPALIVE_COUNT: RangeInclusive<u64> = 1..=127;

/// The kernel takes `TCP_USER_TIMEOUT` as milliseconds in a C `int`, which ends after 24.8 days.
pub(super) const TCP_USER_TIMEOUT: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * DAY);

/// How old a connection may grow. A pool that replaces its connections more often than every second
/// is busy with nothing else.
pub(super) const LIFETIME: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(365 * DAY);

/// Connections of one database: a client has about as many ports towards one server.
pub(super) const CONNECTIONS: RangeInclusive<u64> = 1..=65_535;

/// Connections that callers share. Above `max_connections` is a problem of its own.
pub(super) const SHARED_CONNECTIONS: RangeInclusive<u64> = 1..=65_535;

/// Idle connections to keep. Above `max_connections` is a problem of its own.
pub(super) const IDLE_CONNECTIONS: RangeInclusive<u64> = 0..=65_535;

/// Anything counted that has no natural end.
pub(super) const COUNT: RangeInclusive<u64> = 1..=u64::MAX;

/// Commands in flight. They are counted in 24 bits, of which one is room for callers that are
/// refused (`net/load.rs`).
pub(super) const COMMANDS: RangeInclusive<u64> = 1..=(1 << 23) - 1;

/// Bytes in flight, which are counted in 40 bits.
pub(super) const BYTES_IN_FLIGHT: RangeInclusive<u64> = 1024..=1 << 39;

/// Consecutive failures.
pub(super) const FAILURES: RangeInclusive<u64> = 1..=u32::MAX as u64;

/// Sizes in bytes. Below 1 KiB not even the server's error messages would fit.
pub(super) const BYTES: RangeInclusive<u64> = 1024..=u64::MAX;

/// Database numbers. A server has 16 of them unless its `databases` setting says otherwise.
pub(super) const NUMBER: RangeInclusive<i64> = 0..=65_535;

/// The number of bytes in a name of a database or a client.
pub(super) const NAME_BYTES: usize = 128;

/// A duration within its range, or what is wrong with it.
pub(super) fn duration(
    value: Duration,
    range: &RangeInclusive<Duration>,
) -> Result<Duration, String> {
    if value < *range.start() {
        Err(format!(
            "{} is too short; use at least {}",
            seconds(value),
            seconds(*range.start())
        ))
    } else if value > *range.end() {
        Err(format!(
            "{} is too long; use at most {}",
            seconds(value),
            seconds(*range.end())
        ))
    } else {
        Ok(value)
    }
}

/// A count within its range, or what is wrong with it.
pub(super) fn count(value: u64, range: &RangeInclusive<u64>) -> Result<u64, String> {
    if value < *range.start() {
        Err(format!(
            "{value} is too small; use at least {}",
            range.start()
        ))
    } else if value > *range.end() {
        Err(format!("{value} is too large; use at most {}", range.end()))
    } else {
        Ok(value)
    }
}

/// A database number within its range, or what is wrong with it.
pub(super) fn number(value: i64) -> Result<i64, String> {
    if NUMBER.contains(&value) {
        return Ok(value);
    }
    Err(format!(
        "{value} is no database number; use {} to {} (above 15 only where the server's `databases` \
         setting allows it)",
        NUMBER.start(),
        NUMBER.end()
    ))
}

/// A duration as people write it in a configuration: `0.5 s`.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_inside_and_their_neighbours_are_not() {
        let nanosecond = Duration::from_nanos(1);
        for range in [DURATION, KEEPALIVE, TCP_USER_TIMEOUT, LIFETIME] {
            assert!(duration(*range.start(), &range).is_ok());
            assert!(duration(*range.end(), &range).is_ok());
            assert!(duration(*range.start() - nanosecond, &range).is_err());
            assert!(duration(*range.end() + nanosecond, &range).is_err());
        }
        assert!(count(127, &KEEPALIVE_COUNT).is_ok() && count(128, &KEEPALIVE_COUNT).is_err());
        assert!(number(0).is_ok() && number(65_535).is_ok());
        assert!(number(-1).is_err() && number(65_536).is_err());
    }

    #[test]
    fn messages_say_what_to_use() {
        assert_eq!(
            duration(Duration::ZERO, &DURATION).unwrap_err(),
            "0 s is too short; use at least 0.001 s"
        );
        assert_eq!(
            count(0, &CONNECTIONS).unwrap_err(),
            "0 is too small; use at least 1"
        );
    }
}
