//! Values of Lua as JSON.

use mlua::{Lua, Table, Value};

use super::{DEEPEST, Problem};

/// An array is not to have so many more places than elements, unless it is a short one.
const SPARSE: usize = 2;
const SHORT: usize = 10;

pub(super) fn write(
    lua: &Lua,
    value: &Value,
    json: &mut Vec<u8>,
    depth: usize,
) -> Result<(), Problem> {
    match value {
        Value::String(text) => string(&text.as_bytes(), json),
        Value::Integer(_) | Value::Number(_) => number(lua, value, json)?,
        Value::Boolean(true) => json.extend_from_slice(b"true"),
        Value::Boolean(false) => json.extend_from_slice(b"false"),
        Value::Nil => json.extend_from_slice(b"null"),
        null if *null == Value::NULL => json.extend_from_slice(b"null"),
        Value::Table(table) => {
            let depth = depth + 1;
            if depth > DEEPEST {
                let text = format!(", excessive nesting ({depth})");
                return Err(Problem::Json(text));
            }
            match length(table)? {
                Some(length) if length > 0 => array(lua, table, length, json, depth)?,
                _ => object(lua, table, json, depth)?,
            }
        }
        other => {
            let kind = other.type_name();
            let text = format!(" {kind}: type not supported");
            return Err(Problem::Json(text));
        }
    }
    Ok(())
}

/// The places of a table that is an array; `None` if it has other keys.
fn length(table: &Table) -> Result<Option<usize>, Problem> {
    let (mut last, mut count) = (0, 0);
    for pair in table.pairs::<Value, Value>() {
        let (key, _) = pair?;
        let index = match key {
            Value::Integer(index) => usize::try_from(index).unwrap_or(0),
            _ => 0,
        };
        if index == 0 {
            return Ok(None);
        }
        last = last.max(index);
        count += 1;
    }
    if last > SHORT && last > count * SPARSE {
        let text = " table: excessively sparse array";
        return Err(Problem::Json(text.into()));
    }
    Ok(Some(last))
}

fn array(
    lua: &Lua,
    table: &Table,
    length: usize,
    json: &mut Vec<u8>,
    depth: usize,
) -> Result<(), Problem> {
    json.push(b'[');
    for index in 1..=length {
        if index > 1 {
            json.push(b',');
        }
        let item: Value = table.raw_get(index)?;
        write(lua, &item, json, depth)?;
    }
    json.push(b']');
    Ok(())
}

fn object(lua: &Lua, table: &Table, json: &mut Vec<u8>, depth: usize) -> Result<(), Problem> {
    json.push(b'{');
    let mut is_first = true;
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        if !is_first {
            json.push(b',');
        }
        is_first = false;
        match &key {
            Value::String(text) => string(&text.as_bytes(), json),
            Value::Integer(_) | Value::Number(_) => {
                json.push(b'"');
                number(lua, &key, json)?;
                json.push(b'"');
            }
            other => {
                let kind = other.type_name();
                return Err(Problem::Json(format!(
                    " {kind}: table key must be a number or string"
                )));
            }
        }
        json.push(b':');
        write(lua, &value, json, depth)?;
    }
    json.push(b'}');
    Ok(())
}

/// Lua writes numbers as cjson does: with 14 digits.
fn number(lua: &Lua, number: &Value, json: &mut Vec<u8>) -> Result<(), Problem> {
    if number.as_f64().is_some_and(|number| !number.is_finite()) {
        let text = " number: must not be NaN or Inf";
        return Err(Problem::Json(text.into()));
    }
    if let Some(text) = lua.coerce_string(number.clone())? {
        json.extend_from_slice(&text.as_bytes());
    }
    Ok(())
}

fn string(text: &[u8], json: &mut Vec<u8>) {
    json.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' | b'/' => json.extend_from_slice(&[b'\\', *byte]),
            8 => json.extend_from_slice(b"\\b"),
            b'\t' => json.extend_from_slice(b"\\t"),
            b'\n' => json.extend_from_slice(b"\\n"),
            12 => json.extend_from_slice(b"\\f"),
            b'\r' => json.extend_from_slice(b"\\r"),
            0..32 | 127 => json.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => json.push(*byte),
        }
    }
    json.push(b'"');
}
