//! The handle that reads from the replicas of a database.

use std::{borrow::Borrow, fmt, sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, Pipeline, RedisFuture, Value, aio::ConnectionLike};

use crate::{
    call::PipelineRun,
    database::Database,
    error::Error,
    policy::reading::{PrimaryRole, Reading},
    state::{View, clock},
};

/// A handle of a database whose reads are served by its replicas.
///
/// [`Database::replica`] returns it, for a database whose address names sentinels
/// (`redis+sentinel://…`) or a cluster (`redis+cluster://…`), which tell where the replicas are. It is cheap to clone and safe to share, and is a
/// [`redis::aio::ConnectionLike`], as the [`Database`] is.
///
/// It runs commands that only read; others are refused with
/// [`Refusal::Writes`](crate::Refusal::Writes) before a byte is written, and so is a pipeline with one of them. Commands
/// that are on no list of this crate count as writes.
///
/// # Which server
///
/// Of the replicas that are about as near as the nearest (within half as long again and 0.1 ms of its round trip), the
/// one with the fewest commands outstanding serves a read. Servers are looked at once per second: each is asked for
/// its replication (`INFO replication`, which the user has to be allowed) and now and then for its zone (`INFO server`). Replicas that are connected to the primary come
/// first. If none is, as while the primary is down, the others serve.
///
/// | | the order |
/// |---|---|
/// | by default | replicas, the primary |
/// | [`nearest`](Self::nearest) | replicas and the primary alike |
/// | [`availability_zone`](Self::availability_zone) | replicas of the zone, other replicas, the primary |
/// | both | replicas of the zone and the primary if it is in it, other servers alike |
/// | [`without_primary`](Self::without_primary) | the same replicas, and never the primary |
///
/// A read that fails by the fault of its server runs once more on the next one: at most on two replicas and the primary, within its
/// deadline. Each place but the last has at most the [attempt timeout](crate::DatabaseConfig::attempt_timeout), and half
/// of the time that is left; a command that blocks has the whole of its time at each.
///
/// # Old data
///
/// Replication is asynchronous: a replica may not have what was just written, and two reads may be served by
/// two replicas, so that the second one sees an older state. Use the [`Database`] where that matters.
/// [`max_staleness`](Self::max_staleness) bounds the age.
///
/// # In a cluster
///
/// Each key is read at a replica of the node that has its slot, or, in its place in the order, at the node that has it by then.
/// Commands of several slots and pipelines are split as by the [`Database`]; the replies of one pipeline may come from
/// several servers. Where a command concerns all nodes (`DBSIZE`), a replica of each answers, or the node as for a key.
///
/// While slots move from one node to another, a replica may say of a key that is there already that there is none: the server tells
/// its replicas only of what it has. With [`max_staleness`](Self::max_staleness), a reply that may say so is therefore asked for
/// once more at the primary; and commands of several keys other than `MGET`, scripts and transactions run there from the
/// start. With [`without_primary`](Self::without_primary), too, that cannot be done.
///
/// # Connections, health, statistics
///
/// Each replica is a database of its own, with connections and a circuit. Its name is that of its database with the
/// address, such as `main (10.0.0.2:6379)`, and in a cluster that of its node with the address, such as
/// `main (10.0.0.1:6379) (10.0.0.2:6379)`. Under it, it has events and statistics;
/// [`Supervisor::isolate`](crate::Supervisor::isolate) takes it out of use. It is none of the
/// [`databases`](crate::Supervisor::databases), and [`ready`](crate::Supervisor::ready) does not wait for it. Its
/// settings are those of its database, without a [fallback](crate::Fallback).
///
/// The first call of [`Database::replica`] opens the connections. Until they are open, the primary serves, or without it
/// reads wait.
///
/// # Example
///
/// ```no_run
/// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
/// use std::time::Duration;
///
/// let nearby = main.replica().max_staleness(Duration::from_secs(5));
/// let greeting: Option<String> = nearby.query(redis::cmd("GET").arg("greeting")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Replica {
    database: Database,
    reading: Reading,
}

/// What is known of a replica; [`Replica::status`] returns it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplicaStatus {
    /// Its address.
    pub address: Arc<str>,
    /// Why it serves no reads; `None` if it does.
    pub unusable: Option<String>,
    /// The mean round trip to it, of which the newest counts an eighth.
    pub round_trip: Option<Duration>,
    /// The availability zone that it tells (Valkey since version 8, if the server's setting `availability-zone` is set); `None`
    /// if it tells none.
    pub availability_zone: Option<Arc<str>>,
    /// Whether it is connected to its primary.
    pub is_linked: bool,
    /// How old its data is at most: it has all that the primary had acknowledged before. `None` if that is not known.
    pub staleness: Option<Duration>,
}

impl Database {
    /// A handle that reads from the replicas of this database, with the timeout and the patience of this handle.
    ///
    /// Replicas are known if the address of the database names sentinels or a cluster. Otherwise all reads go to the
    /// primary.
    pub fn replica(&self) -> Replica {
        if self.engine.state.replicas.want() {
            self.lifeline().replicate();
        }
        Replica {
            database: self.uncached(),
            reading: Reading::default(),
        }
    }
}

impl Replica {
    /// The name of the database.
    pub fn name(&self) -> &str {
        self.database.name()
    }

    /// The same handle for data that is no older than this: reads go to replicas that have all that the primary
    /// had acknowledged that long ago. Default: no bound.
    ///
    /// The bound is proven, without a common clock: once per second the primary is asked how far its stream of changes is,
    /// and each replica how much of it it has. A replica that keeps up therefore has a proven age of up to one second and
    /// the round trips. With less than 2 s, most reads go to the primary. While the primary does not answer, the age of
    /// all replicas grows, and after the bound none serves.
    #[must_use]
    pub fn max_staleness(mut self, bound: Duration) -> Self {
        self.reading.max_staleness = Some(bound);
        self
    }

    /// The same handle, whose reads are served by the primary as by any replica: of the servers that are about as near as the
    /// nearest, the one with the fewest commands outstanding serves, and the primary's data is never too old for a
    /// [`max_staleness`](Self::max_staleness). The primary takes part when it has answered the last look; before that, and while it
    /// does not, it is the last resort. Default: replicas first.
    ///
    /// This is for a short way rather than for sparing the primary: with a primary next door and replicas in other
    /// places, all reads go to the primary. The last call of this and [`without_primary`](Self::without_primary) holds.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// let near = main.replica().nearest();
    /// let greeting: Option<String> = near.query(redis::cmd("GET").arg("greeting")).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn nearest(mut self) -> Self {
        self.reading.primary = PrimaryRole::Candidate;
        self
    }

    /// The same handle, whose reads are served by replicas of this availability zone before others, by the nearest and least
    /// loaded of them. An empty text is no preference, so that a variable that is not set can be passed on. Default: none.
    ///
    /// Servers tell their zone themselves, letter for letter: Valkey since version 8, in `INFO server`, if its setting
    /// `availability-zone` is set. Redis tells none, and a server without one counts as elsewhere. Each is asked when it is first
    /// looked at, and every 10 s; [`status`](Self::status) shows the answers of replicas.
    ///
    /// The primary stays the last resort, even if it alone is in the zone: replicas elsewhere come before it, as with the
    /// strategy `AZ_AFFINITY` of Valkey GLIDE. With [`nearest`](Self::nearest), a primary in the zone serves as the replicas there do,
    /// and comes before all servers elsewhere, which is about `AZ_AFFINITY_REPLICAS_AND_PRIMARY` there. A replica that has lost
    /// its primary comes after all others, whatever its zone.
    ///
    /// ```no_run
    /// # async fn example(main: redis_steward::Database) -> Result<(), redis_steward::Error> {
    /// let here = main.replica().availability_zone("eu-central-1a").nearest();
    /// let greeting: Option<String> = here.query(redis::cmd("GET").arg("greeting")).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn availability_zone(mut self, zone: impl Into<Arc<str>>) -> Self {
        let zone = zone.into();
        self.reading.zone = Some(zone).filter(|zone| !zone.is_empty());
        self
    }

    /// The same handle, whose reads are never served by the primary. Without a replica they fail with
    /// [`Error::NoReplica`]: those of a [patient](Database::patient) handle at their deadline, and of others at once,
    /// unless the replicas have not been looked at yet. A read that was on its way to a replica that has failed, with no other one left,
    /// fails with the error of that replica. The last call of this and [`nearest`](Self::nearest) holds.
    #[must_use]
    pub fn without_primary(mut self) -> Self {
        self.reading.primary = PrimaryRole::Excluded;
        self
    }

    /// The same handle with another timeout for each call: see [`Database::with_timeout`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.database = self.database.with_timeout(timeout);
        self
    }

    /// The same handle, whose reads wait while no server can serve them: see [`Database::patient`]. A read that has tried the
    /// replicas waits for the primary; replicas that come back meanwhile serve the reads that are made then.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.database = self.database.patient();
        self
    }

    /// The replicas as they were found when they were last looked at; none before that. In a cluster these are the replicas
    /// of all nodes.
    pub fn status(&self) -> Vec<ReplicaStatus> {
        let state = &self.database.engine.state;
        let table = state.cluster.table.present();
        let nodes = table.iter().flat_map(|table| table.serving());
        let all = [state].into_iter().chain(nodes.map(|node| &node.state));
        let views = all.filter_map(|state| state.replicas.view.present().clone());
        views.flat_map(|view| describe(&view)).collect()
    }

    /// Runs one command and returns its reply unconverted. An error reply is an error.
    ///
    /// # Errors
    ///
    /// Those of [`Database::execute`], with the name of the server that has failed last, and [`Error::NoReplica`].
    pub async fn execute(&self, command: &Cmd) -> Result<Value, Error> {
        let (engine, overrides) = (&self.database.engine, self.database.overrides);
        engine.read(command, &self.reading, overrides).await
    }

    /// Runs one command and converts its reply.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute), and [`Error::Conversion`] if the reply does not fit the type.
    pub async fn query<T: FromRedisValue>(&self, command: impl Borrow<Cmd>) -> Result<T, Error> {
        let value = self.execute(command.borrow()).await?;
        self.database.engine.convert(value)
    }

    /// Runs a pipeline in one round trip and converts its replies, one per command. All of them come from one server, unless
    /// they are of several nodes of a cluster.
    ///
    /// # Errors
    ///
    /// As [`Database::pipeline`], and [`Error::NoReplica`].
    pub async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: impl Borrow<Pipeline>,
    ) -> Result<T, Error> {
        let mut run = self.run();
        let converted = pipeline.borrow().query_async(&mut run).await;
        converted.map_err(|error| run.explain(error))
    }

    fn run(&self) -> PipelineRun<'_> {
        PipelineRun::reading(
            &self.database.engine,
            &self.reading,
            self.database.overrides,
        )
    }
}

/// Commands run as with [`Replica::execute`]; an [`Error`] becomes a [`redis::RedisError`], and
/// [`Error::from_redis`] returns it.
impl ConnectionLike for Replica {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { Ok(self.execute(command).await?) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut run = self.run();
            run.req_packed_commands(pipeline, offset, count).await
        })
    }

    fn get_db(&self) -> i64 {
        self.database.get_db()
    }
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

fn describe(view: &View) -> Vec<ReplicaStatus> {
    let now = clock::now().into_std();
    let usable = view.usable.iter().map(|replica| ReplicaStatus {
        address: replica.address.clone(),
        unusable: None,
        round_trip: Some(replica.nearness.round_trip()),
        availability_zone: replica.nearness.zone().cloned(),
        is_linked: replica.is_linked,
        staleness: replica
            .complete_until
            .map(|until| now.saturating_duration_since(until)),
    });
    let unusable = view.unusable.iter().map(|(address, why)| ReplicaStatus {
        address: address.clone(),
        unusable: Some(why.clone()),
        round_trip: None,
        availability_zone: None,
        is_linked: false,
        staleness: None,
    });
    usable.chain(unusable).collect()
}
