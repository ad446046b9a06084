//! What a front needs to know of a command before it runs it for a client, and transactions that clients queue.

use redis::{Cmd, Pipeline, Value};

use super::{CallEngine, CallOptions};
use crate::{backend::Backend, error::Error, messages::Grant, policy::command::Class};

impl<B: Backend> CallEngine<B> {
    /// Whether the command may run while earlier commands of the same caller do, as if they were run one after
    /// the other. One that blocks, or may do so, runs on a connection of its own. With several shared connections
    /// each command may take another one, so that only reads may change places.
    pub(crate) fn runs_in_turn(&self, command: &Cmd) -> bool {
        self.is_in_turn(self.class(command))
    }

    /// [`runs_in_turn`](Self::runs_in_turn) of a command of this class.
    pub(super) fn is_in_turn(&self, class: Class) -> bool {
        match class {
            Class::Unknown => false,
            class if class.block().is_some() => false,
            class => class.only_reads() || self.state.settings.load().shared_max == 1,
        }
    }

    /// Whether the command waits on the server for something to happen, as far as is known.
    pub(crate) fn blocks(&self, command: &Cmd) -> bool {
        self.class(command).block().is_some()
    }

    /// Refuses a command that may not run in a transaction on a shared connection.
    pub(crate) fn check(&self, command: &Cmd, options: &CallOptions) -> Result<(), Error> {
        self.place(command, self.class(command), options).map(drop)
    }

    /// Runs an atomic pipeline. Returns all replies, those to `MULTI` and to the queueing of commands included.
    pub(crate) async fn transact(
        &self,
        transaction: &Pipeline,
        options: CallOptions,
    ) -> Result<Vec<Value>, Error> {
        let (replies, _) = self.execute_pipeline(transaction, options).await?;
        Ok(replies)
    }

    /// [`transact`](Self::transact) on a leased connection, which watches keys.
    pub(crate) async fn transact_on(
        &self,
        grant: &mut Grant,
        transaction: &Pipeline,
        options: CallOptions,
    ) -> Result<Vec<Value>, Error> {
        let (replies, _) = self
            .execute_pipeline_on(grant, transaction, options)
            .await?;
        Ok(replies)
    }
}
