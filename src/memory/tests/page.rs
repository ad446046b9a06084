//! Goal: `docs/memory-server.md` names the commands that there are. Method: its tables are held against the table
//! of commands, and against that of a real server.

use std::{collections::BTreeSet, fs, path::Path};

use super::is_comparable;
use crate::{
    common::RedisServer,
    memory::{acl, commands, signature::Signature},
};

/// The names in the rows of the page, such as `client|id`: of commands that are supported, and that are not.
struct Page {
    supported: BTreeSet<String>,
    absent: BTreeSet<String>,
}

impl Page {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/memory-server.md");
        let text = fs::read_to_string(path).expect("the page");
        let mut page = Self {
            supported: BTreeSet::new(),
            absent: BTreeSet::new(),
        };
        for row in text.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let names = cells[1].split('`').skip(1).step_by(2);
            let kind = match cells[2] {
                "yes" | "in part" => &mut page.supported,
                "no" => &mut page.absent,
                "with `memory-lua`" if cfg!(feature = "memory-lua") => &mut page.supported,
                "with `memory-lua`" => &mut page.absent,
                other => panic!("a command is supported or not, and not {other:?}: {row}"),
            };
            for name in names {
                let name = name.to_ascii_lowercase().replace(' ', "|");
                assert!(kind.insert(name), "a command is there twice: {row}");
            }
        }
        page
    }

    /// Whether it names a command, or a subcommand of it.
    fn knows(&self, command: &str) -> bool {
        let subcommand = format!("{command}|");
        let mut names = self.supported.union(&self.absent);
        names.any(|name| name == command || name.starts_with(&subcommand))
    }
}

/// Commands that the page has to name: not those whose subcommands it names, and not HELP.
fn to_name(command: &&Signature) -> bool {
    let has_subcommands = command.is_container && command.name != "command";
    !has_subcommands && !command.name.ends_with("|help")
}

#[test]
fn the_page_names_the_commands_of_the_table() {
    let page = Page::read();
    let commands = commands::table().all().iter().filter(to_name);
    let table: BTreeSet<String> = commands.map(|command| command.name.to_owned()).collect();
    let missing: Vec<_> = table.difference(&page.supported).collect();
    let surplus: Vec<_> = page.supported.difference(&table).collect();
    let wrong: Vec<_> = page.absent.intersection(&table).collect();
    assert!(
        missing.is_empty() && surplus.is_empty() && wrong.is_empty(),
        "commands that the page lacks: {missing:?}\nthat are not in the table: {surplus:?}\nthat are, and are said to \
         be not: {wrong:?}"
    );
}

/// Rules of ACL may name the commands that are not there, since the same rules are meant for Redis.
#[test]
fn rules_of_users_may_name_what_the_page_says_is_absent() {
    let absent: BTreeSet<String> = acl::absent().map(str::to_owned).collect();
    assert_eq!(absent, Page::read().absent);
}

#[test]
fn the_page_names_the_commands_of_redis() {
    if !is_comparable() {
        return;
    }
    let page = Page::read();
    let server = RedisServer::start();
    let commands = server.cli(&["COMMAND", "LIST"]);
    let missing: Vec<_> = commands
        .lines()
        .filter(|command| !command.ends_with("|help") && !page.knows(command))
        .collect();
    assert!(!commands.is_empty() && missing.is_empty(), "{missing:?}");
}
