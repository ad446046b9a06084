//! What a subscription waits for while it is read.

use std::{
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use crate::state::{DatabaseState, clock};

/// A future within a subscription, which is polled when the next event is asked for.
///
/// Locked by none: that makes the subscription one that threads may share.
pub(super) struct Waiting<T>(Mutex<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T> Waiting<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Mutex::new(Box::pin(future)))
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        let future = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        future.as_mut().poll(cx)
    }
}

/// The pauses between attempts to subscribe at nodes of a cluster. They double.
pub(super) struct Pauses(Duration);

const FIRST: Duration = Duration::from_millis(20);
const LAST: Duration = Duration::from_secs(1);

impl Pauses {
    pub(super) fn new() -> Self {
        Self(FIRST)
    }

    /// Waits for a pause, or until the nodes have told something new.
    pub(super) async fn next(&mut self, cluster: &DatabaseState) {
        let until = clock::now() + self.0.mul_f64(0.5 + clock::jitter() / 2.0);
        let table = cluster.cluster.table.present().clone();
        cluster.cluster.table.next(table.as_ref(), until).await;
        self.0 = (2 * self.0).min(LAST);
    }
}
