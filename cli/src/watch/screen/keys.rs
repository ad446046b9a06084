//! Keys, and other events of the terminal.

use std::{io, thread};

use crossterm::event::{Event, read};
use tokio::sync::mpsc;

/// Reads events on a thread of its own: on a terminal that has gone away, crossterm reads without an end, and neither
/// signals nor errors of the drawing would be seen.
#[derive(Debug)]
pub(super) struct Keys(mpsc::Receiver<io::Result<Event>>);

impl Keys {
    pub(super) fn read() -> io::Result<Self> {
        let (sender, events) = mpsc::channel(1);
        let work = move || {
            loop {
                let event = read();
                let is_last = event.is_err();
                if sender.blocking_send(event).is_err() || is_last {
                    return;
                }
            }
        };
        // It ends with the process.
        thread::Builder::new().name("keys".into()).spawn(work)?;
        Ok(Self(events))
    }

    /// The next event, or `None` after an error. The future may be dropped without losing one.
    pub(super) async fn next(&mut self) -> Option<io::Result<Event>> {
        self.0.recv().await
    }
}
