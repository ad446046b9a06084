//! From the words of a command to its class.

use super::{Class, Upper, reads::only_reads, special::special, writes::may_write};

impl Class {
    /// The class of a command by its words, the name first.
    ///
    /// Called for every command, so it allocates nothing, and puts the name into capitals once.
    pub(crate) fn of<'a>(mut args: impl Iterator<Item = &'a [u8]>) -> Self {
        let Some(name) = args.next() else {
            return Self::Empty;
        };
        let name = Upper::of(name);
        if let Some(class) = special(&name, args) {
            class
        } else if only_reads(&name) {
            Self::Reads
        } else if may_write(&name) {
            Self::Plain
        } else {
            Self::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::command::Block;

    fn of(command: &str) -> Class {
        Class::of(command.split(' ').map(str::as_bytes))
    }

    #[test]
    fn names_are_recognized_in_any_case() {
        for command in [
            "GET k",
            "get k",
            "ZrAnGe z 0 1",
            "PING",
            "MEMORY USAGE k",
            "TTL k",
        ] {
            assert!(of(command).only_reads(), "{command}");
        }
        for command in [
            "SET k v",
            "INCR k",
            "GETDEL k",
            "GETEX k",
            "GETSET k v",
            "EVAL s 0",
            "FCALL f 0",
            "PUBLISH c m",
            "XREADGROUP GROUP g c STREAMS k >",
            "SORT k",
            "EXPIRE k 1",
            "SPOP s",
            "MEMORY PURGE",
            "MEMORY",
            "HGETDEL h FIELDS 1 f",
            "TS.READ k -",
            "FT.AGGREGATE i *",
            "JSON.GETX k",
            "",
            "GETX",
        ] {
            assert!(!of(command).only_reads(), "{command}");
        }
        assert_eq!(Class::of(std::iter::empty()), Class::Empty);
    }

    #[test]
    fn commands_that_are_on_no_list_are_classified_by_the_flags_of_the_server() {
        assert_eq!(of("NEWER k 0"), Class::Unknown);
        for (flags, class) in [
            ("readonly fast @read @fast", Class::Plain),
            (
                "write denyoom blocking @write @list @slow",
                Class::Blocks(Block::Forever),
            ),
            ("noscript @blocking @connection", Class::Configures),
            ("pubsub noscript blocking @pubsub", Class::TakesReplies),
            ("admin noscript @admin @dangerous", Class::Administers),
            ("", Class::Plain),
            ("write module", Class::RunsScript { only_reads: false }),
            ("module readonly", Class::RunsScript { only_reads: false }),
            ("module blocking", Class::BlocksInModule(Block::Forever)),
            ("module admin", Class::Administers),
        ] {
            assert_eq!(Class::of_flags(flags.split(' ')), class, "{flags}");
        }
    }
}
