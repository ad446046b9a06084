//! How a database is.

use std::time::Duration;

use super::Database;
use crate::{events::HealthState, health_check::HealthCheck};

impl Database {
    /// What is known of the database now: no server is asked, and nothing is waited for. The time until the next probe
    /// counts from now.
    pub fn state(&self) -> HealthState {
        self.lifeline.registry.present_state(&self.engine.state).0
    }

    /// Asks the server how it is, and gives that together with what is known.
    ///
    /// The question takes a connection of its own, so that it waits behind no command, and it is put also while the
    /// circuit is open. Checks at the same time share one. It counts for nothing: neither for the circuit nor in the
    /// statistics. If the server has not answered `within` this time, the result says so; less than the connect
    /// timeout and the attempt timeout together, or during announced maintenance the [relaxed
    /// timeout](crate::DatabaseConfig::relaxed_timeout), cuts off a slow but healthy server. The future may be dropped at any
    /// point.
    ///
    /// ```
    /// # async fn example(main: &redis_steward::Database) {
    /// use std::time::Duration;
    ///
    /// let check = main.health_check(Duration::from_secs(2)).await;
    /// println!("{}: {:?}, {:?}", check.state, check.ping, check.reasons());
    /// # }
    /// ```
    pub async fn health_check(&self, within: Duration) -> HealthCheck {
        self.lifeline.check(&self.engine.state, within).await
    }
}
