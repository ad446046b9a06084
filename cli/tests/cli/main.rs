//! Runs the program itself, against servers that the tests start.

#[path = "../../../tests/common/mod.rs"]
mod common;

/// The part of the program that opens and restores the terminal, to panic in it.
#[path = "../../src/watch/screen/terminal.rs"]
mod screen;

mod config_file;
mod http;
mod program;
mod terminal;

mod bench;
mod blocked;
mod check;
mod explain;
mod panic;
mod serve;
mod watch;
