//! Reading a URL: the endpoint, the database number and the login.

use std::{fmt, sync::Arc};

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::{
    address::{Address, ClusterSeeds, SentinelService, is_host_name},
    percent::decode,
    protocol::Protocol,
    url_options::{Common, Without, options},
    username::Username,
};
use crate::{
    memory::{Mode, Store},
    tls::Tls,
};

/// A URL as it was given. It may hold a password, so all of it is a secret.
#[derive(Clone)]
pub(super) struct SecretUrl {
    text: SecretString,
    is_without_number: bool,
}

impl SecretUrl {
    pub(super) fn new(url: impl Into<String>) -> Self {
        Self {
            text: SecretString::from(url.into()),
            is_without_number: false,
        }
    }

    pub(super) fn parse(&self) -> Result<Location, Vec<String>> {
        let location = Location::parse(self.text.expose_secret());
        location.map(|location| Location {
            number: location.number.filter(|_| !self.is_without_number),
            ..location
        })
    }

    /// The whole text, which may be shown if the location is public.
    #[cfg(feature = "serde")]
    pub(super) fn exposed(&self) -> &str {
        self.text.expose_secret()
    }

    /// The same without the number of the database, for databases that share a server.
    pub(super) fn without_number(self) -> Self {
        Self {
            is_without_number: true,
            ..self
        }
    }
}

impl Default for SecretUrl {
    fn default() -> Self {
        Self::new("redis://localhost:6379/0")
    }
}

/// Shows the location. In a URL that cannot be read, any part may be the password.
impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self
            .parse()
            .map_or("(not readable)".into(), |location| location.shown());
        shown.fmt(f)
    }
}

/// The parts of a URL. One that is left out is `None`, so that settings from elsewhere can fill it
/// in.
pub(super) struct Location {
    pub(super) address: Address,
    /// What a URL for TLS says of it.
    pub(super) tls: Option<Tls>,
    pub(super) number: Option<i64>,
    pub(super) username: Option<Username>,
    pub(super) password: Option<SecretString>,
    pub(super) protocol: Option<Protocol>,
    pub(super) without: Without,
}

impl Location {
    /// Reads a URL, or reports all its problems.
    ///
    /// No message quotes the URL: in a malformed one, any part may be the password.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<String>> {
        let text = text.trim();
        // The URL standard drops these silently, which would change a password.
        if text.contains(char::is_control) {
            return Err(vec![
                "holds a line break or another control character; write it percent-encoded".into(),
            ]);
        }
        let scheme = text
            .split_once(':')
            .map_or("", |(scheme, _)| scheme)
            .to_ascii_lowercase();
        match scheme.as_str() {
            "redis" | "valkey" => tcp(text, None),
            "rediss" | "valkeys" => tcp(text, Some(Tls::new())),
            "unix" | "redis+unix" | "valkey+unix" => unix(text),
            "memory" => memory(text, Mode::Alone),
            "memory+cluster" => memory(text, Mode::Cluster),
            "redis+sentinel" | "redis-sentinel" | "valkey+sentinel" => sentinels(text, None),
            "rediss+sentinel" | "rediss-sentinel" | "valkeys+sentinel" => {
                sentinels(text, Some(Tls::new()))
            }
            "redis+cluster" | "redis-cluster" | "valkey+cluster" => cluster(text, None),
            "rediss+cluster" | "rediss-cluster" | "valkeys+cluster" => {
                cluster(text, Some(Tls::new()))
            }
            _ => Err(vec![format!(
                "does not start with a known scheme; {EXAMPLES}"
            )]),
        }
    }

    /// Whether it holds no login.
    #[cfg(feature = "serde")]
    pub(super) fn is_public(&self) -> bool {
        self.username.is_none() && self.password.is_none()
    }

    /// The location without its user name, password and options, for logs and `Debug`.
    pub(super) fn shown(&self) -> String {
        let address = match &self.address {
            address @ Address::Tcp { .. } if self.tls.is_some() => format!("rediss://{address}"),
            address @ Address::Tcp { .. } => format!("redis://{address}"),
            address @ (Address::Sentinel(_) | Address::Cluster(_)) if self.tls.is_some() => {
                address.to_string().replacen("redis+", "rediss+", 1)
            }
            address => address.to_string(),
        };
        match (&self.address, self.number) {
            (_, None) => address,
            (Address::Unix(_), Some(number)) => format!("{address}?db={number}"),
            (_, Some(number)) => format!("{address}/{number}"),
        }
    }
}

const EXAMPLES: &str =
    "write it as redis://user:password@host:6379/0, unix:///path/to/redis.sock?db=0 or memory://";

/// `redis://[user[:password]@]host[:port][/number]`, or `rediss://`
fn tcp(text: &str, tls: Option<Tls>) -> Result<Location, Vec<String>> {
    split_after_hosts(text)?;
    let url = Url::parse(text).map_err(|error| {
        vec![format!(
            "is not a valid URL ({error}); {EXAMPLES}, an IPv6 host in brackets"
        )]
    })?;

    let mut problems = Vec::new();
    let address = host_and_port(&url, Address::DEFAULT_PORT, &mut problems);
    location(&url, address, tls, "after the host", problems)
}

/// The part of a URL up to its path, and the rest.
fn split_after_hosts(text: &str) -> Result<(&str, &str), Vec<String>> {
    let Some((_, after_scheme)) = text.split_once("://") else {
        return Err(vec![format!("names no host; {EXAMPLES}")]);
    };
    // A password with one of these unencoded ends the host early, and the rest of it would pass for
    // a path or a query.
    let end = after_scheme.find(['/', '?', '#']);
    let (hosts, after_host) = after_scheme.split_at(end.unwrap_or(after_scheme.len()));
    if after_host.contains('@') {
        return Err(vec![
            "holds an @ after its host; in a user name or password write / ? # as %2F %3F %23"
                .into(),
        ]);
    }
    Ok((hosts, after_host))
}

fn host_and_port(url: &Url, default_port: u16, problems: &mut Vec<String>) -> Address {
    let host = match url.host() {
        Some(Host::Domain(host)) if is_host_name(host) => host.to_owned(),
        Some(Host::Domain(host)) if !host.is_empty() => {
            problems.push(
                "has a host with characters that no host name has; use its ASCII form".into(),
            );
            String::new()
        }
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Domain(_)) | None => {
            problems.push(format!("names no host; {EXAMPLES}"));
            String::new()
        }
    };
    let port = url.port().unwrap_or(default_port);
    if port == 0 {
        problems.push("has port 0; use 1 to 65535".into());
    }
    Address::Tcp { host, port }
}

/// `redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/service[/number]`, or
/// `rediss+sentinel://` for TLS to the sentinels and to the server.
fn sentinels(text: &str, tls: Option<Tls>) -> Result<Location, Vec<String>> {
    const EXAMPLES: &str = "write it as redis+sentinel://host1:26379,host2:26379/service";
    let (authority, after_hosts) = split_after_hosts(text)?;
    let mut problems = Vec::new();
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let port = SentinelService::DEFAULT_PORT;
    let sentinels = hosts_and_ports(hosts, port, ("a sentinel", EXAMPLES), &mut problems);
    let path_end = after_hosts.find(['?', '#']).unwrap_or(after_hosts.len());
    let (path, query) = after_hosts.split_at(path_end);
    let path = path.trim_matches('/');
    let (name, number) = path.split_once('/').unwrap_or((path, ""));
    if !SentinelService::is_name(name) {
        problems.push(format!(
            "names no service of letters, digits and .-_ after the sentinels; {EXAMPLES}"
        ));
    }
    // The rest has the form of any other URL.
    let rest = format!("redis://{login}@sentinels/{number}{query}");
    let url = Url::parse(&rest)
        .map_err(|error| vec![format!("is not a valid URL ({error}); {EXAMPLES}")])?;
    let name = name.to_owned();
    let service = Arc::new(SentinelService { sentinels, name });
    let address = Address::Sentinel(service);
    location(&url, address, tls, "after the service", problems)
}

/// `redis+cluster://[[user]:password@]host[:port][,host[:port]…][/number]`, or `rediss+cluster://` for TLS to all nodes.
fn cluster(text: &str, tls: Option<Tls>) -> Result<Location, Vec<String>> {
    const EXAMPLES: &str = "write it as redis+cluster://host1:6379,host2:6379";
    let (authority, after_hosts) = split_after_hosts(text)?;
    let mut problems = Vec::new();
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let port = Address::DEFAULT_PORT;
    let seeds = hosts_and_ports(hosts, port, ("a node", EXAMPLES), &mut problems);
    // The rest has the form of any other URL.
    let rest = format!("redis://{login}@nodes{after_hosts}");
    let url = Url::parse(&rest)
        .map_err(|error| vec![format!("is not a valid URL ({error}); {EXAMPLES}")])?;
    let address = Address::Cluster(Arc::new(ClusterSeeds { seeds }));
    location(&url, address, tls, "after the nodes", problems)
}

/// The addresses of a list, each once. `what` each of them is, and how it is written, is for the problems.
fn hosts_and_ports(
    list: &str,
    default_port: u16,
    (what, examples): (&str, &str),
    problems: &mut Vec<String>,
) -> Vec<Address> {
    let mut addresses = Vec::new();
    for host in list.split(',') {
        let Ok(url) = Url::parse(&format!("redis://{host}")) else {
            problems.push(format!(
                "has {what} that is no host and port; {examples}, an IPv6 host in brackets"
            ));
            continue;
        };
        let address = host_and_port(&url, default_port, problems);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// `unix:///path/to.sock[?db=number&user=name&pass=password]`
fn unix(text: &str) -> Result<Location, Vec<String>> {
    let url = Url::parse(text)
        .map_err(|error| vec![format!("is not a valid URL ({error}); {EXAMPLES}")])?;

    let mut problems = Vec::new();
    let address = socket_path(&url, &mut problems);
    let (mut number, mut username, mut password) = (None, None, None);
    let mut common = Common::default();
    for (name, value) in options(&url, &mut problems) {
        match name.as_str() {
            "db" => number = read_number(&value, "given as `db`", &mut problems),
            "user" => username = Some(value),
            "pass" => password = Some(value),
            _ => common.read(&name, &value, password.is_some(), &mut problems),
        }
    }
    finish(
        problems,
        Location {
            address,
            tls: common.tls,
            number,
            username: username.filter(|text| !text.is_empty()).map(Username::new),
            password: password
                .filter(|text| !text.is_empty())
                .map(SecretString::from),
            protocol: common.protocol,
            without: common.without,
        },
    )
}

/// `memory://[[user[:password]@]name][/number]`, or `memory+cluster://`
fn memory(text: &str, mode: Mode) -> Result<Location, Vec<String>> {
    const EXAMPLES: &str = "write it as memory://, memory://name/0 or memory+cluster://name";
    let url = Url::parse(text)
        .map_err(|error| vec![format!("is not a valid URL ({error}); {EXAMPLES}")])?;
    let mut problems = Vec::new();
    let store = match url.host_str() {
        None | Some("") => Store::private(mode),
        Some(name) if is_host_name(name) => Store::named(name, mode),
        Some(_) => {
            problems.push(format!(
                "has a name with other characters than letters, digits, - _ and .; {EXAMPLES}"
            ));
            Store::private(mode)
        }
    };
    let address = Address::Memory(store);
    let address = match mode {
        Mode::Alone => address,
        Mode::Cluster => Address::Cluster(Arc::new(ClusterSeeds {
            seeds: vec![address],
        })),
    };
    if url.port().is_some() {
        problems.push(format!("has a port, which memory:// has not; {EXAMPLES}"));
    }
    location(&url, address, None, "after the name", problems)
}

/// The location of an address with what else the URL has: a login, options, and a number as its path.
fn location(
    url: &Url,
    address: Address,
    tls: Option<Tls>,
    place_of_number: &str,
    mut problems: Vec<String>,
) -> Result<Location, Vec<String>> {
    let number = read_number(url.path().trim_matches('/'), place_of_number, &mut problems);
    let (username, password) = login(url, &mut problems);
    let mut common = Common {
        tls,
        ..Common::default()
    };
    for (name, value) in options(url, &mut problems) {
        common.read(&name, &value, false, &mut problems);
    }
    finish(
        problems,
        Location {
            address,
            tls: common.tls,
            number,
            username,
            password,
            protocol: common.protocol,
            without: common.without,
        },
    )
}

/// The user name and the password before the host.
fn login(url: &Url, problems: &mut Vec<String>) -> (Option<Username>, Option<SecretString>) {
    let username = Some(url.username()).filter(|username| !username.is_empty());
    let username = username.and_then(|username| decode(username, "user name", problems));
    let password = url.password();
    let password = password.and_then(|password| decode(password, "password", problems));
    (
        username.map(Username::new),
        password.map(SecretString::from),
    )
}

fn finish(problems: Vec<String>, location: Location) -> Result<Location, Vec<String>> {
    if problems.is_empty() {
        Ok(location)
    } else {
        Err(problems)
    }
}

#[cfg(unix)]
fn socket_path(url: &Url, problems: &mut Vec<String>) -> Address {
    let path = url.to_file_path().unwrap_or_default();
    // The rule of the operating system: no NUL, and about a hundred bytes.
    let usable = std::os::unix::net::SocketAddr::from_pathname(&path).is_ok();
    if path.file_name().is_none() || !usable {
        problems.push(
            "names no usable socket file; write an absolute path of at most about 100 bytes, \
             as in unix:///run/redis.sock"
                .into(),
        );
    }
    Address::Unix(path)
}

#[cfg(not(unix))]
fn socket_path(url: &Url, problems: &mut Vec<String>) -> Address {
    problems.push(
        "names a Unix socket, which this platform does not have; use redis://host:6379".into(),
    );
    Address::Unix(url.path().into())
}

fn read_number(text: &str, place: &str, problems: &mut Vec<String>) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let number = text.parse().ok();
    if number.is_none() {
        problems.push(format!(
            "has something other than a database number {place}; {EXAMPLES}"
        ));
    }
    number
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
