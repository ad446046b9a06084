//! The table `redis`.

use bytes::Bytes;
use mlua::{Lua, MultiValue, Table, Value};

use super::{
    host::Host,
    raised::Raised,
    values::{field, to_lua},
};
use crate::memory::{
    number,
    reply::{Protocol, Reply},
};

/// The version that scripts see, as a text and as a number.
const VERSION: (&str, u32) = ("7.4.0", 0x0007_0400);

const CONSTANTS: [(&str, u32); 9] = [
    ("LOG_DEBUG", 0),
    ("LOG_VERBOSE", 1),
    ("LOG_NOTICE", 2),
    ("LOG_WARNING", 3),
    ("REPL_NONE", 0),
    ("REPL_AOF", 1),
    ("REPL_SLAVE", 2),
    ("REPL_REPLICA", 2),
    ("REPL_ALL", 3),
];

/// Those functions and constants that need no server.
pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let redis = lua.create_table()?;
    for (name, value) in CONSTANTS {
        redis.raw_set(name, value)?;
    }
    redis.raw_set("REDIS_VERSION", VERSION.0)?;
    redis.raw_set("REDIS_VERSION_NUM", VERSION.1)?;
    redis.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    redis.raw_set("error_reply", lua.create_function(error_reply)?)?;
    redis.raw_set("status_reply", lua.create_function(status_reply)?)?;
    redis.raw_set("log", lua.create_function(log)?)?;
    redis.raw_set("set_repl", lua.create_function(set_repl)?)?;
    // Effects are replicated anyway, and there is no debugger.
    let yes = |_: &Lua, _: MultiValue| Ok(true);
    redis.raw_set("replicate_commands", lua.create_function(yes)?)?;
    let no = |_: &Lua, _: MultiValue| Ok(false);
    redis.raw_set("breakpoint", lua.create_function(no)?)?;
    let nothing = |_: &Lua, _: MultiValue| Ok(());
    redis.raw_set("debug", lua.create_function(nothing)?)?;
    Ok(redis)
}

/// `redis.call`.
pub(super) fn call(lua: &Lua, host: &mut dyn Host, arguments: &MultiValue) -> mlua::Result<Value> {
    match reply_of(host, arguments) {
        Reply::Error(text) => Err(mlua::Error::external(Raised::Reply(text.into()))),
        reply => to_lua(lua, &reply, host.protocol()),
    }
}

/// `redis.pcall`.
pub(super) fn pcall(lua: &Lua, host: &mut dyn Host, arguments: &MultiValue) -> mlua::Result<Value> {
    let reply = reply_of(host, arguments);
    to_lua(lua, &reply, host.protocol())
}

fn reply_of(host: &mut dyn Host, arguments: &MultiValue) -> Reply {
    match request(arguments) {
        Ok(request) => host.call(request),
        Err(text) => Reply::error(format!("ERR {text}")),
    }
}

/// `redis.setresp`.
pub(super) fn setresp(host: &mut dyn Host, arguments: &MultiValue) -> mlua::Result<()> {
    if arguments.len() != 1 {
        return Err(Raised::error("redis.setresp() requires one argument."));
    }
    let protocol = match integer(&arguments[0]) {
        Some(2) => Protocol::Resp2,
        Some(3) => Protocol::Resp3,
        _ => return Err(Raised::error("RESP version must be 2 or 3.")),
    };
    host.set_protocol(protocol);
    Ok(())
}

/// `redis.acl_check_cmd`.
pub(super) fn acl_check_cmd(host: &mut dyn Host, arguments: &MultiValue) -> mlua::Result<bool> {
    let request = request(arguments).map_err(Raised::error)?;
    host.may_run(&request)
        .ok_or_else(|| Raised::error("Invalid command passed to redis.acl_check_cmd()"))
}

/// The words of a command.
fn request(arguments: &MultiValue) -> Result<Vec<Bytes>, &'static str> {
    if arguments.is_empty() {
        return Err("Please specify at least one argument for this redis lib call");
    }
    let words = arguments.iter().map(|argument| match argument {
        Value::String(text) => Some(Bytes::copy_from_slice(&text.as_bytes())),
        Value::Integer(integer) => Some(integer.to_string().into()),
        Value::Number(number) => Some(number::text(*number).into()),
        _ => None,
    });
    let words: Option<_> = words.collect();
    words.ok_or("Lua redis lib command arguments must be strings or integers")
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(integer) => Some(*integer),
        Value::Number(number) => Some(*number as i64),
        Value::String(text) => number::float(&text.as_bytes()).map(|number| number as i64),
        _ => None,
    }
}

/// The digest of a text in hexadecimal digits.
fn sha1hex(lua: &Lua, arguments: MultiValue) -> mlua::Result<String> {
    if arguments.len() != 1 {
        return Err(Raised::error("wrong number of arguments"));
    }
    let text = lua.coerce_string(arguments[0].clone())?;
    let bytes = text.map(|text| text.as_bytes().to_vec());
    Ok(digest(&bytes.unwrap_or_default()))
}

pub(in crate::memory) fn digest(bytes: &[u8]) -> String {
    sha1_smol::Sha1::from(bytes).digest().to_string()
}

/// The one argument of a function that takes a text.
fn only_text(arguments: &MultiValue) -> Option<&mlua::LuaString> {
    match arguments.front() {
        Some(Value::String(text)) if arguments.len() == 1 => Some(text),
        _ => None,
    }
}

fn error_reply(lua: &Lua, arguments: MultiValue) -> mlua::Result<Value> {
    let Some(text) = only_text(&arguments) else {
        return wrong_arguments(lua);
    };
    let text = text.to_string_lossy();
    let text = text.strip_prefix('-').unwrap_or(&text);
    let text = text.trim_matches(['\r', '\n']);
    // A single word is no code.
    let text = if text.contains(' ') {
        text.to_owned()
    } else {
        format!("ERR {text}")
    };
    field(lua, "err", Value::String(lua.create_string(text)?))
}

fn status_reply(lua: &Lua, arguments: MultiValue) -> mlua::Result<Value> {
    match only_text(&arguments) {
        Some(text) => field(lua, "ok", Value::String(text.clone())),
        None => wrong_arguments(lua),
    }
}

fn wrong_arguments(lua: &Lua) -> mlua::Result<Value> {
    let text = lua.create_string("ERR wrong number or type of arguments")?;
    field(lua, "err", Value::String(text))
}

/// Checks its arguments alone: the server has no log.
fn log(_: &Lua, arguments: MultiValue) -> mlua::Result<()> {
    if arguments.len() < 2 {
        let text = "redis.log() requires two arguments or more.";
        return Err(Raised::error(text));
    }
    let level = match &arguments[0] {
        Value::Integer(level) => *level,
        Value::Number(level) => *level as i64,
        _ => {
            let text = "First argument must be a number (log level).";
            return Err(Raised::error(text));
        }
    };
    if !(0..=3).contains(&level) {
        return Err(Raised::error("Invalid debug level."));
    }
    Ok(())
}

/// Checks its argument alone: there are no replicas.
fn set_repl(_: &Lua, arguments: MultiValue) -> mlua::Result<()> {
    if arguments.len() != 1 {
        return Err(Raised::error("redis.set_repl() requires two arguments."));
    }
    let flags = integer(&arguments[0]).unwrap_or(0);
    if !(0..=3).contains(&flags) {
        let text = "Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
        return Err(Raised::error(text));
    }
    Ok(())
}
