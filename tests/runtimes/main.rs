//! Where the crate runs and what it leaves when it ends. The threads of all supervisors have the
//! same names, and the tests count them: they take turns.

#[path = "../common/mod.rs"]
mod common;

mod kinds;
mod shutdown;

use tokio::sync::Mutex;

/// Held by the test that runs.
static ALONE: Mutex<()> = Mutex::const_new(());
