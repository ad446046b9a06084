//! The tables: one for each failover, with a row for each client.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};

use super::{Findings, outcome::Outcome};

const HEADER: [&str; 9] = [
    "client",
    "switch ms",
    "without a write ms",
    "after the switch ms",
    "failed",
    "hung",
    "lost after the switch",
    "lost",
    "ran twice",
];

/// What goes to stdout.
pub fn text(findings: &Findings) -> String {
    let mut text = format!("{}\n", findings.machine);
    for group in by_failover(findings) {
        let mut table = Table::new();
        table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(HEADER);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.add_rows(group.iter().map(cells));
        let _ = write!(text, "\n{}\n{table}\n", title(group));
    }
    text
}

pub fn markdown(findings: &Findings) -> String {
    let mut text = format!("{}.\n", findings.machine);
    for group in by_failover(findings) {
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
    }
    text
}

fn by_failover(findings: &Findings) -> impl Iterator<Item = &[Outcome]> {
    findings.outcomes.chunk_by(|a, b| a.failover == b.failover)
}

fn title(group: &[Outcome]) -> String {
    let Outcome {
        failover, rounds, ..
    } = &group[0];
    let rounds = match rounds.len() {
        1 => "one round".into(),
        rounds => format!("medians of {rounds} rounds, with the range"),
    };
    format!("{failover}: {}; {rounds}", failover.description())
}

fn cells(outcome: &Outcome) -> [String; HEADER.len()] {
    [
        outcome.client.to_string(),
        outcome
            .spread(|round| Some(round.switch_millis))
            .to_string(),
        outcome
            .spread(|round| round.without_write_millis)
            .to_string(),
        outcome
            .spread(|round| round.after_switch_millis)
            .to_string(),
        outcome
            .spread(|round| Some(round.failed as f64))
            .to_string(),
        outcome.sum(|round| round.hung).to_string(),
        outcome.sum(|round| round.lost_after_switch).to_string(),
        outcome.sum(|round| round.lost).to_string(),
        outcome.sum(|round| round.ran_twice as usize).to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contender::Name,
        machine::Machine,
        sentinel::{failover::Failover, round::Round},
    };

    fn round(failed: usize, without_write_millis: Option<f64>) -> Round {
        Round {
            calls: 2500,
            failed,
            hung: 1,
            switch_millis: 2500.0,
            without_write_millis,
            after_switch_millis: without_write_millis.map(|millis| millis - 2500.0),
            lost_after_switch: 2,
            lost: 3,
            ran_twice: 0,
        }
    }

    fn findings() -> Findings {
        let rounds = [(7, Some(2600.4)), (9, None), (4, Some(2510.0))];
        let rounds = rounds.map(|(failed, millis)| round(failed, millis));
        let outcome = |failover, client| Outcome {
            failover,
            client,
            rounds: rounds.to_vec(),
        };
        Findings {
            machine: Machine::this(),
            outcomes: vec![
                outcome(Failover::Kill, Name::RedisSteward),
                outcome(Failover::Kill, Name::Fred),
                outcome(Failover::Ordered, Name::Fred),
            ],
        }
    }

    #[test]
    fn each_failover_has_a_table_with_medians_ranges_and_sums() {
        let text = markdown(&findings());
        let fred = "| fred | 2500 | 2600 (2510 to never) | 100 (10 to never) | 7 (4 to 9) | 3 | 6 | 9 | 0 |";
        assert_eq!(text.matches(fred).count(), 2, "{text}");
        assert_eq!(text.matches("| client | switch ms |").count(), 2, "{text}");
        let title = "\n**ordered: a failover is ordered, while the primary is well; medians of 3 rounds, with the range**\n";
        assert!(text.contains(title), "{text}");
        let columns = |line: &str| line.matches('|').count();
        let mut lines = text.lines().filter(|line| line.starts_with('|'));
        assert!(
            lines.all(|line| columns(line) == HEADER.len() + 1),
            "{text}"
        );
    }

    #[test]
    fn a_client_that_never_comes_back_says_so() {
        let outcome = Outcome {
            failover: Failover::Kill,
            client: Name::Rustis,
            rounds: vec![round(2000, None)],
        };
        assert_eq!(cells(&outcome)[2], "never");
    }
}
