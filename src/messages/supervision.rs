//! Messages to the supervisor.

use std::{any::Any, path::PathBuf, sync::Arc, time::Duration};

use actix::Message;
use tokio::{sync::broadcast, task::JoinError, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    applied::Applied,
    config::{Address, ConfigError, DatabaseSettings, Settings},
    error::{ApplyError, Error},
    identity::DatabaseId,
    watching::ConfigReload,
};

/// A child of the supervisor has ended without having been told to stop.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct ChildExited(pub(crate) Child);

/// A child of the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Child {
    Health,
    Janitor,
    /// The actor that follows sentinels.
    Sentinels,
    /// The actor that looks at replicas.
    Replicas,
    /// The actor that learns the nodes of clusters.
    Clusters,
    /// The actor of subscribers.
    Subscribers,
    /// The pool of this database.
    Pool(DatabaseId),
    /// The relay of this database.
    Relay(DatabaseId),
}

/// Answered when every database is healthy, or after this time with the databases that are not.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Error>")]
pub(crate) struct AwaitReady {
    pub(crate) within: Duration,
}

/// Restart a pool that was given up.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Revive(pub(crate) DatabaseId);

/// Make the databases those of these settings. Answered when the ones that were removed have ended; without a report
/// if the supervisor is stopping.
#[derive(Debug, Message)]
#[rtype(result = "Option<Applied>")]
pub(crate) struct Apply(pub(crate) Settings);

/// Reads a configuration file, and tells which files it consists of, also if they cannot be used.
pub(crate) type ReadSettings =
    dyn Fn() -> (Result<Settings, ConfigError>, Vec<PathBuf>) + Send + Sync;

/// Make the databases those of a file, now and whenever it changes. The answer is about now.
#[derive(Message)]
#[rtype(result = "Result<(), NotWatched>")]
pub(crate) struct Watch {
    pub(crate) path: PathBuf,
    pub(crate) read: Arc<ReadSettings>,
    pub(crate) reports: broadcast::Sender<ConfigReload>,
    pub(crate) stop: CancellationToken,
}

/// Why a file is not watched.
pub(crate) enum NotWatched {
    Refused(ApplyError),
    /// The code that adjusts the configuration has panicked, with this.
    Panicked(Box<dyn Any + Send>),
}

impl From<ApplyError> for NotWatched {
    fn from(error: ApplyError) -> Self {
        Self::Refused(error)
    }
}

impl From<JoinError> for NotWatched {
    fn from(error: JoinError) -> Self {
        let stopped = |_| Self::Refused(ApplyError::ShuttingDown);
        error.try_into_panic().map_or_else(stopped, Self::Panicked)
    }
}

/// The settings of databases have changed, or there are other databases. Whoever is told compares the present ones
/// with those that it knows.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Reconfigured;

/// The replicas of some databases are wanted from now on.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Replicate;

/// Have these replicas of a database, each as a database of its own, and no others.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct HaveReplicas {
    pub(crate) of: DatabaseId,
    pub(crate) replicas: Vec<Arc<DatabaseSettings>>,
}

/// Have these nodes of a cluster, each as a database of its own, and no others.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct HaveNodes {
    pub(crate) of: DatabaseId,
    pub(crate) nodes: Vec<Arc<DatabaseSettings>>,
    /// For each slot the position of its node.
    pub(crate) owners: Vec<Option<u16>>,
    /// How many of the nodes serve slots; the others come after them.
    pub(crate) serving: usize,
    /// The replicas of each node that serves slots.
    pub(crate) replicas: Vec<Arc<[Address]>>,
    /// Why there are none.
    pub(crate) trouble: Option<Arc<str>>,
    /// The address of the cluster that has told.
    pub(crate) endpoint: Address,
    /// When it was asked.
    pub(crate) asked: Instant,
}

/// Ask the nodes of this cluster again what they serve.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Survey {
    pub(crate) of: DatabaseId,
    /// A node that another one has named, and that is not known.
    pub(crate) sought: Option<Address>,
}

/// Stop everything. Commands under way get this grace.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Shutdown {
    pub(crate) grace: Duration,
}

/// Sweep all pools now. Answered with the number of connections that were taken out of service.
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub(crate) struct SweepAll;
