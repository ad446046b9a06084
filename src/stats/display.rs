//! Statistics for people.

use std::fmt;

use super::{DatabaseStats, Encryption, SupervisorStats};
use crate::rounded::Rounded;

/// A line about all, and one about each database, sorted by name.
impl fmt::Display for SupervisorStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "up {}: {} databases ({} healthy, {} degraded, {} failed), {} commands, {} succeeded",
            Rounded(self.uptime),
            self.databases.len(),
            self.healthy(),
            self.degraded(),
            self.failed(),
            self.commands(),
            Percent(self.success_rate()),
        )?;
        for (name, stats) in &self.databases {
            write!(f, "\n{name}: {stats}")?;
        }
        Ok(())
    }
}

/// One line. Outcomes that did not occur are left out.
impl fmt::Display for DatabaseStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, circuit {}; {} commands, {} succeeded",
            self.health,
            self.circuit,
            self.commands(),
            Percent(self.success_rate()),
        )?;
        if let (Some(p50), Some(p99), Some(max)) =
            (self.latency.p50(), self.latency.p99(), self.latency.max())
        {
            let (p50, p99, max) = (Rounded(p50), Rounded(p99), Rounded(max));
            write!(f, "; p50 {p50}, p99 {p99}, max {max}")?;
        }
        let some = [
            (self.error_replies, "error replies"),
            (self.timed_out, "timed out"),
            (self.lost, "lost"),
            (self.cancelled, "cancelled"),
            (self.refused, "refused"),
            (self.fallback.served, "served by the fallback"),
            (self.retried, "retried"),
            (self.trips, "trips of the circuit"),
        ];
        for (number, what) in some {
            if number > 0 {
                write!(f, "; {what}: {number}")?;
            }
        }
        if self.encryption == Encryption::Unverified {
            write!(f, "; {}", self.encryption)?;
        }
        let pool = &self.pool;
        write!(
            f,
            "; {} of {} connections open, {} leased",
            pool.open, pool.max, pool.in_use
        )?;
        match &self.last_error {
            Some(last) => write!(f, "; last error: {last}"),
            None => Ok(()),
        }
    }
}

struct Percent(f64);

/// `100 %` is said only if there was no failure at all.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = 100.0 * self.0;
        if self.0 < 1.0 {
            write!(f, "{:.2} %", percent.min(99.99))
        } else {
            f.write_str("100 %")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_perfection_is_a_hundred_percent() {
        assert_eq!(Percent(1.0).to_string(), "100 %");
        assert_eq!(Percent(0.999_999).to_string(), "99.99 %");
        assert_eq!(Percent(0.5).to_string(), "50.00 %");
    }
}
