//! Goal: a consumer handles every entry of a stream at least once, and again only where something failed. Method:
//! consumers on a real server, whose handlers fail, panic, are slow or die, and a server that dies.

#[path = "../common/mod.rs"]
mod common;

mod actors;
mod failures;
mod groups;
mod outages;
mod processes;
mod record;
mod stopping;
mod takeovers;
mod work;
