//! A scan of all keys of a database.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream::try_unfold;

use crate::{call::Wanted, database::Database, error::Error, policy::scan::Progress};

impl Database {
    /// A scan of all keys, those of all nodes of a [cluster](crate::DatabaseConfig::cluster) included, without blocking a server for
    /// long (`SCAN`).
    ///
    /// See [`Scan`] for what is promised, and how one that was broken off goes on.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// let mut sessions = main.scan().matching("session:*");
    /// while let Some(keys) = sessions.next().await? {
    ///     println!("{} keys, and then from {}", keys.len(), sessions.cursor());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn scan(&self) -> Scan {
        Scan {
            database: self.clone(),
            wanted: Wanted::default(),
            progress: Progress::default(),
        }
    }
}

/// A scan of all keys of a database; [`Database::scan`] begins one.
///
/// [`next`](Self::next) asks for a batch of keys at a time, and [`keys`](Self::keys) is a stream of single keys.
///
/// # What is promised
///
/// As with `SCAN`, a key that exists during the whole scan comes at least once, and may come again. A key that is added or deleted
/// meanwhile may come or not. In a cluster that holds also when slots move to other nodes, or replicas take over: a node is
/// done with the slots that it has at the end of its part, the others are scanned where they are then, and keys of slots that are done are
/// left out. The nodes are scanned one after the other.
///
/// # Breaking off
///
/// After an error the scan is where it was, and `next` may be called again. [`cursor`](Self::cursor) tells the place as a text that
/// can be kept, and [`from`](Self::from) goes on there, also in another process. A node whose place is lost, such as one that was
/// replaced by its replica, is scanned anew.
#[derive(Clone)]
#[must_use = "nothing is asked before the first batch"]
pub struct Scan {
    database: Database,
    wanted: Wanted,
    progress: Progress,
}

/// The place of a [`Scan`], to go on from there later. It is kept as a text.
///
/// ```
/// use redis_steward::ScanCursor;
///
/// let kept = "1 0-5460 4711 5461-10922 main (10.0.0.2:7000)";
/// let cursor: ScanCursor = kept.parse().expect("it was written by a scan");
/// assert_eq!(cursor.to_string(), kept);
/// assert!("4711".parse::<ScanCursor>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ScanCursor(Progress);

/// The text is no place of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no place of a scan; use the text of a ScanCursor, as Scan::cursor returned it")]
pub struct InvalidScanCursor;

impl Scan {
    /// Only keys that match this pattern, such as `session:*`. The servers compare, so batches may be small or empty.
    pub fn matching(mut self, pattern: impl Into<Vec<u8>>) -> Self {
        self.wanted.pattern = Some(pattern.into());
        self
    }

    /// Only keys of this type, such as `hash`; since Redis 6.0.
    pub fn of_type(mut self, kind: impl Into<String>) -> Self {
        self.wanted.kind = Some(kind.into());
        self
    }

    /// About so many keys are looked at for each batch (`COUNT`); the server's default is 10. A batch of thousands blocks
    /// the server for milliseconds.
    pub fn batch(mut self, keys: usize) -> Self {
        self.wanted.batch = Some(keys.max(1));
        self
    }

    /// From this place on.
    pub fn from(mut self, cursor: ScanCursor) -> Self {
        self.progress = cursor.0;
        self
    }

    /// The next batch of keys, which may be empty; `None` after the last one.
    ///
    /// Each batch has the deadline of a call. The future may be dropped at any point; the batch is then asked for again.
    ///
    /// # Errors
    ///
    /// As [`Database::query`]. The scan is where it was.
    pub async fn next(&mut self) -> Result<Option<Vec<Bytes>>, Error> {
        let (engine, options) = (&self.database.engine, self.database.options());
        engine.scan(&mut self.progress, &self.wanted, options).await
    }

    /// The place behind the last batch.
    pub fn cursor(&self) -> ScanCursor {
        ScanCursor(self.progress.clone())
    }

    /// All keys that are left, one by one. The stream ends after an error.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// use std::pin::pin;
    ///
    /// use futures_util::TryStreamExt as _;
    ///
    /// let mut keys = pin!(main.scan().of_type("hash").batch(500).keys());
    /// while let Some(key) = keys.try_next().await? {
    ///     println!("{}", String::from_utf8_lossy(&key));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn keys(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        let begin = (self, Vec::new().into_iter());
        try_unfold(begin, |(mut scan, mut batch)| async move {
            loop {
                if let Some(key) = batch.next() {
                    return Ok(Some((key, (scan, batch))));
                }
                match scan.next().await? {
                    Some(keys) => batch = keys.into_iter(),
                    None => return Ok(None),
                }
            }
        })
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("database", &self.database.name())
            .field("cursor", &self.cursor())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ScanCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ScanCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ScanCursor {
    type Err = InvalidScanCursor;

    fn from_str(text: &str) -> Result<Self, InvalidScanCursor> {
        text.parse().map(Self).map_err(|()| InvalidScanCursor)
    }
}
