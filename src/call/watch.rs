//! Calls of a database that remembers what it reads, for a later outage: see
//! [`Fallback::stale_reads`](crate::Fallback::stale_reads). Calls of other databases do not come here.

use redis::Value;

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

    /// Runs work, and remembers the strings that it has read or written; other keys that it may have written are
    /// forgotten.
    pub(super) async fn call_watched(
        &self,
        seen: &SeenValues,
        work: &(impl Work + Sync),
        options: &CallOptions,
    ) -> Result<(Reply, Attempts), Error> {
        let options = options.watched();
        let began = seen.begin();
        if work.only_reads() {
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
        match &called {
            Ok((reply, attempts)) if attempts.source == Source::Redis => {
                write.has_succeeded(reply, began);
            }
            // The store that has run it has seen to that.
            Ok(_) => {}
            Err(error) => write.has_failed(error.execution()),
        }
        called
    }
}

/// Remembers the strings of a GET, or of several in a pipeline.
fn note(seen: &SeenValues, work: &impl Work, reply: &Reply, began: u64) {
    if work.is_transaction() {
        return;
    }
    for (command, reply) in work.each().into_iter().zip(replies(reply)) {
        let words: Vec<_> = args(command).collect();
        seen.note(&words, reply, began);
    }
}

fn replies(reply: &Reply) -> &[Value] {
    match reply {
        Reply::One(reply) => std::slice::from_ref(reply),
        Reply::Many(replies) => replies,
    }
}

/// A write that is under way. When it has ended, or its caller has gone, what it may have written is forgotten, except
/// for values that are known now.
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

    /// It has run, with these replies.
    fn has_succeeded(&mut self, reply: &Reply, began: u64) {
        if self.work.is_transaction() || !self.work.names_its_keys() {
            return;
        }
        let Some(seen) = self.seen.take() else {
            return;
        };
        for (command, reply) in self.work.each().into_iter().zip(replies(reply)) {
            let words: Vec<_> = args(command).collect();
            seen.note_written(&words, reply, began);
        }
    }

    /// It has failed, and may have run or not.
    fn has_failed(&mut self, execution: Execution) {
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
