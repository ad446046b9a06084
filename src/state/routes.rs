//! The routes of commands: the shared connections.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    config::Address,
    net::{Activity, Mailbox, Request},
};

/// The connections that all callers share. Never empty.
#[derive(Debug)]
pub(crate) struct Routes(Vec<Arc<Route>>);

/// A shared connection.
#[derive(Debug)]
pub(crate) struct Route {
    /// The connection's id, given by its pool.
    pub(crate) id: u64,
    pub(crate) mailbox: Mailbox,
    /// Where it leads.
    pub(crate) address: Address,
    pub(crate) activity: Arc<Activity>,
    /// The number under which a shared connection gives back the requests that it has not sent.
    pub(crate) number: Option<u64>,
}

impl Routes {
    /// Routes over these connections; `None` if there are none.
    pub(crate) fn of(routes: &[Arc<Route>]) -> Option<Arc<Self>> {
        (!routes.is_empty()).then(|| Arc::new(Self(routes.to_vec())))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter().map(|route| &**route)
    }

    /// Whether this connection is one of them.
    pub(super) fn contains(&self, id: u64) -> bool {
        self.iter().any(|route| route.id == id)
    }

    /// Sends a request on any connection that has not ended.
    pub(super) fn send(&self, request: Request) -> Result<(), Request> {
        let mut left = match self.least_loaded().mailbox.send(request) {
            Ok(()) => return Ok(()),
            Err(refused) => refused.0,
        };
        for route in self.iter() {
            match route.mailbox.send(left) {
                Ok(()) => return Ok(()),
                Err(refused) => left = refused.0,
            }
        }
        Err(left)
    }

    /// Until when replies may be slow by announced maintenance, on any of them.
    pub(crate) fn relaxed_until(&self) -> Option<Instant> {
        let relaxed = self.iter().map(|route| route.activity.relaxed_until());
        relaxed.max()
    }

    /// The connection with the fewest requests outstanding. Connections publish that number once per turn,
    /// so simultaneous callers choose the same connection, which writes their requests together.
    pub(crate) fn least_loaded(&self) -> &Route {
        match &*self.0 {
            [only] => only,
            several => {
                let least = several
                    .iter()
                    .min_by_key(|route| route.activity.outstanding());
                least.expect("BUG: routes without a route")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn the_least_loaded_connection_is_chosen() {
        let route = |id, outstanding| {
            let activity = Activity::starting(Instant::now());
            activity.set_outstanding(outstanding);
            let (mailbox, _) = mpsc::unbounded_channel();
            Arc::new(Route {
                id,
                mailbox,
                address: Address::default(),
                activity: Arc::new(activity),
                number: None,
            })
        };
        let chosen = |loads: &[usize]| {
            let routes: Vec<_> = (0..)
                .zip(loads)
                .map(|(id, load)| route(id, *load))
                .collect();
            Routes::of(&routes).map(|routes| routes.least_loaded().id)
        };
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[7]), Some(0));
        assert_eq!(chosen(&[3, 0, 2]), Some(1));
        assert_eq!(chosen(&[3, 5, 2]), Some(2));
        assert_eq!(
            chosen(&[1, 1]),
            Some(0),
            "the first of equals, so that callers come together"
        );
    }
}
