//! The handler of a consumer: code of the application.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    runtime::Handle,
    task::{Id, JoinError, JoinSet},
};

use super::{entry::StreamEntry, error::ConsumerError};
use crate::policy::consumer::EntryId;

/// How a handler ended.
pub(super) enum Verdict {
    Handled,
    Failed(Box<str>),
    /// There is nothing to handle entries any more, for this reason.
    Gone(ConsumerError),
}

/// A handler that has ended.
pub(super) struct Ended {
    pub(super) id: EntryId,
    pub(super) verdict: Verdict,
}

pub(super) type Handling = Pin<Box<dyn Future<Output = Verdict> + Send>>;
pub(super) type Handler = Arc<dyn Fn(StreamEntry) -> Handling + Send + Sync>;

/// The handlers that run, each in a task of its own. Dropping it cancels them.
pub(super) struct Handlers {
    handler: Handler,
    runtime: Handle,
    tasks: JoinSet<Verdict>,
    entries: HashMap<Id, EntryId>,
}

impl Handlers {
    /// Handlers run on the runtime of the application, if there was one when the consumer was started.
    pub(super) fn new(handler: Handler, runtime: Handle) -> Self {
        Self {
            handler,
            runtime,
            tasks: JoinSet::new(),
            entries: HashMap::new(),
        }
    }

    pub(super) fn run(&mut self, id: EntryId, entry: StreamEntry) {
        let handler = self.handler.clone();
        // The call is made in the task as well, so that its panic is one of the handler.
        let task = async move { handler(entry).await };
        let task = self.tasks.spawn_on(task, &self.runtime);
        self.entries.insert(task.id(), id);
    }

    /// The next handler that has ended.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let Some(ended) = ready!(self.tasks.poll_join_next_with_id(cx)) else {
            return Poll::Pending;
        };
        let (task, verdict) = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => {
                (error.id(), Verdict::Gone(ConsumerError::Runtime))
            }
            Err(error) => (error.id(), Verdict::Failed(panic_of(error))),
        };
        let id = self.entries.remove(&task);
        let id = id.expect("BUG: each task has an entry");
        Poll::Ready(Ended { id, verdict })
    }

    /// The next handler that has ended already.
    pub(super) async fn try_ended(&mut self) -> Option<Ended> {
        poll_fn(|cx| {
            Poll::Ready(match self.poll_ended(cx) {
                Poll::Ready(ended) => Some(ended),
                Poll::Pending => None,
            })
        })
        .await
    }
}

fn panic_of(error: JoinError) -> Box<str> {
    let payload = error.into_panic();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    match text {
        Some(text) => format!("the handler panicked: {text}").into(),
        None => "the handler panicked".into(),
    }
}
