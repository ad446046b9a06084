//! One question to all sentinels of a service, and what their answers mean together.

use super::words::Words;
use crate::config::Address;

/// The answers so far. Whoever asks adds them as they come, until there is a verdict.
#[derive(Debug)]
pub(super) struct Inquiry {
    /// The sentinels that have not answered yet.
    open: usize,
    answers: Vec<(Address, Words)>,
    failures: Vec<(Address, String)>,
}

/// What the sentinels say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Primary {
        address: Address,
        epoch: Option<u64>,
        /// More than half of all sentinels have answered.
        is_of_majority: bool,
    },
    /// No answer names a primary, for this reason.
    None(String),
}

impl Inquiry {
    /// So many sentinels are asked.
    pub(super) fn new(asked: usize) -> Self {
        Self {
            open: asked,
            answers: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// A sentinel has answered. One that was asked under two names has one voice.
    pub(super) fn heard(&mut self, from: Address, words: Words) {
        self.open -= 1;
        let is_known = |(_, known): &(Address, Words)| words.id.is_some() && known.id == words.id;
        if !self.answers.iter().any(is_known) {
            self.answers.push((from, words));
        }
    }

    /// A sentinel has not answered, for this reason.
    pub(super) fn failed(&mut self, from: Address, why: String) {
        self.open -= 1;
        self.failures.push((from, why));
    }

    pub(super) fn answers(&self) -> &[(Address, Words)] {
        &self.answers
    }

    /// The verdict, or `None` as long as more answers may change it.
    ///
    /// A newer configuration than the known one ends the inquiry, whoever tells it: a majority of the sentinels has
    /// agreed to the failover that it comes from. Otherwise a majority has to answer, of which one at least
    /// knows the newest. If fewer can be asked, the newest of theirs is all there is.
    pub(super) fn verdict(&self, service: &str, known: Option<u64>) -> Option<Verdict> {
        let votes = || self.answers.iter().filter_map(|(_, words)| words.vote());
        let rank = |(address, epoch): &(&Address, Option<u64>)| {
            let voices = votes().filter(|(other, _)| other == address).count();
            (*epoch, voices)
        };
        let total = votes().count() + self.failures.len() + self.open;
        let is_of_majority = votes().count() * 2 > total;
        match votes().max_by_key(rank) {
            Some((address, epoch))
                if self.open == 0
                    || is_of_majority && epoch >= known
                    || known.is_some() && epoch > known =>
            {
                Some(Verdict::Primary {
                    address: address.clone(),
                    epoch,
                    is_of_majority,
                })
            }
            None if self.open == 0 => Some(Verdict::None(self.explain(service))),
            _ => None,
        }
    }

    fn explain(&self, service: &str) -> String {
        let of = |number: usize| match number {
            1 => "the sentinel".to_owned(),
            number => format!("{number} sentinels"),
        };
        let (answers, failures) = (self.answers.len(), self.failures.len());
        let failure = self.failures.last();
        let failure = failure.map(|(sentinel, why)| format!("{sentinel}: {why}"));
        match (answers, failure) {
            (0, Some(failure)) if failures == 1 => {
                format!("the sentinel does not answer: {failure}")
            }
            (0, Some(failure)) => format!("none of {failures} sentinels answers: {failure}"),
            (_, Some(failure)) => format!(
                "no service named {service} is known to {}, and others do not answer: {failure}",
                of(answers)
            ),
            (_, None) => format!("no service named {service} is known to {}", of(answers)),
        }
    }
}

impl Words {
    fn vote(&self) -> Option<(&Address, Option<u64>)> {
        self.primary.as_ref().map(|primary| (primary, self.epoch))
    }
}
