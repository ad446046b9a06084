//! The log of a supervisor. Its lines go to `tracing` on a thread of their own.
//!
//! A subscriber of `tracing` is code of the application: it may write to a disk that is full, ask this crate for
//! its statistics, or panic. So no actor runs it, and it is never run under a lock. Besides `span`, this is the one file
//! that names `tracing`.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tracing::{Level, dispatcher, level_filters::LevelFilter};

/// The name of the thread.
const LOG_THREAD: &str = "redis-steward-log";

/// The most lines that wait while a subscriber is slow. Further ones are dropped and counted.
const CAPACITY: usize = 1_024;

/// The thread ends when there was no line for this long: most programs log nothing for days.
const LINGER: Duration = Duration::from_secs(1);

/// How long a shutdown waits for a subscriber that is slow.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes a line to a [`Log`], with the target `redis_steward`: a level, then the fields and the text as in `tracing::event!`. The line owns its
/// fields, which are shown on the thread of the log.
macro_rules! log_line {
    ($log:expr, $level:ident, $($line:tt)+) => {
        $log.write(tracing::Level::$level, move || {
            tracing::event!(target: "redis_steward", tracing::Level::$level, $($line)+)
        })
    };
}
pub(crate) use log_line;

type Line = Box<dyn FnOnce() + Send>;

/// Hands lines to its thread, in order, and never waits for it.
#[derive(Default)]
pub(crate) struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    /// There is a line, the log is closed, or the thread ends.
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    waiting: VecDeque<Line>,
    /// Lines that found no room, and were not reported yet.
    dropped: u64,
    /// The thread takes each line that is there before it ends.
    is_served: bool,
    /// The last thread that was started.
    thread: Option<JoinHandle<()>>,
    is_closed: bool,
}

impl Log {
    /// Hands over a line, which is a call of a `tracing` macro.
    pub(crate) fn write(&self, level: Level, line: impl FnOnce() + Send + 'static) {
        if !is_wanted(level) {
            return;
        }
        let line: Line = Box::new(line);
        let mut lines = self.0.lock();
        if lines.is_closed {
            return;
        }
        if lines.waiting.len() == CAPACITY {
            lines.dropped += 1;
            return;
        }
        lines.waiting.push_back(line);
        if lines.is_served {
            self.0.changed.notify_all();
            return;
        }
        let shared = self.0.clone();
        let thread = thread::Builder::new().name(LOG_THREAD.into());
        // If the system has no thread, the lines stay, and the next line tries again.
        lines.thread = thread.spawn(move || shared.serve()).ok();
        lines.is_served = lines.thread.is_some();
    }

    /// Waits until all lines are written and the thread has ended, at most for a second. Later lines are dropped.
    pub(crate) fn close(&self) {
        let mut lines = self.0.lock();
        lines.is_closed = true;
        self.0.changed.notify_all();
        let is_served = |lines: &mut Lines| lines.is_served;
        let waited = self
            .0
            .changed
            .wait_timeout_while(lines, PATIENCE, is_served);
        let (mut lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let thread = lines.thread.take().filter(|_| !lines.is_served);
        drop(lines);
        if let Some(thread) = thread {
            // It takes no more lines. The panic of a line was caught, so this is no error.
            let _ = thread.join();
        }
    }
}

/// Whether a line of this level could reach anything. A program without a subscriber may still have `tracing` hand
/// its lines to the `log` crate.
fn is_wanted(level: Level) -> bool {
    !dispatcher::has_been_set() || level <= LevelFilter::current()
}

impl Shared {
    /// Writes lines until there was none for a while.
    fn serve(&self) {
        while let Some((line, dropped)) = self.next() {
            // A panic of a subscriber was printed, and concerns this line alone.
            let _ = catch_unwind(AssertUnwindSafe(line));
            if dropped > 0 {
                let report = || {
                    tracing::warn!(target: "redis_steward", dropped, "lines of the log were dropped: its writer is slow");
                };
                let _ = catch_unwind(report);
            }
        }
    }

    /// The next line, and the number of lines that were dropped since the last one.
    fn next(&self) -> Option<(Line, u64)> {
        let is_idle = |lines: &mut Lines| lines.waiting.is_empty() && !lines.is_closed;
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), LINGER, is_idle);
        let (mut lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let line = lines.waiting.pop_front();
        if line.is_none() {
            lines.is_served = false;
            self.changed.notify_all();
        }
        Some((line?, std::mem::take(&mut lines.dropped)))
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        // No line runs under the lock, so nothing can panic under it.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn lines_are_written_in_order_by_another_thread_which_ends_with_the_log() {
        let log = Log::default();
        let (sender, written) = mpsc::channel();
        for number in 0..100 {
            let sender = sender.clone();
            log.write(Level::INFO, move || {
                let written = (number, thread::current().id());
                sender.send(written).expect("a test");
            });
        }
        drop(sender);
        log.close();
        let written: Vec<_> = written.into_iter().collect();
        assert!(written.iter().map(|(number, _)| *number).eq(0..100));
        assert!(written.iter().all(|(_, id)| *id != thread::current().id()));
        assert!(!log.0.lock().is_served, "the thread has ended");
    }

    #[test]
    fn a_line_that_panics_takes_no_other_with_it() {
        let log = Log::default();
        let (sender, written) = mpsc::channel();
        log.write(Level::INFO, || {
            panic!("a panic of a subscriber, as planned")
        });
        log.write(Level::INFO, move || sender.send(()).expect("a test"));
        written.recv().expect("the next line");
        log.close();
    }

    #[test]
    fn a_writer_that_blocks_delays_no_caller_and_costs_bounded_memory() {
        let log = Log::default();
        let (began, has_begun) = mpsc::channel::<()>();
        let (release, is_released) = mpsc::channel::<()>();
        log.write(Level::INFO, move || {
            drop(began);
            let _ = is_released.recv();
        });
        assert!(has_begun.recv().is_err(), "the writer blocks");
        let (sender, written) = mpsc::channel();
        for number in 0..CAPACITY + 10 {
            let sender = sender.clone();
            log.write(Level::INFO, move || sender.send(number).expect("a test"));
        }
        drop(sender);
        assert_eq!(log.0.lock().dropped, 10);
        drop(release);
        assert!(written.into_iter().eq(0..CAPACITY));
        log.close();
        assert_eq!(log.0.lock().dropped, 0, "they were reported");
    }

    #[test]
    fn a_log_that_was_quiet_starts_a_thread_again() {
        let log = Log::default();
        for _ in 0..2 {
            let (sender, written) = mpsc::channel();
            log.write(Level::INFO, move || sender.send(()).expect("a test"));
            written.recv().expect("a line");
            let is_served = |lines: &mut Lines| lines.is_served;
            let quiet = log.0.changed.wait_while(log.0.lock(), is_served);
            drop(quiet.expect("no panic"));
        }
    }
}
