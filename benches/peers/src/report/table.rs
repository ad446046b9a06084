//! The tables on the terminal: one for each command, size and runtime.

use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};

use super::groups;
use crate::{comparison::Measured, measure::Outcome};

const HEADER: [&str; 9] = [
    "outstanding",
    "client",
    "ops/s",
    "× best peer",
    "CPU µs/op",
    "× leanest",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
];

pub fn tables(cases: &[Measured]) -> String {
    let group = |measured: &Measured| (measured.case.work(), measured.case.setting());
    groups(cases, group).map(titled).collect()
}

fn titled(group: &[Measured]) -> String {
    let case = group[0].case;
    format!(
        "{} on {}\n{}\n{}\n",
        case.work(),
        case.setting(),
        table(group),
        hits(group)
    )
}

/// What part of the calls was answered from memory, a line for each case with a near cache.
fn hits(group: &[Measured]) -> String {
    let line = |measured: &Measured| {
        let shares = measured.outcomes.iter().filter_map(|outcome| {
            let share = outcome.medians.hit_share?;
            Some(format!("{} {:.1} %", outcome.peer, share * 100.0))
        });
        let shares: Vec<_> = shares.collect();
        let outstanding = measured.case.outstanding;
        (!shares.is_empty()).then(|| format!("Hits, {outstanding}: {}\n", shares.join(", ")))
    };
    group.iter().filter_map(line).collect()
}

fn table(group: &[Measured]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(HEADER);
    for (index, column) in table.column_iter_mut().enumerate() {
        if index != 1 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for measured in group {
        // One row for each case, of as many lines as there are clients, so that the table has
        // rules between the cases only.
        let mut cells: [String; HEADER.len()] = Default::default();
        cells[0] = measured.case.outstanding.to_string();
        for outcome in &measured.outcomes {
            for (cell, value) in cells[1..].iter_mut().zip(values(measured, outcome)) {
                if !cell.is_empty() {
                    cell.push('\n');
                }
                cell.push_str(&value);
            }
        }
        table.add_row(cells);
    }
    table
}

fn values(measured: &Measured, outcome: &Outcome) -> [String; HEADER.len() - 1] {
    let figures = &outcome.medians;
    let fastest = measured.most(Outcome::throughput);
    let leanest = measured.least(Outcome::cpu);
    [
        outcome.peer.to_string(),
        format!("{:.0}", figures.operations_per_second),
        ratio(outcome, fastest, Outcome::throughput),
        format!("{:.2}", figures.cpu_micros_per_operation),
        ratio(outcome, leanest, Outcome::cpu),
        micros(figures.p50_micros),
        micros(figures.p99_micros),
        figures.p999_micros.map_or("-".into(), micros),
    ]
}

/// With decimals where a near cache answers.
fn micros(time: f64) -> String {
    if time < 10.0 {
        format!("{time:.2}")
    } else {
        format!("{time:.0}")
    }
}

/// Nothing to compare with if no peer was asked for.
fn ratio(outcome: &Outcome, best: Option<&Outcome>, figure: fn(&Outcome) -> f64) -> String {
    best.map_or("-".into(), |best| {
        format!("{:.2}", figure(outcome) / figure(best))
    })
}
