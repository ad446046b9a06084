//! One database: the constructors, and the setters that do not follow from a row of the table.

use std::path::PathBuf;

use super::{DatabaseConfig, layer::Origin, url::SecretUrl, url_options::Without};
use crate::credentials::CredentialsSource;

impl DatabaseConfig {
    /// Database 0 of a server on this machine: `redis://localhost:6379/0`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The database that a URL names, with the defaults for everything else.
    ///
    /// - `redis://[[user]:password@]host[:port][/number]`, or `valkey://…`; an IPv6 host stands in
    ///   brackets;
    /// - `rediss://…` or `valkeys://…`: the same with [TLS](crate::Tls);
    /// - `unix:///path/to/redis.sock[?db=number&user=name&pass=password]`, or `redis+unix://…`,
    ///   `valkey+unix://…`;
    /// - `redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/service[/number]`, or `valkey+sentinel://…`:
    ///   the primary of a service, as the sentinels at these hosts know it (see the README); their port is 26379
    ///   unless given; `rediss+sentinel://…` reaches both by TLS;
    /// - `redis+cluster://[[user]:password@]host[:port][,host[:port]…][/number]`, or `valkey+cluster://…`: a cluster, whose
    ///   nodes are learnt from these hosts (see [`cluster`](Self::cluster)); `rediss+cluster://…` reaches all by TLS;
    /// - `memory://[[[user]:password@]name][/number]`: a server inside the process ([`MemoryServer`](crate::MemoryServer));
    ///   without a name it is this database's own;
    /// - `memory+cluster://[[[user]:password@]name]`: the same as the only node of a cluster, as a stand-in for `redis+cluster://`
    ///   ([`MemoryServer::new_cluster`](crate::MemoryServer::new_cluster)).
    ///
    /// The port is 6379 and the number 0 unless given. Special characters in a user name or a
    /// password are percent-encoded; in the query of a `unix` URL a plus sign stands for a space.
    ///
    /// The query of every URL may have these parameters, as in `redis://host/0?protocol=3`:
    ///
    /// | parameter | setter |
    /// |---|---|
    /// | `protocol=2`, `3`, `resp2` or `resp3` | [`protocol`](Self::protocol) |
    /// | `without_hello` | [`without_hello`](Self::without_hello) |
    /// | `without_client_name` | [`without_client_name`](Self::without_client_name) |
    /// | `without_select` | [`without_select`](Self::without_select) |
    ///
    /// With TLS it may also have `ca_file`, `cert_file`, `key_file`, `server_name` (as in [`Tls`](crate::Tls)), their other
    /// names `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile`, and `dangerous_accept_invalid_certificates=true`.
    ///
    /// The URL is not read here, so that this cannot fail. [`Config::check`](crate::Config::check)
    /// reports its problems, and quotes no part of it that may be a password.
    pub fn from_url(url: impl Into<String>) -> Self {
        let mut config = Self::default();
        config.url.offer(SecretUrl::new(url), Origin::Url);
        config
    }

    /// The configuration of a Redis Cluster, or a Valkey one, of which at least one of these nodes is up.
    ///
    /// Each is a host, or a host and a port: `["10.0.0.1:7000", "10.0.0.2"]`. One is enough, and several are there for when
    /// that one is not: all other nodes are learnt. It is the same as
    /// [`from_url`](Self::from_url)`("redis+cluster://10.0.0.1:7000,10.0.0.2")`, which can have a login, too.
    ///
    /// Each node that serves keys has connections, limits and a circuit of its own, by the settings of this database, and
    /// is listed in the statistics and events as `main (10.0.0.1:7000)`. See the README for what runs where.
    pub fn cluster<S: AsRef<str>>(nodes: impl IntoIterator<Item = S>) -> Self {
        let nodes: Vec<_> = nodes.into_iter().collect();
        let nodes: Vec<_> = nodes.iter().map(S::as_ref).collect();
        Self::from_url(format!("redis+cluster://{}", nodes.join(",")))
    }

    /// A file that holds the password, and nothing else but a line end.
    ///
    /// It is read at every dial. While connections are open it is read every 5 s, and if it has changed, they
    /// authenticate with the new password in place, so that a password is rotated without a lost call. Default: none.
    pub fn password_file(mut self, path: impl Into<PathBuf>) -> Self {
        let source = CredentialsSource::file(path);
        self.credentials.offer(Some(source), Origin::Setter);
        self
    }

    /// A command that prints the password.
    ///
    /// The shell (`/bin/sh`) runs it at every dial, and every minute while connections are open. It may take 10 s, no
    /// longer than the [connect timeout](Self::connect_timeout), and print 64 KiB; line ends behind the password are
    /// dropped, and what it says on its standard error, too. A failure counts as a failed dial. At the limit the shell is
    /// killed, but not what it has started. Default: none.
    pub fn password_command(mut self, command: impl Into<String>) -> Self {
        let source = CredentialsSource::command(command);
        self.credentials.offer(Some(source), Origin::Setter);
        self
    }

    /// The number of connections that callers share: at least `min`, at most `max`.
    ///
    /// Default: 1 and 1. Range: 1 to 65_535, `min` at most `max`, and `max` at most
    /// `max_connections`.
    ///
    /// One connection carries the commands of many callers in one stream, and is the fastest up to
    /// hundreds of thousands of commands a second. `min` connections are open while the database is
    /// in use; [`min_idle`](Self::min_idle) of them stay open while it is idle. Another one, up to
    /// `max`, is opened only while the present ones are saturated.
    ///
    /// Several connections use several threads of this process and of a server with I/O threads. The
    /// price is order: commands that are under way on different connections at the same time run in
    /// no set order.
    pub fn shared_connections(mut self, min: usize, max: usize) -> Self {
        self.shared_min.offer(min, Origin::Setter);
        self.shared_max.offer(max, Origin::Setter);
        self
    }

    /// Opens connections without `HELLO`.
    ///
    /// They speak RESP2 then, whatever [`protocol`](Self::protocol) says, and a replica is recognised only
    /// when it refuses a write. A server that does not accept `HELLO` is found out without this setting; it
    /// spares such a server the attempt. Default: `HELLO` is sent, and may be refused.
    pub fn without_hello(mut self) -> Self {
        self.without_hello.offer(true, Origin::Setter);
        self
    }

    /// Opens connections without `CLIENT SETNAME` and `CLIENT SETINFO`.
    ///
    /// Their [name](Self::client_name) and the name of this crate then do not appear in the server's
    /// `CLIENT LIST`. Default: they are sent, and may be refused.
    pub fn without_client_name(mut self) -> Self {
        self.without_client_name.offer(true, Origin::Setter);
        self
    }

    /// Opens connections without `SELECT`.
    ///
    /// They use the database that the server or a proxy gives them, whatever [`number`](Self::number) says.
    /// Default: `SELECT` is sent for every number except 0, and has to succeed.
    pub fn without_select(mut self) -> Self {
        self.without_select.offer(true, Origin::Setter);
        self
    }

    /// Leaves connections open however old they are.
    ///
    /// A connection then keeps the address and the login with which it was opened until it is
    /// lost. See [`max_lifetime`](Self::max_lifetime), whose default is 30 min.
    pub fn without_max_lifetime(mut self) -> Self {
        self.max_lifetime.offer(None, Origin::Setter);
        self
    }

    /// Leaves TCP keepalive off.
    ///
    /// A firewall may then forget idle connections, which the next command finds out. See
    /// [`keepalive`](Self::keepalive), which is on by default.
    pub fn without_keepalive(mut self) -> Self {
        self.keepalive.offer(None, Origin::Setter);
        self
    }

    /// Leaves unacknowledged bytes to the operating system, which retransmits for about 15 minutes.
    ///
    /// The attempt timeout still finds a server that has stopped answering. See
    /// [`tcp_user_timeout`](Self::tcp_user_timeout), whose default is 2 s.
    pub fn without_tcp_user_timeout(mut self) -> Self {
        self.tcp_user_timeout.offer(None, Origin::Setter);
        self
    }

    /// Takes a URL. If the present one is replaced by one without a number, its number stays: it is what tells this
    /// database from others on one server.
    pub(super) fn offer_url(&mut self, url: SecretUrl, origin: &Origin) {
        let present = self.url.origin().clone();
        if present != Origin::Default
            && let Ok(location) = self.url.get().parse()
            && location.number.is_some()
        {
            self.number.offer(location.number, present.of_url_parts());
        }
        self.url.offer(url, origin.clone());
    }

    /// The commands that setters leave out. A URL may leave out more.
    pub(super) fn omissions(&self) -> Without {
        Without {
            hello: *self.without_hello.get(),
            client_name: *self.without_client_name.get(),
            select: *self.without_select.get(),
        }
    }
}
