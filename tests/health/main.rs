//! The circuit and health of a database, their events, and the actions of an operator.

#[path = "../common/mod.rs"]
mod common;

mod circuit;
mod impatience;
mod operator;
mod ratio;
