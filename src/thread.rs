//! The thread that the actors run on.

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::watch,
};

use crate::{
    actors::SupervisorActor,
    config::Settings,
    error::StartError,
    lifeline::{Lifeline, ShutdownReport},
    net::{Executor, SocketConnector},
    registry::Registry,
};

const ACTOR_THREAD: &str = "redis-steward";

/// A supervisor whose thread was spawned, and whose actors may not run yet.
pub(crate) struct Starting {
    registry: Arc<Registry>,
    thread: JoinHandle<()>,
}

impl Starting {
    /// Spawns the thread. It hands the lifeline to `started` when the actors run.
    pub(crate) fn spawn(
        settings: &Settings,
        caller: Option<Handle>,
        started: impl FnOnce(Lifeline) -> bool + Send + 'static,
    ) -> Result<Self, StartError> {
        let executor = Executor::new(caller);
        let registry = Registry::new(settings, executor, Arc::new(SocketConnector::default()));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name(ACTOR_THREAD.into()).spawn({
            let registry = registry.clone();
            move || run_actors(runtime, &registry, started)
        })?;
        Ok(Self { registry, thread })
    }

    /// The running supervisor, from the lifeline that `started` has received.
    pub(crate) fn finish(
        self,
        lifeline: Option<Lifeline>,
    ) -> Result<(Arc<Registry>, Lifeline), StartError> {
        // Without a lifeline the thread has panicked, and the panic has been printed.
        let mut lifeline = lifeline
            .ok_or_else(|| io::Error::other("the actor thread ended before the supervisor ran"))?;
        lifeline.joins(self.thread);
        Ok((self.registry, lifeline))
    }
}

/// Runs the actors until the supervisor has stopped.
fn run_actors(runtime: Runtime, registry: &Arc<Registry>, started: impl FnOnce(Lifeline) -> bool) {
    let (sender, report) = watch::channel(None);
    let mut exit = Exit {
        registry: registry.clone(),
        sender,
        report: ShutdownReport::default(),
    };
    let system = actix_rt::System::with_tokio_rt(|| runtime);
    exit.report = system.block_on(async {
        let (link, stopped) = SupervisorActor::launch(registry.clone());
        // If the caller of `spawn` has gone, dropping the lifeline, here or on its way, stops the
        // supervisor.
        started(Lifeline::new(link, registry.clone(), report));
        stopped.await.unwrap_or_default()
    });
}

/// The last act of the thread, dropped after the actors, also in a panic.
struct Exit {
    registry: Arc<Registry>,
    sender: watch::Sender<Option<ShutdownReport>>,
    report: ShutdownReport,
}

impl Drop for Exit {
    fn drop(&mut self) {
        self.registry.close();
        self.registry.executor.shutdown();
        self.registry.log.close();
        self.sender.send_replace(Some(self.report));
    }
}
