//! Addresses under which the nodes of a cluster are reached from here.

use super::address::{Address, Host};

/// From the addresses that a cluster tells to those that lead there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddressMap(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    told: (Host, Option<u16>),
    reached: (Host, Option<u16>),
}

impl AddressMap {
    /// Reads `10.0.0.1:7000=localhost:17000, 10.0.0.2=proxy`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        entries
            .map(Entry::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The address that leads to the node of this one.
    pub(crate) fn reached(&self, told: Address) -> Address {
        let Address::Tcp { host, port } = &told else {
            return told;
        };
        let is_it = |entry: &&Entry| {
            let (of_entry, its_port) = &entry.told;
            *of_entry == Host::new(host.as_str())
                && its_port.is_none_or(|its_port| its_port == *port)
        };
        match self.0.iter().find(is_it) {
            Some(entry) => {
                let (host, reached_port) = &entry.reached;
                host.address(reached_port.unwrap_or(*port))
            }
            None => told,
        }
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, String> {
        const HOW: &str =
            "write it as 10.0.0.1:7000=localhost:17000, or 10.0.0.1=localhost for all ports";
        let (told, reached) = text
            .split_once('=')
            .ok_or_else(|| format!("has an entry without =; {HOW}"))?;
        let place =
            |text: &str| place(text.trim()).ok_or_else(|| format!("names no host and port; {HOW}"));
        let (told, reached) = (place(told)?, place(reached)?);
        if told.1.is_none() && reached.1.is_some() {
            return Err(format!("leads all ports of a host to one port; {HOW}"));
        }
        Ok(Self { told, reached })
    }
}

/// A host, and a port behind its last colon. An IPv6 address with a port stands in brackets.
fn place(text: &str) -> Option<(Host, Option<u16>)> {
    let whole = Host::new(text);
    if whole.check().is_ok() {
        return Some((whole, None));
    }
    let (host, port) = text.rsplit_once(':')?;
    let (host, port) = (Host::new(host), port.parse().ok().filter(|port| *port > 0)?);
    host.check().ok()?;
    Some((host, Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> AddressMap {
        AddressMap::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn nodes_are_reached_at_other_addresses() {
        let map = map("10.0.0.1:7000=localhost:17000, 10.0.0.1=proxy ,[::1]:1=[::2]:2,node-1=::3");
        let reached = |host: &str, port| {
            let told = Address::of_host(host, port).expect("an address");
            map.reached(told).to_string()
        };
        assert_eq!(reached("10.0.0.1", 7000), "localhost:17000");
        assert_eq!(reached("10.0.0.1", 7001), "proxy:7001");
        assert_eq!(reached("::1", 1), "[::2]:2");
        assert_eq!(reached("node-1", 5), "[::3]:5");
        assert_eq!(reached("10.0.0.3", 7000), "10.0.0.3:7000");
        assert_eq!(AddressMap::default(), AddressMap::parse(" ").expect("none"));
    }

    #[test]
    fn bad_maps_name_the_correction() {
        for (text, expected) in [
            ("a", "without ="),
            ("a=b c", "no host and port"),
            ("a:0=b:1", "no host and port"),
            ("=b", "no host and port"),
            ("a=b:1", "all ports of a host to one port"),
        ] {
            let error = AddressMap::parse(text).expect_err(text);
            assert!(
                error.contains(expected) && error.contains("write it as"),
                "{error}"
            );
        }
    }
}
