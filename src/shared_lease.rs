//! A lease that can be cloned.

use std::{fmt, sync::Arc};

use redis::{AsyncHotkeysCommands, Cmd, Pipeline, RedisFuture, Value, aio::ConnectionLike};
use tokio::sync::Mutex;

use crate::lease::Lease;

/// A [`Lease`] that can be cloned: all clones are the same connection, which is given back when the last of
/// them is dropped. [`Lease::into_shared`] returns it.
///
/// It is for functions of the `redis` crate and others that clone their connection, such as
/// `redis::aio::transaction_async`. Commands of several clones run one after the other, and **the wait for the
/// commands of other clones counts against no timeout**: a command behind another clone's `BLPOP k 0` waits as
/// long as that does. Put a timeout of your own around such a call. Transactions of
/// several clones at the same time would mix; [`Database::transaction`](crate::Database::transaction) needs
/// neither clones nor this type.
///
/// ```no_run
/// # async fn example(main: redis_steward::Database) -> Result<(), Box<dyn std::error::Error>> {
/// use redis::AsyncCommands;
///
/// let lease = main.lease().await?.into_shared();
/// let (stock,): (i64,) = redis::aio::transaction_async(lease, &["stock"], |mut lease, mut pipe| async move {
///     let stock: i64 = lease.get("stock").await?;
///     pipe.set("stock", stock - 1).ignore().get("stock");
///     pipe.query_async(&mut lease).await
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "the connection is given back when this is dropped"]
pub struct SharedLease {
    name: Arc<str>,
    number: i64,
    lease: Arc<Mutex<Lease>>,
}

impl Lease {
    /// The same lease for functions that need a connection that can be cloned, such as
    /// `redis::aio::transaction_async`: see [`SharedLease`].
    pub fn into_shared(self) -> SharedLease {
        SharedLease {
            name: self.name().into(),
            number: self.get_db(),
            lease: Arc::new(Mutex::new(self)),
        }
    }
}

impl SharedLease {
    /// The name under which the database was configured.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for SharedLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLease")
            .field("database", &self.name)
            .finish_non_exhaustive()
    }
}

/// Commands run as with [`Lease::execute`]: the timeout of a command counts from the moment at which it has
/// the connection for itself. The wait for the commands of other clones before it has no deadline, and while a
/// clone runs `BLPOP k 0` the others wait for as long. Limit such waits by a timeout around the call. A future that is dropped while another clone has the connection
/// sends nothing.
impl ConnectionLike for SharedLease {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { self.lease.lock().await.req_packed_command(command).await })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut lease = self.lease.lock().await;
            lease.req_packed_commands(pipeline, offset, count).await
        })
    }

    /// The configured number of the database, as with a [`Lease`].
    fn get_db(&self) -> i64 {
        self.number
    }
}

/// `START`, `STOP` and `RESET` concern the whole server, so they need
/// [`allow_admin`](crate::DatabaseConfig::allow_admin).
impl AsyncHotkeysCommands for SharedLease {}
