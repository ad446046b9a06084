//! The order to stop a run before its time.

use std::sync::Arc;

use tokio::sync::watch;

/// Tells all parts of a run that they are to stop. Clones tell of the same order.
#[derive(Clone, Debug)]
pub(super) struct Halt(Arc<watch::Sender<bool>>);

impl Halt {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub(super) fn ask(&self) {
        self.0.send_replace(true);
    }

    pub(super) fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the order. The future may be dropped at any point.
    pub(super) async fn asked(&self) {
        let mut asked = self.0.subscribe();
        // An error says that there is no sender, and this holds one.
        let _ = asked.wait_for(|is_asked| *is_asked).await;
    }
}
