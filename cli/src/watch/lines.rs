//! A watch as lines.

use std::{
    collections::BTreeMap,
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use redis_steward::{HealthEvent, Supervisor};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::{
    row::{Row, clock, colour},
    sample::{Sample, Sampler},
};
use crate::{arguments::WatchArguments, ending, failure::Failure, output::Output};

/// Writes lines until the user has seen enough.
pub(super) async fn run(
    supervisor: &Supervisor,
    mut sampler: Sampler,
    arguments: &WatchArguments,
    output: &Output,
) -> Result<(), Failure> {
    let mut events = supervisor.subscribe();
    let mut ticks = interval_at(Instant::now() + arguments.interval, arguments.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ending = ending::Ending::new()?;
    let over = async {
        match arguments.duration {
            Some(duration) => sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => tell(&event, output)?,
                None => return Ok(()),
            },
            _ = ticks.tick() => summarize(&sampler.take(), output)?,
            () = ending.asked() => return Ok(()),
            () = &mut over => return Ok(()),
        }
    }
}

fn tell(event: &HealthEvent, output: &Output) -> io::Result<()> {
    if output.is_json {
        return output.json(&document(event));
    }
    let state = output.paint.apply(colour(&event.state), "●");
    output.line(format_args!("{} {state} {event}", clock(event.at)))
}

fn summarize(sample: &Sample, output: &Output) -> io::Result<()> {
    let now = SystemTime::now();
    if output.is_json {
        let rows = sample.rows.iter();
        let databases: BTreeMap<_, _> = rows.map(|row| (&row.name, row.document())).collect();
        return output.json(&json!({
            "type": "summary",
            "at": seconds(now),
            "interval_seconds": sample.took.as_secs_f64(),
            "databases": databases,
        }));
    }
    let rows: Vec<_> = sample.rows.iter().map(Row::summary).collect();
    output.line(format_args!("{} = {}", clock(now), rows.join("; ")))
}

/// An event as JSON.
pub(crate) fn document(event: &HealthEvent) -> Value {
    json!({
        "type": "event",
        "at": seconds(event.at),
        "database": &*event.database,
        "state": event.state,
        "reason": event.state.reason(),
        "circuit_state": event.circuit,
        "cause": event.cause.as_deref(),
        "changed": &*event.changed,
        "recovery": event.recovery.as_ref().map(ToString::to_string),
        "sequence": event.sequence,
        "missed": event.missed,
    })
}

/// Seconds since 1970.
fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
