//! Measures `redis-steward` beside other Redis clients, in one run and in turns.
//!
//! A run is a comparison: it starts a server, takes the clients through the cases in alternating
//! order, checks every reply, and reports medians. With `faults` it does harm to the server instead,
//! and reports what callers got to feel of it, with `sentinel` a service of Redis Sentinel fails over, and with `cluster` a
//! shard of a Redis Cluster. See the README for what the figures mean.

#![forbid(unsafe_code)]

mod address;
mod arguments;
mod authority;
mod case;
mod cluster;
mod comparison;
mod contender;
mod dataset;
mod faults;
mod figures;
mod files;
mod folder;
mod interrupt;
mod limit;
mod load;
mod machine;
mod measure;
mod near;
mod peer;
mod program;
mod progress;
mod report;
mod runtime;
mod sentinel;
mod server;
mod site;
mod spread;
mod usage;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Task};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let run = match &arguments.task {
        None => comparison::run(&arguments),
        Some(Task::Faults(arguments)) => faults::run(arguments),
        Some(Task::Sentinel(arguments)) => sentinel::run(arguments),
        Some(Task::Cluster(arguments)) => cluster::run(arguments),
    };
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
