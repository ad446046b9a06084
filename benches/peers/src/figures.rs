//! What a round gives, and what the rounds of a case come to.

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

/// One client's figures of one round, or the medians of several rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    #[serde(serialize_with = "rounded")]
    pub operations_per_second: f64,
    #[serde(serialize_with = "rounded")]
    pub cpu_micros_per_operation: f64,
    #[serde(serialize_with = "rounded")]
    pub p50_micros: f64,
    #[serde(serialize_with = "rounded")]
    pub p99_micros: f64,
    /// Absent where the measuring program does not give it, or has timed too few calls for it.
    pub p999_micros: Option<f64>,
    /// The share of the calls that a near cache has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hit_share: Option<f64>,
}

impl Figures {
    /// The median of each figure by itself, so that a disturbed round spoils none of them.
    pub fn medians(rounds: &[Self]) -> Self {
        let over = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        let p999: Option<Vec<f64>> = rounds.iter().map(|round| round.p999_micros).collect();
        let hits: Option<Vec<f64>> = rounds.iter().map(|round| round.hit_share).collect();
        Self {
            operations_per_second: over(|round| round.operations_per_second),
            cpu_micros_per_operation: over(|round| round.cpu_micros_per_operation),
            p50_micros: over(|round| round.p50_micros),
            p99_micros: over(|round| round.p99_micros),
            p999_micros: p999.map(median),
            hit_share: hits.map(median),
        }
    }
}

/// Latencies of one round.
pub struct Latencies(Histogram<u64>);

impl Latencies {
    pub fn new() -> Self {
        // Three digits; its range grows with what is recorded.
        Self(Histogram::new(3).expect("three digits are within what a histogram can have"))
    }

    pub fn record(&mut self, nanos: u64) {
        let recorded = self.0.record(nanos);
        recorded.expect("the range of the histogram grows with its values");
    }

    /// Whether at least so many were recorded.
    pub fn has_seen(&self, calls: u64) -> bool {
        self.0.len() >= calls
    }

    pub fn micros_at(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// To a thousandth: a near cache answers within a tenth of a microsecond.
fn rounded<S: Serializer>(figure: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((figure * 1e3).round() / 1e3)
}

/// The middle one, or the mean of the two middle ones.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(operations_per_second: f64, p999_micros: Option<f64>) -> Figures {
        Figures {
            operations_per_second,
            cpu_micros_per_operation: 1.0,
            p50_micros: 10.0,
            p99_micros: 20.0,
            p999_micros,
            hit_share: None,
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
        assert_eq!(median(vec![7.0]), 7.0);
    }

    #[test]
    fn each_figure_has_its_own_median() {
        let rounds = [
            round(1.0, Some(30.0)),
            round(3.0, Some(10.0)),
            round(2.0, Some(20.0)),
        ];
        assert_eq!(Figures::medians(&rounds), round(2.0, Some(20.0)));
    }

    #[test]
    fn what_is_absent_in_a_round_is_absent() {
        assert_eq!(Figures::medians(&[round(1.0, None)]).p999_micros, None);
    }

    #[test]
    fn latencies_come_in_microseconds() {
        let mut latencies = Latencies::new();
        for micros in 1..=1000 {
            latencies.record(micros * 1000);
        }
        assert!((latencies.micros_at(0.5) - 500.0).abs() < 1.0);
        assert!((latencies.micros_at(0.99) - 990.0).abs() < 2.0);
    }
}
