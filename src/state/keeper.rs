//! The task that keeps deadlines.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::net::Executor;

/// Something that has deadlines.
pub(crate) trait Kept: fmt::Debug + Send + Sync + 'static {
    fn keeper(&self) -> &Keeper;

    /// Does everything that is due, and [arms](Keeper::arm) the keeper for the rest.
    fn expire(self: &Arc<Self>, now: Instant);
}

/// Keeps deadlines by a task on the executor. So they hold while the thread of the actors is blocked. The
/// task ends when nothing is left to wait for, and the next deadline starts another.
#[derive(Debug)]
pub(crate) struct Keeper {
    executor: Arc<Executor>,
    alarm: Mutex<Alarm>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug)]
enum Alarm {
    /// There is no task.
    Idle,
    /// The task runs; the earliest deadline that it has been given since.
    Awake(Option<Instant>),
    Asleep(Instant),
    /// There will be no task any more.
    Over,
}

impl Keeper {
    pub(crate) fn new(executor: Arc<Executor>) -> Self {
        Self {
            executor,
            alarm: Mutex::new(Alarm::Idle),
            changed: Notify::new(),
        }
    }

    /// Ensures that `kept` is looked at by then. It costs a comparison if that is ensured already.
    pub(crate) fn arm<K: Kept>(kept: &Arc<K>, at: Instant) {
        let keeper = kept.keeper();
        let mut alarm = keeper.lock();
        match *alarm {
            Alarm::Over => {}
            Alarm::Asleep(until) if until <= at => {}
            Alarm::Awake(first) => {
                *alarm = Alarm::Awake(Some(first.map_or(at, |first| first.min(at))));
            }
            Alarm::Asleep(_) => {
                *alarm = Alarm::Awake(Some(at));
                drop(alarm);
                keeper.changed.notify_one();
            }
            Alarm::Idle => {
                *alarm = Alarm::Awake(Some(at));
                drop(alarm);
                start(kept, false);
            }
        }
    }

    /// Ends the task, and starts no other one.
    pub(super) fn stop(&self) {
        *self.lock() = Alarm::Over;
        self.changed.notify_one();
    }

    /// Whether the task is to go on. Until it sleeps, later deadlines need not wake it.
    fn wake(&self) -> bool {
        let mut alarm = self.lock();
        if let Alarm::Over = *alarm {
            return false;
        }
        *alarm = Alarm::Awake(None);
        true
    }

    /// When the task is to wake up. If it is to end, there is none from now on.
    fn sleep(&self) -> Option<Instant> {
        let mut alarm = self.lock();
        let Alarm::Awake(until) = *alarm else {
            return None;
        };
        *alarm = until.map_or(Alarm::Idle, Alarm::Asleep);
        until
    }

    /// The task has ended too early. Tells whether another one is to follow.
    fn fail(&self, was_apart: bool) -> bool {
        let mut alarm = self.lock();
        let follows = !was_apart && !matches!(*alarm, Alarm::Over);
        if follows {
            *alarm = Alarm::Awake(None);
        } else if !matches!(*alarm, Alarm::Over) {
            *alarm = Alarm::Idle;
        }
        follows
    }

    fn lock(&self) -> MutexGuard<'_, Alarm> {
        // A panic elsewhere cannot have left it half-changed.
        self.alarm.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the task: on the runtime of the connections, or if that has ended on one of the crate's own.
fn start<K: Kept>(kept: &Arc<K>, is_apart: bool) {
    let watch = Watch {
        kept: kept.clone(),
        is_apart,
        is_over: false,
    };
    let task = async move {
        let keeper = watch.kept.keeper();
        while keeper.wake() {
            watch.kept.expire(Instant::now());
            let Some(until) = keeper.sleep() else { break };
            // An error says that the time has come.
            let _ = timeout_at(until, keeper.changed.notified()).await;
        }
        watch.end();
    };
    let executor = &kept.keeper().executor;
    // An error says that the system refuses threads. Then the pool keeps the deadlines alone.
    let _ = if is_apart {
        executor.spawn_apart(task)
    } else {
        executor.spawn(task)
    };
}

/// Held by the task. If the task ends too early, its runtime has ended, and another one takes over.
struct Watch<K: Kept> {
    kept: Arc<K>,
    is_apart: bool,
    is_over: bool,
}

impl<K: Kept> Watch<K> {
    fn end(mut self) {
        self.is_over = true;
    }
}

impl<K: Kept> Drop for Watch<K> {
    fn drop(&mut self) {
        if !self.is_over && self.kept.keeper().fail(self.is_apart) {
            start(&self.kept, true);
        }
    }
}
