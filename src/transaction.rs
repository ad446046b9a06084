//! Transactions with optimistic locking: `WATCH`, reads, `MULTI`, writes, `EXEC`.

use std::panic::Location;

use redis::{Cmd, FromRedisValue, Pipeline, ToRedisArgs, cmd};

use crate::{
    database::Database,
    error::Error,
    lease::Lease,
    loan::{Home, Loan},
};

/// The most attempts of a transaction. Of the clients that compete for a key, one succeeds in each round,
/// so this is enough for as many clients. More clients should use a script instead.
const MAX_ATTEMPTS: u32 = 32;

impl Database {
    /// Reads keys and writes results based on them, without other clients changing the keys in between
    /// (optimistic locking).
    ///
    /// It leases a connection and watches `keys`. Then `body` reads on the lease and fills the pipeline,
    /// which runs as a `MULTI`/`EXEC` transaction. If another client has changed a key meanwhile, the
    /// transaction has no effect, and all begins anew, up to 32 attempts. A transaction returns the
    /// replies of the pipeline, one per command.
    ///
    /// Of the clients that compete for a key, one succeeds in each round. So 32 attempts are enough for
    /// about 32 of them. With more competition, use a script, which never has to begin anew.
    ///
    /// # The body
    ///
    /// `body` may be called several times, so its only effect should be the commands in the pipeline. It
    /// borrows the lease and the pipeline as [`Loan`]s until its future ends. An error of the body ends
    /// the transaction, with no effect unless the body has written on the lease itself.
    ///
    /// Typed commands and scripts of the `redis` crate work on the lease. A body that uses them returns a
    /// [`redis::RedisError`], and [`Error::from_redis`] returns the error of this crate inside of it.
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
    /// # Deadline and cancellation
    ///
    /// The wait for the lease is limited as in [`lease`](Self::lease). From then on, all attempts together
    /// have the timeout of the handle. The future may be dropped at any point; unwritten commands are then
    /// never sent, and a written `EXEC` may run. The connection is clean for the next caller in any case.
    ///
    /// # Errors
    ///
    /// - The error of `body`.
    /// - [`Error::Conflict`] after the last attempt.
    /// - [`Error::WatchLost`] if `body` ended the watch (`EXEC`, `UNWATCH`, an atomic pipeline), began
    ///   another transaction (`MULTI`), or changed the connection (`SELECT` and the like).
    /// - [`Error::LeaseNotReturned`] if `body` kept the lease or the pipeline beyond its end.
    /// - The errors of [`lease`](Self::lease) and [`pipeline`](Self::pipeline), such as
    ///   [`Error::ConnectionLost`]. [`Error::execution`] then tells whether the transaction may have run.
    ///
    /// It is not retried after an error.
    ///
    /// ```no_run
    /// use redis_steward::{Database, Error};
    ///
    /// /// Doubles a number that other clients may write as well. A missing key counts as 1.
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
        // Taken before the future, which has no caller of its own.
        let by = Location::caller();
        async move {
            let watch = cmd("WATCH").arg(keys).take();
            let mut lease = self.lease_of(&watch, by).await?;
            lease.begin();
            for _ in 0..MAX_ATTEMPTS {
                if !keys.is_empty() {
                    self.watch(&mut lease, &watch, by).await?;
                }
                lease.grant().session.begin_transaction();
                let (lent, at_home) = Home::lend(lease);
                let (pipe, filled) = Home::lend(redis::pipe());
                let ended = body(lent, pipe).await;
                let returned = at_home.take();
                if let Err(error) = ended {
                    if let Some(mut lease) = returned {
                        // Without it the connection would be closed. Its own failure does not matter:
                        // the caller gets the body's error.
                        let _ = lease.execute(&cmd("UNWATCH")).await;
                    }
                    return Err(error);
                }
                lease = returned.ok_or_else(|| self.not_returned())?;
                let mut pipe = filled.take().ok_or_else(|| self.not_returned())?;
                if !lease.grant().session.keeps_transaction(!keys.is_empty()) {
                    return Err(E::from(Error::WatchLost {
                        database: self.name().into(),
                    }));
                }
                match lease.pipeline::<Option<T>>(pipe.atomic()).await {
                    Ok(Some(replies)) => return Ok(replies),
                    Ok(None) => {}
                    Err(error) => self.lease_elsewhere(&mut lease, error, &watch, by).await?,
                }
            }
            Err(E::from(Error::Conflict {
                database: self.name().into(),
                attempts: MAX_ATTEMPTS,
            }))
        }
    }

    /// Watches the keys, at another node if they have moved there.
    async fn watch(
        &self,
        lease: &mut Lease,
        watch: &Cmd,
        by: &'static Location<'static>,
    ) -> Result<(), Error> {
        loop {
            match lease.query::<()>(watch).await {
                Ok(()) => return Ok(()),
                Err(error) => self.lease_elsewhere(lease, error, watch, by).await?,
            }
        }
    }

    /// Takes another lease after an error that says that the keys are at another node of the cluster.
    ///
    /// # Errors
    /// This one, if it says something else.
    async fn lease_elsewhere(
        &self,
        lease: &mut Lease,
        error: Error,
        watch: &Cmd,
        by: &'static Location<'static>,
    ) -> Result<(), Error> {
        let (_, options) = lease.options();
        let has_keys = watch.args_iter().count() > 1;
        // Without keys it is not known where else it could run.
        if !has_keys || !self.engine.is_sent_away(&error, &options).await {
            return Err(error);
        }
        let next = self.lease_of(watch, by).await?;
        *lease = next.under(options);
        Ok(())
    }

    /// The body has not dropped the lease or the pipeline, so the transaction cannot be executed.
    fn not_returned(&self) -> Error {
        Error::LeaseNotReturned {
            database: self.name().into(),
        }
    }
}
