//! What a server says of itself.

use std::{collections::HashMap, time::Duration};

/// What a server says of itself when it is asked by `INFO`. A number that it does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ServerHealth {
    /// The name of the program: `redis` or `valkey`, for instance.
    pub program: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// `master`, `slave` or `sentinel`, in the words of the server.
    pub role: Option<String>,
    /// The time since it was started, in whole seconds.
    pub uptime: Option<Duration>,
    /// The number of clients that are connected, those of this program included.
    pub connected_clients: Option<u64>,
    /// Memory of its data, in bytes.
    pub used_memory: Option<u64>,
    /// The limit of that, in bytes; 0 without a limit.
    pub max_memory: Option<u64>,
    /// The share of look-ups that found their key, since the server was started, from 0 to 1. `None` before the first
    /// look-up.
    pub hit_rate: Option<f64>,
    /// Its replication.
    pub replication: Replication,
}

/// The replication of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replication {
    /// Of a primary: the number of replicas that are connected.
    pub replicas: Option<u64>,
    /// Of a replica: whether it is connected to its primary.
    pub is_linked: Option<bool>,
    /// Of a replica: the time since it heard from its primary, in whole seconds.
    pub silent_for: Option<Duration>,
}

impl ServerHealth {
    /// The memory in words, such as `1.21M`, in the way of the server: units of 1,024.
    pub fn used_memory_human(&self) -> Option<String> {
        self.used_memory.map(human)
    }

    /// Reads the answer to `INFO`.
    pub(crate) fn read(info: &str) -> Self {
        let fields: HashMap<_, _> = info
            .lines()
            .filter_map(|line| line.split_once(':'))
            .collect();
        let text = |key: &str| fields.get(key).map(|value| (*value).to_owned());
        let number = |key: &str| fields.get(key).and_then(|value| value.parse::<u64>().ok());
        let seconds = |key| number(key).map(Duration::from_secs);
        let hit_rate = || {
            let (hits, misses) = (number("keyspace_hits")?, number("keyspace_misses")?);
            let lookups = hits + misses;
            (lookups > 0).then(|| hits as f64 / lookups as f64)
        };
        let version = |key| Some((key, text(&format!("{key}_version"))?));
        // Valkey tells both, the second one for old clients.
        let program = version("valkey").or_else(|| version("redis"));
        let (program, version) = program.unzip();
        Self {
            program: program.map(str::to_owned),
            version,
            role: text("role"),
            uptime: seconds("uptime_in_seconds"),
            connected_clients: number("connected_clients"),
            used_memory: number("used_memory"),
            max_memory: number("maxmemory"),
            hit_rate: hit_rate(),
            replication: Replication {
                replicas: number("connected_slaves"),
                is_linked: text("master_link_status").map(|status| status == "up"),
                silent_for: seconds("master_last_io_seconds_ago"),
            },
        }
    }
}

fn human(bytes: u64) -> String {
    let units = ["K", "M", "G", "T", "P"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in units {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" {
        format!("{bytes}B")
    } else {
        format!("{value:.2}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_read_and_what_is_missing_is_not_made_up() {
        let info = "# Server\r\nredis_version:7.2.4\r\nvalkey_version:9.1.0\r\nuptime_in_seconds:61\r\n\
            # Clients\r\nconnected_clients:3\r\n# Memory\r\nused_memory:1268776\r\nmaxmemory:0\r\n\
            # Stats\r\nkeyspace_hits:3\r\nkeyspace_misses:1\r\n\
            # Replication\r\nrole:slave\r\nmaster_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\n\
            connected_slaves:0\r\n";
        let server = ServerHealth::read(info);
        let expected = ServerHealth {
            program: Some("valkey".into()),
            version: Some("9.1.0".into()),
            role: Some("slave".into()),
            uptime: Some(Duration::from_secs(61)),
            connected_clients: Some(3),
            used_memory: Some(1_268_776),
            max_memory: Some(0),
            hit_rate: Some(0.75),
            replication: Replication {
                replicas: Some(0),
                is_linked: Some(false),
                silent_for: None,
            },
        };
        assert_eq!(server, expected);
        assert_eq!(server.used_memory_human().as_deref(), Some("1.21M"));
        assert_eq!(ServerHealth::read("nonsense"), ServerHealth::default());
        let none = ServerHealth::read("keyspace_hits:0\r\nkeyspace_misses:0\r\n");
        assert_eq!(none.hit_rate, None);
        assert_eq!(human(1_023), "1023B");
        assert_eq!(human(u64::MAX), "16384.00P");
    }
}
