//! The runtime of connection tasks.

use std::{
    future::Future,
    io, mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};
use tokio_util::task::TaskTracker;

/// Runs connection tasks on the runtime of the application, so that a caller and its connection can share a
/// worker thread. If the application has no runtime, or it has ended, tasks run on the crate's own.
#[derive(Debug)]
pub(crate) struct Executor {
    caller: Option<Handle>,
    caller_is_gone: AtomicBool,
    own: Mutex<Own>,
    running: TaskTracker,
}

/// The crate's own runtime.
#[derive(Debug)]
enum Own {
    None,
    Runs(Runtime),
    /// There will be none any more.
    Over,
}

const OWN_THREAD: &str = "redis-steward-io";

impl Executor {
    /// Runs tasks on the caller's runtime, where given, until it ends.
    pub(crate) fn new(caller: Option<Handle>) -> Self {
        Self {
            caller,
            caller_is_gone: AtomicBool::new(false),
            own: Mutex::new(Own::None),
            running: TaskTracker::new(),
        }
    }

    /// Starts a task. It is cancelled at once if the runtime has ended. The code that awaits the handle then
    /// calls [`Self::leave_caller`].
    pub(crate) fn spawn<F>(&self, task: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let task = self.running.track_future(task);
        match &self.caller {
            Some(caller) if !self.caller_is_gone.load(Relaxed) => Ok(caller.spawn(task)),
            _ => self.spawn_on_own(task),
        }
    }

    /// Starts a task on the crate's own runtime.
    pub(crate) fn spawn_apart<F>(&self, task: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.spawn_on_own(self.running.track_future(task))
    }

    /// Whether tasks run on the runtime of the application.
    pub(crate) fn is_on_caller(&self) -> bool {
        self.caller.is_some() && !self.caller_is_gone.load(Relaxed)
    }

    /// Runs later tasks on the crate's own runtime: that of the application has ended, or has no I/O.
    /// Returns whether they did so far.
    #[must_use]
    pub(crate) fn leave_caller(&self) -> bool {
        self.caller.is_some() && !self.caller_is_gone.swap(true, Relaxed)
    }

    /// Waits until no task is left.
    pub(crate) async fn idle(&self) {
        self.running.close();
        self.running.wait().await;
    }

    /// Ends the crate's own runtime. It must not be called from a task.
    pub(crate) fn shutdown(&self) {
        let own = mem::replace(
            &mut *self.own.lock().unwrap_or_else(PoisonError::into_inner),
            Own::Over,
        );
        if let Own::Runs(own) = own {
            // A task that is held up, for instance by the log of the application, must not delay this.
            own.shutdown_timeout(Duration::from_millis(100));
        }
    }

    fn spawn_on_own<F>(&self, task: F) -> io::Result<JoinHandle<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Own::None = *own {
            let runtime = Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name(OWN_THREAD)
                .enable_all()
                .build()?;
            *own = Own::Runs(runtime);
        }
        match &*own {
            Own::Runs(runtime) => Ok(runtime.spawn(task)),
            Own::None | Own::Over => Err(io::Error::other("the supervisor has ended")),
        }
    }
}
