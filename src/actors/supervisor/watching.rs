//! A configuration file that is read again when it has changed.

use std::{path::PathBuf, sync::Arc, time::Duration};

use actix::{AsyncContext, Handler, Recipient, ResponseFuture};
use tokio::{
    sync::broadcast::Sender,
    task::{JoinError, spawn_blocking},
};

use super::SupervisorActor;
use crate::{
    applied::Applied,
    config::{ConfigError, Settings},
    error::ApplyError,
    log::log_line,
    messages::{Apply, NotWatched, ReadSettings, Watch},
    registry::Registry,
    watching::{ConfigReload, Stamps},
};

/// The time between two looks at the file. It is read once it is the same at two of them, so that one that is being
/// written is not read half.
const INTERVAL: Duration = Duration::from_secs(1);

impl Handler<Watch> for SupervisorActor {
    type Result = ResponseFuture<Result<(), NotWatched>>;

    fn handle(&mut self, watch: Watch, ctx: &mut Self::Context) -> Self::Result {
        let mut watching = Watching {
            files: vec![watch.path],
            known: Stamps::default(),
            read: watch.read,
            reports: watch.reports,
            apply: ctx.address().recipient(),
            registry: self.registry.clone(),
        };
        let stop = watch.stop;
        Box::pin(async move {
            let read = watching.read().await;
            let settings = read.map_err(NotWatched::from)?.map_err(ApplyError::from)?;
            let applied = watching.apply(settings).await;
            applied.ok_or(ApplyError::ShuttingDown)?;
            let registry = watching.registry.clone();
            let task = stop.run_until_cancelled_owned(watching.run());
            actix_rt::spawn(registry.until_stopped(task));
            Ok(())
        })
    }
}

struct Watching {
    /// The configuration file, and the files that it names.
    files: Vec<PathBuf>,
    /// Their state when they were read last.
    known: Stamps,
    read: Arc<ReadSettings>,
    reports: Sender<ConfigReload>,
    apply: Recipient<Apply>,
    registry: Arc<Registry>,
}

impl Watching {
    async fn run(mut self) {
        let mut last = self.known.clone();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let files = self.files.clone();
            // A disk that hangs holds up no actor.
            let Ok(stamps) = spawn_blocking(move || Stamps::of(&files)).await else {
                return;
            };
            let is_stable = stamps == last;
            last = stamps;
            if is_stable && last != self.known {
                // Also if reading them fails: they are read again when they change.
                self.known = last.clone();
                if self.reload().await.is_none() {
                    return;
                }
                last = self.known.clone();
            }
        }
    }

    /// Reads the files, and keeps their state of just before: what is written meanwhile is read the next time. Which
    /// files there are is known once the first is read, so that it is read again if they have changed.
    async fn read(&mut self) -> Result<Result<Settings, ConfigError>, JoinError> {
        let (read, known) = (self.read.clone(), self.files.clone());
        let reading = spawn_blocking(move || {
            let mut files = known;
            loop {
                let stamps = Stamps::of(&files);
                let (settings, named) = read();
                if named == files {
                    return (settings, files, stamps);
                }
                files = named;
            }
        });
        let (settings, files, stamps) = reading.await?;
        (self.files, self.known) = (files, stamps);
        Ok(settings)
    }

    /// Makes the databases those of the settings. `None` if the supervisor is ending.
    async fn apply(&self, settings: Settings) -> Option<Applied> {
        self.apply.send(Apply(settings)).await.ok().flatten()
    }

    /// Reads the file and applies it. `None` if the supervisor is ending.
    async fn reload(&mut self) -> Option<()> {
        let report = match self.read().await {
            Ok(Ok(settings)) => {
                let applied = self.apply(settings).await?;
                let shown = applied.to_string();
                log_line!(
                    self.registry.log,
                    INFO,
                    "the configuration file has changed: {shown}"
                );
                ConfigReload::Applied(applied)
            }
            Ok(Err(error)) => {
                let shown = error.to_string();
                log_line!(
                    self.registry.log,
                    WARN,
                    "the configuration file has changed and cannot be used, so nothing was changed: {shown}"
                );
                ConfigReload::Refused(error)
            }
            Err(error) if error.is_panic() => {
                log_line!(
                    self.registry.log,
                    ERROR,
                    "the code that adjusts the configuration panicked, so nothing was changed"
                );
                return Some(());
            }
            Err(_) => return None,
        };
        // An error says that nobody reads the reports.
        let _ = self.reports.send(report);
        Some(())
    }
}
