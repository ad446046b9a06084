//! The settings of a database: one table, in which each is written once.
//!
//! From a row follow the field of [`DatabaseConfig`], its setter and its documentation, `Debug`,
//! the checks, the reading of its variable, and the field of [`DatabaseSettings`].
//!
//! - this file: the table · `grammar`: everything that follows from a row
//! - `quantity`: values that have a range · `text`: their notation in the table
//! - `view`: the table as data

#[macro_use]
mod text;
#[macro_use]
mod grammar;
mod view;

use std::{fmt, sync::Arc, time::Duration};

use secrecy::SecretString;

use super::{
    Address, AddressMap, Config, Fallback, Keepalive, MaintenanceNotifications, Protocol, WhenDown,
    address::Host,
    changes::{Changes, Compared as _},
    field::Field,
    layer::{Layered, Origin, Origins},
    quantity::{Quantity, within},
    report::Report,
    setting::{Setting, is_off},
    url::SecretUrl,
    username::Username,
};
use crate::{
    credentials::{CredentialsProvider, CredentialsSource},
    tls::{Tls, TlsClient},
};
pub(super) use view::{all, find};

fields! {
    server {
        /// The host of the server: a name or an IP address.
        ///
        /// It overrides the host of a URL that comes from a weaker source, such as a URL in code.
        host(host: impl Into<String>) via Host::new: Option<Host>,
            default("the URL's"),
            range("a host name or an IP address"),
            variable("REDIS_HOST");

        /// The port of the server.
        ///
        /// It overrides the port of a URL that comes from a weaker source, such as a URL in code.
        port(port: u16) via u16::from: Option<u16>,
            default("the URL's, else 6379"),
            range("1 to 65_535"),
            variable("REDIS_PORT");
    }

    login {
        /// The URL of the database.
        url: SecretUrl => address: Address,
            default("redis://localhost:6379/0"),
            range("a redis, rediss, valkey, valkeys, redis+sentinel, redis+cluster, unix, memory or memory+cluster URL"),
            variable("REDIS_URL");

        /// The number of the database on its server.
        ///
        /// A server has 16 databases unless its `databases` setting says otherwise. A number that
        /// it does not have is found out when a connection is opened, and reported as a health
        /// event. Numbers separate names, not loads: databases of one server share its thread, its
        /// memory and its eviction policy.
        number(number: i64) via i64::from: Option<i64> => number: i64,
            default("the URL's, else 0"),
            range("0 to 65_535"),
            variable("REDIS_DB"),
            names("db");

        /// The ACL user to log in as.
        ///
        /// It needs a password. `Debug` masks it, as it is half of a credential.
        username(username: impl Into<String>) via Username::new:
            Option<Username> => username: Option<Username>,
            default("the URL's, else the server's user `default`"),
            range("not empty"),
            variable("REDIS_USERNAME");

        /// The password to log in with.
        ///
        /// No error, event, log line or `Debug` text shows it. A setter is the safer place than the
        /// URL, where special characters have to be percent-encoded.
        password(password: impl Into<String>) via secret:
            Option<SecretString> => password: Option<SecretString>,
            default("the URL's, else none"),
            range("not empty"),
            variable("REDIS_PASSWORD");

        /// A provider of the user name and the password, which may change.
        ///
        /// It is asked at every dial, and again for open connections: see
        /// [`CredentialsProvider`](crate::CredentialsProvider). A [`password`](Self::password) of a stronger source, such as
        /// a variable over a file, is used instead. Files have [`password_file`](Self::password_file) and
        /// [`password_command`](Self::password_command), and variables `REDIS_PASSWORD_FILE`.
        credentials(provider: impl CredentialsProvider) via CredentialsSource::provider:
            Option<CredentialsSource> => credentials: Option<CredentialsSource>,
            default("the user name and the password"),
            range("a provider; as text: file: and a path, or command: and a command");

        /// The user to log in as at sentinels.
        ///
        /// Only a URL with sentinels needs it, if the sentinels have users of their own. The login of the
        /// URL is that of the server. `Debug` masks it.
        sentinel_username(username: impl Into<String>) via Username::new:
            Option<Username> => sentinel_username: Option<Username>,
            default("the sentinels' user `default`"),
            range("not empty"),
            variable("REDIS_SENTINEL_USERNAME");

        /// The password to log in with at sentinels.
        ///
        /// It is the `requirepass` of the sentinels, which may differ from the password of the server.
        /// No error, event, log line or `Debug` text shows it.
        sentinel_password(password: impl Into<String>) via secret:
            Option<SecretString> => sentinel_password: Option<SecretString>,
            default("none"),
            range("not empty"),
            variable("REDIS_SENTINEL_PASSWORD");

        /// Addresses under which the nodes of a cluster are reached from here.
        ///
        /// For when these are not those that the nodes tell: behind port forwarding, or in containers.
        /// Pairs of the address that is told and the one that leads there, as in
        /// `"10.0.0.1:7000=localhost:17000, 10.0.0.2:7000=localhost:17001"`. A pair without ports, `10.0.0.1=gateway`, holds for all
        /// ports of the host. The seeds of the URL are used as they are.
        cluster_addresses(pairs: impl Into<String>) via Into::<String>::into:
            Option<String> => cluster_addresses: AddressMap,
            default("those that the nodes tell"),
            range("pairs of addresses");

        /// The name of the connections in the server's `CLIENT LIST`.
        ///
        /// Name the process or its role where several applications use one server, so that an
        /// operator sees which of them holds the connections.
        client_name(name: impl Into<String>) via Into::<String>::into:
            Option<String> => client_name: String,
            default("`redis-steward:` and the name of the database, with `_` for other characters"),
            range("1 to 128 visible ASCII characters");

        /// The version of the protocol.
        ///
        /// RESP2 gives the replies that the `redis` crate gives by default, and every server speaks it.
        /// Choose RESP3 for replies with types of their own, such as numbers and maps. A server that
        /// refuses it is used in RESP2. A URL says it as `protocol=3`.
        protocol(protocol: Protocol) via std::convert::identity: Option<Protocol> => protocol: Protocol,
            default("the URL's, else `Protocol::Resp2`"),
            range("`Protocol::Resp2` or `Protocol::Resp3`"),
            variable("REDIS_PROTOCOL");

        /// TLS for the connections.
        ///
        /// A URL that begins with `rediss://` switches it on, and no setting can then switch it off. [`Tls`] says how
        /// the server is verified, and how a client's certificate is sent. Unix sockets and `memory://` do without.
        tls(tls: Tls) via std::convert::identity: Option<Tls> => tls: Option<TlsClient>,
            default("as the URL says"),
            range("see `Tls`"),
            parts(Tls),
            names("ssl");

        /// Whether connections are opened without `HELLO`.
        without_hello: bool => without_hello: bool,
            default("false"),
            range("true or false");

        /// Whether connections are opened without `CLIENT SETNAME` and `CLIENT SETINFO`.
        without_client_name: bool => without_client_name: bool,
            default("false"),
            range("true or false");

        /// Whether connections are opened without `SELECT`.
        without_select: bool => without_select: bool,
            default("false"),
            range("true or false");
    }

    limits {
        /// The deadline of a command, from the call to its reply.
        ///
        /// It covers everything: waiting for a connection, sending, retries, and the reply. A call
        /// that reaches it ends with an error that tells whether the command may have run. Choose
        /// the longest time that a caller can use an answer. A shorter one sheds load sooner when
        /// the server is slow, a longer one rides out restarts and failovers. Blocking commands may
        /// wait for their own timeout on top. See also
        /// [`Database::with_timeout`](crate::Database::with_timeout).
        fixed command_timeout(timeout): Duration,
            default(5 s), range(1 ms..=1 year), variable("REDIS_SOCKET_TIMEOUT"),
            names("socket_timeout", "timeout_seconds", "timeout");

        /// The expected upper bound of a healthy reply; it never ends a command.
        ///
        /// Health is measured against it:
        /// - A reply is slow if it takes longer than 0.8 times this. When four fifths of the calls
        ///   are slow, the circuit opens.
        /// - A command that misses its deadline after that time counts against the server, and so does
        ///   one that is unanswered at that time and whose caller has given up.
        /// - After two timeouts, and no byte for twice this time, the connection is replaced.
        ///
        /// A short one detects a frozen server sooner. One that is shorter than your slowest
        /// regular commands makes a healthy server look slow.
        derived attempt_timeout(timeout): Duration,
            default(1 s, at most command_timeout),
            range(1 ms..=1 year), bound(at most command_timeout);

        /// The [`attempt_timeout`](Self::attempt_timeout) during maintenance that the server has announced.
        ///
        /// From the announcement of a migration or a failover until the announcement of its end, replies may take this
        /// long before they count as slow. It takes the place of the attempt timeout where it is longer, and extends no
        /// deadline of a call: see [`command_timeout`](Self::command_timeout). A longer one rides out long migrations; the
        /// price is that a server which dies in the middle of one is noticed later. An announced time of more than an
        /// hour counts as one hour, and work whose end is not announced counts as ended ten minutes after its announced
        /// begin: so no connection is relaxed for longer than 70 minutes by one announcement. See
        /// [`maintenance_notifications`](Self::maintenance_notifications).
        fixed relaxed_timeout(timeout): Duration,
            default(10 s), range(1 ms..=1 year);

        /// Whether the server is asked to announce its maintenance, if connections speak RESP3.
        ///
        /// When it announces that it moves, new connections are opened to the new address before the present ones
        /// go, so that no call notices. See [`MaintenanceNotifications`].
        fixed maintenance_notifications(choice): MaintenanceNotifications,
            default(MaintenanceNotifications::Auto),
            choices("`MaintenanceNotifications::Auto`, `Off`, `InternalIp`, `InternalFqdn`, `ExternalIp`, `ExternalFqdn` or `NoAddress`");

        /// The limit of opening a connection: DNS, TCP, the handshake, and a loading server.
        ///
        /// Addresses of one name are tried one after the other within it. Keep it below the command
        /// timeout, so that a command can still use a second attempt. Raise it for distant servers;
        /// the price is that an address that swallows packets is noticed later.
        derived connect_timeout(timeout): Duration,
            default(2 s, at most half of command_timeout),
            range(1 ms..=1 year), bound(at most command_timeout),
            names("socket_connect_timeout");

        /// The longest wait for a connection of one's own.
        ///
        /// It applies to [`Database::lease`](crate::Database::lease), transactions and blocking
        /// commands, which wait in order of arrival. A short one reports a pool that is too small
        /// at once, a long one evens out bursts. It may exceed the command timeout.
        derived acquire_timeout(timeout): Duration,
            default(1 s, at most command_timeout), range(1 ms..=1 year);

        /// The most connections of the pool at once.
        ///
        /// Shared connections count, leased ones, and those being opened or closed. Health probes
        /// come on top. The minimum of [shared connections](Self::shared_connections) is set apart,
        /// and the rest can be leased: 49 by default, none with a `max_connections` of 1.
        ///
        /// Ordinary commands share one connection, so that only leases, transactions and blocking
        /// commands need a large number: about as many as run at the same time. Every connection
        /// takes memory and one of the server's `maxclients`, which all processes share.
        fixed max_connections(connections): usize,
            default(50), range(1..=65_535), variable("REDIS_MAX_CONNECTIONS");

        /// The shared connections that are open while the database is in use.
        fixed shared_min as "shared_connections.min": usize,
            default(1), range(1..=65_535),
            bound(at most shared_max as "shared_connections.max");

        /// The most shared connections, reached only while they are saturated.
        fixed shared_max as "shared_connections.max": usize,
            default(1), range(1..=65_535), bound(at most max_connections);

        /// The connections that stay open while the database is idle.
        ///
        /// At least one of them is a shared connection. Idle connections spare the first commands
        /// after a pause the time of opening one: a round trip for TCP and one for the handshake.
        /// With 0, an idle database closes its last connection, which suits one that is used once
        /// an hour.
        fixed min_idle(connections): usize,
            default(1), range(0..=65_535), bound(at most max_connections);

        /// The time after which an idle connection is closed.
        ///
        /// Connections up to [`min_idle`](Self::min_idle) stay. Keep it below the `timeout` of the
        /// server and below the time after which firewalls forget a connection. A long one keeps
        /// connections of past peaks; a short one opens new ones at each peak. It takes effect at a
        /// [sweep](Self::sweep_interval).
        fixed idle_timeout(timeout): Duration, default(300 s), range(1 ms..=1 year);

        /// The age after which a connection is replaced as soon as it is free.
        ///
        /// Replacement brings new addresses, passwords and network rules into use, and spreads load
        /// over servers behind one name. The successor of a shared connection is opened before it
        /// is closed. The default is that of HikariCP. It is shortened for each connection by a
        /// random part of up to a tenth, so that connections opened together do not end together,
        /// and is checked at each [sweep](Self::sweep_interval), so that a connection can grow
        /// older by that interval. See [`without_max_lifetime`](Self::without_max_lifetime).
        optional max_lifetime(lifetime): Duration, default(30 min), range(1 s..=1 year);

        /// The time after which a lease that is still held is logged, with the place that took it.
        ///
        /// The warning comes once per lease, which is not taken back: it may be in use. Choose more
        /// than the longest regular use: each warning then is a lease that was forgotten.
        optional leak_warning(held): Duration, default(none), range(1 ms..=1 year);

        /// The time between two sweeps, which close idle and replace old connections.
        ///
        /// [`Config::sweep_interval`](crate::Config::sweep_interval) sets it for all databases. A
        /// sweep is cheap, but wakes the process.
        derived sweep_interval(interval): Duration,
            default(that of Config::sweep_interval), range(1 ms..=1 year);

        /// TCP keepalive, which finds the peer of an idle connection gone.
        ///
        /// Leased connections, on which commands may block for hours, ask earlier and more often:
        /// see [`Keepalive`].
        ///
        /// Without effect on Unix sockets. See [`without_keepalive`](Self::without_keepalive).
        optional keepalive(keepalive): Keepalive,
            default(Keepalive::new()), parts(Keepalive::check),
            names("socket_keepalive");

        /// The time that sent bytes may stay unacknowledged before the connection is given up.
        ///
        /// This is Linux's `TCP_USER_TIMEOUT` (RFC 5482); other systems ignore it. It finds a dead
        /// host or cable while commands are under way. It also ends a connection whose server reads
        /// nothing for that time while its buffers are full: raise it where megabytes are sent to a
        /// server that runs commands of seconds. Unix sockets ignore it. See
        /// [`without_tcp_user_timeout`](Self::without_tcp_user_timeout).
        optional tcp_user_timeout(timeout): Duration, default(2 s), range(1 ms..=24 days);

        /// The time between two health probes of a healthy database.
        ///
        /// A probe opens a connection of its own and asks for a reply. Commands are evidence as
        /// well, so that probes matter for idle databases: a short interval finds an outage there
        /// sooner, at the price of one connection per interval. The first probes are spread at
        /// random over the interval.
        fixed health_check_interval(interval): Duration,
            default(30 s), range(1 ms..=1 year), variable("REDIS_HEALTH_CHECK_INTERVAL");

        /// The number of consecutive failures that opens the circuit.
        ///
        /// While the circuit is open, commands fail at once. A low number fails fast after a short
        /// disturbance; a high one lets more callers run into their deadline. A lost connection is
        /// one failure, however many calls were on it; errors that a command deserves are none.
        ///
        /// The circuit also opens, at any threshold, when of at least 20 calls in the last 10 s
        /// half failed (the numbers of Hystrix), or four fifths took longer than 0.8 times the
        /// [attempt timeout](Self::attempt_timeout).
        fixed failure_threshold(failures): u32,
            default(5), range(1..=4_294_967_295), variable("REDIS_FAILURE_THRESHOLD"),
            names("circuit_breaker_threshold");

        /// The longest time without a failure that closes a circuit which opened again and again.
        ///
        /// A first outage ends with three successes. If the circuit opens again within 30 s, the
        /// next time asks for three more successes, fewer trials at a time, and 50 ms without a
        /// failure, then 100 ms, 200 ms and so on, up to this. Meanwhile the circuit is half-open:
        /// commands pass, a few at a time. A short one gives a server that recovers its full load
        /// sooner; a long one spares a server that keeps failing under load. It does not delay
        /// probes: they pause for 1 s at most.
        fixed recovery_timeout(timeout): Duration,
            default(1 s), range(1 ms..=1 year), variable("REDIS_RECOVERY_TIMEOUT"),
            names("circuit_breaker_timeout");

        /// The most times that a call sends its command.
        ///
        /// Only what may run twice, or has not run, is sent again, within the deadline and a budget of retries: a
        /// fifth of the calls. With 1 nothing is sent again.
        fixed max_attempts(attempts): u32,
            default(3), range(1..=100), names("retry_attempts");

        /// What calls do while the database is down: fail at once, or wait for recovery.
        ///
        /// Failing at once suits a request path, and waiting a worker or a job that has a minute.
        /// [`Database::patient`](crate::Database::patient) and
        /// [`impatient`](crate::Database::impatient) choose per handle. Waiting calls keep their
        /// deadline, so that a long outage needs a longer
        /// [`command_timeout`](Self::command_timeout).
        fixed when_down(choice): WhenDown,
            default(WhenDown::Refuse), choices("`WhenDown::Refuse` or `WhenDown::Wait`");

        /// A store in this process that serves calls while the database is down.
        ///
        /// Calls that would fail at once then get what this process knows of the outage alone, and
        /// what they write may be lost. It suits data that a program can do without for a while;
        /// [`Fallback`] says what it serves, and what becomes of the writes. Handles that
        /// [wait](Self::when_down) for recovery do not use it.
        optional fallback(fallback): Fallback, default(none), parts(Fallback::check);

        /// The most commands in flight at once; further ones are refused as overload.
        ///
        /// It bounds the memory and the delay that a slow server can cause in this process. A
        /// refused command has not run. Lower it to shed load earlier. In a cluster it is the bound of each node; all
        /// nodes together have four times as much room.
        // They are counted in 24 bits, of which one is room for callers that are refused
        // (`net/in_flight.rs`).
        fixed max_in_flight(commands): usize, default(65_536), range(1..=8_388_607);

        /// The most bytes of requests in flight at once; further commands are refused as overload.
        ///
        /// The arguments of commands make up most of it. Lower it where memory is scarce, and raise
        /// it above the largest pipeline that you send. In a cluster it is the bound of each node; all nodes together have
        /// four times as much room.
        // They are counted in 40 bits.
        fixed max_in_flight_bytes(bytes): usize, default(512 MiB), range(1 KiB..=512 GiB);

        /// The most requests that wait for a connection; further ones are refused as overload.
        ///
        /// Requests wait while a connection is being opened, and while all leases are taken. A high
        /// number rides out a restart with many callers; a low one lets them fail sooner.
        fixed max_parked(requests): usize, default(16_384), range(1..);

        /// The most bytes of replies that the [near cache](crate::Database::cached) keeps.
        ///
        /// Those that were not used for the longest time make room. A reply that is larger than a
        /// share of it is not kept. Nothing is taken before a handle is cached.
        fixed near_cache_max_bytes(bytes): usize, default(64 MiB), range(1 KiB..=512 GiB);

        /// The most keys of which the near cache keeps replies.
        fixed near_cache_max_entries(keys): usize, default(65_536), range(1..=1_073_741_824);

        /// The longest time that the near cache keeps a reply.
        ///
        /// The server tells of changes, so that it only matters for what the server tells nothing of,
        /// such as fields of a hash that expire one by one.
        fixed near_cache_max_age(age): Duration, default(60 s), range(1 ms..=1 year);

        /// The longest reply accepted, in bytes; a longer one fails its command.
        ///
        /// The default is the longest string that a server holds, 512 MiB, and room for its frame.
        /// A lower limit protects the memory of this process against a `HGETALL` of a hash that has
        /// grown. The error is [`ReplyTooLarge`](crate::Error::ReplyTooLarge). The reply is read over
        /// without being kept, and other commands on its connection wait for its end; if that takes
        /// several seconds, the connection is closed.
        // Below 1 KiB not even the server's error messages would fit.
        fixed max_reply_bytes(bytes): usize, default(513 MiB), range(1 KiB..);

        /// Whether commands that administer the server may be sent.
        ///
        /// Among them are `CONFIG`, `FLUSHALL` and `SHUTDOWN`. Refused, a mistake or an injected
        /// command cannot harm other users of the server; an ACL on the server is the stronger
        /// protection.
        fixed allow_admin(allow): bool, default(false);
    }
}

/// An example of a setting that has no default of its own.
const fn login_example(key: &str) -> &'static str {
    match key.as_bytes() {
        b"url" => "redis://localhost:6379/0",
        b"host" => "localhost",
        b"port" => "6379",
        b"number" => "0",
        b"protocol" => "3",
        b"tls" => "true",
        b"credentials" => "file:/run/secrets/redis",
        b"without_hello" | b"without_client_name" | b"without_select" => "false",
        _ => "app",
    }
}

/// An example of a setting, where the usual one is none.
const fn example_of(key: &str, usual: &'static str) -> &'static str {
    match key.as_bytes() {
        b"fallback" => "memory",
        _ => usual,
    }
}

/// Whether the rest of a key, after that of a setting, names a part of it.
fn is_part(rest: &str) -> bool {
    rest.starts_with('.')
}

fn is_whole_or_part(rest: &str) -> bool {
    rest.is_empty() || is_part(rest)
}

/// Text that is not shown.
fn secret(text: impl Into<String>) -> SecretString {
    SecretString::from(text.into())
}
