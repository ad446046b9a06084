//! One database.

use super::Keepalive;
use super::location::Location;
use secrecy::SecretString;
use std::fmt;
use std::time::Duration;

/// How to reach one database, and the limits of its use.
///
/// Plain data with setters, each of which states its default and its range. Setters win over the
/// URL.
///
/// ```
/// use redis_steward::DatabaseConfig;
/// use std::time::Duration;
///
/// let sessions = DatabaseConfig::from_url("redis://cache.internal:6379")
///     .number(6)
///     .username("app")
///     .password("from a secret store")
///     .command_timeout(Duration::from_millis(500))
///     .max_connections(20);
/// # redis_steward::Config::new().database("sessions", sessions).check().unwrap();
/// ```
#[derive(Clone)]
#[must_use]
pub struct DatabaseConfig {
    // A URL may hold a password, so all of it is a secret.
    pub(super) url: SecretString,
    pub(super) number: Option<i64>,
    pub(super) username: Option<String>,
    pub(super) password: Option<SecretString>,
    pub(super) client_name: Option<String>,
    pub(super) command_timeout: Duration,
    pub(super) attempt_timeout: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) acquire_timeout: Option<Duration>,
    pub(super) max_connections: usize,
    pub(super) shared_min: usize,
    pub(super) shared_max: usize,
    pub(super) min_idle: usize,
    pub(super) idle_timeout: Duration,
    pub(super) max_lifetime: Option<Duration>,
    pub(super) leak_warning: Option<Duration>,
    pub(super) sweep_interval: Option<Duration>,
    pub(super) keepalive: Option<Keepalive>,
    pub(super) tcp_user_timeout: Option<Duration>,
    pub(super) health_check_interval: Duration,
    pub(super) failure_threshold: u32,
    pub(super) recovery_timeout: Duration,
    pub(super) max_in_flight: usize,
    pub(super) max_in_flight_bytes: usize,
    pub(super) max_parked: usize,
    pub(super) max_reply_bytes: usize,
    pub(super) allow_admin: bool,
}

impl DatabaseConfig {
    /// Database 0 of a server on this machine: `redis://localhost:6379/0`.
    pub fn new() -> Self {
        Self::from_url("redis://localhost:6379/0")
    }

    /// The database that a URL names, with the defaults for everything else:
    /// - `redis://[[user]:password@]host[:port][/number]`, or `valkey://…`; an IPv6 host stands in
    ///   brackets;
    /// - `unix:///path/to/redis.sock[?db=number&user=name&pass=password]`, or `redis+unix://…`,
    ///   `valkey+unix://…`.
    ///
    /// The port is 6379 and the number 0 unless given. Special characters in a user name or a
    /// password are percent-encoded; in the query of a `unix` URL a plus sign stands for a space.
    pub fn from_url(url: impl Into<String>) -> Self {
        Self {
            url: SecretString::from(url.into()),
            number: None,
            username: None,
            password: None,
            client_name: None,
            command_timeout: Duration::from_secs(5),
            attempt_timeout: None,
            connect_timeout: None,
            acquire_timeout: None,
            max_connections: 50,
            shared_min: 1,
            shared_max: 1,
            min_idle: 1,
            idle_timeout: Duration::from_secs(300),
            max_lifetime: Some(Duration::from_secs(1800)),
            leak_warning: None,
            sweep_interval: None,
            keepalive: Some(Keepalive::new()),
            tcp_user_timeout: Some(Duration::from_secs(2)),
            health_check_interval: Duration::from_secs(30),
            failure_threshold: 5,
            recovery_timeout: Duration::from_secs(60),
            max_in_flight: 65_536,
            max_in_flight_bytes: 512 << 20,
            max_parked: 16_384,
            // The longest string a server holds by default (512 MiB), and room for what surrounds
            // it.
            max_reply_bytes: 513 << 20,
            allow_admin: false,
        }
    }

    /// The database number. Default: the URL's, else 0; range 0 to 65,535, of which a server has 16
    /// unless its `databases` setting says otherwise.
    pub fn number(mut self, number: i64) -> Self {
        self.number = Some(number);
        self
    }

    /// The ACL user to log in as. Default: the URL's, else the server's user `default`. Needs a
    /// password.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// The password to log in with. Default: the URL's, else none. It is never shown.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(SecretString::from(password.into()));
        self
    }

    /// What `CLIENT LIST` on the server calls the connections: 1 to 128 visible ASCII characters.
    /// Default: `redis-steward:` and the database's name, with `_` for other characters.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = Some(name.into());
        self
    }

    /// The deadline of a command, from the call to its reply, waiting for a connection included.
    /// Default 5 s; range 1 ms to 1 year.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

    /// How long an answer takes at most while all is well. A command whose reply takes longer than 0.8
    /// times this is slow, and when nearly all are, the circuit opens. One that times out after being
    /// slow, or becomes slow after its caller has given up, counts against the server, and once some have
    /// timed out, and no byte has come for twice this long, the connection is replaced. It does not end a command. Default 1 s, or the command timeout if
    /// that is shorter; range 1 ms to the command timeout.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// The limit of opening a connection: DNS, TCP, the handshake, and waiting for a server that is
    /// loading its data. Default 2 s, or half the command timeout if that is shorter; range 1 ms to
    /// below the command timeout.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long [`Database::lease`](crate::Database::lease) and blocking commands wait for a connection
    /// of their own. Default 1 s, or the command timeout if that is shorter; range 1 ms to 1 year.
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = Some(timeout);
        self
    }

    /// The most connections of the pool at once: shared ones, leased ones, and those being opened
    /// and closed. Health probes come on top. Default 50; range 1 to 65,535.
    ///
    /// The minimum of [shared connections](Self::shared_connections) is set apart, and the rest can
    /// be leased at a time: 49 by default, none with a `max_connections` of 1.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How many connections callers share: at least `min` while the database is in use, and at most
    /// `max`. Beyond the minimum another is opened only when those there are saturated. What stays
    /// open while nobody uses them is for [`min_idle`](Self::min_idle) to say.
    ///
    /// Default 1 and 1; range 1 to `max_connections`, and `min` is not above `max`. One connection
    /// carries the commands of many callers in one stream; commands that are under way on different
    /// ones at the same time run in no set order.
    pub fn shared_connections(mut self, min: usize, max: usize) -> Self {
        self.shared_min = min;
        self.shared_max = max;
        self
    }

    /// Connections that are kept open though nobody uses them, at least one shared one among them.
    /// Default 1; range 0 to `max_connections`. With 0, a database that nobody uses closes its last connection.
    pub fn min_idle(mut self, connections: usize) -> Self {
        self.min_idle = connections;
        self
    }

    /// How long a connection may be idle before the janitor closes it. Default 300 s; range 1 ms to
    /// 1 year.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// The age after which a connection is replaced as soon as nobody uses it, so that new addresses,
    /// passwords and rules of the network come to be used. Default 30 min (as in HikariCP); range 1 s
    /// to 1 year.
    ///
    /// It is shortened for each connection by a random part of up to a tenth, so that connections
    /// opened together do not end together. It is looked at in every sweep, so that a connection can
    /// grow older by one [sweep interval](Self::sweep_interval).
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// Leaves connections open however old they are.
    pub fn without_max_lifetime(mut self) -> Self {
        self.max_lifetime = None;
        self
    }

    /// How long a lease may be held before it is logged, once, with where it was taken: it may have
    /// been forgotten. It is not taken back. Default: leases are held in silence; range 1 ms to 1
    /// year.
    pub fn leak_warning(mut self, held: Duration) -> Self {
        self.leak_warning = Some(held);
        self
    }

    /// How often connections are looked at that are idle or old. Default: that of
    /// [`Config::sweep_interval`](crate::Config::sweep_interval); range 1 ms to 1 year.
    pub fn sweep_interval(mut self, interval: Duration) -> Self {
        self.sweep_interval = Some(interval);
        self
    }

    /// TCP keepalive. Default [`Keepalive::new`]. Without effect on Unix sockets.
    pub fn keepalive(mut self, keepalive: Keepalive) -> Self {
        self.keepalive = Some(keepalive);
        self
    }

    /// Leaves TCP keepalive off.
    pub fn without_keepalive(mut self) -> Self {
        self.keepalive = None;
        self
    }

    /// How long sent bytes may stay unacknowledged before the operating system gives the connection
    /// up (Linux's `TCP_USER_TIMEOUT`, RFC 5482; ignored elsewhere). Default 2 s; range 1 ms to 24
    /// days.
    ///
    /// It also ends a connection whose server reads nothing for so long while more is to be sent than its
    /// buffers take: choose more where megabytes are sent to a server that runs commands of seconds.
    pub fn tcp_user_timeout(mut self, timeout: Duration) -> Self {
        self.tcp_user_timeout = Some(timeout);
        self
    }

    /// Leaves unacknowledged bytes to the operating system, which retransmits for about 15 minutes.
    pub fn without_tcp_user_timeout(mut self) -> Self {
        self.tcp_user_timeout = None;
        self
    }

    /// Time between two health probes of a healthy database. Default 30 s; range 1 ms to 1 year.
    pub fn health_check_interval(mut self, interval: Duration) -> Self {
        self.health_check_interval = interval;
        self
    }

    /// Consecutive failures that open the circuit. Default 5; at least 1.
    ///
    /// Whatever it is, the circuit also opens when, of at least 20 calls in the last 10 s, half failed
    /// (the numbers of Hystrix), or four fifths took longer than 0.8 times the
    /// [attempt timeout](Self::attempt_timeout). A lost connection is one failure, however many calls
    /// were on it; errors that a command deserves are none.
    pub fn failure_threshold(mut self, failures: u32) -> Self {
        self.failure_threshold = failures;
        self
    }

    /// The longest time that an open circuit keeps probes away because it had opened again and again:
    /// 1 s the second time within 30 s, and twice as long each further time, with equal jitter. The
    /// first time it is probed at once. A server that refuses this client is asked after 1 to 30 s,
    /// whatever this says. Default 60 s; range 1 ms to 1 year.
    pub fn recovery_timeout(mut self, timeout: Duration) -> Self {
        self.recovery_timeout = timeout;
        self
    }

    /// Commands under way at once; further ones are refused as overload. Default 65,536; range 1 to
    /// 8,388,607.
    pub fn max_in_flight(mut self, commands: usize) -> Self {
        self.max_in_flight = commands;
        self
    }

    /// Bytes of requests under way at once; further commands are refused as overload. Default 512
    /// MiB; range 1 KiB to 512 GiB.
    pub fn max_in_flight_bytes(mut self, bytes: usize) -> Self {
        self.max_in_flight_bytes = bytes;
        self
    }

    /// Requests that may wait for a connection; further ones are refused as overload. Default
    /// 16,384; at least 1.
    pub fn max_parked(mut self, requests: usize) -> Self {
        self.max_parked = requests;
        self
    }

    /// The longest reply accepted, in bytes; a longer one ends its connection. Default 513 MiB; at
    /// least 1 KiB.
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply_bytes = bytes;
        self
    }

    /// Whether commands that administer the server (`CONFIG`, `FLUSHALL`, `SHUTDOWN` …) may be
    /// sent. Default `false`.
    pub fn allow_admin(mut self, allow: bool) -> Self {
        self.allow_admin = allow;
        self
    }
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use secrecy::ExposeSecret;
        // Of a URL that cannot be read, nobody can tell which part is the password.
        let url = Location::parse(self.url.expose_secret())
            .map_or("(not readable)".into(), |location| location.shown());
        f.debug_struct("DatabaseConfig")
            .field("url", &url)
            .field("number", &self.number)
            .field("username", &self.username.as_ref().map(|_| "***"))
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("client_name", &self.client_name)
            .field("command_timeout", &self.command_timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("max_connections", &self.max_connections)
            .field("shared_min", &self.shared_min)
            .field("shared_max", &self.shared_max)
            .field("min_idle", &self.min_idle)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_lifetime", &self.max_lifetime)
            .field("leak_warning", &self.leak_warning)
            .field("sweep_interval", &self.sweep_interval)
            .field("keepalive", &self.keepalive)
            .field("tcp_user_timeout", &self.tcp_user_timeout)
            .field("health_check_interval", &self.health_check_interval)
            .field("failure_threshold", &self.failure_threshold)
            .field("recovery_timeout", &self.recovery_timeout)
            .field("max_in_flight", &self.max_in_flight)
            .field("max_in_flight_bytes", &self.max_in_flight_bytes)
            .field("max_parked", &self.max_parked)
            .field("max_reply_bytes", &self.max_reply_bytes)
            .field("allow_admin", &self.allow_admin)
            .finish()
    }
}
