//! The handle with a near cache.

use super::Database;

impl Database {
    /// A handle of the same database whose reads of single keys are answered from memory while nothing has changed.
    ///
    /// The replies of reads are kept in this process, once for all cached handles of the database. The server tracks which
    /// keys were read (`CLIENT TRACKING` with `OPTIN`, Redis 6 and later) and says when one of them changes, over the
    /// connection over which it was read. A hit asks no server.
    ///
    /// Kept are the replies of `GET`, `STRLEN`, `GETRANGE`, `GETBIT`, `BITCOUNT`, `BITPOS`, `TYPE`, `EXISTS` of one key,
    /// `HGET`, `HMGET`, `HGETALL`, `HEXISTS`, `HLEN`, `HKEYS`, `HVALS`, `HSTRLEN`, `LINDEX`, `LLEN`, `LRANGE`, `LPOS`,
    /// `SCARD`, `SISMEMBER`, `SMISMEMBER`, `SMEMBERS`, `ZCARD`, `ZCOUNT`, `ZLEXCOUNT`, `XLEN`, and each element of
    /// `MGET`. All other commands, and pipelines, run as on any handle. Calls that miss the same at the same time ask once.
    ///
    /// # What it may answer
    ///
    /// A hit is never older than a change of its key that the server has told of, nor than a write whose call on a cached handle
    /// has ended. Writes of others are seen when the server tells of them, mostly within a round trip. It is no older than
    /// [`near_cache_max_age`](crate::DatabaseConfig::near_cache_max_age), and lives no longer than its key. Once per second
    /// the connection is asked for a sign of life: 3 s after the last question that was answered, reads go to the server. So
    /// they do when the connection is lost, and nothing of what was kept is used again. While the database is out of
    /// use, reads fail as on any handle.
    ///
    /// Fields of a hash that expire one by one (`HEXPIRE`, Redis 7.4 and later) may be seen until the maximum age.
    ///
    /// # What it takes
    ///
    /// A connection of those for [leases](Self::lease), from the first call of this on, until the database ends. The bounds are
    /// [`near_cache_max_bytes`](crate::DatabaseConfig::near_cache_max_bytes) and
    /// [`near_cache_max_entries`](crate::DatabaseConfig::near_cache_max_entries). A read that misses also asks how long its key
    /// has to live (`PTTL`). Where the server or its user may not track, reads go to the server, and
    /// [`NearCacheStats::trouble`](crate::NearCacheStats::trouble) tells why.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// let cached = main.cached();
    /// for _ in 0..1_000 {
    ///     let title: Option<String> = cached.query(redis::cmd("GET").arg("title")).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cached(&self) -> Self {
        self.lifeline.keep_near_cache(&self.engine);
        self.with_overrides(self.overrides.with_near_cache())
    }

    /// The same handle without the near cache.
    pub(crate) fn uncached(&self) -> Self {
        self.with_overrides(self.overrides.without_near_cache())
    }
}
