//! A configuration file that is watched while the supervisor runs.

use std::{fmt, fs::Metadata, path::PathBuf, time::SystemTime};

use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::DropGuard;

use crate::{applied::Applied, config::ConfigError};

/// The reports of a watched file; see [`Supervisor::watch`](crate::Supervisor::watch).
///
/// When it is dropped, the file is not watched any more. [`detach`](Self::detach) goes on without it.
#[must_use = "the file is watched for as long as this lives"]
pub struct ConfigWatch {
    reports: Receiver<ConfigReload>,
    guard: DropGuard,
}

/// What a change of a watched file has led to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConfigReload {
    /// The file is valid, and its databases are those of the supervisor.
    Applied(Applied),
    /// The file cannot be used, for these reasons, and nothing was changed.
    Refused(ConfigError),
}

impl ConfigWatch {
    pub(crate) fn new(reports: Receiver<ConfigReload>, guard: DropGuard) -> Self {
        Self { reports, guard }
    }

    /// The next change of the file, once it has been dealt with. `None` after a shutdown.
    ///
    /// A reader that is behind by more than 16 changes misses the oldest. The future may be dropped at any point.
    pub async fn next(&mut self) -> Option<ConfigReload> {
        loop {
            match self.reports.recv().await {
                Ok(report) => return Some(report),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Watches the file until the supervisor ends. The log tells of changes.
    pub fn detach(self) {
        self.guard.disarm();
    }
}

impl fmt::Debug for ConfigWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigWatch").finish_non_exhaustive()
    }
}

/// By what a state of each file is known without reading it: time, length and inode. `None` for one that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamps(Vec<Option<(SystemTime, u64, u64)>>);

impl Stamps {
    pub(crate) fn of(files: &[PathBuf]) -> Self {
        let stamp = |file: &PathBuf| {
            let metadata = file.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), inode(&metadata)))
        };
        Self(files.iter().map(stamp).collect())
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

/// Other systems have none.
#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}
