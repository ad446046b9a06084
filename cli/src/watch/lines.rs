//! A watch as lines.

use std::{collections::BTreeMap, io, time::SystemTime};

use redis_steward::{HealthEvent, Supervisor};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::{
    row::Row,
    sample::{Sample, Sampler},
};
use crate::{
    arguments::WatchArguments,
    ending::Ending,
    event::{self, Clock},
    failure::Failure,
    output::Output,
};

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
    let mut ending = Ending::new()?;
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
        output.json(&event::document(event))
    } else {
        output.line(event::line(event, output.paint))
    }
}

fn summarize(sample: &Sample, output: &Output) -> io::Result<()> {
    let now = SystemTime::now();
    if output.is_json {
        let rows = sample.rows.iter();
        let databases: BTreeMap<_, _> = rows.map(|row| (&row.name, row.document())).collect();
        return output.json(&json!({
            "type": "summary",
            "at": event::seconds(now),
            "interval_seconds": sample.took.as_secs_f64(),
            "databases": databases,
        }));
    }
    let rows: Vec<_> = sample.rows.iter().map(Row::summary).collect();
    output.line(format_args!("{} = {}", Clock(now), rows.join("; ")))
}
