//! Replies as values of Lua, and the other way round.

use bytes::Bytes;
use mlua::{Lua, Table, Value};

use crate::memory::{
    number,
    reply::{Protocol, Reply},
};

/// Tables within tables that a reply has at most. Redis permits about 8000, but they are on the stack here.
const DEEPEST: usize = 100;

/// A reply as the value that `redis.call` returns.
pub(super) fn to_lua(lua: &Lua, reply: &Reply, protocol: Protocol) -> mlua::Result<Value> {
    let is_resp3 = protocol == Protocol::Resp3;
    let text = |bytes: &[u8]| lua.create_string(bytes).map(Value::String);
    match reply {
        Reply::Status(status) => field(lua, "ok", text(status.as_bytes())?),
        Reply::Error(error) => field(lua, "err", text(error.as_bytes())?),
        Reply::Integer(integer) => Ok(Value::Number(*integer as f64)),
        Reply::Bulk(bytes) => text(bytes),
        Reply::Null | Reply::NullArray if is_resp3 => Ok(Value::Nil),
        Reply::Null | Reply::NullArray => Ok(Value::Boolean(false)),
        Reply::Boolean(boolean) => Ok(Value::Boolean(*boolean)),
        Reply::Set(items) if is_resp3 => {
            let set = lua.create_table()?;
            for item in items {
                set.raw_set(to_lua(lua, item, protocol)?, true)?;
            }
            field(lua, "set", Value::Table(set))
        }
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) | Reply::Several(items) => {
            list(lua, items.iter(), protocol)
        }
        Reply::Map(pairs) if is_resp3 => {
            let map = lua.create_table()?;
            for (key, value) in pairs {
                let key = to_lua(lua, key, protocol)?;
                map.raw_set(key, to_lua(lua, value, protocol)?)?;
            }
            field(lua, "map", Value::Table(map))
        }
        Reply::Map(pairs) => {
            let items = pairs.iter().flat_map(|(key, value)| [key, value]);
            list(lua, items, protocol)
        }
        Reply::Double(double) if is_resp3 => field(lua, "double", Value::Number(*double)),
        Reply::Double(double) => text(number::text(*double).as_bytes()),
        Reply::Decimal(number) if is_resp3 => field(lua, "double", Value::Number(*number)),
        Reply::Decimal(number) => text(number::decimal(*number).as_bytes()),
        Reply::BigNumber(digits) if is_resp3 => field(lua, "big_number", text(digits.as_bytes())?),
        Reply::BigNumber(digits) => text(digits.as_bytes()),
        Reply::Verbatim(bytes) | Reply::Formatted(_, bytes) if is_resp3 => {
            let format = match reply {
                Reply::Formatted(format, _) => *format,
                _ => *b"txt",
            };
            let string = lua.create_table()?;
            string.raw_set("format", text(&format)?)?;
            string.raw_set("string", text(bytes)?)?;
            field(lua, "verbatim_string", Value::Table(string))
        }
        Reply::Verbatim(bytes) | Reply::Formatted(_, bytes) => text(bytes),
    }
}

fn list<'a>(
    lua: &Lua,
    items: impl Iterator<Item = &'a Reply>,
    protocol: Protocol,
) -> mlua::Result<Value> {
    let list = lua.create_table()?;
    for (index, item) in items.enumerate() {
        list.raw_set(index + 1, to_lua(lua, item, protocol)?)?;
    }
    Ok(Value::Table(list))
}

/// A table with this field alone.
pub(super) fn field(lua: &Lua, name: &str, value: Value) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    table.raw_set(name, value)?;
    Ok(Value::Table(table))
}

/// A value as a reply: that of a script which has set this protocol.
pub(super) fn to_reply(value: &Value, protocol: Protocol) -> mlua::Result<Reply> {
    nested(value, protocol, DEEPEST)
}

fn nested(value: &Value, protocol: Protocol, depth: usize) -> mlua::Result<Reply> {
    Ok(match value {
        Value::String(text) => Reply::Bulk(Bytes::copy_from_slice(&text.as_bytes())),
        Value::Integer(integer) => Reply::Integer(*integer),
        Value::Number(number) => Reply::Integer(truncated(*number)),
        Value::Boolean(boolean) if protocol == Protocol::Resp3 => Reply::Boolean(*boolean),
        Value::Boolean(true) => Reply::Integer(1),
        Value::Table(_) if depth == 0 => Reply::error("ERR reached lua stack limit"),
        Value::Table(table) => match typed(table, protocol, depth)? {
            Some(reply) => reply,
            None => array(table, protocol, depth)?,
        },
        _ => Reply::Null,
    })
}

/// The reply of a table with a field that names a type.
fn typed(table: &Table, protocol: Protocol, depth: usize) -> mlua::Result<Option<Reply>> {
    let text = |name: &str| {
        let value: Value = table.raw_get(name)?;
        Ok::<_, mlua::Error>(match value {
            Value::String(text) => Some(text.to_string_lossy()),
            _ => None,
        })
    };
    if let Some(error) = text("err")? {
        return Ok(Some(Reply::error(error)));
    }
    if let Some(status) = text("ok")? {
        return Ok(Some(Reply::Status(status.into())));
    }
    match table.raw_get("double")? {
        Value::Number(double) => return Ok(Some(Reply::Double(double))),
        Value::Integer(double) => return Ok(Some(Reply::Double(double as f64))),
        _ => {}
    }
    if let Some(digits) = text("big_number")? {
        // A line break would end the reply early.
        return Ok(Some(Reply::BigNumber(digits.replace(['\r', '\n'], " "))));
    }
    if let Value::Table(string) = table.raw_get("verbatim_string")?
        && let (Value::String(format), Value::String(string)) =
            (string.raw_get("format")?, string.raw_get("string")?)
    {
        let mut three = *b"   ";
        for (to, from) in three.iter_mut().zip(format.as_bytes().iter()) {
            *to = *from;
        }
        let string = Bytes::copy_from_slice(&string.as_bytes());
        return Ok(Some(Reply::Formatted(three, string)));
    }
    if let Value::Table(map) = table.raw_get("map")? {
        let mut pairs = Vec::new();
        map.for_each(|key: Value, value: Value| {
            let key = nested(&key, protocol, depth - 1)?;
            pairs.push((key, nested(&value, protocol, depth - 1)?));
            Ok(())
        })?;
        return Ok(Some(Reply::Map(pairs)));
    }
    if let Value::Table(set) = table.raw_get("set")? {
        let mut items = Vec::new();
        set.for_each(|item: Value, _: Value| {
            items.push(nested(&item, protocol, depth - 1)?);
            Ok(())
        })?;
        return Ok(Some(Reply::Set(items)));
    }
    Ok(None)
}

/// The elements up to the first that is nil.
fn array(table: &Table, protocol: Protocol, depth: usize) -> mlua::Result<Reply> {
    let mut items = Vec::new();
    loop {
        let item: Value = table.raw_get(items.len() + 1)?;
        if item.is_nil() {
            return Ok(Reply::Array(items));
        }
        items.push(nested(&item, protocol, depth - 1)?);
    }
}

/// A number without its fraction. One that is no integer of 64 bits is the least one, as on most processors in C.
fn truncated(number: f64) -> i64 {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if (-BEYOND..BEYOND).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}
