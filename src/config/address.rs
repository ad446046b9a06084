//! The endpoint of a server.

use std::{fmt, net::Ipv6Addr, path::PathBuf, sync::Arc};

use crate::memory::Store;

/// The endpoint of a database: the place to dial. Databases on one server have it in common.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Address {
    /// A host name or an IP address (IPv6 without brackets), and a port.
    Tcp { host: String, port: u16 },
    /// The path of a Unix domain socket.
    Unix(PathBuf),
    /// A server in this process.
    Memory(Store),
    /// Wherever the service registry says that the server of this database is.
    Service(Arc<str>),
    /// Wherever these sentinels say that the primary of a service is.
    Sentinel(Arc<SentinelService>),
    /// A cluster, whose nodes are learnt from these.
    Cluster(Arc<ClusterSeeds>),
}

/// The nodes of a cluster that are asked first.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ClusterSeeds {
    /// TCP addresses, at least one, each once; or a server in this process, which is all of the cluster.
    pub(crate) seeds: Vec<Address>,
}

/// The URL, without a login.
impl fmt::Display for ClusterSeeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [seed @ Address::Memory(_)] = &self.seeds[..] {
            return seed.fmt(f);
        }
        f.write_str("redis+cluster://")?;
        write_list(f, &self.seeds)
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, addresses: &[Address]) -> fmt::Result {
    for (at, address) in addresses.iter().enumerate() {
        if at > 0 {
            f.write_str(",")?;
        }
        fmt::Display::fmt(address, f)?;
    }
    Ok(())
}

/// A service of Redis Sentinel: the sentinels to ask, and the name of the service there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SentinelService {
    /// TCP addresses, at least one, each once. Further sentinels are learnt from these.
    pub(crate) sentinels: Vec<Address>,
    /// The master name, in the words of Sentinel.
    pub(crate) name: String,
}

impl SentinelService {
    /// The port that sentinels listen on by default.
    pub(super) const DEFAULT_PORT: u16 = 26379;

    /// Whether this can be the name of a service. The configuration that comes with Redis (`sentinel.conf`,
    /// at `sentinel monitor`) permits letters, digits and `.-_`.
    pub(super) fn is_name(text: &str) -> bool {
        let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        !text.is_empty() && text.bytes().all(is_usual)
    }
}

/// The URL, without a login.
impl fmt::Display for SentinelService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redis+sentinel://")?;
        write_list(f, &self.sentinels)?;
        write!(f, "/{}", self.name)
    }
}

/// A server on this machine.
impl Default for Address {
    fn default() -> Self {
        Self::Tcp {
            host: "localhost".into(),
            port: Self::DEFAULT_PORT,
        }
    }
}

impl Address {
    /// The port that Redis and Valkey listen on by default.
    pub(super) const DEFAULT_PORT: u16 = 6379;

    /// The address of a host as a peer names it; `None` if it is none.
    pub(crate) fn of_host(host: &str, port: u16) -> Option<Self> {
        let host = Host::new(host);
        host.check().ok().map(|()| host.address(port))
    }

    /// Whether sentinels say where the server is.
    pub(crate) fn is_of_sentinels(&self) -> bool {
        matches!(self, Self::Sentinel(_))
    }

    /// Whether it is a cluster, with a server for each part of its keys.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// The server in this process that is there, or that is the cluster there.
    fn in_process(&self) -> Option<&Store> {
        match self {
            Self::Memory(store) => Some(store),
            Self::Cluster(cluster) => cluster.seeds.iter().find_map(Self::in_process),
            _ => None,
        }
    }

    /// Whether what is sent there stays on this machine.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_)) || self.in_process().is_some()
    }

    /// Whether both are embedded servers of the same kind that have no name, so that each mention of one is another one.
    pub(super) fn are_unnamed(&self, other: &Self) -> bool {
        match (self.in_process(), other.in_process()) {
            (Some(one), Some(other)) => {
                one.is_unnamed() && other.is_unnamed() && one.mode() == other.mode()
            }
            _ => false,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Brackets keep the colons of an IPv6 address apart from the one before the port.
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Memory(store) => store.fmt(f),
            Self::Service(database) => write!(f, "the service of {database}"),
            Self::Sentinel(service) => service.fmt(f),
            Self::Cluster(cluster) => cluster.fmt(f),
        }
    }
}

/// The host of a TCP address: a name, or an IP address without brackets.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Host(String);

impl Host {
    /// The host that a text names. Whether it can be one, [`check`](Self::check) tells.
    pub(super) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let inner = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match inner.unwrap_or(&text).parse::<Ipv6Addr>() {
            Ok(address) => Self(address.to_string()),
            Err(_) => Self(text),
        }
    }

    /// # Errors
    /// What is wrong. It does not quote the text, since whole URLs with passwords are put here by mistake.
    pub(super) fn check(&self) -> Result<(), String> {
        if is_host_name(&self.0) || self.0.parse::<Ipv6Addr>().is_ok() {
            return Ok(());
        }
        Err("is neither a host name nor an IP address; URLs and paths of sockets are given as a URL".into())
    }

    pub(super) fn address(&self, port: u16) -> Address {
        Address::Tcp {
            host: self.0.clone(),
            port,
        }
    }
}

/// As `Display`, since a text that is no host may be a URL with a password.
impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.check() {
            Ok(()) => f.write_str(&self.0),
            Err(_) => f.write_str("(not readable)"),
        }
    }
}

/// Whether `host` can be a host name or an IPv4 address. International names are given in their
/// ASCII form.
pub(super) fn is_host_name(host: &str) -> bool {
    // DNS carries 253 bytes (RFC 1035 section 2.3.4, as text). Underscores are not
    // allowed in host names, but container networks use them.
    (1..=253).contains(&host.len())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_written() {
        let tcp = |host: &str| {
            Address::Tcp {
                host: host.into(),
                port: 6379,
            }
            .to_string()
        };
        assert_eq!(tcp("localhost"), "localhost:6379");
        assert_eq!(tcp("::1"), "[::1]:6379");
        assert_eq!(
            Address::Unix("/run/redis.sock".into()).to_string(),
            "unix:/run/redis.sock"
        );
    }

    #[test]
    fn host_names() {
        for good in [
            "localhost",
            "10.0.0.1",
            "redis_1.internal",
            "xn--bcher-kva.example",
        ] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in [
            "",
            "a b",
            "user:pw@host",
            "bücher.example",
            "a%41",
            "h/0",
            &"a".repeat(254),
        ] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}
