//! A configuration file that is read again when it has changed.

use std::{path::PathBuf, sync::Arc, time::Duration};

use actix::{AsyncContext, Handler, Recipient};
use tokio::{sync::broadcast::Sender, task::spawn_blocking};

use super::SupervisorActor;
use crate::{
    log::log_line,
    messages::{Apply, ReadSettings, Watch},
    registry::Registry,
    watching::{ConfigReload, Stamps},
};

/// The time between two looks at the file. It is read once it is the same at two of them, so that one that is being
/// written is not read half.
const INTERVAL: Duration = Duration::from_secs(1);

impl Handler<Watch> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, watch: Watch, ctx: &mut Self::Context) {
        let watching = Watching {
            files: watch.files,
            known: watch.known,
            read: watch.read,
            reports: watch.reports,
            apply: ctx.address().recipient(),
            registry: self.registry.clone(),
        };
        let task = watch.stop.run_until_cancelled_owned(watching.run());
        actix_rt::spawn(self.registry.until_stopped(task));
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
                self.known = last.clone();
                if self.reload().await.is_none() {
                    return;
                }
                last = self.known.clone();
            }
        }
    }

    /// Reads the file and applies it. `None` if the supervisor is ending.
    async fn reload(&mut self) -> Option<()> {
        let read = self.read.clone();
        let report = match spawn_blocking(move || read()).await.ok()? {
            Ok((settings, files)) => {
                if files != self.files {
                    self.known = Stamps::of(&files);
                    self.files = files;
                }
                let applied = self.apply.send(Apply(settings)).await.ok()??;
                let shown = applied.to_string();
                log_line!(
                    self.registry.log,
                    INFO,
                    "the configuration file has changed: {shown}"
                );
                ConfigReload::Applied(applied)
            }
            Err(error) => {
                let shown = error.to_string();
                log_line!(
                    self.registry.log,
                    WARN,
                    "the configuration file has changed and cannot be used, so nothing was changed: {shown}"
                );
                ConfigReload::Refused(error)
            }
        };
        // An error says that nobody reads the reports.
        let _ = self.reports.send(report);
        Some(())
    }
}
