//! The rounds of one client, and what they come to.

use serde::Serialize;

use super::{failover::Failover, round::Round};
use crate::{contender::Name, figures::median};

#[derive(Debug, Serialize)]
pub struct Outcome {
    pub failover: Failover,
    pub client: Name,
    pub rounds: Vec<Round>,
}

/// One figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Outcome {
    /// A round without the figure counts as one that lasts for ever.
    pub fn spread(&self, figure: impl Fn(&Round) -> Option<f64>) -> Spread {
        let values = self.rounds.iter().map(figure);
        let values: Vec<_> = values.map(|value| value.unwrap_or(f64::INFINITY)).collect();
        Spread {
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            median: median(values),
        }
    }

    pub fn sum(&self, figure: impl Fn(&Round) -> usize) -> usize {
        self.rounds.iter().map(figure).sum()
    }
}
