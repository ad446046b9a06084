//! Parses commands from bytes. The blocking half of the `redis` crate passes pipelines, and the later
//! steps of a scan, as bytes.

use redis::{Arg, Cmd, ErrorKind, Pipeline, RedisError, RedisResult};

/// Parses bytes that hold exactly one command.
pub(super) fn command(bytes: &[u8]) -> RedisResult<Cmd> {
    // An empty command is packed to nothing. It is refused later, as an empty command.
    if bytes.is_empty() {
        return Ok(Cmd::new());
    }
    let mut reader = Reader(bytes);
    let command = reader.command().ok_or_else(malformed)?;
    match reader.0 {
        [] => Ok(command),
        _ => Err(refused("the bytes hold more than one command")),
    }
}

/// Parses bytes that hold a pipeline, of whose replies the caller wants `count` after `offset`. Replies
/// are skipped only in a transaction: those to `MULTI` and to the queueing of its commands.
pub(super) fn pipeline(bytes: &[u8], offset: usize, count: usize) -> RedisResult<Pipeline> {
    let mut reader = Reader(bytes);
    let mut commands = Vec::new();
    while !reader.0.is_empty() {
        commands.push(reader.command().ok_or_else(malformed)?);
    }
    if offset.checked_add(count) != Some(commands.len()) {
        return Err(refused(
            "the number of commands differs from the number of replies",
        ));
    }
    let mut pipeline = Pipeline::with_capacity(commands.len());
    if offset > 0 {
        commands = unwrapped(commands, count)?;
        pipeline.atomic();
    }
    for command in commands {
        pipeline.add_command(command);
    }
    Ok(pipeline)
}

/// The commands between `MULTI` and `EXEC`.
fn unwrapped(mut commands: Vec<Cmd>, count: usize) -> RedisResult<Vec<Cmd>> {
    let exec = commands.pop();
    let is_wrapped = count == 1
        && commands
            .first()
            .is_some_and(|first| is_alone(first, b"MULTI"))
        && exec.is_some_and(|last| is_alone(&last, b"EXEC"));
    if !is_wrapped {
        return Err(refused("replies would be skipped outside of a transaction"));
    }
    commands.remove(0);
    Ok(commands)
}

fn is_alone(command: &Cmd, name: &[u8]) -> bool {
    command.args_iter().eq([Arg::Simple(name)])
}

/// Reads commands from the front of bytes: arrays of bulk strings, the only form in which clients send
/// them (the Redis protocol specification, "Sending commands to a Redis server").
struct Reader<'a>(&'a [u8]);

/// The shortest encoding of an argument: `$0\r\n\r\n`.
const MIN_ARG: usize = 6;

impl<'a> Reader<'a> {
    fn command(&mut self) -> Option<Cmd> {
        let args = self.number(b'*')?;
        // Memory is reserved for no more arguments than the remaining bytes can hold.
        if args > self.0.len() / MIN_ARG {
            return None;
        }
        let mut command = Cmd::with_capacity(args, 0);
        for _ in 0..args {
            command.arg(self.arg()?);
        }
        Some(command)
    }

    fn arg(&mut self) -> Option<&'a [u8]> {
        let len = self.number(b'$')?;
        let (arg, rest) = self.0.split_at_checked(len)?;
        self.0 = rest.strip_prefix(b"\r\n")?;
        Some(arg)
    }

    /// A line with a type byte and a number without sign or leading zeros.
    fn number(&mut self, sign: u8) -> Option<usize> {
        let line = self.0.strip_prefix(&[sign])?;
        let len = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = line.split_at(len);
        self.0 = rest.strip_prefix(b"\r\n")?;
        if digits.len() > 1 && digits[0] == b'0' {
            return None;
        }
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

fn malformed() -> RedisError {
    refused("the bytes are not commands of the Redis protocol")
}

/// The error does not show the bytes, which may hold secrets.
fn refused(why: &str) -> RedisError {
    let why = format!("{why}; nothing was sent");
    (ErrorKind::Client, "packed commands are refused", why).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redis::{cmd, pipe};

    use super::*;

    fn commands(bytes: &[u8]) -> Option<Vec<Cmd>> {
        let mut reader = Reader(bytes);
        let mut commands = Vec::new();
        while !reader.0.is_empty() {
            commands.push(reader.command()?);
        }
        Some(commands)
    }

    fn packed(commands: &[Cmd]) -> Vec<u8> {
        let mut pipeline = pipe();
        for command in commands {
            pipeline.add_command(command.clone());
        }
        pipeline.get_packed_pipeline()
    }

    #[track_caller]
    fn assert_refused<T>(result: RedisResult<T>, why: &str) {
        let error = result.err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Client);
        let text = error.to_string();
        assert!(
            text.contains(why) && text.contains("nothing was sent"),
            "{text}"
        );
    }

    #[test]
    fn a_command_comes_back() {
        for command in [
            cmd("PING"),
            Cmd::new(),
            cmd(""),
            cmd("SET")
                .arg("k")
                .arg(&b"\0\r\n\xff$3\r\n"[..])
                .arg(1.5)
                .take(),
            cmd("SCAN").cursor_arg(7).arg("COUNT").arg(10).take(),
            cmd("SET").arg("k").arg("x".repeat(100_000)).take(),
        ] {
            let bytes = command.get_packed_command();
            let back = super::command(&bytes).expect("a command");
            assert_eq!(back.get_packed_command(), bytes);
            assert_eq!(back.args_iter().len(), command.args_iter().len());
        }
    }

    #[test]
    fn bytes_that_are_not_a_command_are_refused() {
        let no_commands: [&[u8]; 20] = [
            b"*9223372036854775807\r\n$4\r\nPING\r\n",
            b"\r\n",
            b"PING\r\n",
            b"*\r\n",
            b"*-1\r\n",
            b"*+1\r\n$4\r\nPING\r\n",
            b"*01\r\n$4\r\nPING\r\n",
            b"*1\n$4\nPING\n",
            b"*1\r\n$-1\r\n",
            b"*1\r\n$4\r\nPING",
            b"*1\r\n$4\r\nPING\r",
            b"*1\r\n$4\r\nPING\n\n",
            b"*1\r\n$3\r\nPING\r\n",
            b"*1\r\n$5\r\nPING\r\n",
            b"*1\r\n:4\r\n",
            b"*1\r\n*1\r\n$4\r\nPING\r\n",
            b"*2\r\n$4\r\nPING\r\n",
            b"*99999999999999999999\r\n$4\r\nPING\r\n",
            b"*1\r\n$18446744073709551615\r\nPING\r\n",
            b"%1\r\n$4\r\nPING\r\n$1\r\nx\r\n",
        ];
        for bytes in no_commands {
            assert_refused(command(bytes), "not commands of the Redis protocol");
            assert_refused(pipeline(bytes, 0, 1), "not commands of the Redis protocol");
        }
        let two = packed(&[cmd("PING"), cmd("PING")]);
        assert_refused(command(&two), "more than one");
        assert_refused(command(&two[..two.len() - 1]), "more than one");
        assert_refused(command(b"*1\r\n$4\r\nPING\r\nx"), "more than one");
    }

    #[test]
    fn a_transaction_comes_back_as_one() {
        for len in 0..3 {
            let mut pipeline = pipe();
            pipeline.atomic();
            for at in 0..len {
                pipeline.set(at, at);
            }
            let bytes = pipeline.get_packed_pipeline();
            let back = super::pipeline(&bytes, len + 1, 1).expect("a transaction");
            assert!(back.is_transaction());
            assert_eq!((back.len(), back.get_packed_pipeline()), (len, bytes));
        }
    }

    /// Then each command is refused by its name.
    #[test]
    fn a_multi_by_hand_stays_a_command() {
        let by_hand = packed(&[cmd("MULTI"), cmd("PING"), cmd("EXEC")]);
        let back = pipeline(&by_hand, 0, 3).expect("a pipeline");
        assert_eq!((back.is_transaction(), back.len()), (false, 3));
    }

    #[test]
    fn replies_are_skipped_of_transactions_only() {
        let three = |first: &Cmd, last: &Cmd| packed(&[first.clone(), cmd("PING"), last.clone()]);
        let (multi, exec) = (cmd("MULTI"), cmd("EXEC"));
        assert!(pipeline(&three(&multi, &exec), 2, 1).is_ok());
        for (bytes, offset, count) in [
            (three(&cmd("PING"), &exec), 2, 1),
            (three(&multi, &cmd("PING")), 2, 1),
            (three(cmd("MULTI").arg("x"), &exec), 2, 1),
            (three(&multi, cmd("EXEC").arg("x")), 2, 1),
            (three(&multi, &exec), 1, 2),
            (three(&multi, &exec), 3, 0),
            (packed(&[exec]), 1, 0),
        ] {
            assert_refused(pipeline(&bytes, offset, count), "outside of a transaction");
        }
    }

    #[test]
    fn every_command_has_its_reply() {
        let two = packed(&[cmd("PING"), cmd("PING")]);
        assert!(pipeline(&two, 0, 2).is_ok());
        for (offset, count) in [(0, 1), (0, 3), (1, 0), (2, 1), (usize::MAX, 3)] {
            assert_refused(pipeline(&two, offset, count), "the number of commands");
        }
        assert!(pipeline(b"", 0, 0).expect("an empty pipeline").is_empty());
    }

    fn any_command() -> impl Strategy<Value = Cmd> {
        let arg = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            // Text that resembles the protocol.
            "[*$0-9\r\n]{0,20}".prop_map(String::into_bytes),
        ];
        prop::collection::vec(arg, 0..6).prop_map(|args| {
            let mut command = Cmd::new();
            for arg in args {
                command.arg(arg);
            }
            command
        })
    }

    fn any_commands() -> impl Strategy<Value = Vec<Cmd>> {
        prop::collection::vec(any_command(), 0..6)
    }

    proptest! {
        #[test]
        fn pipelines_come_back(commands in any_commands(), atomic in any::<bool>()) {
            let mut original = pipe();
            for command in &commands {
                original.add_command(command.clone());
            }
            let (offset, count) = if atomic {
                (commands.len() + 1, 1)
            } else {
                (0, commands.len())
            };
            if atomic {
                original.atomic();
            }
            let bytes = original.get_packed_pipeline();
            let back = pipeline(&bytes, offset, count).expect("a pipeline");
            prop_assert_eq!(back.is_transaction(), atomic);
            prop_assert_eq!(back.get_packed_pipeline(), bytes);
            for (ours, theirs) in back.cmd_iter().zip(original.cmd_iter()) {
                prop_assert!(ours.args_iter().eq(theirs.args_iter()));
            }
        }

        /// Bytes that differ a little from commands are refused, or read as exactly the commands that
        /// they encode.
        #[test]
        fn nothing_is_read_that_is_not_there(
            commands in any_commands(),
            at in any::<prop::sample::Index>(),
            with in prop::collection::vec(any::<u8>(), 0..3),
            remove in 0..3_usize,
        ) {
            let mut bytes = packed(&commands);
            let from = at.index(bytes.len() + 1);
            let to = bytes.len().min(from + remove);
            bytes.splice(from..to, with);
            if let Some(read) = super::tests::commands(&bytes) {
                prop_assert_eq!(packed(&read), bytes);
            }
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in "[*$0-9\r\nA]{0,40}") {
            if let Some(read) = commands(bytes.as_bytes()) {
                prop_assert_eq!(packed(&read), bytes.as_bytes());
            }
        }
    }
}
