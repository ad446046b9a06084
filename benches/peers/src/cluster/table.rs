//! The table, with a row for each client.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};

use super::{Findings, outcome::Outcome};

const HEADER: [&str; 11] = [
    "client",
    "promotion ms",
    "after the promotion ms",
    "failed, dead shard",
    "failed, others",
    "slowest, others ms",
    "hung",
    "may have run",
    "ran twice",
    "lost",
    "untrue",
];

/// What goes to stdout.
pub fn text(findings: &Findings) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(HEADER);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.add_rows(findings.outcomes.iter().map(cells));
    format!("{}\n\n{}\n{table}\n", findings.machine, title(findings))
}

pub fn markdown(findings: &Findings) -> String {
    let rules = "---:|".repeat(HEADER.len() - 1);
    let mut text = format!(
        "{}.\n\n**{}**\n\n| {} |\n|---|{rules}\n",
        findings.machine,
        title(findings),
        HEADER.join(" | "),
    );
    for outcome in &findings.outcomes {
        let _ = writeln!(text, "| {} |", cells(outcome).join(" | "));
    }
    text
}

fn title(findings: &Findings) -> String {
    let rounds = findings.outcomes[0].rounds.len();
    let rounds = match rounds {
        1 => "one round".into(),
        rounds => format!("medians of {rounds} rounds, with the range"),
    };
    format!("the primary of one of three shards is killed; {rounds}")
}

fn cells(outcome: &Outcome) -> [String; HEADER.len()] {
    let spread = |figure: fn(&_) -> _| outcome.spread(figure).to_string();
    [
        outcome.client.to_string(),
        spread(|round| Some(round.promotion_millis)),
        spread(|round| round.first_success_millis),
        spread(|round| Some(round.failed as f64)),
        spread(|round| Some(round.failed_elsewhere as f64)),
        spread(|round| Some(round.slowest_elsewhere_millis)),
        outcome.sum(|round| round.hung).to_string(),
        outcome.sum(|round| round.may_have_run).to_string(),
        outcome.sum(|round| round.ran_twice as usize).to_string(),
        outcome.sum(|round| round.lost).to_string(),
        outcome
            .untrue()
            .map_or("-".into(), |untrue| untrue.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{cluster::round::Round, contender::Name, machine::Machine};

    fn round(failed: usize, first_success_millis: Option<f64>, untrue: Option<usize>) -> Round {
        Round {
            calls: 2500,
            promotion_millis: 2500.0,
            first_success_millis,
            failed,
            failed_elsewhere: 0,
            hung: 1,
            may_have_run: 2,
            ran_twice: 3,
            lost: 4,
            untrue,
            slowest_elsewhere_millis: 12.0,
            errors: BTreeMap::new(),
        }
    }

    #[test]
    fn each_client_has_a_row_of_medians_ranges_and_sums() {
        let rounds = |untrue| {
            vec![
                round(7, Some(26.4), untrue),
                round(9, None, untrue),
                round(4, Some(10.0), untrue),
            ]
        };
        let outcome = |client, untrue| Outcome {
            client,
            rounds: rounds(untrue),
        };
        let findings = Findings {
            machine: Machine::this(),
            outcomes: vec![
                outcome(Name::RedisSteward, Some(0)),
                outcome(Name::Fred, None),
            ],
        };
        let text = markdown(&findings);
        for (client, untrue) in [("redis-steward", "0"), ("fred", "-")] {
            let row = format!(
                "| {client} | 2500 | 26 (10 to never) | 7 (4 to 9) | 0 | 12 | 3 | 6 | 9 | 12 | {untrue} |"
            );
            assert_eq!(text.matches(&row).count(), 1, "{text}");
        }
        let title = "\n**the primary of one of three shards is killed; medians of 3 rounds, with the range**\n";
        assert!(text.contains(title), "{text}");
        let columns = |line: &str| line.matches('|').count();
        let mut lines = text.lines().filter(|line| line.starts_with('|'));
        assert!(
            lines.all(|line| columns(line) == HEADER.len() + 1),
            "{text}"
        );
    }
}
