//! What calls do while their database is down.

/// What calls do while their database is down, which means that its circuit is open.
///
/// A request path wants to know at once that a cache does not answer; a worker or a job that has a minute
/// rather waits. [`Database::patient`](crate::Database::patient) and
/// [`Database::impatient`](crate::Database::impatient) choose per handle.
///
/// ```
/// use redis_steward::{DatabaseConfig, WhenDown};
/// use std::time::Duration;
///
/// let jobs = DatabaseConfig::new()
///     .when_down(WhenDown::Wait)
///     .command_timeout(Duration::from_secs(60));
/// # redis_steward::Config::new().database("jobs", jobs).check().unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenDown {
    /// Calls fail at once with [`Error::CircuitOpen`](crate::Error::CircuitOpen). So do calls that wait
    /// for a connection when the circuit opens.
    #[default]
    Refuse,
    /// Calls wait for recovery, each until its deadline, and at most
    /// [`max_parked`](crate::DatabaseConfig::max_parked) of them. The oldest pass first.
    Wait,
}
