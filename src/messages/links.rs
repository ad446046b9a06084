//! Addresses of actors, one recipient per message. Only the supervisor knows the types of the actors.

use actix::Recipient;

use super::{
    Acquire, Apply, AwaitReady, CheckHealth, Moved, Operate, Parked, Redial, Release, Replicate,
    Retire, Revive, Shutdown, Subscribe, Sweep, SweepAll, Watch,
};

/// The messages that a pool takes.
#[derive(Debug)]
pub(crate) struct PoolLink {
    pub(crate) parked: Recipient<Parked>,
    pub(crate) release: Recipient<Release>,
    pub(crate) acquire: Recipient<Acquire>,
    pub(crate) redial: Recipient<Redial>,
    pub(crate) retire: Recipient<Retire>,
    pub(crate) moved: Recipient<Moved>,
    pub(crate) sweep: Recipient<Sweep>,
}

/// The messages that the supervisor takes from handles.
#[derive(Clone, Debug)]
pub(crate) struct SupervisorLink {
    pub(crate) ready: Recipient<AwaitReady>,
    pub(crate) subscribe: Recipient<Subscribe>,
    pub(crate) check: Recipient<CheckHealth>,
    pub(crate) replicate: Recipient<Replicate>,
    pub(crate) operate: Recipient<Operate>,
    pub(crate) revive: Recipient<Revive>,
    pub(crate) apply: Recipient<Apply>,
    pub(crate) watch: Recipient<Watch>,
    pub(crate) sweep: Recipient<SweepAll>,
    pub(crate) shutdown: Recipient<Shutdown>,
}
