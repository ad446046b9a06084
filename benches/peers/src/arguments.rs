//! What can be asked for on the command line.

use std::{path::PathBuf, time::Duration};

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind, value_parser};

use crate::{case::Case, cluster, contender::Name, faults, measure::Settings, sentinel};

const FULL_ROUND_MILLIS: u64 = 120;
const QUICK_ROUND_MILLIS: u64 = 55;

/// Measures redis-steward beside other Redis clients of Rust, in one run and in alternating order.
///
/// Needs redis-server, and starts one of its own. A full run takes about fifteen minutes; absolute
/// figures are noise on a shared machine, the ratios are what to look at.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub task: Option<Task>,

    /// About a minute: some twenty cases in short rounds
    #[arg(long)]
    quick: bool,

    /// Measure only cases whose names contain PATTERN, of all cases; may be repeated
    #[arg(long = "case", value_name = "PATTERN")]
    cases: Vec<String>,

    /// Measure only this client; may be repeated
    #[arg(long = "peer", value_name = "NAME", value_parser = Name::one_of(Name::measured()))]
    peers: Vec<Name>,

    /// The length of a client's turn in a round [default: 120, and 55 with --quick]
    #[arg(long, value_name = "MILLIS", value_parser = value_parser!(u64).range(10..=60_000))]
    round: Option<u64>,

    /// Rounds of each case. Fewer than 5 are for trying things out, not for figures
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u16).range(1..=1000))]
    rounds: u16,

    /// Write all figures, those of each round too, to FILE
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write a compact table to FILE, to be pasted into a README
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,

    /// Plot throughput against outstanding calls, for GET of 16 B on tokio, to FILE
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,

    /// Print the names of cases and clients, and measure nothing
    #[arg(long)]
    pub list: bool,
}

/// What is done instead of the comparison.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Measures what callers feel when the server is killed, frozen, flaps, or drops its connections
    Faults(faults::Arguments),
    /// Measures how long clients are without a primary when Redis Sentinel fails over
    Sentinel(sentinel::Arguments),
    /// Measures how long clients are without a shard of a Redis Cluster when its primary is killed
    Cluster(cluster::Arguments),
}

impl Arguments {
    /// The cases asked for. Ends the program if a pattern fits none.
    pub fn cases(&self) -> Vec<Case> {
        if self.cases.is_empty() {
            return if self.quick {
                Case::quick()
            } else {
                Case::all()
            };
        }
        select(&self.cases, Case::all()).unwrap_or_else(|problem| refuse(&problem))
    }

    /// The clients asked for, in their usual order.
    pub fn peers(&self) -> Vec<Name> {
        if self.peers.is_empty() {
            return Name::compared().collect();
        }
        Name::measured()
            .filter(|name| self.peers.contains(name))
            .collect()
    }

    pub fn settings(&self) -> Settings {
        let default = if self.quick {
            QUICK_ROUND_MILLIS
        } else {
            FULL_ROUND_MILLIS
        };
        Settings {
            round: Duration::from_millis(self.round.unwrap_or(default)),
            rounds: self.rounds.into(),
        }
    }
}

/// Ends the program as clap does for what it finds wrong itself.
pub fn refuse(problem: &str) -> ! {
    Arguments::command()
        .error(ErrorKind::ValueValidation, problem)
        .exit()
}

fn select(patterns: &[String], mut cases: Vec<Case>) -> Result<Vec<Case>, String> {
    let fits = |pattern: &String, case: &Case| case.name().contains(pattern.as_str());
    if let Some(pattern) = patterns
        .iter()
        .find(|pattern| !cases.iter().any(|case| fits(pattern, case)))
    {
        let names: Vec<_> = cases
            .iter()
            .map(|case| format!("  {}", case.name()))
            .collect();
        return Err(format!(
            "no case has '{pattern}' of '--case <PATTERN>' in its name; the cases are:\n{}",
            names.join("\n")
        ));
    }
    cases.retain(|case| patterns.iter().any(|pattern| fits(pattern, case)));
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(patterns: &[&str]) -> Result<Vec<String>, String> {
        let patterns: Vec<_> = patterns.iter().map(ToString::to_string).collect();
        let cases = select(&patterns, Case::all())?;
        Ok(cases.iter().map(Case::name).collect())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn faults_sentinel_and_cluster_have_flags_of_their_own() {
        let parse = |line: &[&str]| Arguments::try_parse_from(line);
        let faults = parse(&["peers", "faults", "--peer", "fred", "--fault", "kill"]);
        assert!(matches!(
            faults.map(|it| it.task),
            Ok(Some(Task::Faults(_)))
        ));
        assert!(matches!(parse(&["peers"]).map(|it| it.task), Ok(None)));
        let sentinel = parse(&["peers", "sentinel", "--failover", "kill", "--rounds", "1"]);
        assert!(matches!(
            sentinel.map(|it| it.task),
            Ok(Some(Task::Sentinel(_)))
        ));
        let cluster = parse(&["peers", "cluster", "--peer", "rustis", "--rounds", "1"]);
        assert!(matches!(
            cluster.map(|it| it.task),
            Ok(Some(Task::Cluster(_)))
        ));
        assert!(parse(&["peers", "--quick", "faults"]).is_err());
        assert!(parse(&["peers", "--quick", "sentinel"]).is_err());
        assert!(parse(&["peers", "faults", "--quick"]).is_err());
    }

    #[test]
    fn a_pattern_is_a_part_of_a_name() {
        let one = names(&["get-16B/256/current-thread"]);
        assert_eq!(one, Ok(vec!["get-16B/256/current-thread".into()]));
        assert_eq!(
            names(&["get-16B/64", "incr/1/"]).map(|names| names.len()),
            Ok(5)
        );
    }

    #[test]
    fn a_pattern_without_tls_fits_no_case_over_tls() {
        let has_tls = |name: &String| name.contains("/tls/");
        let plain = names(&["get-16B/64", "set-16KiB/6"]).expect("cases");
        assert!(!plain.iter().any(has_tls), "{plain:?}");
        let tls = names(&["tls"]).expect("cases");
        assert_eq!(tls.len(), 18);
        assert!(tls.iter().all(has_tls), "{tls:?}");
    }

    #[test]
    fn a_pattern_without_cluster_fits_no_case_at_a_cluster() {
        let has_cluster = |name: &String| name.contains("/cluster/");
        let plain = names(&["get-16B/64", "incr/64"]).expect("cases");
        assert!(!plain.iter().any(has_cluster), "{plain:?}");
        let cluster = names(&["cluster"]).expect("cases");
        assert_eq!(cluster.len(), 20);
        assert!(cluster.iter().all(has_cluster), "{cluster:?}");
    }

    #[test]
    fn a_pattern_without_near_fits_no_case_with_a_near_cache() {
        let is_near = |name: &String| name.contains("/near/");
        let plain = names(&["get-16B/64", "get-1KiB/64"]).expect("cases");
        assert!(!plain.iter().any(is_near), "{plain:?}");
        let near = names(&["near"]).expect("cases");
        assert_eq!(near.len(), 8);
        assert!(near.iter().all(is_near), "{near:?}");
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_answered_with_the_names() {
        let problem = names(&["get", "hget"]).expect_err("there is no hget");
        assert!(
            problem.starts_with("no case has 'hget' of '--case <PATTERN>'"),
            "{problem}"
        );
        assert!(problem.contains("\n  set-1KiB/64/actix"), "{problem}");
    }

    #[test]
    fn a_quick_run_has_short_rounds_unless_told_otherwise() {
        let round = |line: &[&str]| Arguments::parse_from(line).settings().round.as_millis();
        assert_eq!(round(&["peers"]), 120);
        assert_eq!(round(&["peers", "--quick"]), 55);
        assert_eq!(round(&["peers", "--quick", "--round", "300"]), 300);
    }
}
