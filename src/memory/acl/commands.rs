//! The commands that a selector allows.

use bytes::Bytes;

use super::{Fault, SYNTAX};
use crate::memory::{
    categories,
    signature::{Signature, Table, flags},
};

/// Commands of Redis that the server does not have. Rules may name them.
const ABSENT: &str = "\
bgrewriteaof bgsave cluster|addslots cluster|addslotsrange \
cluster|bumpepoch cluster|count-failure-reports cluster|delslots cluster|delslotsrange cluster|failover \
cluster|flushslots cluster|forget cluster|meet cluster|replicas cluster|replicate cluster|reset \
cluster|saveconfig cluster|set-config-epoch cluster|setslot cluster|slaves command|docs \
command|getkeysandflags dump failover fcall fcall_ro function|delete function|dump function|flush \
function|kill function|list function|load function|restore function|stats latency|doctor \
latency|histogram lolwut memory|doctor memory|malloc-stats memory|stats migrate module|load module|loadex \
module|unload monitor pfdebug pfselftest psync replconf replicaof restore restore-asking save \
script|debug shutdown slaveof sync waitaof";

/// Of scripts, which need a feature.
const SCRIPTS: &str =
    "eval eval_ro evalsha evalsha_ro script|exists script|flush script|kill script|load";

const UNKNOWN: Fault = "Unknown command or category name in ACL";
const DEEP: Fault = "Allowing first-arg of a subcommand is not supported";

#[derive(Clone, Debug)]
pub(super) struct Commands {
    table: &'static Table,
    /// By the numbers of the commands.
    allowed: Vec<bool>,
    /// A command that is allowed with this first argument alone.
    with_argument: Vec<(usize, Bytes)>,
    /// Whether the rules begin with all commands.
    begins_with_all: bool,
    /// Later rules: whether they allow, and the command, or `@category`.
    rules: Vec<(bool, String)>,
}

impl Commands {
    pub(super) fn none(table: &'static Table) -> Self {
        Self {
            table,
            allowed: vec![false; table.all().len()],
            with_argument: Vec::new(),
            begins_with_all: false,
            rules: Vec::new(),
        }
    }

    /// All of them, or none.
    pub(super) fn set_all(&mut self, is_allowed: bool) {
        *self = Self::none(self.table);
        self.begins_with_all = is_allowed;
        self.allowed.fill(is_allowed);
    }

    pub(super) fn allows_all(&self) -> bool {
        self.begins_with_all && self.rules.is_empty()
    }

    /// Allows, or forbids, what is named: `@category`, `command`, `command|subcommand`, or `command|argument`.
    pub(super) fn set(&mut self, is_allowed: bool, named: &[u8]) -> Result<(), Fault> {
        let named = String::from_utf8_lossy(named).to_ascii_lowercase();
        match named.strip_prefix('@') {
            Some("all") => {
                self.set_all(is_allowed);
                return Ok(());
            }
            Some(category) => self.set_category(is_allowed, category)?,
            None => self.set_command(is_allowed, &named)?,
        }
        self.note(is_allowed, named);
        Ok(())
    }

    fn set_category(&mut self, is_allowed: bool, category: &str) -> Result<(), Fault> {
        if !categories::ORDER.contains(&category) {
            return Err(UNKNOWN);
        }
        let commands = self.table.all().iter();
        for command in commands.filter(|command| categories::of(command).contains(&category)) {
            self.change(command.number, is_allowed);
        }
        Ok(())
    }

    /// Allows, or forbids, a command with any argument.
    fn change(&mut self, number: usize, is_allowed: bool) {
        self.allowed[number] = is_allowed;
        self.with_argument.retain(|(other, _)| *other != number);
    }

    fn set_command(&mut self, is_allowed: bool, named: &str) -> Result<(), Fault> {
        if let Some(command) = self.table.named(named.as_bytes()) {
            self.change(command.number, is_allowed);
            for subcommand in self.table.subcommands(command.name) {
                self.change(subcommand.number, is_allowed);
            }
            return Ok(());
        }
        if is_absent(named) {
            return Ok(());
        }
        let (name, argument) = named.split_once('|').ok_or(UNKNOWN)?;
        let command = self.table.named(name.as_bytes()).ok_or(UNKNOWN)?;
        if !is_allowed || command.is_container && !argument.contains('|') {
            return Err(UNKNOWN);
        }
        if command.is_container || argument.contains('|') {
            return Err(DEEP);
        }
        if argument.is_empty() {
            return Err(SYNTAX);
        }
        let allowed = (command.number, Bytes::copy_from_slice(argument.as_bytes()));
        if !self.with_argument.contains(&allowed) {
            self.with_argument.push(allowed);
        }
        Ok(())
    }

    /// Notes a rule. It takes the place of earlier ones about the same.
    fn note(&mut self, is_allowed: bool, named: String) {
        self.rules.retain(|(_, earlier)| {
            let rest = earlier.strip_prefix(&named);
            !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
        });
        self.rules.push((is_allowed, named));
    }

    pub(super) fn allow(&self, command: &Signature, args: &[Bytes]) -> bool {
        if self.allowed[command.number] || command.has(flags::NO_AUTH) {
            return true;
        }
        let first = args.get(1);
        self.with_argument.iter().any(|(number, argument)| {
            *number == command.number
                && first.is_some_and(|first| first.eq_ignore_ascii_case(argument))
        })
    }

    /// The rules, as ACL LIST shows them.
    pub(super) fn description(&self) -> String {
        let sign = |is_allowed: bool| if is_allowed { '+' } else { '-' };
        let mut text = format!("{}@all", sign(self.begins_with_all));
        for (is_allowed, named) in &self.rules {
            text.push(' ');
            text.push(sign(*is_allowed));
            text.push_str(named);
        }
        text
    }
}

/// The commands that Redis has, and the server has not.
pub(in crate::memory) fn absent() -> impl Iterator<Item = &'static str> {
    let scripts = if cfg!(feature = "memory-lua") {
        ""
    } else {
        SCRIPTS
    };
    let names = ABSENT.split_ascii_whitespace();
    names.chain(scripts.split_ascii_whitespace())
}

/// Whether this is such a command, or the container of one.
fn is_absent(named: &str) -> bool {
    absent().any(|name| {
        let rest = name.strip_prefix(named);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
    })
}

#[cfg(test)]
mod tests {
    use super::Commands;
    use crate::memory::commands;

    #[test]
    fn a_rule_that_is_repeated_is_kept_once() {
        let mut rules = Commands::none(commands::table());
        for _ in 0..3 {
            for argument in [&b"select|0"[..], b"select|1", b"SELECT|1"] {
                rules.set(true, argument).expect("a rule");
            }
        }
        assert_eq!(rules.with_argument.len(), 2);
        assert_eq!(rules.description(), "-@all +select|0 +select|1");
    }
}
