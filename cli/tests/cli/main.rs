//! Runs the program itself, against servers that the tests start.

#[path = "../../../tests/common/mod.rs"]
mod common;

mod config_file;
mod http;
mod program;
mod terminal;

mod bench;
mod check;
mod explain;
mod serve;
mod watch;
