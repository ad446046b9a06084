//! Calls of a database that remembers what it reads, for a later outage: see
//! [`Fallback::stale_reads`](crate::Fallback::stale_reads). Calls of other databases do not come here.

use super::{CallEngine, CallOptions, args, attempts::Attempts, work::Work};
use crate::{
    backend::Backend,
    error::Error,
    execution::{Execution, Source},
    net::Reply,
    state::SeenValues,
};

impl<B: Backend> CallEngine<B> {
    /// Where the call's values are remembered, if they are.
    pub(super) fn seen(&self, options: &CallOptions) -> Option<&SeenValues> {
        options.remembers.then_some(&self.state.seen)
    }

    /// Runs work, and remembers what it has read, or forgets what it has written.
    pub(super) async fn call_watched(
        &self,
        seen: &SeenValues,
        work: &(impl Work + Sync),
        options: &CallOptions,
    ) -> Result<(Reply, Attempts), Error> {
        let options = options.watched();
        if work.only_reads() {
            let began = seen.begin();
            let called = self.call(work, &options).await;
            if let Ok((reply, attempts)) = &called
                && attempts.source == Source::Redis
            {
                note(seen, work, reply, began);
            }
            return called;
        }
        let mut write = Write::begins(Some(seen), work);
        let called = self.call(work, &options).await;
        if let Err(error) = &called {
            write.has_ended(error.execution());
        }
        called
    }
}

/// Remembers the strings of a GET, or of several in a pipeline.
fn note(seen: &SeenValues, work: &impl Work, reply: &Reply, began: u64) {
    let replies = match reply {
        Reply::One(reply) => std::slice::from_ref(reply),
        Reply::Many(replies) => replies,
    };
    if work.is_transaction() {
        return;
    }
    for (command, reply) in work.each().into_iter().zip(replies) {
        let words: Vec<_> = args(command).collect();
        seen.note(&words, reply, began);
    }
}

/// A write that is under way. When it has ended, or its caller has gone, what it may have written is forgotten.
pub(super) struct Write<'a, W: Work> {
    seen: Option<&'a SeenValues>,
    work: &'a W,
}

impl<'a, W: Work> Write<'a, W> {
    pub(super) fn begins(seen: Option<&'a SeenValues>, work: &'a W) -> Self {
        Self {
            seen: seen.filter(|_| !work.only_reads()),
            work,
        }
    }

    /// It has failed, and may have run or not.
    fn has_ended(&mut self, execution: Execution) {
        if matches!(execution, Execution::NotSent | Execution::NotExecuted) {
            self.seen = None;
        }
    }
}

impl<W: Work> Drop for Write<'_, W> {
    fn drop(&mut self) {
        let Some(seen) = self.seen else {
            return;
        };
        if self.work.names_its_keys() {
            let commands = self.work.each();
            seen.forget(commands.into_iter().flat_map(args));
        } else {
            seen.forget_all();
        }
    }
}
