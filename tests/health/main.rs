//! The circuit, the health of a database and its events, and what an operator can do about them.

#[path = "../common/mod.rs"]
mod common;

mod circuit;
mod operator;
mod ratio;
