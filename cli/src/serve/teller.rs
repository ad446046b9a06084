//! Lines that are written by a thread of their own: a reader who does not read holds up that thread and nothing else.

use std::{io, thread, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// So many lines may wait for the reader.
const WAITING: usize = 64;

/// Hands lines to a thread that writes them.
#[derive(Debug)]
pub(super) struct Teller {
    lines: mpsc::Sender<String>,
    /// Ends when all lines are written.
    written: oneshot::Receiver<()>,
}

impl Teller {
    pub(super) fn start(write: impl Fn(String) + Send + 'static) -> io::Result<Self> {
        let (lines, mut handed) = mpsc::channel(WAITING);
        let (is_over, written) = oneshot::channel();
        let work = move || {
            while let Some(line) = handed.blocking_recv() {
                write(line);
            }
            // An error says that the program did not wait for it.
            let _ = is_over.send(());
        };
        // Not one of the runtime, which waits for those at its end.
        thread::Builder::new().name("lines".into()).spawn(work)?;
        Ok(Self { lines, written })
    }

    /// Where further lines go, in turn, and wait if there are many.
    pub(super) fn lines(&self) -> mpsc::Sender<String> {
        self.lines.clone()
    }

    /// Tells a line, unless too many wait.
    pub(super) fn tell(&self, line: impl Into<String>) {
        // The reader does not read, and learns nothing from one line more.
        let _ = self.lines.try_send(line.into());
    }

    /// Waits until all lines are written, but not longer than this. All other senders have to be gone.
    pub(super) async fn finish(self, within: Duration) {
        drop(self.lines);
        // The reader does not read.
        let _ = timeout(within, self.written).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc::channel};

    use super::*;

    #[tokio::test]
    async fn lines_are_written_in_order_before_the_end() {
        let (written, seen) = channel();
        let teller = Teller::start(move |line| written.send(line).expect("a test that listens"));
        let teller = teller.expect("a thread");
        teller.tell("one");
        teller.lines().send("two".into()).await.expect("a thread");
        teller.finish(Duration::from_secs(60)).await;
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["one", "two"]);
    }

    #[tokio::test]
    async fn a_write_that_hangs_holds_up_nothing() {
        let (release, held) = channel::<()>();
        let held = Mutex::new(held);
        let hang = move |_| {
            // Until the test is over.
            let _ = held.lock().expect("no panic").recv();
        };
        let teller = Teller::start(hang).expect("a thread");
        for _ in 0..3 * WAITING {
            teller.tell("a line");
        }
        teller.finish(Duration::from_millis(10)).await;
        drop(release);
    }
}
