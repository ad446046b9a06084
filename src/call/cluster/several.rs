//! Calls that go to several nodes at once.

use std::sync::Arc;

use futures_util::future::join_all;
use redis::{Cmd, ErrorKind, Value};
use tokio::time::Instant;

use super::super::{
    CallEngine, CallOptions, args,
    merged::{Misfit, merge as merge_replies, merge_parts},
};
use crate::{
    backend::Backend,
    error::{CallPart, Error},
    policy::{
        cluster::{Merge, Part, Split},
        command::Class,
        slots::Slot,
    },
    state::{DatabaseState, clock},
};

/// The end of a part of a call.
pub(super) struct Ended<T> {
    pub(super) node: Arc<str>,
    pub(super) positions: Vec<usize>,
    pub(super) result: Result<T, Error>,
}

impl<B: Backend> CallEngine<B> {
    /// Runs a command whose keys are in several slots, in as many parts at once.
    pub(super) async fn execute_split(
        &self,
        split: Split,
        command: &Cmd,
        class: Class,
        options: CallOptions,
    ) -> Result<Value, Error> {
        let options = options.counted_from(clock::now());
        let (parts, commands) = parts(split, command);
        let running = parts.iter().zip(&commands).map(|(part, command)| async {
            let node = self.name_of(part.slot);
            let run = self
                .execute_at(Some(part.slot), command, class, options)
                .await;
            ended(node, part, run.map(|(reply, _)| reply))
        });
        self.put_together(split, &parts, join_all(running).await)
    }

    /// The reply to a command that was split.
    pub(super) fn put_together(
        &self,
        split: Split,
        parts: &[Part],
        ended: Vec<Ended<Value>>,
    ) -> Result<Value, Error> {
        let merged = merge_parts(split, parts, self.joined(ended)?);
        merged.map_err(|misfit| self.unexpected(misfit))
    }

    /// Runs a command at each node that has slots, and puts the replies together.
    pub(super) async fn execute_at_each(
        &self,
        merge: Merge,
        command: &Cmd,
        options: CallOptions,
    ) -> Result<Value, Error> {
        let options = options.counted_from(clock::now()).at_node();
        let table = self.table(self.call_deadline(&options), &options).await?;
        let running = table.serving().map(|node| async {
            let engine = CallEngine::on(node.state.clone(), self.backend.clone());
            let run = engine.execute_from(command, &options).await;
            at_node(&node.state, run.map(|(reply, _)| reply))
        });
        self.merged(merge, join_all(running).await)
    }

    /// The reply to a command that ran at several nodes.
    pub(super) fn merged(
        &self,
        merge: Merge,
        mut ended: Vec<Ended<Value>>,
    ) -> Result<Value, Error> {
        if merge == Merge::OneSucceeded && ended.iter().any(|part| part.result.is_ok()) {
            ended.retain(|part| part.result.is_ok());
        }
        let merged = merge_replies(merge, self.joined(ended)?);
        merged.map_err(|misfit| self.unexpected(misfit))
    }

    fn unexpected(&self, _: Misfit) -> Error {
        let why = "the replies of the nodes do not fit together";
        let error = (ErrorKind::UnexpectedReturnType, why).into();
        let database = self.state.name();
        Error::Conversion { database, error }
    }

    /// All results; or the error of the only part, or of all of them.
    pub(super) fn joined<T>(&self, ended: Vec<Ended<T>>) -> Result<Vec<T>, Error> {
        if ended.iter().all(|part| part.result.is_ok()) {
            return Ok(ended
                .into_iter()
                .filter_map(|part| part.result.ok())
                .collect());
        }
        let mut errors = ended.iter().map(|part| part.result.as_ref().err());
        if let Some(Some(first)) = errors.next()
            && errors.all(|error| error.is_some_and(|error| error.is_like(first)))
        {
            return Err(first.clone());
        }
        let parts = ended.into_iter().map(|part| CallPart {
            node: part.node,
            positions: part.positions,
            error: part.result.err(),
        });
        Err(Error::InParts {
            database: self.state.name(),
            parts: parts.collect(),
        })
    }

    /// The name of the node that has a slot.
    pub(super) fn name_of(&self, slot: Slot) -> Arc<str> {
        let table = self.state.cluster.table.present();
        let owner = table.as_ref().and_then(|table| table.owner(slot));
        owner.map_or_else(|| self.state.name(), |node| node.state.name())
    }

    pub(in crate::call) fn call_deadline(&self, options: &CallOptions) -> Instant {
        options.end(clock::now())
    }
}

/// The parts of a command, and each as a command. All run at once, whoever has them.
pub(super) fn parts(split: Split, command: &Cmd) -> (Vec<Part>, Vec<Cmd>) {
    let words: Vec<_> = args(command).collect();
    let parts = split.parts(words.iter().copied(), |_| 0);
    let commands = parts.iter().map(|part| {
        let mut command = Cmd::new();
        for word in split.words(part, &words) {
            command.arg(word);
        }
        command
    });
    let commands = commands.collect();
    (parts, commands)
}

pub(super) fn ended(node: Arc<str>, part: &Part, result: Result<Value, Error>) -> Ended<Value> {
    Ended {
        node,
        positions: part.keys.clone(),
        result,
    }
}

pub(super) fn at_node(node: &DatabaseState, result: Result<Value, Error>) -> Ended<Value> {
    Ended {
        node: node.name(),
        positions: Vec::new(),
        result,
    }
}
