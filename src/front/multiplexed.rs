//! A connection of the `redis` crate to a handle, within the process.

use std::{collections::BTreeMap, sync::Arc};

use redis::{
    AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, aio::MultiplexedConnection,
};
use tokio::io::duplex;

use super::{
    client::Client,
    service::{Limits, Service},
    session::Session,
};
use crate::{config::Protocol, database::Database, error::Error, execution::Execution};

/// Bytes that each side may write ahead of the other.
const AHEAD: usize = 64 * 1024;

impl Database {
    /// A connection for libraries that need this very type of the `redis` crate. It leads to this handle: its
    /// commands have the pool, the deadlines, the retries and the circuit of the handle, and its options such as
    /// [`with_timeout`](Self::with_timeout).
    ///
    /// It is made without a server, and stays while the server is away. A library that opens connections by itself
    /// needs a [`Front`](crate::Front), with which this has all in common: what commands do, the codes of errors,
    /// the order, and the bounds. Errors of this crate are error replies, so that
    /// [`RedisError::code`](redis::RedisError::code) is `CIRCUITOPEN`, for instance. No timeout of the `redis`
    /// crate applies.
    ///
    /// Clones are the same connection. It lives as long as one of them, and keeps the supervisor running. Each
    /// command takes some microseconds more than on the handle itself.
    ///
    /// # Errors
    ///
    /// [`Error::ShuttingDown`] if the supervisor has been shut down, or the runtime of the connections has ended.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), Box<dyn std::error::Error>> {
    /// use redis::AsyncCommands;
    ///
    /// let mut connection: redis::aio::MultiplexedConnection = main.multiplexed().await?;
    /// let () = connection.set("greeting", "hello").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn multiplexed(&self) -> Result<MultiplexedConnection, Error> {
        let settings = self.engine.state.settings.load();
        let (number, protocol) = (settings.number, settings.protocol);
        let ended = || Error::ShuttingDown {
            database: self.name().into(),
            execution: Execution::NotSent,
        };
        let databases = BTreeMap::from([(number, self.with_texts())]);
        // The `redis` crate's connection drops messages of subscriptions, so SUBSCRIBE is refused here.
        let service = Service::new(databases, Vec::new(), Limits::default()).without_messages();
        let session = Session::new(Arc::new(service), number, "in-process:0".into());
        let (near, far) = duplex(AHEAD);
        let registry = &self.lifeline().registry;
        let serving = registry.until_stopped(Client::new(far, session));
        registry.executor.spawn(serving).map_err(|_| ended())?;
        let info = RedisConnectionInfo::default()
            .set_skip_set_lib_name()
            .set_db(number)
            .set_protocol(match protocol {
                Protocol::Resp2 => ProtocolVersion::RESP2,
                Protocol::Resp3 => ProtocolVersion::RESP3,
            });
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let connecting = MultiplexedConnection::new_with_config(&info, near, config);
        let (connection, driver) = connecting.await.map_err(|_| ended())?;
        let driving = registry.until_stopped(driver);
        registry.executor.spawn(driving).map_err(|_| ended())?;
        Ok(connection)
    }
}
