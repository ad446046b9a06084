//! What can be asked for after `faults`.

use clap::{Args, ValueEnum};

use super::fault::Fault;
use crate::{contender::Name, files::Files};

#[derive(Args, Debug)]
pub struct Arguments {
    /// Only this client; may be repeated
    #[arg(long = "peer", value_name = "NAME", value_parser = Name::one_of(Name::under_faults()))]
    peers: Vec<Name>,

    /// Only this fault; may be repeated
    #[arg(long = "fault", value_name = "NAME")]
    faults: Vec<Fault>,

    #[command(flatten)]
    pub files: Files,
}

impl Arguments {
    /// The clients asked for, in their usual order.
    pub fn peers(&self) -> Vec<Name> {
        asked(&self.peers, Name::under_faults())
    }

    pub fn faults(&self) -> Vec<Fault> {
        asked(&self.faults, Fault::value_variants().iter().copied())
    }
}

/// What was asked for, or everything if nothing was.
pub fn asked<T: PartialEq>(only: &[T], all: impl Iterator<Item = T>) -> Vec<T> {
    all.filter(|it| only.is_empty() || only.contains(it))
        .collect()
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
        let Line { arguments } = Line::parse_from(["faults"]);
        assert_eq!(arguments.peers().len(), 10);
        assert_eq!(arguments.faults().len(), 5);
        let line = ["faults", "--peer", "fred", "--peer", "redis-steward"];
        let Line { arguments } = Line::parse_from(line);
        assert_eq!(arguments.peers(), [Name::RedisSteward, Name::Fred]);
    }

    #[test]
    fn what_is_no_client_cannot_be_asked_for() {
        assert!(Line::try_parse_from(["faults", "--peer", "redis-benchmark"]).is_err());
    }
}
