//! Durations for people.

use std::{fmt, time::Duration};

/// A duration with three digits, such as `49.3ms`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(pub(crate) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let unit = 10_u128.pow(nanos.max(1).ilog10().saturating_sub(2));
        let rounded = (nanos + unit / 2) / unit * unit;
        let rounded = u64::try_from(rounded).map_or(self.0, Duration::from_nanos);
        // The width of a column holds for the whole.
        f.pad(&format!("{rounded:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        let span = |nanos| Span(Duration::from_nanos(nanos)).to_string();
        assert_eq!(span(49_251_636), "49.3ms");
        assert_eq!(span(10_000), "10µs");
        assert_eq!(span(0), "0ns");
        assert_eq!(format!("{:>6}", Span(Duration::from_secs(5))), "    5s");
    }
}
