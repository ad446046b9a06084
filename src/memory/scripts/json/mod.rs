//! The table `cjson`: `encode`, `decode` and `null`.

mod decode;
mod encode;

use mlua::{Lua, MultiValue, Table, Value};

use super::raised::Raised;

/// Arrays and objects within each other. cjson permits 1000, but they are on the stack here.
const DEEPEST: usize = 100;

pub(super) fn table(lua: &Lua) -> mlua::Result<Table> {
    let cjson = lua.create_table()?;
    cjson.raw_set("_NAME", "cjson")?;
    cjson.raw_set("null", Value::NULL)?;
    let encode = |lua: &Lua, arguments: MultiValue| {
        let value = only(lua, &arguments, "encode")?;
        let mut json = Vec::new();
        encode::write(lua, &value, &mut json, 0)
            .map_err(|problem| problem.raise(lua, "Cannot serialise"))?;
        lua.create_string(json)
    };
    cjson.raw_set("encode", lua.create_function(encode)?)?;
    let decode = |lua: &Lua, arguments: MultiValue| {
        let value = only(lua, &arguments, "decode")?;
        let kind = value.type_name();
        let text = lua.coerce_string(value)?.ok_or_else(|| {
            let problem = format!("string expected, got {kind}");
            Raised::bad_argument(lua, 1, "decode", &problem)
        })?;
        decode::read(lua, &text.as_bytes()).map_err(|problem| problem.raise(lua, ""))
    };
    cjson.raw_set("decode", lua.create_function(decode)?)?;
    Ok(cjson)
}

fn only(lua: &Lua, arguments: &MultiValue, function: &str) -> mlua::Result<Value> {
    match arguments.front() {
        Some(value) if arguments.len() == 1 => Ok(value.clone()),
        _ => Err(Raised::bad_argument(
            lua,
            1,
            function,
            "expected 1 argument",
        )),
    }
}

/// The reason for which a value is no JSON, or the other way round.
enum Problem {
    Json(String),
    Lua(mlua::Error),
}

impl Problem {
    fn raise(self, lua: &Lua, prefix: &str) -> mlua::Error {
        match self {
            Self::Json(text) => Raised::at_caller(lua, &format!("{prefix}{text}")),
            Self::Lua(error) => error,
        }
    }
}

impl From<mlua::Error> for Problem {
    fn from(error: mlua::Error) -> Self {
        Self::Lua(error)
    }
}
