//! Tables for each runtime, to be pasted into a README: beside the best of the peers, and beside
//! each of them.

use std::{collections::BTreeSet, fmt::Write};

use super::groups;
use crate::{
    comparison::{Comparison, Measured},
    contender::Name,
    measure::Outcome,
};

pub fn markdown(comparison: &Comparison) -> String {
    let mut text = format!("{}.\n", comparison.machine);
    text += "\nredis-steward over the best of its peers in each case: throughput over the fastest, \
             CPU per operation over the leanest, and p99 over the best.\n";
    text += &for_each_runtime(comparison, beside_the_best);
    text += "\nThroughput relative to redis-steward; below 1.00 is slower.\n";
    text += &for_each_runtime(comparison, beside_each);
    text
}

fn for_each_runtime(comparison: &Comparison, table: fn(&[Measured]) -> String) -> String {
    let mut text = String::new();
    for group in groups(&comparison.cases, |measured| measured.case.setting()) {
        let _ = write!(
            text,
            "\n**{}**\n\n{}",
            group[0].case.setting(),
            table(group)
        );
    }
    text
}

/// A row for each kind of work, and a column for each number of outstanding calls.
fn beside_the_best(group: &[Measured]) -> String {
    let columns: BTreeSet<_> = group.iter().map(|it| it.case.outstanding).collect();
    let titles: String = columns.iter().map(|it| format!(" {it} |")).collect();
    let rules = "---:|".repeat(columns.len());
    let mut table = format!("| outstanding |{titles}\n|---|{rules}\n");
    for works in groups(group, |measured| measured.case.work()) {
        let cells = columns.iter().map(|&outstanding| {
            let measured = works.iter().find(|it| it.case.outstanding == outstanding);
            let ratios = measured.and_then(ratios_to_the_best);
            let told =
                ratios.map(|[rate, cpu, p99]| format!("{rate:.2}, CPU {cpu:.2}, p99 {p99:.2}"));
            format!(" {} |", told.unwrap_or_default())
        });
        let cells: String = cells.collect();
        let _ = writeln!(table, "| {} |{cells}", works[0].case.work());
    }
    table
}

fn ratios_to_the_best(measured: &Measured) -> Option<[f64; 3]> {
    let ours = measured.of(Name::RedisSteward)?;
    let fastest = measured.most(Outcome::throughput)?;
    let leanest = measured.least(Outcome::cpu)?;
    let best = measured.least(Outcome::p99)?;
    Some([
        ours.throughput() / fastest.throughput(),
        ours.cpu() / leanest.cpu(),
        ours.p99() / best.p99(),
    ])
}

fn beside_each(group: &[Measured]) -> String {
    // Not everybody is in each case.
    let is_there = |name: &Name| group.iter().any(|measured| measured.of(*name).is_some());
    let others = Name::measured().filter(is_there);
    let others: Vec<_> = others.filter(|&name| name != Name::RedisSteward).collect();
    let titles: String = others.iter().map(|name| format!(" {name} |")).collect();
    let rules = "---:|".repeat(others.len() + 1);
    let rows: String = group
        .iter()
        .map(|measured| row(measured, &others))
        .collect();
    format!("| case, outstanding | redis-steward ops/s |{titles}\n|---|{rules}\n{rows}")
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
