//! The runtimes that the clients are measured on.

use std::{fmt, future::Future};

use anyhow::Result;
use serde::Serialize;
use tokio::{runtime::Builder, task::JoinHandle};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// tokio's, with two workers, so that it is the same on every machine.
    MultiThread,
    /// tokio's.
    CurrentThread,
    /// What `#[actix::main]` starts. Tasks are spawned onto its local set.
    Actix,
}

impl Flavour {
    pub const ALL: [Self; 3] = [Self::MultiThread, Self::CurrentThread, Self::Actix];

    /// Runs a future to its end on a new runtime.
    pub fn block_on<T>(self, future: impl Future<Output = Result<T>>) -> Result<T> {
        match self {
            Self::MultiThread => {
                let mut builder = Builder::new_multi_thread();
                let runtime = builder.worker_threads(2).enable_all().build()?;
                runtime.block_on(future)
            }
            Self::CurrentThread => {
                let mut builder = Builder::new_current_thread();
                builder.enable_all().build()?.block_on(future)
            }
            Self::Actix => actix_rt::System::new().block_on(future),
        }
    }

    /// Spawns a task as programs on this runtime do.
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        match self {
            Self::MultiThread | Self::CurrentThread => tokio::spawn(future),
            Self::Actix => actix_rt::spawn(future),
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MultiThread => "multi-thread",
            Self::CurrentThread => "current-thread",
            Self::Actix => "actix",
        })
    }
}
