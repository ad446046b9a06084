//! `redis-steward`: checks, explains, watches, measures and serves the Redis databases of a configuration.
//!
//! - `arguments`: the command line · `target`: from files and URLs to a configuration · `output/`: results for people
//!   and as JSON · `failure`: why a run ends early ·
//!   `ending`: the orders to end · `event`: changes of health
//! - `check/`, `explain`, `watch/`, `bench/`, `serve/`: one for each subcommand

mod arguments;
mod target;

mod ending;
mod event;
mod failure;
mod output;

mod bench;
mod check;
mod explain;
mod serve;
mod watch;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

use arguments::{Arguments, Command};
use failure::Failure;
use output::Output;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    match run(arguments.command, &output) {
        Ok(code) => code,
        Err(failure) => failure.report(&output),
    }
}

fn run(command: Command, output: &Output) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = match command {
        Command::Check(arguments) => runtime.block_on(check::run(arguments, output)),
        Command::Explain(arguments) => explain::run(&arguments, output),
        Command::Bench(arguments) => runtime.block_on(bench::run(arguments, output)),
        Command::Serve(arguments) => runtime.block_on(serve::run(arguments, output)),
        Command::Watch(arguments) => runtime.block_on(watch::run(arguments, output)),
    };
    // A task may be writing to a pipe that nobody reads.
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}
