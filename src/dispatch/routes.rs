//! Where commands go.

use std::sync::Arc;

use crate::net::{Activity, Mailbox};

/// The connections that all callers share. Never empty.
#[derive(Debug)]
pub(crate) struct Routes(Vec<Arc<Route>>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Route {
    /// Of the connection, counted by its pool.
    pub(crate) id: u64,
    pub(crate) mailbox: Mailbox,
    pub(crate) activity: Arc<Activity>,
}

impl Routes {
    /// `None` where there are none.
    pub(crate) fn of(routes: &[Arc<Route>]) -> Option<Arc<Self>> {
        (!routes.is_empty()).then(|| Arc::new(Self(routes.to_vec())))
    }

    /// The connection with the fewest requests outstanding. They count them once per turn, so that
    /// callers who come at the same time go to the same one: their requests are written together.
    pub(crate) fn least_loaded(&self) -> &Route {
        match &*self.0 {
            [only] => only,
            several => {
                let least = several.iter().min_by_key(|it| it.activity.outstanding());
                least.expect("BUG: routes without a route")
            }
        }
    }
}
