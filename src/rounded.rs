//! Durations for people.

use std::{fmt, time::Duration};

/// A duration with three digits, such as `49.3ms`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounded(pub(crate) Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos < 1_000 {
            return fmt::Debug::fmt(&self.0, f);
        }
        let unit = 10_u128.pow(nanos.ilog10() - 2);
        let rounded = (nanos + unit / 2) / unit * unit;
        let (seconds, nanos) = (rounded / 1_000_000_000, rounded % 1_000_000_000);
        fmt::Debug::fmt(&Duration::new(seconds as u64, nanos as u32), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        let rounded = |nanos| Rounded(Duration::from_nanos(nanos)).to_string();
        for (nanos, expected) in [
            (0, "0ns"),
            (999, "999ns"),
            (10_000, "10µs"),
            (49_251_636, "49.3ms"),
            (999_600_000, "1s"),
            (1_500_000_000, "1.5s"),
            (3_661_123_456_789, "3660s"),
        ] {
            assert_eq!(rounded(nanos), expected);
        }
        let longest = Rounded(Duration::MAX).to_string();
        assert!(longest.starts_with("184"), "{longest}");
    }
}
