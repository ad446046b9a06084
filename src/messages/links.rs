//! Addresses by what can be asked there. Only the supervisor knows the actors' types.

use actix::Recipient;

use super::{
    Acquire, AwaitReady, Execute, Operate, Park, Redial, Retire, Revive, Shutdown, Subscribe,
    Sweep, SweepAll,
};

/// What a pool can be asked. Nobody but the supervisor knows its type.
#[derive(Debug)]
pub(crate) struct PoolLink {
    pub(crate) execute: Recipient<Execute>,
    pub(crate) park: Recipient<Park>,
    pub(crate) acquire: Recipient<Acquire>,
    pub(crate) redial: Recipient<Redial>,
    pub(crate) retire: Recipient<Retire>,
    pub(crate) sweep: Recipient<Sweep>,
}

/// What the application's side can ask of the supervisor.
#[derive(Clone, Debug)]
pub(crate) struct SupervisorLink {
    pub(crate) ready: Recipient<AwaitReady>,
    pub(crate) subscribe: Recipient<Subscribe>,
    pub(crate) operate: Recipient<Operate>,
    pub(crate) revive: Recipient<Revive>,
    pub(crate) sweep: Recipient<SweepAll>,
    pub(crate) shutdown: Recipient<Shutdown>,
}
