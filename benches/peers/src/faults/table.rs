//! The tables: one for each fault, with a row for each client.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};

use super::{Findings, outcome::Outcome};
use crate::figures::median;

/// Longer than any wait that ends.
const NEVER: f64 = f64::INFINITY;

const HEADER: [&str; 15] = [
    "client",
    "calls",
    "failed",
    "hung",
    "p50 ms",
    "max ms",
    "back in ms",
    "failed at first",
    "failed later",
    "acknowledged",
    "unknown",
    "server count",
    "unacknowledged",
    "lost",
    "ran twice",
];

/// What goes to stdout.
pub fn text(findings: &Findings) -> String {
    let mut text = format!("{}\n", findings.machine);
    for group in by_fault(findings) {
        let mut table = Table::new();
        table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(HEADER);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.add_rows(group.iter().map(cells));
        let _ = write!(text, "\n{}\n{table}\n{}", title(group), judgements(group));
    }
    text
}

pub fn markdown(findings: &Findings) -> String {
    let mut text = format!("{}.\n", findings.machine);
    for group in by_fault(findings) {
        let rules = "---:|".repeat(HEADER.len() - 1);
        let header = HEADER.join(" | ");
        let _ = write!(
            text,
            "\n**{}**\n\n| {header} |\n|---|{rules}\n",
            title(group)
        );
        for outcome in group {
            let _ = writeln!(text, "| {} |", cells(outcome).join(" | "));
        }
        let _ = write!(text, "\n{}", judgements(group));
    }
    text
}

fn by_fault(findings: &Findings) -> impl Iterator<Item = &[Outcome]> {
    findings.outcomes.chunk_by(|a, b| a.fault == b.fault)
}

fn title(group: &[Outcome]) -> String {
    let fault = group[0].fault;
    format!("{fault}: {}", fault.description())
}

fn cells(outcome: &Outcome) -> [String; HEADER.len()] {
    let told = outcome.told.as_ref();
    [
        outcome.client.to_string(),
        outcome.calls.to_string(),
        outcome.failed.to_string(),
        outcome.hung.to_string(),
        outcome.disturbed_p50_millis.map_or("-".into(), millis),
        outcome.disturbed_max_millis.map_or("-".into(), millis),
        back_in(&outcome.first_success_millis),
        outcome.failed_at_first.to_string(),
        outcome.failed_after_recovery.to_string(),
        outcome.acknowledged.to_string(),
        told.map_or("-".into(), |told| told.unknown.to_string()),
        outcome.server_count.to_string(),
        outcome.unacknowledged.to_string(),
        outcome.lost.to_string(),
        outcome.ran_twice.to_string(),
    ]
}

/// With several outages, the median and the worst.
fn back_in(waits: &[Option<f64>]) -> String {
    let waits: Vec<_> = waits.iter().map(|wait| wait.unwrap_or(NEVER)).collect();
    let worst = waits.iter().copied().fold(0.0, f64::max);
    match waits.len() {
        1 => wait(worst),
        _ => format!("{}, worst {}", wait(median(waits)), wait(worst)),
    }
}

fn wait(wait: f64) -> String {
    if wait == NEVER {
        return "never".into();
    }
    millis(wait)
}

fn millis(millis: f64) -> String {
    format!("{millis:.1}")
}

/// A line for each client that can be held to something.
fn judgements(group: &[Outcome]) -> String {
    group.iter().filter_map(judgement).collect()
}

fn judgement(outcome: &Outcome) -> Option<String> {
    let told = outcome.told.as_ref()?;
    let (least, count) = (outcome.acknowledged, outcome.server_count);
    let most = least + told.unknown;
    let sum = match told.adds_up {
        true => format!("{least} acknowledged ≤ {count} counted ≤ {most} with the unknown"),
        false => {
            format!("WRONG: {count} counted, but {least} acknowledged and {most} with the unknown")
        }
    };
    let (unknown, untrue) = (told.unknown_and_ran, told.untrue);
    let deadline = outcome.past_deadline.map_or(String::new(), |late| {
        format!(", {late} took longer than the deadline")
    });
    Some(format!(
        "{}: {sum}; of the unknown {unknown} ran; of {untrue} failed calls it said wrongly whether they ran{deadline}.\n",
        outcome.client
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        contender::Name,
        faults::{fault::Fault, outcome::Told},
        machine::Machine,
    };

    fn outcome(fault: Fault, client: Name, told: Option<Told>) -> Outcome {
        Outcome {
            fault,
            client,
            calls: 1800,
            acknowledged: 1190,
            failed: 610,
            hung: 7,
            disturbed_p50_millis: Some(0.04),
            disturbed_max_millis: Some(501.26),
            slowest_millis: 502.0,
            first_success_millis: vec![None],
            failed_at_first: 2,
            failed_after_recovery: 3,
            server_count: 1191,
            unacknowledged: 1,
            lost: 0,
            ran_twice: 2,
            past_deadline: told.is_some().then_some(4),
            told,
            errors: BTreeMap::new(),
        }
    }

    fn findings(adds_up: bool) -> Findings {
        let told = Told {
            unknown: 5,
            unknown_and_ran: 1,
            untrue: 0,
            adds_up,
        };
        Findings {
            machine: Machine::this(),
            outcomes: vec![
                outcome(Fault::Kill, Name::RedisSteward, Some(told)),
                outcome(Fault::Kill, Name::Fred, None),
                outcome(Fault::Freeze, Name::Fred, None),
            ],
        }
    }

    #[test]
    fn each_fault_has_a_table_with_a_row_for_each_client() {
        let text = markdown(&findings(true));
        let fred =
            "| fred | 1800 | 610 | 7 | 0.0 | 501.3 | never | 2 | 3 | 1190 | - | 1191 | 1 | 0 | 2 |";
        assert_eq!(text.matches(fred).count(), 2, "{text}");
        assert_eq!(text.matches("| client | calls |").count(), 2, "{text}");
        assert!(text.contains("\n**freeze: the server is frozen"), "{text}");
        let columns = |line: &str| line.matches('|').count();
        let mut lines = text.lines().filter(|line| line.starts_with('|'));
        assert!(
            lines.all(|line| columns(line) == HEADER.len() + 1),
            "{text}"
        );
    }

    #[test]
    fn recoveries_of_several_outages_are_told_by_their_median_and_the_worst() {
        assert_eq!(back_in(&[Some(4.26)]), "4.3");
        assert_eq!(
            back_in(&[Some(9.0), Some(1.0), Some(2.0)]),
            "2.0, worst 9.0"
        );
        assert_eq!(back_in(&[Some(1.0), None, Some(2.0)]), "2.0, worst never");
        assert_eq!(back_in(&[None, None]), "never, worst never");
    }

    #[test]
    fn a_client_that_tells_is_judged_below_its_table() {
        let right = text(&findings(true));
        let sum = "redis-steward: 1190 acknowledged ≤ 1191 counted ≤ 1195 with the unknown;";
        assert!(right.contains(sum), "{right}");
        assert!(right.contains("4 took longer than the deadline"), "{right}");
        let wrong = text(&findings(false));
        assert!(
            wrong.contains("redis-steward: WRONG: 1191 counted"),
            "{wrong}"
        );
    }
}
