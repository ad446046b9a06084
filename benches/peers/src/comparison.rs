//! A run, from its arguments to its report.

use anyhow::{Result, bail};
use serde::Serialize;

use crate::{
    arguments::Arguments,
    case::Case,
    contender::Name,
    interrupt,
    machine::Machine,
    measure::{Outcome, Settings, measure},
    program::Programs,
    progress::Progress,
    report,
    site::Site,
};

/// Everything that was found out.
#[derive(Serialize)]
pub struct Comparison {
    pub machine: Machine,
    pub settings: Settings,
    pub cases: Vec<Measured>,
}

/// A case, and what everybody achieved in it.
pub struct Measured {
    pub case: Case,
    pub outcomes: Vec<Outcome>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let peers = arguments.peers();
    let mut cases = arguments.cases();
    cases.retain(|&case| peers.iter().any(|name| name.is_able_to(case)));
    if cases.is_empty() {
        bail!("none of the clients that were asked for can do what is measured in these cases");
    }
    if arguments.list {
        return report::print(&list(&cases, &peers));
    }
    report::check(arguments, &cases)?;
    let comparison = compare(cases, &peers, arguments.settings())?;
    report::write_files(arguments, &comparison)?;
    report::print(&report::text(&comparison))
}

fn compare(cases: Vec<Case>, peers: &[Name], settings: Settings) -> Result<Comparison> {
    let programs = Programs::default();
    interrupt::end_on_signal(programs.clone())?;
    let mut site = Site::start(&programs, &cases)?;
    let able = |case: Case| {
        peers
            .iter()
            .copied()
            .filter(move |name| name.is_able_to(case))
    };
    let turns: usize = cases.iter().map(|&case| able(case).count()).sum();
    // Each contender warms up once in each case.
    let progress = Progress::new(turns * (settings.rounds + 1));
    let mut measured = Vec::with_capacity(cases.len());
    for case in cases {
        site.prepare(case)?;
        let peers: Vec<_> = able(case).collect();
        let outcomes = measure(&site, case, &peers, settings, &progress)?;
        measured.push(Measured { case, outcomes });
    }
    Ok(Comparison {
        machine: Machine::this(),
        settings,
        cases: measured,
    })
}

fn list(cases: &[Case], peers: &[Name]) -> String {
    let mut lines = vec!["Cases".to_owned()];
    lines.extend(cases.iter().map(|case| format!("  {}", case.name())));
    lines.push("Clients".to_owned());
    lines.extend(peers.iter().map(|name| format!("  {name}")));
    lines.join("\n") + "\n"
}

impl Measured {
    pub fn of(&self, name: Name) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.peer == name)
    }

    /// The peer that is first by some figure: the fastest, or with [`least`](Self::least) the
    /// leanest. redis-steward is not a peer of its own, and redis-benchmark is the limit.
    pub fn most(&self, figure: fn(&Outcome) -> f64) -> Option<&Outcome> {
        self.peers().max_by(|a, b| figure(a).total_cmp(&figure(b)))
    }

    pub fn least(&self, figure: fn(&Outcome) -> f64) -> Option<&Outcome> {
        self.peers().min_by(|a, b| figure(a).total_cmp(&figure(b)))
    }

    fn peers(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes
            .iter()
            .filter(|outcome| outcome.peer.is_peer())
    }
}
