//! What scripts see of Lua, and how long they may run.

use std::{cell::RefCell, time::Duration};

use bytes::Bytes;
use mlua::{Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value, VmState};

use super::{
    api,
    host::Host,
    json,
    raised::{self, Raised},
    random::{self, Random},
    values::to_reply,
};
use crate::memory::{clock::Deadline, reply::Reply};

/// The bytes that all scripts of a server have for their values.
const MEMORY: usize = 256 * 1024 * 1024;
/// The instructions of a script after which it looks at the time.
const STEP: u32 = 10_000;
/// The name under which the prelude is in tracebacks.
const PRELUDE: &str = "=prelude";
/// The name of a script in errors.
const SCRIPT: &str = "@user_script";

pub(super) struct Sandbox {
    lua: Lua,
    /// Lua's own globals, which are in force between the runs.
    native: Table,
    /// Makes the globals of a run.
    globals: Function,
    xpcall: Function,
    handler: Function,
}

/// The end of a script that has failed.
pub(super) struct Failure {
    /// Begins with its code.
    pub(super) text: String,
    /// The file and line.
    pub(super) place: Option<String>,
}

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            place: None,
        }
    }
}

impl Sandbox {
    pub(super) fn new() -> mlua::Result<Self> {
        // A panic is no error that a script could catch.
        let options = LuaOptions::new().catch_rust_panics(false);
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::OS;
        let lua = Lua::new_with(libraries, options)?;
        let native = lua.globals();
        let globals: Function = lua
            .load(include_str!("prelude.lua"))
            .set_name(PRELUDE)
            .call((&native, tools(&lua)?))?;
        let sandbox = Self {
            globals,
            xpcall: native.get("xpcall")?,
            handler: lua.create_function(handle)?,
            native,
            lua,
        };
        sandbox.lua.set_app_data(Random::default());
        let triggers = HookTriggers::new().every_nth_instruction(STEP);
        sandbox.lua.set_global_hook(triggers, |lua, _| {
            check_time(lua).map(|()| VmState::Continue)
        })?;
        sandbox.lua.set_memory_limit(MEMORY)?;
        Ok(sandbox)
    }

    /// A script as a function.
    ///
    /// # Errors
    ///
    /// Those of the compiler.
    pub(super) fn compile(&self, code: &[u8]) -> Result<Function, String> {
        compile(&self.lua, code, SCRIPT)
    }

    /// Runs a script. A limit of zero is none.
    pub(super) fn run(
        &self,
        script: &Function,
        host: &mut dyn Host,
        keys: &[Bytes],
        arguments: &[Bytes],
        limit: Duration,
    ) -> Result<Reply, Failure> {
        // Lua itself does not collect garbage when its memory is full.
        if self.lua.used_memory() > MEMORY / 2 {
            // It cannot fail without finalizers, and what a script needs is checked when it needs it.
            let _ = self.lua.gc_collect();
        }
        self.lua.set_app_data(Deadline::after(limit));
        let outcome = self.run_until(script, host, keys, arguments);
        let ended = self.end(script);
        match outcome.and_then(|outcome| ended.map(|()| outcome)) {
            Ok(Ok(reply)) => Ok(reply),
            _ if is_late(&self.lua) => Err(Failure::new(
                "ERR Script ended, since it has run for longer than busy-reply-threshold",
            )),
            Ok(Err(problem)) => Err(failure(&problem)),
            Err(error) => Err(Failure::new(format!("ERR {}", raised::first_line(&error)))),
        }
    }

    /// Lets go of the globals of a run. A function belongs to those that are in force when it is made, so those of
    /// each run would keep those of the one before.
    fn end(&self, script: &Function) -> mlua::Result<()> {
        script.set_environment(self.native.clone())?;
        self.lua.set_globals(self.native.clone())
    }

    /// Runs a script, and returns its reply, or the error that it has raised.
    fn run_until(
        &self,
        script: &Function,
        host: &mut dyn Host,
        keys: &[Bytes],
        arguments: &[Bytes],
    ) -> mlua::Result<Result<Reply, Value>> {
        let lua = &self.lua;
        let host = RefCell::new(host);
        lua.scope(|scope| {
            let functions = lua.create_table()?;
            let call = |lua: &Lua, words: MultiValue| api::call(lua, *host.borrow_mut(), &words);
            functions.raw_set("call", scope.create_function(call)?)?;
            let pcall = |lua: &Lua, words: MultiValue| api::pcall(lua, *host.borrow_mut(), &words);
            functions.raw_set("pcall", scope.create_function(pcall)?)?;
            let setresp = |_: &Lua, words: MultiValue| api::setresp(*host.borrow_mut(), &words);
            functions.raw_set("setresp", scope.create_function(setresp)?)?;
            let check = |_: &Lua, words: MultiValue| api::acl_check_cmd(*host.borrow_mut(), &words);
            functions.raw_set("acl_check_cmd", scope.create_function(check)?)?;

            let keys = strings(lua, keys)?;
            let arguments = strings(lua, arguments)?;
            let globals: Table = self.globals.call((functions, keys, arguments))?;
            script.set_environment(globals.clone())?;
            // Those of what a script loads.
            lua.set_globals(globals)?;
            let (is_ok, value): (bool, Value) = self.xpcall.call((script, &self.handler))?;
            if !is_ok {
                return Ok(Err(value));
            }
            let protocol = host.borrow_mut().protocol();
            to_reply(&value, protocol).map(Ok)
        })
    }
}

fn strings(lua: &Lua, items: &[Bytes]) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(items.len(), 0)?;
    for (index, item) in items.iter().enumerate() {
        table.raw_set(index + 1, lua.create_string(item)?)?;
    }
    Ok(table)
}

/// What the prelude needs of this crate.
fn tools(lua: &Lua) -> mlua::Result<Table> {
    let tools = lua.create_table()?;
    tools.raw_set("redis", api::table(lua)?)?;
    tools.raw_set("cjson", json::table(lua)?)?;
    tools.raw_set("loadstring", lua.create_function(loadstring)?)?;
    tools.raw_set("random", lua.create_function(random::random)?)?;
    tools.raw_set("randomseed", lua.create_function(random::seed)?)?;
    tools.raw_set("value", lua.create_function(raised::value)?)?;
    let late = |lua: &Lua, ()| Ok(is_late(lua));
    tools.raw_set("is_late", lua.create_function(late)?)?;
    let check = |lua: &Lua, ()| check_time(lua);
    tools.raw_set("check_time", lua.create_function(check)?)?;
    Ok(tools)
}

/// Whether the time of the script is over.
fn is_late(lua: &Lua) -> bool {
    let deadline = lua.app_data_ref::<Deadline>();
    deadline.is_some_and(|deadline| deadline.is_over())
}

fn check_time(lua: &Lua) -> mlua::Result<()> {
    if is_late(lua) {
        return Err(mlua::Error::external(Raised::TimedOut));
    }
    Ok(())
}

/// A function of this source, which is not one that was compiled before.
fn compile(lua: &Lua, code: &[u8], name: &str) -> Result<Function, String> {
    let chunk = lua
        .load(code)
        .set_name(name)
        .set_mode(mlua::chunk::ChunkMode::Text);
    chunk
        .into_function()
        .map_err(|error| raised::first_line(&error))
}

/// `loadstring`: a function, or nil and an error.
fn loadstring(
    lua: &Lua,
    (code, name): (mlua::LuaString, Option<mlua::LuaString>),
) -> mlua::Result<(Option<Function>, Option<String>)> {
    let name = name.as_ref().unwrap_or(&code).to_string_lossy();
    Ok(match compile(lua, &code.as_bytes(), &name) {
        Ok(function) => (Some(function), None),
        Err(error) => (None, Some(error)),
    })
}

/// An error that no script has caught, as a table with the place at which it was raised.
fn handle(lua: &Lua, error: Value) -> mlua::Result<Table> {
    let table = match raised::value(lua, error)? {
        Value::Table(table) => table,
        other => {
            let table = lua.create_table()?;
            let text = other.to_string()?;
            table.raw_set("err", format!("ERR {text}"))?;
            table
        }
    };
    if let Some((source, line)) = place(lua) {
        table.raw_set("source", source)?;
        table.raw_set("line", line)?;
    }
    Ok(table)
}

/// The source and line at which an error was raised that the handler has got.
fn place(lua: &Lua) -> Option<(String, i64)> {
    // Below are the handler, and the function of the binding that calls it.
    let mut level = 2;
    let frame = |level| {
        lua.inspect_stack(level, |frame| {
            let source = frame.source();
            let line = frame.current_line().map_or(-1, |line| line as i64);
            let text = source.source.unwrap_or_default().into_owned();
            (text, line, source.what == "C")
        })
    };
    let (_, _, is_native) = frame(level)?;
    if is_native {
        level += 1;
    }
    loop {
        let (source, line, _) = frame(level)?;
        if source != PRELUDE {
            return Some((source, line));
        }
        level += 1;
    }
}

/// The error of a script as a reply.
fn failure(problem: &Value) -> Failure {
    let Value::Table(table) = problem else {
        // It was raised where there was no memory for more.
        let text = problem.to_string().unwrap_or_default();
        return Failure::new(format!("ERR {text}"));
    };
    let text = |name: &str| match table.raw_get(name) {
        Ok(Value::String(text)) => Some(text.to_string_lossy()),
        Ok(Value::Integer(number)) => Some(number.to_string()),
        Ok(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let place = text("source").zip(text("line"));
    Failure {
        // Redis 7.0 crashes without a text.
        text: text("err").unwrap_or_else(|| "ERR unknown error".into()),
        place: place.map(|(source, line)| format!("{source}:{line}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::reply::Protocol;

    /// A server whose commands no test here calls.
    struct Nothing;

    impl Host for Nothing {
        fn call(&mut self, _: Vec<Bytes>) -> Reply {
            Reply::Null
        }

        fn may_run(&self, _: &[Bytes]) -> Option<bool> {
            None
        }

        fn protocol(&mut self) -> Protocol {
            Protocol::Resp2
        }

        fn set_protocol(&mut self, _: Protocol) {}
    }

    #[test]
    fn the_globals_of_a_run_that_fails_are_let_go() {
        let mut sandbox = Sandbox::new().expect("Lua");
        let script = sandbox.compile(b"return 1").expect("a script");
        let full = |_: &Lua, _: MultiValue| Err::<(), _>(mlua::Error::MemoryError("full".into()));
        sandbox.xpcall = sandbox.lua.create_function(full).expect("a function");
        let outcome = sandbox.run(&script, &mut Nothing, &[], &[], Duration::ZERO);
        assert!(outcome.is_err());
        assert_eq!(sandbox.lua.globals(), sandbox.native);
        assert_eq!(script.environment(), Some(sandbox.native.clone()));
    }
}
