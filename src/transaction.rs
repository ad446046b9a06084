//! Transactions that hold only if nobody else has changed what they are based on.

use std::panic::Location;

use redis::{FromRedisValue, Pipeline, ToRedisArgs, cmd};

use crate::{
    database::Database,
    error::Error,
    lease::Lease,
    loan::{Home, Loan},
};

/// So often a transaction is tried. Of those who compete for a key one succeeds each time, so this is
/// enough for as many. Where it is not, they should not compete in this way; a script does not.
const MAX_ATTEMPTS: u32 = 32;

impl Database {
    /// Reads and writes keys that nobody else changes in between: watches `keys`, lets `body` read what
    /// it needs on the lease and fill the pipeline, and runs the pipeline as a transaction. If a key was
    /// changed meanwhile, nothing was done, and all begins anew, at most until it was tried 32 times.
    ///
    /// `body` may be called several times, and gets the lease and the pipeline to keep until its future
    /// ends. Its own error ends the transaction without any effect, unless it has written by way of the
    /// lease. The connection is clean afterwards.
    ///
    /// Typed commands and scripts of the `redis` crate work on the lease as well; a body that uses them
    /// returns a [`redis::RedisError`], from which [`Error::from_redis`] gets this crate's back.
    ///
    /// ```no_run
    /// # use redis::{AsyncCommands, RedisError};
    /// # async fn example(main: redis_steward::Database) -> Result<(), RedisError> {
    /// let (size,): (i64,) = main
    ///     .transaction(&["members"], |mut lease, mut pipe| async move {
    ///         let size: i64 = lease.scard("members").await?;
    ///         pipe.set("size", size).ignore().get("size");
    ///         Ok::<_, RedisError>(())
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// All attempts together have the deadline of the handle, from when there is a lease. Dropping the
    /// future is safe at any point; what was not sent by then never is.
    ///
    /// # Errors
    ///
    /// What `body` returns; [`Error::Conflict`] after the last attempt; [`Error::WatchLost`] if `body` has
    /// ended the watch itself, with `EXEC`, `UNWATCH` or an atomic pipeline on the lease, begun another
    /// transaction with `MULTI`, or changed the connection, with `SELECT` and the like;
    /// [`Error::LeaseNotReturned`] if it has kept the lease or the pipeline beyond its end;
    /// [`Error::ConnectionLost`] and the like as for a [pipeline](Self::pipeline), and then
    /// [`Error::execution`] tells whether the transaction may have been executed. It is not tried again
    /// after an error.
    ///
    /// ```no_run
    /// use redis_steward::{Database, Error};
    ///
    /// /// Doubles a number, whoever else writes it. A key that does not exist counts as 1.
    /// async fn double(main: &Database, key: &str) -> Result<i64, Error> {
    ///     let (doubled,) = main
    ///         .transaction(&[key], |mut lease, mut pipe| async move {
    ///             let now: Option<i64> = lease.query(redis::cmd("GET").arg(key)).await?;
    ///             pipe.set(key, now.unwrap_or(1) * 2).ignore().get(key);
    ///             Ok::<_, Error>(())
    ///         })
    ///         .await?;
    ///     Ok(doubled)
    /// }
    /// ```
    #[track_caller]
    pub fn transaction<K, T, E, F, B>(
        &self,
        keys: &[K],
        mut body: B,
    ) -> impl Future<Output = Result<T, E>>
    where
        K: ToRedisArgs + Sync,
        T: FromRedisValue,
        E: From<Error>,
        B: FnMut(Loan<Lease>, Loan<Pipeline>) -> F,
        F: Future<Output = Result<(), E>>,
    {
        // Here, and not in the future, which is polled elsewhere.
        let by = Location::caller();
        async move {
            let mut lease = self.lease_for(by).await?;
            lease.begin();
            for _ in 0..MAX_ATTEMPTS {
                if !keys.is_empty() {
                    lease.query::<()>(cmd("WATCH").arg(keys)).await?;
                }
                lease.grant().begin_transaction();
                let (lent, at_home) = Home::lend(lease);
                let (pipe, filled) = Home::lend(redis::pipe());
                let ended = body(lent, pipe).await;
                let returned = at_home.take();
                if let Err(error) = ended {
                    if let Some(mut lease) = returned {
                        // Otherwise the connection would be closed. Only the body's error matters now.
                        let _ = lease.execute(&cmd("UNWATCH")).await;
                    }
                    return Err(error);
                }
                lease = returned.ok_or_else(|| self.withheld())?;
                let mut pipe = filled.take().ok_or_else(|| self.withheld())?;
                if !lease.grant().keeps_transaction(!keys.is_empty()) {
                    return Err(E::from(Error::WatchLost {
                        database: self.name().into(),
                    }));
                }
                if let Some(replies) = lease.pipeline::<Option<T>>(pipe.atomic()).await? {
                    return Ok(replies);
                }
            }
            Err(E::from(Error::Conflict {
                database: self.name().into(),
                attempts: MAX_ATTEMPTS,
            }))
        }
    }

    /// The body has put what it was lent elsewhere, so nothing can be executed.
    fn withheld(&self) -> Error {
        Error::LeaseNotReturned {
            database: self.name().into(),
        }
    }
}
