//! Every message that crosses an actor boundary, on one page.
//!
//! | message | from | to | asks or tells |
//! |---|---|---|---|
//! | [`Execute`] | actors of the application | relay | run this command |
//! | [`Subscribe`] | actors of the application | supervisor | send me the health events |
//! | [`HandleEntry`](crate::HandleEntry) | consumers of streams | an actor of the application | handle this entry |
//! | `Parked` | the parking | pool | requests wait for a connection, or wait no more |
//! | `Release` | handles | pool | what was sent before is done: send this request again |
//! | `Acquire` | handles | pool | give me a connection of my own |
//! | `Released` | leases | pool | a leased connection was given back |
//! | `Redial` | health | pool | try to open a connection now |
//! | `Retire` | health, handles | pool | stop using the present connection |
//! | `Moved` | sentinels | pool | the primary is there: end the connections to others |
//! | `Switched`, `NotFollowed` | the sentinels' tasks | sentinels | the primary of a service is another one; the task has ended |
//! | `Listen` | the state of subscribers | subscribers | start the task of their connection |
//! | `Ended` | the tasks of subscribers | subscribers | the task has ended |
//! | `Sweep` | janitor | pool | close connections that are idle for too long or too old |
//! | `SweepAll` | the supervisor | janitor | make all pools do so now |
//! | `Drain` | supervisor | pool | finish what is under way and stop |
//! | `Dialled`, `ConnectionEnded`, `Verified`, `NotVerified` | the pool's tasks | the same pool | the result of a task |
//! | `Announced` | connections | their pool | the server announces its maintenance |
//! | `Saturated` | connections | their pool | a shared connection is saturated |
//! | `Report` | handles and pools | health | evidence about a database |
//! | `EndpointChecked`, `Probed`, `Asked`, `RecoveryEnded` | health's tasks | health | the result of a task |
//! | `ChildExited` | guards in every child | supervisor | a child has ended without being told to |
//! | `AwaitReady`, `Revive`, `Shutdown`, `SweepAll` | [`Supervisor`](crate::Supervisor) | supervisor | as they say |
//! | `Operate` | the supervisor | health | isolate a database, or reset its circuit |
//! | `Apply` | [`Supervisor`](crate::Supervisor) | supervisor | change the databases to these |
//! | `Watch` | [`Supervisor`](crate::Supervisor) | supervisor | do so whenever this file changes |
//! | `Replicate` | handles | supervisor | replicas of a database are wanted from now on |
//! | `HaveReplicas` | replicas | supervisor | have these replicas of a database, and no others |
//! | `HaveNodes` | clusters | supervisor | have these nodes of a cluster, and no others |
//! | `Survey` | handles, pools | clusters | ask the nodes of this cluster again |
//! | `Surveyed` | the clusters' tasks | clusters | what nodes say of their cluster |
//! | `Looked` | the replicas' tasks | replicas | what a database and its replicas say of their replication |
//! | `Reconfigured` | the supervisor | health, janitor, sentinels, replicas, clusters, subscribers, pools | databases or settings have changed: compare |

mod application;
mod health;
mod lending;
mod links;
mod pool;
mod subscribers;
mod supervision;

pub use application::{Execute, Subscribe};
pub(crate) use health::{
    Asked, CheckHealth, EndpointChecked, Evidence, Operate, Operation, Probed, RecoveryEnded,
    Report,
};
pub(crate) use lending::{Acquire, Caller, Grant, LeaseAnswer, NoGrant, Released, Waiting};
pub(crate) use links::{PoolLink, SupervisorLink};
pub(crate) use pool::{
    Announced, Authenticated, ConnectionEnded, Dialled, Drain, LoginFetched, Moved, NotVerified,
    Parked, Redial, Release, Retire, Saturated, Sweep, Verified,
};
pub(crate) use subscribers::Listen;
pub(crate) use supervision::{
    Apply, AwaitReady, Child, ChildExited, HaveNodes, HaveReplicas, NotWatched, ReadSettings,
    Reconfigured, Replicate, Revive, Shutdown, Survey, SweepAll, Watch,
};
