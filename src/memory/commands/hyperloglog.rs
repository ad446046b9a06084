//! HyperLogLogs: estimates of the number of different elements, as strings in the form of Redis.

use bytes::{Bytes, BytesMut};

use crate::memory::{
    command::{
        Command,
        flags::{DENYOOM, FAST, READONLY, WRITE},
    },
    context::Context,
    halt::{Halt, Outcome},
    hyperloglog::{self, Registers},
    keyspace::Value,
    reply::Reply,
};

pub(super) const COMMANDS: &[Command] = &[
    Command::new("pfadd", -2, WRITE | DENYOOM | FAST, (1, 1, 1), pfadd),
    Command::new("pfcount", -2, READONLY, (1, -1, 1), pfcount),
    Command::new("pfmerge", -2, WRITE | DENYOOM, (1, -1, 1), pfmerge),
];

fn registers(cx: &mut Context<'_>, key: &[u8]) -> Result<Option<Registers>, Halt> {
    let bytes = cx.db().read::<Bytes>(key)?;
    bytes.map(|bytes| Registers::read(bytes)).transpose()
}

fn pfadd(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let key = &args[1];
    let old = cx.db().read::<Bytes>(key)?;
    if old.is_some_and(|bytes| hyperloglog::is_dense(bytes)) {
        return add_in_place(cx, args);
    }
    let old = registers(cx, key)?;
    let mut is_changed = old.is_none();
    let mut registers = old.unwrap_or_default();
    for element in &args[2..] {
        is_changed |= registers.add(element);
    }
    if is_changed {
        let value = Value::String(registers.written());
        cx.db().replace(key, value);
    }
    Ok(Reply::flag(is_changed))
}

/// Adds elements to registers without reading them all.
fn add_in_place(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let mut value = cx.db().edit::<Bytes>(&args[1])?;
    let mut bytes = BytesMut::from(std::mem::take(&mut *value));
    let mut is_changed = false;
    for element in &args[2..] {
        is_changed |= hyperloglog::add_to_dense(&mut bytes, element);
    }
    *value = bytes.freeze();
    if is_changed {
        value.touch();
    }
    Ok(Reply::flag(is_changed))
}

fn pfcount(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let union = union(cx, &args[1..])?;
    Ok(Reply::Integer(union.count() as i64))
}

/// The target is a source, too.
fn pfmerge(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    let union = union(cx, &args[1..])?;
    let value = Value::String(union.written());
    cx.db().replace(&args[1], value);
    Ok(Reply::OK)
}

fn union(cx: &mut Context<'_>, keys: &[Bytes]) -> Result<Registers, Halt> {
    let mut union = Registers::default();
    for key in keys {
        if let Some(registers) = registers(cx, key)? {
            union.merge(&registers);
        }
    }
    Ok(union)
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn different_elements_are_counted() {
        let client = Client::new();
        for (command, reply) in [
            ("PFADD h a b c a", ":1"),
            ("PFADD h a", ":0"),
            ("PFCOUNT h", ":3"),
            ("PFADD i c d", ":1"),
            ("PFCOUNT h i none", ":4"),
            ("PFMERGE j h i", "+OK"),
            ("PFCOUNT j", ":4"),
            ("PFADD k", ":1"),
            ("PFADD k", ":0"),
            ("PFCOUNT k", ":0"),
            ("SET s text", "+OK"),
            (
                "PFCOUNT s",
                "-WRONGTYPE Key is not a valid HyperLogLog string value.",
            ),
        ] {
            assert_eq!(client.ask(command), reply, "{command}");
        }
    }
}
