//! The handle of an embedded server.

use std::{borrow::Borrow, collections::BTreeMap, fmt, io, time::Duration};

use bytes::{Bytes, BytesMut};
use redis::{Arg, Cmd, FromRedisValue, RedisResult};

use super::{
    acl::DEFAULT_USER,
    dump::MemoryValue,
    listener::MemoryListener,
    reply::Protocol,
    request::Request,
    settings::Eviction,
    store::{Mode, Store},
};

/// A Redis-compatible server inside the process: for tests, examples, and programs that need no other.
///
/// A database whose URL is [`url`](Self::url) uses it, as it would use a server on the network: greeting, pool,
/// pipelining, leases, circuit breaker and health checks are the same code. `memory://` alone is a server of
/// its own for each database; `memory://name` is one that all databases and handles of that name in this
/// process share.
///
/// The data lives as long as a handle, a supervisor or a connection refers to the server, and is nowhere else.
/// Commands run one at a time, as in Redis, on the thread of the task that sends them. Time is that of tokio's
/// clock, so keys expire and commands time out under `tokio::time::pause` as well.
///
/// ```
/// use redis_steward::{Config, DatabaseConfig, MemoryServer, Supervisor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = MemoryServer::new();
/// let config = Config::new().database("main", DatabaseConfig::from_url(server.url()));
/// let supervisor = Supervisor::spawn(config).await?;
/// let main = supervisor.database("main")?;
/// let () = main.query(redis::cmd("SET").arg("greeting").arg("hello")).await?;
/// assert_eq!(server.get("greeting").as_deref(), Some(&b"hello"[..]));
///
/// server.fail_with("OOM command not allowed when used memory > 'maxmemory'.", &["SET"]);
/// let refused = main.query::<()>(redis::cmd("SET").arg("greeting").arg("again")).await;
/// assert!(refused.is_err());
/// # Ok(())
/// # }
/// ```
///
/// With the feature `memory-lua` it also runs scripts (`EVAL`, `EVALSHA`, `SCRIPT`, and so `redis::Script`) in
/// Lua 5.1 with `cjson`, but without the libraries `bit`, `cmsgpack` and `struct`; all clients wait for a script, so one
/// that runs for longer than 5 s (`CONFIG SET busy-reply-threshold`, in milliseconds; 0 is no limit) is ended
/// with an error, and what it has written stays.
///
/// # Faults
///
/// [`freeze`](Self::freeze), [`stop`](Self::stop) and the other faults last until they are taken back;
/// [`heal`](Self::heal) takes all of them back. They take effect for all clients at once.
#[derive(Clone)]
pub struct MemoryServer {
    pub(super) store: Store,
}

/// The order in which keys are evicted when a bound on the data is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvictionPolicy {
    /// None are evicted: commands that need memory fail with Redis's `OOM` error.
    #[default]
    NoEviction,
    /// Of five random keys, the one that was not used for longest (`allkeys-lru`).
    AllKeysLru,
    /// The key that expires next (`volatile-ttl`); without one, commands fail as with
    /// [`NoEviction`](Self::NoEviction).
    VolatileTtl,
}

impl MemoryServer {
    /// A new server, with a name that no other one has.
    #[must_use]
    pub fn new() -> Self {
        Self {
            store: Store::with_new_name(Mode::Alone),
        }
    }

    /// A new server, with a name that no other one has, which is the only node of a Redis Cluster: a stand-in for
    /// `redis+cluster://…`. Its [`url`](Self::url) begins with `memory+cluster://`.
    ///
    /// A database with that URL is a cluster in all respects: it learns the node, and splits, routes and refuses
    /// commands as in production. The server has one database and serves all 16,384 slots, and refuses commands whose
    /// keys are of several ones (`CROSSSLOT`). No slot ever moves, and there are no replicas.
    ///
    /// ```
    /// use redis_steward::{Config, MemoryServer, Supervisor};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = MemoryServer::new_cluster();
    /// let supervisor = Supervisor::spawn(Config::single(&server.url())).await?;
    /// let main = supervisor.database("main")?;
    /// let () = main.query(redis::cmd("MSET").arg(&["a", "1", "b", "2"])).await?;
    /// let rename = redis::cmd("RENAME").arg("a").arg("b").take();
    /// assert!(main.query::<()>(rename).await.is_err(), "two slots");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn new_cluster() -> Self {
        Self {
            store: Store::with_new_name(Mode::Cluster),
        }
    }

    /// The server of `memory://name` in this process; a new one if there is none.
    ///
    /// # Panics
    ///
    /// If the name cannot stand in a URL: it is made of letters, digits, `-`, `_` and `.`.
    #[must_use]
    #[track_caller]
    pub fn named(name: &str) -> Self {
        Self::of_name(name, Mode::Alone)
    }

    /// The server of `memory+cluster://name` in this process, which is [a cluster](Self::new_cluster); a new one if there
    /// is none. It is another one than that of `memory://name`.
    ///
    /// # Panics
    ///
    /// As [`named`](Self::named).
    #[must_use]
    #[track_caller]
    pub fn named_cluster(name: &str) -> Self {
        Self::of_name(name, Mode::Cluster)
    }

    #[track_caller]
    fn of_name(name: &str, mode: Mode) -> Self {
        let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        assert!(
            !name.is_empty() && name.bytes().all(is_usual),
            "the name of a memory server is made of letters, digits, - _ and ., and not {name:?}"
        );
        Self {
            store: Store::named(name, mode),
        }
    }

    /// The URL of this server, such as `memory://server-1` or `memory+cluster://server-1`, without a password.
    #[must_use]
    pub fn url(&self) -> String {
        self.store.to_string()
    }

    /// Asks clients for this password from now on, as `requirepass` does; those that are connected stay. An empty
    /// one ends that.
    pub fn set_password(&self, password: &str) {
        self.set_user("default", password);
    }

    /// Lets a user log in with this password, and do everything. An empty password removes the user, and disconnects
    /// its clients. Users with fewer rights are made by the command `ACL SETUSER`.
    pub fn set_user(&self, name: &str, password: &str) {
        let name = Bytes::copy_from_slice(name.as_bytes());
        let password = Bytes::copy_from_slice(password.as_bytes());
        self.store.with(|engine| {
            if &name[..] == DEFAULT_USER {
                engine.users.set_password(password);
            } else if password.is_empty() {
                engine.remove_user(&name);
            } else {
                engine.users.add(name, &password);
            }
        });
    }

    /// Accepts clients over a socket, such as redis-cli and programs in other languages: at `127.0.0.1:6379`,
    /// `127.0.0.1:0` for any free port, or `unix:///tmp/redis.sock`. They are served until the listener is dropped, by
    /// tasks of the tokio runtime that runs this call.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = redis_steward::MemoryServer::new();
    /// let listener = server.listen("127.0.0.1:0").await?;
    /// println!("redis-cli -u {}", listener.url());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An error of the system, such as an address in use; `PermissionDenied` for an address that other machines
    /// reach, unless the server has a password ([`set_password`](Self::set_password)).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn listen(&self, address: &str) -> io::Result<MemoryListener> {
        MemoryListener::open(&self.store, address).await
    }

    /// Bounds the bytes of all keys and values, counted as `INFO` shows them in `used_memory`; 0 is no bound. See
    /// [`EvictionPolicy`] for the consequence.
    pub fn set_max_memory(&self, bytes: usize, policy: EvictionPolicy) {
        self.store.with(|engine| {
            engine.settings.max_bytes = bytes;
            engine.settings.eviction = policy.into();
        });
    }

    /// Bounds the number of keys of all databases; 0 is no bound. The policy is that of
    /// [`set_max_memory`](Self::set_max_memory).
    pub fn set_max_keys(&self, keys: usize) {
        self.store.with(|engine| engine.settings.max_keys = keys);
    }

    /// Makes all that is random repeatable: `RANDOMKEY`, `SPOP`, eviction.
    pub fn seed(&self, seed: u64) {
        self.store.with(|engine| engine.random.seed(seed));
    }

    /// Moves the server's time on, beside tokio's clock: keys expire and commands that block time out. Deadlines
    /// of clients do not move. It is moved by some 70 million years at most.
    pub fn advance(&self, duration: Duration) {
        self.store.with(|engine| {
            engine.clock.advance(duration);
            engine.tick_all();
        });
    }

    /// Runs a command on database 0 at once, without a connection: for data that a test begins with, and for questions
    /// that the other methods do not answer. No fault of this server affects it, nor does its memory bound, and
    /// [`command_counts`](Self::command_counts) does not count it. A command that would wait does not. In a
    /// [cluster](Self::new_cluster) its keys may be of several slots, which the server refuses to clients.
    ///
    /// ```
    /// let server = redis_steward::MemoryServer::new();
    /// server.freeze();
    /// let () = server.query(redis::cmd("RPUSH").arg("queue").arg(&["a", "b"]))?;
    /// let length: usize = server.query(redis::cmd("LLEN").arg("queue"))?;
    /// assert_eq!(length, 2);
    /// # Ok::<(), redis::RedisError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The command's own, and that of the conversion of its reply.
    pub fn query<T: FromRedisValue>(&self, command: impl Borrow<Cmd>) -> RedisResult<T> {
        let request = request(command.borrow());
        let reply = self.store.with(|engine| engine.operate(&request));
        let mut bytes = BytesMut::new();
        reply.write(Protocol::default(), &mut bytes);
        let value = redis::parse_redis_value(&bytes)?;
        Ok(T::from_redis_value(value.extract_error()?)?)
    }

    /// The string at a key of database 0; `None` if there is none, or a value of another type.
    #[must_use]
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        match self.value(key)? {
            MemoryValue::String(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The value at a key of database 0, of whatever type.
    #[must_use]
    pub fn value(&self, key: impl AsRef<[u8]>) -> Option<MemoryValue> {
        self.store.with(|engine| {
            engine.expire();
            let value = engine.keyspace.database(0).peek(key.as_ref());
            value.map(MemoryValue::of)
        })
    }

    /// The time that a key of database 0 has left to live; `None` if it does not exist, or does not expire.
    #[must_use]
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Option<Duration> {
        self.store.with(|engine| {
            engine.expire();
            let at = engine.keyspace.database(0).expiry(key.as_ref())?;
            Some(Duration::from_millis(
                at.saturating_sub(engine.clock.millis()),
            ))
        })
    }

    /// All keys of a database with their values; none for a number that the server does not have.
    #[must_use]
    pub fn dump(&self, database: usize) -> BTreeMap<Vec<u8>, MemoryValue> {
        self.store.with(|engine| {
            engine.expire();
            let Some(database) = engine.keyspace.get(database) else {
                return BTreeMap::new();
            };
            let keys = database.keys();
            keys.filter_map(|key| Some((key.to_vec(), MemoryValue::of(database.peek(key)?))))
                .collect()
        })
    }

    /// The keys of a database, in order.
    #[must_use]
    pub fn keys(&self, database: usize) -> Vec<Vec<u8>> {
        let mut keys = self.store.with(|engine| {
            engine.expire();
            let database = engine.keyspace.get(database);
            let keys = database.into_iter().flat_map(|database| database.keys());
            keys.map(|key| key.to_vec()).collect::<Vec<_>>()
        });
        keys.sort();
        keys
    }

    /// How often each command has run, by its name in lower case.
    #[must_use]
    pub fn command_counts(&self) -> BTreeMap<&'static str, u64> {
        self.store.with(|engine| {
            let calls = engine.statistics.calls(engine.table);
            calls
                .map(|(command, calls)| (command.name, calls.calls))
                .collect()
        })
    }

    /// The number of connected clients.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.store.with(|engine| engine.sessions.len())
    }
}

/// The arguments of a command.
fn request(command: &Cmd) -> Request {
    let arguments = command.args_iter().map(|argument| match argument {
        Arg::Simple(bytes) => Bytes::copy_from_slice(bytes),
        // The only other one: the cursor of a walk at its beginning.
        _ => Bytes::from_static(b"0"),
    });
    arguments.collect()
}

impl Default for MemoryServer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryServer({})", self.store)
    }
}

impl From<EvictionPolicy> for Eviction {
    fn from(policy: EvictionPolicy) -> Self {
        match policy {
            EvictionPolicy::NoEviction => Self::None,
            EvictionPolicy::AllKeysLru => Self::LeastRecentlyUsed,
            EvictionPolicy::VolatileTtl => Self::NextToExpire,
        }
    }
}
