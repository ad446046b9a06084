//! The commands, by family. Each family is a list of commands; together they are the table of the server.

mod acl;
mod bits;
mod client;
mod cluster;
mod connection;
mod geo;
mod hashes;
mod help;
mod hyperloglog;
mod keys;
mod lists;
mod pubsub;
mod sample;
mod scan;
#[cfg(feature = "memory-lua")]
mod scripts;
mod server;
mod sets;
mod sorted_sets;
mod streams;
mod strings;
mod transactions;

use std::sync::LazyLock;

use super::{
    command::{Command, Handler},
    signature::{Signature, Table},
};

const FAMILIES: &[&[Command]] = &[
    acl::COMMANDS,
    bits::COMMANDS,
    client::COMMANDS,
    cluster::COMMANDS,
    connection::COMMANDS,
    geo::COMMANDS,
    hashes::COMMANDS,
    hyperloglog::COMMANDS,
    keys::COMMANDS,
    keys::OBJECT,
    lists::COMMANDS,
    pubsub::COMMANDS,
    #[cfg(feature = "memory-lua")]
    scripts::COMMANDS,
    server::COMMANDS,
    server::CONFIG,
    server::DISABLED,
    server::TABLE,
    sets::COMMANDS,
    sorted_sets::COMMANDS,
    streams::COMMANDS,
    streams::XGROUP,
    streams::XINFO,
    strings::COMMANDS,
    transactions::COMMANDS,
];

static TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::new(all().map(|command| command.signature.clone())));

static HANDLERS: LazyLock<Vec<Handler>> =
    LazyLock::new(|| all().map(|command| command.handler).collect());

fn all() -> impl Iterator<Item = &'static Command> {
    FAMILIES.iter().copied().flatten()
}

pub(super) fn table() -> &'static Table {
    &TABLE
}

/// The function that runs a command of the table.
pub(super) fn handler(command: &Signature) -> Handler {
    HANDLERS[command.number]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::request::Request;

    #[test]
    fn every_name_is_there_once_and_in_lower_case() {
        for command in table().all() {
            assert_eq!(command.name, command.name.to_ascii_lowercase());
            let found = table().named(command.name.as_bytes());
            let found = found.expect("a name that is short enough");
            assert_eq!(found.number, command.number, "{command:?} is there twice");
        }
    }

    #[test]
    fn subcommands_are_commands() {
        let of = |line: &str| {
            let request: Request = line.split(' ').map(|word| word.to_owned().into()).collect();
            table().of(&request).map(|command| command.name)
        };
        assert_eq!(of("Client Id"), Some("client|id"));
        assert_eq!(of("client nonsense"), Some("client"));
        assert_eq!(of("client"), Some("client"));
        assert_eq!(of("get id"), Some("get"));
        assert_eq!(of("nonsense"), None);
    }
}
