//! One figure over a few rounds.

use std::fmt;

use crate::figures::median;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// A round without the figure counts as one that lasts for ever.
    pub fn of(values: impl Iterator<Item = Option<f64>>) -> Self {
        let values: Vec<_> = values.map(|value| value.unwrap_or(f64::INFINITY)).collect();
        Self {
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            median: median(values),
        }
    }
}

/// Such as `2051 (2040 to 2212)`.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            median,
            least,
            most,
        } = *self;
        match least == most {
            true => f.write_str(&number(median)),
            false => write!(
                f,
                "{} ({} to {})",
                number(median),
                number(least),
                number(most)
            ),
        }
    }
}

fn number(value: f64) -> String {
    if value.is_infinite() {
        return "never".into();
    }
    format!("{value:.0}")
}
