//! The rounds of one client, and what they come to.

use serde::Serialize;

use super::{failover::Failover, round::Round};
use crate::{contender::Name, spread::Spread};

#[derive(Debug, Serialize)]
pub struct Outcome {
    pub failover: Failover,
    pub client: Name,
    pub rounds: Vec<Round>,
}

impl Outcome {
    pub fn spread(&self, figure: impl Fn(&Round) -> Option<f64>) -> Spread {
        Spread::of(self.rounds.iter().map(figure))
    }

    pub fn sum(&self, figure: impl Fn(&Round) -> usize) -> usize {
        self.rounds.iter().map(figure).sum()
    }
}
