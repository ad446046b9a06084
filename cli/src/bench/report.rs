//! The results of a run.

use std::{io, time::Duration};

use redis_steward::{DatabaseStats, DurationHistogram, ServerHealth};
use serde_json::json;

use super::peer::{Compared, Figures};
use crate::{
    arguments::BenchArguments,
    output::{Colour, Output, Span, Table},
};

/// The widest bar of the histogram.
const BAR: f64 = 50.0;

#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) arguments: &'a BenchArguments,
    pub(super) address: String,
    pub(super) server: Option<ServerHealth>,
    pub(super) took: Duration,
    pub(super) stats: DatabaseStats,
    /// The error says why there are none.
    pub(super) peer: Result<Compared, String>,
}

impl Report<'_> {
    /// Whether no call failed.
    pub(super) fn is_ok(&self) -> bool {
        self.stats.failures() == 0
    }

    pub(super) fn print(&self, output: &Output) -> io::Result<()> {
        if output.is_json {
            return self.print_document(output);
        }
        let arguments = self.arguments;
        output.line(format_args!("{} at {}", self.program(), self.address))?;
        output.line(format_args!(
            "{} clients for {}, values of {} bytes, {} % reads of {} keys\n",
            arguments.clients,
            Span(self.took),
            arguments.size,
            arguments.reads,
            arguments.keys,
        ))?;
        for line in self.table().lines(output.paint) {
            output.line(line)?;
        }
        if let Err(reason) = &self.peer {
            output.line(format_args!("no redis-benchmark: {reason}"))?;
        }
        output.line("\nlatency of redis-steward")?;
        for line in histogram(&self.stats.latency) {
            output.line(line)?;
        }
        if let Some(error) = &self.stats.last_error {
            output.line(format_args!("\nlast error: {error}"))?;
        }
        Ok(())
    }

    fn program(&self) -> String {
        let server = self.server.as_ref();
        let part = |part: Option<&String>| part.cloned().unwrap_or_default();
        let program = part(server.and_then(|server| server.program.as_ref()));
        let version = part(server.and_then(|server| server.version.as_ref()));
        if program.is_empty() {
            "a server".into()
        } else {
            format!("{program} {version}")
        }
    }

    fn per_second(&self) -> f64 {
        self.stats.succeeded as f64 / self.took.as_secs_f64().max(0.001)
    }

    fn table(&self) -> Table {
        let heads = ["", "commands/s", "p50", "p95", "p99", "max", "failures"];
        let mut table = Table::new(&heads);
        let latency = &self.stats.latency;
        let time = |time: Option<Duration>| time.map_or("-".into(), |time| Span(time).to_string());
        let mut row = vec!["redis-steward".into(), format!("{:.0}", self.per_second())];
        row.extend([latency.p50(), latency.p95(), latency.p99(), latency.max()].map(time));
        row.push(self.stats.failures().to_string());
        table.row(plain(row));
        let Ok(peer) = &self.peer else {
            return table;
        };
        let both = vec![
            "redis-benchmark".into(),
            format!("{:.0}", peer.per_second()),
        ];
        table.row(plain(both));
        for (name, figures) in [("  its SET", &peer.set), ("  its GET", &peer.get)] {
            table.row(plain(
                figures
                    .as_ref()
                    .map(|figures| cells(name, figures))
                    .unwrap_or_default(),
            ));
        }
        table
    }

    fn print_document(&self, output: &Output) -> io::Result<()> {
        let arguments = self.arguments;
        let server = self.server.as_ref();
        output.json(&json!({
            "ok": self.is_ok(),
            "address": self.address,
            "program": server.map(|server| &server.program),
            "version": server.map(|server| &server.version),
            "seconds": self.took.as_secs_f64(),
            "clients": arguments.clients,
            "value_bytes": arguments.size,
            "read_percent": arguments.reads,
            "keys": arguments.keys,
            "redis_steward": {
                "commands": self.stats.commands(),
                "failures": self.stats.failures(),
                "commands_per_second": self.per_second(),
                "latency": self.stats.latency,
                "last_error": self.stats.last_error,
            },
            "redis_benchmark": self.peer.as_ref().ok().map(Compared::document),
            "redis_benchmark_missing": self.peer.as_ref().err(),
        }))
    }
}

fn plain(row: Vec<String>) -> Vec<(String, Colour)> {
    row.into_iter().map(|text| (text, Colour::Plain)).collect()
}

fn cells(name: &str, figures: &Figures) -> Vec<String> {
    let time = |millis: Option<f64>| {
        let time = millis.and_then(|millis| Duration::try_from_secs_f64(millis / 1_000.0).ok());
        time.map_or("-".into(), |time| Span(time).to_string())
    };
    let mut row = vec![name.into(), format!("{:.0}", figures.per_second)];
    row.extend(
        [
            figures.p50_ms,
            figures.p95_ms,
            figures.p99_ms,
            figures.max_ms,
        ]
        .map(time),
    );
    row
}

/// A line for each bucket from the first to the last that is not empty.
fn histogram(latency: &DurationHistogram) -> Vec<String> {
    let buckets: Vec<_> = latency.buckets().collect();
    let is_filled = |(_, count): &(Option<Duration>, u64)| *count > 0;
    let (Some(first), Some(last)) = (
        buckets.iter().position(is_filled),
        buckets.iter().rposition(is_filled),
    ) else {
        return vec!["  no command got a reply".into()];
    };
    let all = latency.count() as f64;
    let line = |(bound, count): &(Option<Duration>, u64)| {
        let bound = bound.map_or("longer".into(), |bound| format!("≤ {}", Span(bound)));
        let share = *count as f64 / all;
        let bar = "█".repeat((share * BAR).round() as usize);
        format!("{bound:>9} {count:>11} {:>6.2} %  {bar}", 100.0 * share)
            .trim_end()
            .to_owned()
    };
    buckets[first..=last].iter().map(line).collect()
}
