//! Opening connections.

use std::sync::Arc;

use actix::{AsyncContext, Context, Handler};
use tokio::{task::AbortHandle, time::Instant};

use super::{Event, PoolActor};
use crate::{
    log::log_line,
    messages::{Dialled, Evidence},
    net::{DialError, Established, WhileLoading, WhileMoving},
    policy::pool::{Lane, Place as _},
    state::{Permit, count},
};

/// A dial that is under way. It belongs to the pool: the caller that it was made for may go, and the
/// connection is there for the next.
pub(super) struct Dialling {
    task: AbortHandle,
    began: Instant,
    permit: Arc<Permit>,
    /// It runs on the application's runtime, which may end or lack what it needs.
    on_caller: bool,
    while_moving: WhileMoving,
    /// It was ended, to be made anew with the present address beside the new one.
    begins_anew: bool,
}

impl PoolActor {
    pub(super) fn dial(
        &mut self,
        id: u64,
        permit: Arc<Permit>,
        ctx: &mut Context<Self>,
    ) -> Result<(), Event> {
        let settings = self.state.settings.share();
        let while_moving = match permit.lane() {
            Lane::Leased => WhileMoving::OldFirst,
            Lane::Shared if self.routes().next().is_some() => WhileMoving::NewOnly,
            Lane::Shared => WhileMoving::NewFirst,
        };
        let dialler = self.state.dialler.while_moving(while_moving);
        let of_the_task = permit.clone();
        let dial = async move {
            // Its socket counts, also when the pool is gone meanwhile.
            let permit = of_the_task;
            let established = dialler.dial(&settings, WhileLoading::Wait).await?;
            if let (Lane::Leased, Some(keepalive)) = (permit.lane(), settings.keepalive) {
                let kept = established.transport.keep_alive(&keepalive.of_leases());
                kept.map_err(|error| DialError::Connect(Arc::new(error)))?;
            }
            Ok(established)
        };
        let on_caller = self.registry.executor.is_on_caller();
        let task = self.registry.executor.spawn(dial).map_err(|error| {
            let error = DialError::Spawn(Arc::new(error));
            self.dial_failed(id, permit.lane(), error)
        })?;
        let dialling = Dialling {
            task: task.abort_handle(),
            began: Instant::now(),
            permit,
            on_caller,
            while_moving,
            begins_anew: false,
        };
        self.dials.insert(id, dialling);
        let pool = ctx.address();
        actix_rt::spawn(async move {
            let result = task.await.unwrap_or_else(|error| {
                Err(if error.is_panic() {
                    DialError::Panicked
                } else {
                    DialError::Cancelled
                })
            });
            pool.do_send(Dialled { id, result });
        });
        Ok(())
    }

    fn leads_to_present(&self, established: &Established) -> bool {
        let settings = self.state.settings.load();
        let address = &established.address;
        self.state.dialler.is_present(&settings, address)
    }

    pub(super) fn cancel_dial(&mut self, id: u64) {
        if let Some(dialling) = self.dials.get_mut(&id) {
            // Its end says nothing about the runtime that it ran on.
            dialling.on_caller = false;
            dialling.task.abort();
        }
    }

    /// Where nothing serves any more, callers wait for a dial that may lead to a new address alone.
    pub(super) fn dial_anew_without_routes(&mut self) {
        let is_moving = self.state.dialler.is_moving(&self.settings.address);
        if !is_moving || self.routes().next().is_some() {
            return;
        }
        for dialling in self.dials.values_mut() {
            if dialling.while_moving == WhileMoving::NewOnly {
                dialling.begins_anew = true;
                dialling.task.abort();
            }
        }
    }

    pub(super) fn dial_failed(&mut self, id: u64, lane: Lane, error: DialError) -> Event {
        let (database, cause) = (self.state.name(), error.clone());
        log_line!(self.registry.log, DEBUG, %database, error = %cause, "dial failed");
        count(&self.state.counters.dial_failures);
        if lane == Lane::Leased {
            let text = self.state.explain_dial(&error);
            self.state.lease_error.store(Some(Arc::new(text)));
        } else {
            // Leases may be dialled many at a time.
            let serves = self.routes().next().is_some();
            self.state.dialler.failed_beside(serves);
        }
        Event::DialFailed {
            id,
            reason: error.reason(),
            evidence: Evidence::DialFailed(error),
        }
    }
}

impl Handler<Dialled> for PoolActor {
    type Result = ();

    fn handle(&mut self, Dialled { id, result }: Dialled, ctx: &mut Self::Context) {
        // It is judged by the settings that hold now, though the message of their change may lie behind this one.
        self.look_at_settings(ctx);
        let Some(dialling) = self.dials.remove(&id) else {
            return;
        };
        self.registry.log_certificates(&self.state);
        let permit = dialling.permit;
        let lane = permit.lane();
        let event = match result {
            _ if !self.pool.wants(id) => Event::DialDropped(id),
            // The message of the move may lie behind this one.
            Ok(established) if !self.leads_to_present(&established) => Event::DialDropped(id),
            Ok(established) => {
                let took = dialling.began.elapsed();
                self.state.counters.create_time.record(took);
                self.open(id, established, permit, ctx)
            }
            Err(DialError::Cancelled) if dialling.begins_anew => match self.dial(id, permit, ctx) {
                Ok(()) => return,
                Err(failed) => failed,
            },
            // The runtime has ended, or it has no I/O: another one may do.
            Err(DialError::Cancelled | DialError::Panicked) if dialling.on_caller => {
                self.registry.leave_caller();
                match self.dial(id, permit, ctx) {
                    Ok(()) => return,
                    Err(failed) => failed,
                }
            }
            Err(error) => self.dial_failed(id, lane, error),
        };
        let opened = matches!(event, Event::Opened { .. });
        self.turn(event, ctx);
        if opened {
            // Afterwards: a handoff that begins now is not ended by a connection of before.
            self.tell_opened(id, lane, ctx);
        }
    }
}
