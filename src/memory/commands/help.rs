//! The reply of the subcommand HELP.

use bytes::Bytes;

use crate::memory::reply::Reply;

/// Lines about the subcommands of a container. Its name is in the first argument.
pub(super) fn help(args: &[Bytes], lines: &[&'static str]) -> Reply {
    let container = String::from_utf8_lossy(&args[0]).to_ascii_uppercase();
    let first = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let lines = lines
        .iter()
        .copied()
        .chain(["HELP", "    Prints this help."]);
    let lines = lines.map(|line| Reply::Status(line.into()));
    Reply::Array(
        std::iter::once(Reply::Status(first.into()))
            .chain(lines)
            .collect(),
    )
}
