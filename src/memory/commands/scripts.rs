//! EVAL, and the scripts that the server knows.

use bytes::Bytes;

use super::help::help;
use crate::memory::{
    arguments::{integer, is},
    command::{
        Command,
        flags::{
            ALLOW_BUSY, LOADING, MAY_REPLICATE, MOVABLE_KEYS, NOSCRIPT, READONLY, SKIP_MONITOR,
            STALE,
        },
    },
    context::Context,
    halt::{Evaluation, Halt, Outcome},
    reply::Reply,
    scripts::Scripts,
};

const READS: u32 = NOSCRIPT | STALE | SKIP_MONITOR | MOVABLE_KEYS | READONLY;
const WRITES: u32 = NOSCRIPT | STALE | SKIP_MONITOR | MOVABLE_KEYS | MAY_REPLICATE;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("eval", -3, WRITES, (0, 0, 0), eval),
    Command::new("eval_ro", -3, READS, (0, 0, 0), eval_ro),
    Command::new("evalsha", -3, WRITES, (0, 0, 0), evalsha),
    Command::new("evalsha_ro", -3, READS, (0, 0, 0), evalsha_ro),
    Command::new("script", -2, 0, (0, 0, 0), about),
    Command::new("script|load", 3, NOSCRIPT | STALE, (0, 0, 0), load),
    Command::new("script|exists", -3, NOSCRIPT, (0, 0, 0), exists),
    Command::new("script|flush", -2, NOSCRIPT, (0, 0, 0), flush),
    Command::new("script|kill", 2, NOSCRIPT | ALLOW_BUSY, (0, 0, 0), kill),
    Command::new("script|help", 2, LOADING | STALE, (0, 0, 0), about),
];

/// The length of a digest.
const DIGEST: usize = 40;

fn eval(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    by_source(cx, args, false)
}

fn eval_ro(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    by_source(cx, args, true)
}

fn evalsha(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    by_digest(cx, args, false)
}

fn evalsha_ro(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    by_digest(cx, args, true)
}

fn by_source(cx: &mut Context<'_>, args: &[Bytes], is_read_only: bool) -> Outcome {
    let (keys, arguments) = keys_and_arguments(args)?;
    let digest = cx.engine.scripts.load(&args[1], false)?;
    Err(Halt::Script(Evaluation {
        digest,
        keys,
        arguments,
        is_read_only,
    }))
}

fn by_digest(cx: &mut Context<'_>, args: &[Bytes], is_read_only: bool) -> Outcome {
    let digest = String::from_utf8_lossy(&args[1]).to_ascii_lowercase();
    // What cannot be a digest is refused before the other arguments are read.
    if digest.len() != DIGEST {
        return Err(Scripts::NO_SCRIPT);
    }
    let (keys, arguments) = keys_and_arguments(args)?;
    if !cx.engine.scripts.touch(&digest) {
        return Err(Scripts::NO_SCRIPT);
    }
    Err(Halt::Script(Evaluation {
        digest,
        keys,
        arguments,
        is_read_only,
    }))
}

fn keys_and_arguments(args: &[Bytes]) -> Result<(Vec<Bytes>, Vec<Bytes>), Halt> {
    let (count, rest) = (integer(&args[2])?, &args[3..]);
    let count =
        usize::try_from(count).map_err(|_| Halt::error("ERR Number of keys can't be negative"))?;
    let (keys, arguments) = rest.split_at_checked(count).ok_or(Halt::error(
        "ERR Number of keys can't be greater than number of args",
    ))?;
    Ok((keys.to_vec(), arguments.to_vec()))
}

fn load(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let digest = cx.engine.scripts.load(&args[2], true)?;
    Ok(Reply::bulk(digest))
}

fn exists(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let known = args[2..].iter().map(|digest| {
        let digest = String::from_utf8_lossy(digest).to_ascii_lowercase();
        Reply::flag(cx.engine.scripts.has(&digest))
    });
    Ok(Reply::Array(known.collect()))
}

/// Both ways take no time here.
fn flush(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    match &args[2..] {
        [] => {}
        [way] if is(way, "ASYNC") || is(way, "SYNC") => {}
        _ => {
            return Err(Halt::error(
                "ERR SCRIPT FLUSH only support SYNC|ASYNC option",
            ));
        }
    }
    cx.engine.scripts.clear();
    Ok(Reply::OK)
}

/// A script that runs lets no command through, so there is none.
fn kill(_: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Err(Halt::error("NOTBUSY No scripts in execution right now."))
}

fn about(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(help(
        args,
        &[
            "EXISTS <sha1> [<sha1> ...]",
            "    Return information about the existence of the scripts in the script cache.",
            "FLUSH [ASYNC|SYNC]",
            "    Flush the Lua scripts cache. Very dangerous on replicas.",
            "    When called without the optional mode argument, the behavior is determined by the",
            "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
            "    * ASYNC: Asynchronously flush the scripts cache.",
            "    * SYNC: Synchronously flush the scripts cache.",
            "KILL",
            "    Kill the currently executing Lua script.",
            "LOAD <script>",
            "    Load a script into the scripts cache without executing it.",
        ],
    ))
}
