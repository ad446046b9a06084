//! Commands whose callers want no reply: [`Cmd::set_no_response`](redis::Cmd::set_no_response).

use redis::Value;
use tokio::time::Instant;

use super::{CallEngine, CallOptions, attempts::Attempts, watch::Write, work::Work};
use crate::{
    backend::Backend,
    error::Error,
    execution::Execution,
    messages::Grant,
    net::{CloseReason, Expected, Failure, Request, Responder},
    policy::command::Block,
    state::{clock, count},
};

impl<B: Backend> CallEngine<B> {
    /// Sends work on a shared connection, and does not wait. The errors that are left are those before it is
    /// handed over.
    pub(super) async fn tell(
        &self,
        work: &impl Work,
        options: &CallOptions,
    ) -> Result<Value, Error> {
        let _write = Write::begins(self.seen(options), work);
        let deadline = options.end(clock::now());
        // It is no trial of the circuit, because its reply is seen by nobody who judges it.
        self.enter(options, deadline).await?.forgo_trial();
        let request = Request {
            may_be_large: work.may_be_large(),
            ..self.unheard(work.pack(), options, deadline)?
        };
        self.hand_over(request, options);
        Ok(Value::Nil)
    }

    /// Sends work on a leased connection, and does not wait.
    pub(super) async fn tell_on(
        &self,
        grant: &mut Grant,
        work: &impl Work,
        block: Option<Block>,
        options: &CallOptions,
    ) -> Result<Value, Error> {
        let _write = Write::begins(self.seen(options), work);
        let limit = options.time_limit(block);
        let deadline = options.deadline(clock::now(), limit);
        self.enter(options, deadline).await?.forgo_trial();
        let packed = (work.pack().0, work.expected_on_lease());
        let request = Request {
            may_block: block.is_some(),
            may_be_large: work.may_be_large(),
            ..self.unheard(packed, options, deadline)?
        };
        grant.session.begin(work.effect());
        match grant.mailbox().send(request) {
            Ok(()) => Ok(Value::Nil),
            Err(_) => {
                count(&self.state.counters.lost);
                let failure = Failure::Lost(CloseReason::Gone.into(), Execution::NotSent);
                Err(self.explain(failure, Attempts::not_sent(limit)))
            }
        }
    }

    fn unheard(
        &self,
        (bytes, expected): (Vec<u8>, Expected),
        options: &CallOptions,
        deadline: Instant,
    ) -> Result<Request, Error> {
        let permit = self.state.in_flight.enter(bytes.len());
        let permit = permit.map_err(|full| self.full(full))?;
        let mut responder = Responder::unheard(permit);
        responder.set_patience(options.is_patient);
        Ok(Request::new(bytes, expected, deadline, responder))
    }
}
