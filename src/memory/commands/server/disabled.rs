//! Features of Redis that are off by default, and always here: modules, and the monitor of latency. Clients ask about
//! them, and get the replies of a server where they are off.

use bytes::Bytes;

use super::super::help::help;
use crate::memory::{
    command::{
        Command,
        flags::{ADMIN, LOADING, NOSCRIPT, STALE},
    },
    context::Context,
    halt::{Halt, Outcome, text_of},
    reply::Reply,
};

const ALWAYS: u32 = LOADING | STALE;
const OPERATOR: u32 = ADMIN | NOSCRIPT | ALWAYS;

#[rustfmt::skip]
pub(in crate::memory::commands) const COMMANDS: &[Command] = &[
    Command::new("module", -2, 0, (0, 0, 0), about_modules),
    Command::new("module|list", 2, ADMIN | NOSCRIPT, (0, 0, 0), nothing),
    Command::new("module|help", 2, ALWAYS, (0, 0, 0), about_modules),
    Command::new("latency", -2, 0, (0, 0, 0), about_latency),
    Command::new("latency|latest", 2, OPERATOR, (0, 0, 0), nothing),
    Command::new("latency|history", 3, OPERATOR, (0, 0, 0), nothing),
    Command::new("latency|graph", 3, OPERATOR, (0, 0, 0), no_samples),
    Command::new("latency|reset", -2, OPERATOR, (0, 0, 0), reset_latency),
    Command::new("latency|help", 2, ALWAYS, (0, 0, 0), about_latency),
];

fn nothing(_: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::Array(Vec::new()))
}

fn no_samples(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let event = text_of(&args[2]);
    Err(Halt::error(format!(
        "ERR No samples available for event '{event}'"
    )))
}

/// The number of events that were forgotten.
fn reset_latency(_: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Ok(Reply::Integer(0))
}

fn about_modules(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let lines = ["LIST", "    Return a list of loaded modules."];
    Ok(help(args, &lines))
}

fn about_latency(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(help(
        args,
        &[
            "GRAPH <event>",
            "    Return an ASCII latency graph for the <event> class.",
            "HISTORY <event>",
            "    Return time-latency samples for the <event> class.",
            "LATEST",
            "    Return the latest latency samples for all events.",
            "RESET [<event> ...]",
            "    Reset latency data of one or more <event> classes.",
            "    (default: reset all data for all event classes)",
        ],
    ))
}
