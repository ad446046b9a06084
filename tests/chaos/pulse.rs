//! Whether the machine stands still. A thread that does nothing but sleep is late only when it does:
//! what blocks the runtime under test does not block that thread.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

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

/// Beats as long as there are calls.
pub(crate) fn keep_beating(stage: &Stage) {
    while !stage.calls_have_ended() {
        stage.pulse.beat();
        thread::sleep(EVERY);
    }
}
