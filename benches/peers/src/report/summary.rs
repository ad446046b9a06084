//! How redis-steward stands against the best of the others, over all cases.

use super::groups;
use crate::{
    case::Service, comparison::Measured, contender::Name, figures::median, measure::Outcome,
};

/// Worst cases that are listed for each aim.
const LISTED: usize = 10;
/// From so many outstanding calls on, more than a draw is aimed at.
const MANY: usize = 64;

type Figure = fn(&Outcome) -> f64;

/// A part for each service. Empty if redis-steward, or everybody else, was not measured.
pub fn summary(cases: &[Measured]) -> String {
    let parts = groups(cases, |measured| measured.case.service).map(part);
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn part(cases: &[Measured]) -> String {
    let place = match cases[0].case.service {
        Service::Server => "",
        Service::Tls => ", over TLS",
        Service::Cluster => ", at a cluster",
        Service::Near => ", with a near cache",
    };
    let throughput = against(cases, Outcome::throughput, |case| {
        case.most(Outcome::throughput)
    });
    let many = throughput.iter().filter(|ratio| ratio.outstanding >= MANY);
    let many = many.cloned().collect();
    let cpu = against(cases, Outcome::cpu, |case| case.least(Outcome::cpu));
    let p99 = against(cases, Outcome::p99, |case| case.least(Outcome::p99));
    let limit = against(cases, Outcome::throughput, |case| {
        case.of(Name::RedisBenchmark)
    });
    if throughput.is_empty() {
        return String::new();
    }
    [
        format!("redis-steward, as a multiple of the best of its peers in each case{place}\n\n"),
        Aim::at_least(1.0, "throughput of the best peer").told(throughput),
        Aim::at_least(1.3, "the same, with 64 or more outstanding").told(many),
        Aim::at_most(0.8, "CPU per operation of the leanest peer").told(cpu),
        Aim::at_most(1.0, "p99 of the best peer").told(p99),
        beside_limit(&limit),
    ]
    .concat()
}

/// redis-steward's figure of one case over that of its rival.
#[derive(Clone)]
struct Ratio {
    case: String,
    outstanding: usize,
    rival: Name,
    value: f64,
}

fn against<'a>(
    cases: &'a [Measured],
    figure: Figure,
    rival: impl Fn(&'a Measured) -> Option<&'a Outcome>,
) -> Vec<Ratio> {
    let ratio = |measured: &'a Measured| {
        let ours = measured.of(Name::RedisSteward)?;
        let rival = rival(measured)?;
        Some(Ratio {
            case: measured.case.name(),
            outstanding: measured.case.outstanding,
            rival: rival.peer,
            value: figure(ours) / figure(rival),
        })
    };
    cases.iter().filter_map(ratio).collect()
}

/// What a ratio should be.
struct Aim {
    what: &'static str,
    bound: f64,
    is_floor: bool,
}

impl Aim {
    fn at_least(bound: f64, what: &'static str) -> Self {
        Self {
            what,
            bound,
            is_floor: true,
        }
    }

    fn at_most(bound: f64, what: &'static str) -> Self {
        Self {
            what,
            bound,
            is_floor: false,
        }
    }

    fn is_met(&self, ratio: &Ratio) -> bool {
        if self.is_floor {
            ratio.value >= self.bound
        } else {
            ratio.value <= self.bound
        }
    }

    /// In how many cases it was met, and the worst of the others.
    fn told(&self, ratios: Vec<Ratio>) -> String {
        if ratios.is_empty() {
            return String::new();
        }
        let total = ratios.len();
        let (met, mut missed): (Vec<_>, Vec<_>) =
            ratios.into_iter().partition(|ratio| self.is_met(ratio));
        missed.sort_by(|a, b| a.value.total_cmp(&b.value));
        if !self.is_floor {
            missed.reverse();
        }
        let sign = if self.is_floor { "≥" } else { "≤" };
        let mut text = format!(
            "{sign} {:.1} × {}: {} of {total} cases\n",
            self.bound,
            self.what,
            met.len()
        );
        for ratio in missed.iter().take(LISTED) {
            let Ratio {
                case, rival, value, ..
            } = ratio;
            text += &format!("    {value:.2}  {case}  ({rival})\n");
        }
        if missed.len() > LISTED {
            text += &format!("    and {} more\n", missed.len() - LISTED);
        }
        text
    }
}

fn beside_limit(ratios: &[Ratio]) -> String {
    let values: Vec<_> = ratios.iter().map(|ratio| ratio.value).collect();
    let least = values.iter().copied().min_by(f64::total_cmp);
    let most = values.iter().copied().max_by(f64::total_cmp);
    let Some((least, most)) = least.zip(most) else {
        return String::new();
    };
    let middle = median(values);
    format!(
        "Throughput of redis-benchmark, the practical limit: {middle:.2} × in the median, {least:.2} to {most:.2}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(value: f64) -> Ratio {
        Ratio {
            case: format!("case-{value}"),
            outstanding: MANY,
            rival: Name::Fred,
            value,
        }
    }

    #[test]
    fn what_misses_a_floor_is_listed_from_the_lowest() {
        let ratios = [1.2, 0.9, 1.0, 0.5].map(ratio).to_vec();
        let text = Aim::at_least(1.0, "speed").told(ratios);
        let expected =
            "≥ 1.0 × speed: 2 of 4 cases\n    0.50  case-0.5  (fred)\n    0.90  case-0.9  (fred)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_misses_a_ceiling_is_listed_from_the_highest() {
        let ratios = [0.8, 0.9, 1.5].map(ratio).to_vec();
        let text = Aim::at_most(0.8, "cost").told(ratios);
        let expected =
            "≤ 0.8 × cost: 1 of 3 cases\n    1.50  case-1.5  (fred)\n    0.90  case-0.9  (fred)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn only_the_worst_are_listed() {
        let ratios = (0..12).map(|_| ratio(0.5)).collect();
        let text = Aim::at_least(1.0, "speed").told(ratios);
        assert!(text.ends_with("    and 2 more\n"), "{text}");
    }
}
