//! A compact table for each runtime, to be pasted into a README.

use std::fmt::Write;

use super::groups;
use crate::{
    comparison::{Comparison, Measured},
    contender::Name,
    measure::Outcome,
};

pub fn markdown(comparison: &Comparison) -> String {
    let mut text = format!(
        "Throughput relative to redis-steward (below 1.00 is slower), on {}.\n",
        comparison.machine
    );
    for group in groups(&comparison.cases, |measured| measured.case.flavour) {
        let _ = write!(text, "\n**{}**\n\n{}", group[0].case.flavour, table(group));
    }
    text
}

fn table(group: &[Measured]) -> String {
    let others = group[0].outcomes.iter().map(|outcome| outcome.peer);
    let others: Vec<_> = others.filter(|&name| name != Name::RedisSteward).collect();
    let titles: String = others.iter().map(|name| format!(" {name} |")).collect();
    let rules = "---:|".repeat(others.len() + 1);
    let rows: String = group
        .iter()
        .map(|measured| row(measured, &others))
        .collect();
    format!("| outstanding | redis-steward ops/s |{titles}\n|---|{rules}\n{rows}")
}

fn row(measured: &Measured, others: &[Name]) -> String {
    let case = measured.case;
    let ours = measured.of(Name::RedisSteward).map(Outcome::throughput);
    let own = ours.map_or("-".into(), thousands);
    let ratios: String = others
        .iter()
        .map(|&name| {
            let theirs = measured.of(name).map(Outcome::throughput);
            let ratio = theirs.zip(ours).map(|(theirs, ours)| theirs / ours);
            ratio.map_or(" - |".into(), |ratio| format!(" {ratio:.2} |"))
        })
        .collect();
    format!(
        "| {}, {} | {own} |{ratios}\n",
        case.work(),
        case.outstanding
    )
}

/// Such as `412 k`.
fn thousands(rate: f64) -> String {
    format!("{:.0} k", rate / 1e3)
}
