//! The way of one command, or of several that go together, to the node that runs them.

use std::{future::Future, pin::pin, sync::Arc, task::Poll, time::Duration};

use futures_util::poll;
use redis::Value;
use tokio::time::Instant;

use super::super::{CallEngine, CallOptions, attempts::Attempts, work::Work};
use crate::{
    backend::Backend,
    config::Address,
    error::Error,
    events::Reason,
    execution::Stage,
    net::Redirected,
    policy::{
        cluster::{Redirect, is_away, will_pass},
        command::Block,
        gate_state::GateState,
        retry::Idempotence,
        slots::Slot,
    },
    state::{ClusterNode, DatabaseState, SlotTable, clock, count},
};

/// The pauses while a client is sent around by nodes that do not agree, while a slot is being moved, or the cluster finds a new primary. They double.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(50);
/// So many redirects are followed at once, so that a command keeps its place before those that were made later. Nodes that send
/// it around have not agreed yet.
const WITHOUT_PAUSE: u32 = 2;

/// The attempts of a call at nodes, one after the other.
pub(super) struct Way<'a, B> {
    engine: &'a CallEngine<B>,
    /// `None` for commands that any node may run.
    slot: Option<Slot>,
    options: CallOptions,
    deadline: Instant,
    /// It may run twice.
    may_repeat: bool,
    may_block: bool,
    redirects: u32,
    pauses: u32,
    /// An attempt that may have run.
    earlier: Option<Error>,
}

/// Where an attempt is made.
pub(super) struct Stop<B> {
    pub(super) engine: CallEngine<B>,
    pub(super) options: CallOptions,
    /// The node takes the slot over, and has to be asked to run the command nevertheless.
    pub(super) is_asking: bool,
    table: Arc<SlotTable>,
    /// The slot that the node has by that table, and the position of the node.
    place: Option<(Slot, usize)>,
}

impl<'a, B: Backend> Way<'a, B> {
    pub(super) fn new(
        engine: &'a CallEngine<B>,
        slot: Option<Slot>,
        work: &impl Work,
        block: Option<Block>,
        options: CallOptions,
    ) -> Self {
        let deadline = options.deadline(clock::now(), options.time_limit(block));
        let may_repeat = match options.idempotence {
            Idempotence::Yes => true,
            Idempotence::ByCommand => work.only_reads(),
            Idempotence::No => false,
        };
        Self {
            may_repeat,
            // A timeout that the caller has set is for all attempts together.
            may_block: block.is_some() && !options.is_strict(),
            ..Self::until(engine, slot, deadline, options)
        }
    }

    /// The way of something that leaves nothing behind if it fails.
    pub(super) fn until(
        engine: &'a CallEngine<B>,
        slot: Option<Slot>,
        deadline: Instant,
        options: CallOptions,
    ) -> Self {
        Self {
            engine,
            slot,
            options: options.at_node().begun(),
            deadline,
            may_repeat: true,
            may_block: false,
            redirects: 0,
            pauses: 0,
            earlier: None,
        }
    }

    /// The node that has the slot, as far as is known.
    pub(super) async fn first(&self) -> Result<Stop<B>, Error> {
        loop {
            let table = self.engine.table(self.deadline, &self.options).await?;
            let (owner, place, has_just_come) = match self.slot {
                Some(slot) => {
                    let (at, has_just_come) = table.position_as_told(slot);
                    (table.node(at), Some((slot, at)), has_just_come)
                }
                None => (self.owner(&table), None, false),
            };
            if let Some(node) = owner {
                let mut stop = self.stop(node.state.clone(), table.clone(), false);
                stop.options.behind = self.slot.filter(|_| has_just_come);
                stop.place = place;
                return Ok(stop);
            }
            let unserved = self.engine.unserved(self.slot, &table);
            if !self.options.is_patient || clock::now() >= self.deadline {
                return Err(unserved);
            }
            let cluster = &self.engine.state.cluster;
            cluster.table.next(Some(&table), self.deadline).await;
        }
    }

    fn owner<'t>(&self, table: &'t SlotTable) -> Option<&'t ClusterNode> {
        match self.slot {
            Some(slot) => table.owner(slot),
            None => table.any(clock::jitter()),
        }
    }

    fn stop(&self, node: Arc<DatabaseState>, table: Arc<SlotTable>, is_asking: bool) -> Stop<B> {
        Stop {
            engine: CallEngine::on(node, self.engine.backend.clone()),
            options: self.options.ending_unless(self.deadline, self.may_block),
            is_asking,
            table,
            place: None,
        }
    }

    /// The stop at a node that was found without this way.
    pub(super) fn begun_at(&self, node: CallEngine<B>) -> Option<Stop<B>> {
        let table = self.engine.state.cluster.table.present().clone()?;
        Some(self.stop(node.state, table, false))
    }

    /// The next stop after an attempt that has failed, if there is one.
    ///
    /// # Errors
    /// The end of the call.
    pub(super) async fn after(&mut self, last: Stop<B>, error: Error) -> Result<Stop<B>, Error> {
        let is_unexecuted = error.has_not_run() || self.is_refusal(&error);
        if !is_unexecuted && !self.may_repeat {
            return Err(self.ended(error));
        }
        let followed = self.follow(&last, &error).await;
        match followed {
            Some(Ok(stop)) => {
                if !is_unexecuted {
                    self.earlier = Some(error);
                }
                Ok(stop)
            }
            Some(Err(other)) if is_unexecuted => Err(self.ended(other)),
            Some(Err(_)) | None => Err(self.ended(error)),
        }
    }

    /// Whether the node itself has refused a script: for this slot, or in its own words. What scripts answer proves nothing
    /// otherwise.
    fn is_refusal(&self, error: &Error) -> bool {
        match redirect(error) {
            Some(redirect) => self.slot.is_none_or(|slot| slot == redirect.slot),
            None => passes_soon(error),
        }
    }

    /// `None` if the error is the end.
    async fn follow(&mut self, last: &Stop<B>, error: &Error) -> Option<Result<Stop<B>, Error>> {
        let cluster = &self.engine.state.cluster;
        if let Some(redirect) = redirect(error) {
            self.slot = Some(redirect.slot);
            self.redirects += 1;
            if self.redirects > WITHOUT_PAUSE {
                self.pause(&last.table).await?;
            }
            return self.redirected(last, redirect).await;
        }
        match error {
            // Keys of one command are at two nodes, or the cluster finds a new primary.
            error if passes_soon(error) => {
                cluster.ask_again(&self.engine.state.id);
                self.pause(&last.table).await?;
            }
            // The node may have lost the slot meanwhile.
            Error::CircuitOpen { .. }
            | Error::UnknownDatabase { .. }
            | Error::ShuttingDown { .. }
            | Error::ConnectionLost { .. }
            | Error::Abandoned { .. }
            | Error::Failed { .. } => {
                let table = self.engine.table(self.deadline, &self.options).await;
                let table = match table {
                    Ok(table) => table,
                    Err(error) => return Some(Err(error)),
                };
                // Any other node would do without a change, too, but then one after the other would be tried.
                if self.slot.is_none() && Arc::ptr_eq(&table, &last.table) {
                    return None;
                }
                let owner = self.owner(&table)?;
                if Arc::ptr_eq(&owner.state, &last.engine.state) {
                    return None;
                }
            }
            _ => return None,
        }
        Some(self.first().await)
    }

    async fn redirected(
        &self,
        last: &Stop<B>,
        redirect: Redirect<'_>,
    ) -> Option<Result<Stop<B>, Error>> {
        let cluster = &self.engine.state.cluster;
        let asked = last.engine.state.settings.share();
        let host = match (redirect.host, &asked.address) {
            ("", Address::Tcp { host, .. }) => host,
            (host, _) => host,
        };
        let told = Address::of_host(host, redirect.port)?;
        let settings = self.engine.state.settings.share();
        let address = settings.cluster_addresses.reached(told.clone());
        let mut stalled: Option<Redirected> = None;
        // One that no node confirms is waited for in vain.
        loop {
            let table = self.engine.table(self.deadline, &self.options).await;
            let table = match table {
                Ok(table) => table,
                Err(error) => return Some(Err(error)),
            };
            if !redirect.is_ask {
                cluster.moved(redirect.slot, &address, Some(&last.engine.state));
            }
            cluster.ask_again(&self.engine.state.id);
            let at = table.position_of(&address);
            if let Some((at, node)) = at.and_then(|at| Some((at, table.node(at)?))) {
                let state = node.state.clone();
                if let Some(stalled) = &stalled {
                    stalled.turn(self.deadline).await;
                }
                let mut stop = self.stop(state, table, redirect.is_ask);
                stop.place = (!redirect.is_ask).then_some((redirect.slot, at));
                return Some(Ok(stop));
            }
            if clock::now() >= self.deadline {
                return None;
            }
            // Later redirects for the slot wait as well.
            let redirects = &last.engine.state.redirects;
            stalled.get_or_insert_with(|| redirects.stall(redirect.slot.number()));
            cluster.seek(&self.engine.state.id, told.clone());
            cluster.table.next(Some(&table), self.deadline).await;
        }
    }

    /// `None` if no time is left.
    async fn pause(&mut self, table: &Arc<SlotTable>) -> Option<()> {
        let now = clock::now();
        if now >= self.deadline {
            return None;
        }
        let longest = (FIRST_PAUSE * 2_u32.pow(self.pauses.min(8))).min(LAST_PAUSE);
        self.pauses += 1;
        let until = now + longest.mul_f64(0.5 + clock::jitter() / 2.0);
        let until = until.min(self.deadline);
        let cluster = &self.engine.state.cluster;
        cluster.table.next(Some(table), until).await;
        Some(())
    }

    /// The error of the call. If the last attempt did not run and an earlier one may have, that tells more.
    fn ended(&mut self, last: Error) -> Error {
        match self.earlier.take() {
            Some(earlier) if last.has_not_run() => earlier,
            _ => last,
        }
    }
}

impl<B: Backend> Stop<B> {
    /// Runs a call at this stop, for a caller with this engine of the whole. The call hands its request over when it is first
    /// polled, and then the slot may have left.
    pub(super) async fn run<T>(&self, whole: &CallEngine<B>, call: impl Future<Output = T>) -> T {
        let look_back = || {
            if let Some((slot, at)) = self.place {
                whole.look_back(&self.table, slot, at, &self.engine);
            }
        };
        handing_over(call, look_back).await
    }
}

/// Runs a call, and does this once it was polled for the first time. A call that waits before its hand-over, at a circuit or for
/// what the server says of its command, has no place among others.
pub(super) async fn handing_over<T>(call: impl Future<Output = T>, then: impl FnOnce()) -> T {
    let mut call = pin!(call);
    let first = poll!(call.as_mut());
    then();
    match first {
        Poll::Ready(ended) => ended,
        Poll::Pending => call.await,
    }
}

impl<B: Backend> CallEngine<B> {
    /// Which node has which slot; the first time it is waited for.
    pub(in crate::call) async fn table(
        &self,
        deadline: Instant,
        options: &CallOptions,
    ) -> Result<Arc<SlotTable>, Error> {
        loop {
            let gate_state = self.state.gate.state();
            if gate_state.is_final() || gate_state == GateState::Isolated {
                return Err(self.refused(gate_state));
            }
            if let Some(table) = &*self.state.cluster.table.present() {
                return Ok(table.clone());
            }
            if gate_state == GateState::Open && !options.is_patient {
                return Err(self.refused(gate_state));
            }
            if clock::now() >= deadline {
                return Err(self.timed_out(
                    Stage::Connect,
                    Attempts::not_sent(options.timeout),
                    self.state.dial_error.load().as_deref().cloned(),
                ));
            }
            // Boxed, so that the future of this rare case does not enlarge that of every call.
            Box::pin(self.state.cluster.table.next(None, deadline)).await;
        }
    }

    pub(in crate::call) fn unserved(&self, slot: Option<Slot>, table: &SlotTable) -> Error {
        count(&self.state.counters.refused);
        self.state.cluster.ask_again(&self.state.id);
        Error::CircuitOpen {
            database: self.state.name(),
            reason: Reason::ShardDown,
            retry_after: LAST_PAUSE,
            last_error: Some(match (&table.trouble, slot) {
                (Some(trouble), _) => trouble.clone(),
                (None, Some(slot)) => format!("no node serves the slot {slot}").into(),
                (None, None) => "no node serves slots".into(),
            }),
        }
    }
}

/// Whether the reply says that the command is to run elsewhere, or here in a moment.
pub(super) fn sends_away(reply: &Value) -> bool {
    match reply {
        Value::ServerError(error) => is_away(error.code(), error.details().unwrap_or_default()),
        _ => false,
    }
}

fn passes_soon(error: &Error) -> bool {
    match error {
        Error::Server { code, error, .. } => will_pass(code, error.detail().unwrap_or_default()),
        _ => false,
    }
}

fn redirect(error: &Error) -> Option<Redirect<'_>> {
    match error {
        Error::Server { code, error, .. } => Redirect::of(code, error.detail()?),
        _ => None,
    }
}
