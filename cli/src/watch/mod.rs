//! `watch`: the health of databases, live.
//!
//! - this file: the run · `pulse`: the calls that are measured · `sample`: the numbers of a moment, `row` those of one
//!   database · `lines`: one line for each event and a summary now and then · `screen/`: a table on a terminal

mod lines;
mod pulse;
mod row;
mod sample;
mod screen;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::Duration,
};

use redis_steward::Supervisor;

use crate::{arguments::WatchArguments, failure::Failure, output::Output, target};
use pulse::Pulse;
use sample::Sampler;

pub(crate) async fn run(arguments: WatchArguments, output: &Output) -> Result<ExitCode, Failure> {
    let config = target::of_several(&arguments.targets, arguments.env)?;
    // The first states are events, too.
    let supervisor = Supervisor::spawn(target::named_for_tool(config)).await?;
    let pulse = Pulse::start(&supervisor, arguments.ping)?;
    let sampler = Sampler::new(supervisor.clone(), pulse);
    let is_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    let watched = if is_terminal && !arguments.lines && !output.is_json {
        screen::run(&supervisor, sampler, &arguments, output.paint).await
    } else {
        lines::run(&supervisor, sampler, &arguments, output).await
    };
    // There is nothing to wait for: calls in flight are pings.
    supervisor.shutdown(Duration::ZERO).await;
    watched?;
    Ok(ExitCode::SUCCESS)
}
