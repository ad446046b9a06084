//! Transactions that hold only if nobody else has changed what they are based on.

use redis::{FromRedisValue, Pipeline, ToRedisArgs, cmd};

use crate::{database::Database, error::Error, lease::Lease};

/// So often a transaction is tried. Where that is not enough, callers should not compete for the key
/// in this way; a script does not compete.
const MAX_ATTEMPTS: u32 = 10;

impl Database {
    /// Reads and writes keys that nobody else changes in between: watches `keys`, lets `body` read what
    /// it needs on the lease and fill the pipeline, and runs the pipeline as a transaction. If a key was
    /// changed meanwhile, nothing was done, and all begins anew, ten times at most.
    ///
    /// `body` must be ready to run several times. Its own error ends the transaction without any effect,
    /// unless it has written by way of the lease. All has one lease, and the lease is clean afterwards.
    ///
    /// # Errors
    ///
    /// What `body` returns; [`Error::Conflict`] after the last attempt; [`Error::ConnectionLost`] and the
    /// like as for a [pipeline](Self::pipeline), and then [`Error::execution`] tells whether the
    /// transaction may have been executed. It is not tried again after an error.
    ///
    /// All attempts together have the deadline of the handle, from when there is a lease. Dropping the
    /// future is safe at any point; what was not sent by then never is.
    ///
    /// ```no_run
    /// use redis_steward::{Database, Error};
    ///
    /// /// Doubles a number, whoever else writes it. A key that does not exist counts as 1.
    /// async fn double(main: &Database, key: &str) -> Result<i64, Error> {
    ///     let (doubled,): (i64,) = main
    ///         .transaction(&[key], async |lease, pipe| {
    ///             let now: Option<i64> = lease.query(redis::cmd("GET").arg(key)).await?;
    ///             pipe.set(key, now.unwrap_or(1) * 2).ignore().get(key);
    ///             Ok::<_, Error>(())
    ///         })
    ///         .await?;
    ///     Ok(doubled)
    /// }
    /// ```
    pub async fn transaction<K, T, E, F>(&self, keys: &[K], mut body: F) -> Result<T, E>
    where
        K: ToRedisArgs,
        T: FromRedisValue,
        E: From<Error>,
        F: AsyncFnMut(&mut Lease, &mut Pipeline) -> Result<(), E>,
    {
        let mut lease = self.lease().await?;
        lease.begin();
        for _ in 0..MAX_ATTEMPTS {
            if !keys.is_empty() {
                lease.query::<()>(cmd("WATCH").arg(keys)).await?;
            }
            let mut pipe = redis::pipe();
            pipe.atomic();
            if let Err(error) = body(&mut lease, &mut pipe).await {
                // Otherwise the connection would be closed, and only the error matters now.
                let _ = lease.unwatch().await;
                return Err(error);
            }
            if let Some(replies) = lease.pipeline::<Option<T>>(&pipe).await? {
                return Ok(replies);
            }
        }
        Err(E::from(Error::Conflict {
            database: self.name().into(),
            attempts: MAX_ATTEMPTS,
        }))
    }
}
