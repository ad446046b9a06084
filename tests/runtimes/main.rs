//! Kinds of runtimes, and the shutdown. The tests count threads by name, and the threads of all
//! supervisors have the same names, so the tests take turns.

#[path = "../common/mod.rs"]
mod common;

mod kinds;
mod shutdown;

use tokio::sync::Mutex;

/// Held by the running test.
static ALONE: Mutex<()> = Mutex::const_new(());
