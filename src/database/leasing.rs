//! Leases of connections.

use std::panic::Location;

use redis::Cmd;

use super::Database;
use crate::{error::Error, lease::Lease};

impl Database {
    /// Leases a connection for this caller alone, until the [`Lease`] is dropped: for `SELECT`, `WATCH`,
    /// `CLIENT TRACKING` and other commands that change their connection. Blocking commands need no lease;
    /// they get a connection automatically.
    ///
    /// The wait is limited by the [acquire timeout](crate::DatabaseConfig::acquire_timeout), 1 s by
    /// default, and by the timeout of [`with_timeout`](Self::with_timeout), if that is shorter. Callers
    /// are served in the order of their calls. At most
    /// [`max_connections`](crate::DatabaseConfig::max_connections) minus the shared connections are leased
    /// at once, 49 by default.
    ///
    /// The future may be dropped at any point: a connection that was meant for it goes to the next caller.
    ///
    /// # Errors
    ///
    /// - [`Error::TimedOut`] at [`Stage::Acquire`](crate::Stage::Acquire), with the state of the pool and
    ///   the reason why the last dial failed.
    /// - [`Error::Overloaded`] if [`max_parked`](crate::DatabaseConfig::max_parked) callers wait already,
    ///   or if `max_connections` leaves no connection to lease.
    /// - [`Error::CircuitOpen`], [`Error::Isolated`], [`Error::Failed`], [`Error::ShuttingDown`] and
    ///   [`Error::Abandoned`], as for a command.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// let mut lease = main.lease().await?;
    /// lease.query::<()>(redis::cmd("SELECT").arg(3)).await?;
    /// let keys: usize = lease.query(redis::cmd("DBSIZE")).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn lease(&self) -> impl Future<Output = Result<Lease, Error>> + Send + 'static {
        self.lease_by(Location::caller())
    }

    pub(crate) fn lease_by(
        &self,
        by: &'static Location<'static>,
    ) -> impl Future<Output = Result<Lease, Error>> + Send + 'static {
        let (engine, lifeline) = (self.engine.clone(), self.lifeline.clone());
        let overrides = self.overrides;
        async move { Lease::acquire(engine, overrides, lifeline, by).await }
    }

    /// [`lease`](Self::lease) for commands on this key, and on others with the same
    /// [hash tag](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags).
    ///
    /// In a [cluster](crate::DatabaseConfig::cluster) the connection leads to the node that has the key, where `lease` has one to
    /// any of the nodes. If the key moves to another node meanwhile, commands on the lease fail with `MOVED` or `ASK`, and the
    /// remedy is another lease. For any other database it is the same as `lease`.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// let mut lease = main.lease_for("{user:1}:visits").await?;
    /// lease.query::<()>(redis::cmd("WATCH").arg("{user:1}:visits")).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn lease_for(
        &self,
        key: impl AsRef<[u8]>,
    ) -> impl Future<Output = Result<Lease, Error>> + Send + 'static {
        let watch = redis::cmd("WATCH").arg(key.as_ref()).take();
        let (database, by) = (self.clone(), Location::caller());
        async move { database.lease_of(&watch, by).await }
    }

    /// A lease for the keys of this `WATCH`.
    pub(crate) async fn lease_of(
        &self,
        watch: &Cmd,
        by: &'static Location<'static>,
    ) -> Result<Lease, Error> {
        let (engine, overrides) = (self.engine.clone(), self.overrides);
        let (engine, grant) = engine.acquire_for(watch, overrides, by).await?;
        Ok(Lease::of(engine, grant, overrides, self.lifeline.clone()))
    }
}
