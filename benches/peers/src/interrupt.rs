//! Signals that end the run. A `Drop` would not run then, and programs would stay behind.

use std::{process::exit, thread};

use anyhow::{Context, Result};
use tokio::{
    runtime::Builder,
    select,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::program::Programs;

/// What shells report for a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Ends `programs` and this process on Ctrl-C, a request to terminate, or a closed terminal. It
/// has a thread of its own, so that it works whatever the measured runtime is busy with.
pub fn end_on_signal(programs: Programs) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let signals = {
        let _guard = runtime.enter();
        [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ]
        .map(signal)
    };
    let [interrupt, terminate, hangup] = signals;
    let signals = [interrupt?, terminate?, hangup?];
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            runtime.block_on(any(signals));
            programs.end();
            eprintln!("\ninterrupted");
            exit(INTERRUPTED);
        })
        .context("starting the thread that waits for signals")?;
    Ok(())
}

async fn any([mut interrupt, mut terminate, mut hangup]: [Signal; 3]) {
    select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
