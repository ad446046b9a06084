//! CONFIG: the parameters that the server honours, and some whose value is what it does anyway.

#[cfg(feature = "memory-lua")]
use std::time::Duration;

use bytes::Bytes;

use super::super::help::help;
use crate::memory::{
    arguments::bytes,
    command::{
        Command,
        flags::{ADMIN, LOADING, NOSCRIPT, STALE},
    },
    context::Context,
    engine::Engine,
    glob,
    halt::{Halt, Outcome, shown},
    number,
    output_limits::OutputLimits,
    reply::Reply,
    settings::{Eviction, Settings},
};

const OPERATOR: u32 = ADMIN | NOSCRIPT | LOADING | STALE;

pub(in crate::memory::commands) const COMMANDS: &[Command] = &[
    Command::new("config", -2, 0, (0, 0, 0), about),
    Command::new("config|get", -3, OPERATOR, (0, 0, 0), get),
    Command::new("config|set", -4, OPERATOR, (0, 0, 0), set),
    Command::new("config|resetstat", 2, OPERATOR, (0, 0, 0), resetstat),
    Command::new("config|rewrite", 2, OPERATOR, (0, 0, 0), rewrite),
    Command::new("config|help", 2, LOADING | STALE, (0, 0, 0), about),
];

/// Parameters with a value that cannot be changed.
const FIXED: [(&str, &str); 13] = [
    ("acl-pubsub-default", "resetchannels"),
    ("acllog-max-len", "128"),
    ("activedefrag", "no"),
    ("appendonly", "no"),
    ("databases", "16"),
    ("enable-debug-command", "yes"),
    ("io-threads", "1"),
    ("maxmemory-clients", "0"),
    ("maxmemory-samples", "5"),
    ("notify-keyspace-events", ""),
    ("proto-max-bulk-len", "536870912"),
    ("save", ""),
    ("slowlog-log-slower-than", "-1"),
];

const POLICIES: [(&str, Eviction); 3] = [
    ("volatile-ttl", Eviction::NextToExpire),
    ("allkeys-lru", Eviction::LeastRecentlyUsed),
    ("noeviction", Eviction::None),
];

/// The names of the limit for scripts, of which the second one is old. Redis only answers other clients from then
/// on; here the script is ended.
#[cfg(feature = "memory-lua")]
const SCRIPT_TIME_LIMIT: [&str; 2] = ["busy-reply-threshold", "lua-time-limit"];

/// A value that was read and is to be set.
enum Change {
    MaxClients(usize),
    OutputLimits(OutputLimits),
    MaxMemory(usize),
    IdleTimeout(u64),
    MaxQuery(usize),
    Policy(Eviction),
    Password(Bytes),
    TrackedKeys(usize),
    #[cfg(feature = "memory-lua")]
    ScriptTimeLimit(Duration),
    /// To the value that it has.
    None,
}

/// The name of the policy in force.
pub(super) fn policy(settings: &Settings) -> &'static str {
    let present = POLICIES
        .iter()
        .find(|(_, policy)| *policy == settings.eviction);
    present.map_or("noeviction", |(name, _)| *name)
}

fn all(engine: &Engine) -> Vec<(&'static str, Bytes)> {
    let settings = &engine.settings;
    let mut all: Vec<_> = FIXED
        .iter()
        .map(|(name, value)| (*name, Bytes::from_static(value.as_bytes())))
        .collect();
    all.extend([
        (
            "client-output-buffer-limit",
            settings.output_limits.description().into(),
        ),
        (
            "client-query-buffer-limit",
            settings.max_query.to_string().into(),
        ),
        ("cluster-enabled", enabled(engine.cluster.is_some())),
        ("maxclients", settings.max_clients.to_string().into()),
        ("maxmemory", settings.max_bytes.to_string().into()),
        ("maxmemory-policy", policy(settings).into()),
        ("port", settings.port.to_string().into()),
        ("requirepass", engine.users.password().clone()),
        ("timeout", settings.idle_timeout.to_string().into()),
        (
            "tracking-table-max-keys",
            settings.tracked_keys.to_string().into(),
        ),
    ]);
    #[cfg(feature = "memory-lua")]
    for name in SCRIPT_TIME_LIMIT {
        let millis = settings.script_time_limit.as_millis();
        all.push((name, millis.to_string().into()));
    }
    all
}

fn enabled(is_so: bool) -> Bytes {
    Bytes::from_static(if is_so { b"yes" } else { b"no" })
}

fn get(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let patterns: Vec<_> = args[2..]
        .iter()
        .map(|pattern| pattern.to_ascii_lowercase())
        .collect();
    let is_wanted = |name: &str| {
        patterns
            .iter()
            .any(|pattern| glob::matches(pattern, name.as_bytes()))
    };
    let wanted = all(cx.engine)
        .into_iter()
        .filter(|(name, _)| is_wanted(name));
    Ok(Reply::Map(
        wanted
            .map(|(name, value)| (Reply::text(name), Reply::Bulk(value)))
            .collect(),
    ))
}

/// Sets all parameters, or none.
fn set(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let (pairs, rest) = args[2..].as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Halt::SYNTAX);
    }
    let known = all(cx.engine);
    let mut named: Vec<&str> = Vec::new();
    for [name, _] in pairs {
        let found = known
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        let Some((found, _)) = found else {
            let name = shown(name);
            return Err(Halt::error(format!(
                "ERR Unknown option or number of arguments for CONFIG SET - '{name}'"
            )));
        };
        if named.contains(found) {
            return Err(failure(name, "duplicate parameter"));
        }
        named.push(found);
    }
    let changes: Result<Vec<_>, Halt> = named
        .iter()
        .zip(pairs)
        .map(|(known, [name, value])| {
            read(&cx.engine.settings, known, value).map_err(|error| failure(name, &error))
        })
        .collect();
    for change in changes? {
        apply(cx.engine, change);
    }
    Ok(Reply::OK)
}

fn failure(name: &[u8], error: &str) -> Halt {
    let name = shown(name);
    Halt::error(format!(
        "ERR CONFIG SET failed (possibly related to argument '{name}') - {error}"
    ))
}

fn read(settings: &Settings, name: &str, value: &Bytes) -> Result<Change, String> {
    match name {
        "client-output-buffer-limit" => {
            let changed = settings.output_limits.changed(value)?;
            Ok(Change::OutputLimits(changed))
        }
        "maxclients" => {
            let number = within(value, 1, u32::MAX.into())?;
            Ok(Change::MaxClients(number as usize))
        }
        "timeout" => {
            const MOST: i64 = i32::MAX as i64;
            let seconds =
                number::integer(value).ok_or("argument couldn't be parsed into an integer")?;
            if !(0..=MOST).contains(&seconds) {
                return Err(format!("argument must be between 0 and {MOST} inclusive"));
            }
            Ok(Change::IdleTimeout(seconds as u64))
        }
        "client-query-buffer-limit" => {
            const LEAST: usize = 1 << 20;
            let bytes = bytes(value).ok_or("argument must be a memory value")?;
            if bytes < LEAST {
                let most = i64::MAX;
                return Err(format!(
                    "argument must be between {LEAST} and {most} inclusive"
                ));
            }
            Ok(Change::MaxQuery(bytes))
        }
        "maxmemory" => {
            let bytes = bytes(value).ok_or("argument must be a memory value")?;
            Ok(Change::MaxMemory(bytes))
        }
        "maxmemory-policy" => {
            let policy = POLICIES
                .iter()
                .find(|(name, _)| value.eq_ignore_ascii_case(name.as_bytes()));
            let names = POLICIES.map(|(name, _)| name).join(", ");
            let error = format!("argument(s) must be one of the following: {names}");
            policy
                .map(|(_, policy)| Change::Policy(*policy))
                .ok_or(error)
        }
        #[cfg(feature = "memory-lua")]
        name if SCRIPT_TIME_LIMIT.contains(&name) => {
            let millis = within(value, 0, i64::MAX)?;
            Ok(Change::ScriptTimeLimit(Duration::from_millis(
                millis as u64,
            )))
        }
        "tracking-table-max-keys" => {
            let number = within(value, 0, i64::MAX)?;
            Ok(Change::TrackedKeys(number as usize))
        }
        "requirepass" => Ok(Change::Password(value.clone())),
        _ => {
            let present = FIXED.iter().find(|(known, _)| *known == name);
            let is_present =
                present.is_some_and(|(_, present)| value.eq_ignore_ascii_case(present.as_bytes()));
            // It is the value that the server has.
            is_present
                .then_some(Change::None)
                .ok_or_else(|| "can't set immutable config".into())
        }
    }
}

/// An integer with bounds.
fn within(value: &[u8], least: i64, most: i64) -> Result<i64, String> {
    let number = number::integer(value).ok_or("argument couldn't be parsed into an integer")?;
    if !(least..=most).contains(&number) {
        return Err(format!(
            "argument must be between {least} and {most} inclusive"
        ));
    }
    Ok(number)
}

fn apply(engine: &mut Engine, change: Change) {
    let settings = &mut engine.settings;
    match change {
        Change::MaxClients(number) => settings.max_clients = number,
        Change::OutputLimits(limits) => settings.output_limits = limits,
        Change::MaxMemory(bytes) => {
            settings.max_bytes = bytes;
            engine.make_room();
        }
        Change::IdleTimeout(seconds) => {
            settings.idle_timeout = seconds;
            engine.wake_all();
        }
        // Requests of clients that connect later; transactions at once.
        Change::MaxQuery(bytes) => settings.max_query = bytes,
        Change::Policy(policy) => settings.eviction = policy,
        Change::TrackedKeys(number) => settings.tracked_keys = number,
        Change::Password(password) => engine.users.set_password(password),
        #[cfg(feature = "memory-lua")]
        Change::ScriptTimeLimit(limit) => settings.script_time_limit = limit,
        Change::None => {}
    }
}

fn resetstat(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    cx.engine.reset_statistics();
    Ok(Reply::OK)
}

fn rewrite(_: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    Err(Halt::error(
        "ERR The server is running without a config file",
    ))
}

fn about(_: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    Ok(help(
        args,
        &[
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ],
    ))
}

#[cfg(test)]
mod tests;
