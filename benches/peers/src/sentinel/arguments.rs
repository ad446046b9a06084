//! What can be asked for after `sentinel`.

use clap::{Args, ValueEnum, value_parser};

use super::failover::Failover;
use crate::{contender::Name, faults, files::Files};

#[derive(Args, Debug)]
pub struct Arguments {
    /// Only this client; may be repeated
    #[arg(long = "peer", value_name = "NAME", value_parser = Name::one_of(Name::with_sentinel()))]
    peers: Vec<Name>,

    /// Only this failover; may be repeated
    #[arg(long = "failover", value_name = "NAME")]
    failovers: Vec<Failover>,

    /// Rounds of each client and failover, each with servers and sentinels of its own
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u16).range(1..=100))]
    rounds: u16,

    #[command(flatten)]
    pub files: Files,
}

impl Arguments {
    /// The clients asked for, in their usual order.
    pub fn peers(&self) -> Vec<Name> {
        faults::asked(&self.peers, Name::with_sentinel())
    }

    pub fn failovers(&self) -> Vec<Failover> {
        faults::asked(&self.failovers, Failover::value_variants().iter().copied())
    }

    pub fn rounds(&self) -> usize {
        self.rounds.into()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn everything_is_measured_unless_told_otherwise() {
        let Line { arguments } = Line::parse_from(["sentinel"]);
        assert_eq!(arguments.peers().len(), 5);
        assert_eq!(arguments.failovers(), [Failover::Kill, Failover::Ordered]);
        assert_eq!(arguments.rounds(), 3);
        let line = ["sentinel", "--failover", "ordered", "--peer", "fred"];
        let Line { arguments } = Line::parse_from(line);
        assert_eq!(arguments.peers(), [Name::Fred]);
        assert_eq!(arguments.failovers(), [Failover::Ordered]);
    }

    #[test]
    fn a_client_without_sentinel_cannot_be_asked_for() {
        for other in ["redis-tower", "redis-benchmark"] {
            assert!(Line::try_parse_from(["sentinel", "--peer", other]).is_err());
        }
        assert!(Line::try_parse_from(["sentinel", "--rounds", "0"]).is_err());
    }
}
