//! What can be asked for after `cluster`.

use clap::{Args, value_parser};

use crate::{contender::Name, faults, files::Files};

#[derive(Args, Debug)]
pub struct Arguments {
    /// Only this client; may be repeated
    #[arg(long = "peer", value_name = "NAME", value_parser = Name::one_of(Name::with_cluster()))]
    peers: Vec<Name>,

    /// Rounds of each client, each with a cluster of its own
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u16).range(1..=100))]
    rounds: u16,

    #[command(flatten)]
    pub files: Files,
}

impl Arguments {
    /// The clients asked for, in their usual order.
    pub fn peers(&self) -> Vec<Name> {
        faults::asked(&self.peers, Name::with_cluster())
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
    fn everybody_who_knows_clusters_is_measured_unless_told_otherwise() {
        let Line { arguments } = Line::parse_from(["cluster"]);
        assert_eq!(arguments.peers().len(), 7);
        assert_eq!(arguments.rounds(), 3);
        let Line { arguments } = Line::parse_from(["cluster", "--peer", "redis-tower"]);
        assert_eq!(arguments.peers(), [Name::RedisTower]);
    }

    #[test]
    fn a_client_without_clusters_cannot_be_asked_for() {
        for other in ["bb8-redis", "redis-benchmark"] {
            assert!(Line::try_parse_from(["cluster", "--peer", other]).is_err());
        }
    }
}
