//! Detects that the machine stalls. A thread that only sleeps is late only then: a blocked runtime does
//! not block this thread.

use std::{
    sync::{Mutex, Weak},
    thread,
    time::{Duration, Instant},
};

use crate::stage::Stage;

pub(crate) struct Pulse(Mutex<Beats>);

struct Beats {
    last: Instant,
    longest: Duration,
}

const EVERY: Duration = Duration::from_millis(50);

impl Default for Pulse {
    fn default() -> Self {
        Self(Mutex::new(Beats {
            last: Instant::now(),
            longest: Duration::ZERO,
        }))
    }
}

impl Pulse {
    /// The longest time without a beat, the present one included.
    pub(crate) fn stall(&self) -> Duration {
        let beats = self.0.lock().unwrap();
        beats
            .longest
            .max(beats.last.elapsed())
            .saturating_sub(EVERY)
    }

    fn beat(&self) {
        let mut beats = self.0.lock().unwrap();
        beats.longest = beats.longest.max(beats.last.elapsed());
        beats.last = Instant::now();
    }
}

/// Beats until the end of the run, when the stage is dropped.
pub(crate) fn keep_beating(stage: &Weak<Stage>) {
    while let Some(stage) = stage.upgrade() {
        stage.pulse.beat();
        drop(stage);
        thread::sleep(EVERY);
    }
}
