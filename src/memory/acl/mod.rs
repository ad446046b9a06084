//! Users, and what each of them may do.
//!
//! `users`: all of them · `user`: one, with passwords · `selector`: commands, keys and channels that are allowed
//! together · `commands`: the commands of a selector · `patterns`: its keys · `denial`: why a command is refused ·
//! `log`: the refusals · `sha256`: digests of passwords

mod commands;
mod denial;
mod log;
mod patterns;
mod selector;
mod sha256;
mod user;
mod users;

#[cfg(test)]
pub(super) use commands::absent;
pub(super) use denial::Denial;
pub(super) use log::{Entry, Log};
pub(super) use selector::Selector;
pub(super) use users::{DEFAULT_USER, Users};

/// What is wrong with a rule, in Redis's words.
type Fault = &'static str;

const SYNTAX: Fault = "Syntax error";
