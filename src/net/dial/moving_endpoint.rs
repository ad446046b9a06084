//! In which form a server is to name its new address when it moves.

use std::net::{IpAddr, Ipv6Addr};

use crate::config::{Address, DatabaseSettings, MaintenanceNotifications};

/// The form, as `CLIENT MAINT_NOTIFICATIONS` spells it. `peer` is the IP address that the connection leads to.
///
/// The name of a host stays one, so that the certificate of the new server can be verified by it.
pub(super) fn moving_endpoint(settings: &DatabaseSettings, peer: Option<IpAddr>) -> &'static str {
    let Address::Tcp { host, .. } = &settings.address else {
        // It is looked up once more.
        return "none";
    };
    match settings.maintenance_notifications {
        MaintenanceNotifications::Auto => {
            let literal = host.parse().ok();
            let is_internal = literal.or(peer).is_some_and(is_private);
            match (is_internal, literal.is_some()) {
                (true, true) => "internal-ip",
                (true, false) => "internal-fqdn",
                (false, true) => "external-ip",
                (false, false) => "external-fqdn",
            }
        }
        MaintenanceNotifications::InternalIp => "internal-ip",
        MaintenanceNotifications::InternalFqdn => "internal-fqdn",
        MaintenanceNotifications::ExternalIp => "external-ip",
        MaintenanceNotifications::ExternalFqdn => "external-fqdn",
        MaintenanceNotifications::NoAddress | MaintenanceNotifications::Off => "none",
    }
}

/// Whether an address belongs to no public network: RFC 1918, RFC 6598, RFC 4193, loopback and link-local.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private() || address.is_loopback() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_private(mapped.into()),
            None => is_local(address),
        },
    }
}

fn is_local(address: Ipv6Addr) -> bool {
    address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, DatabaseConfig, resolve};

    #[test]
    fn the_form_is_that_of_the_present_address() {
        for (url, peer, expected) in [
            ("redis://10.1.2.3", "10.1.2.3", "internal-ip"),
            ("redis://8.8.8.8", "8.8.8.8", "external-ip"),
            ("redis://cache", "100.64.0.1", "internal-fqdn"),
            ("redis://cache", "fd00::1", "internal-fqdn"),
            ("redis://cache", "::ffff:192.168.0.1", "internal-fqdn"),
            ("redis://cache", "2a00::1", "external-fqdn"),
            ("redis+sentinel://a/main", "10.1.2.3", "none"),
        ] {
            let settings = settings(DatabaseConfig::from_url(url));
            let peer = peer.parse().expect("an address");
            assert_eq!(moving_endpoint(&settings, Some(peer)), expected, "{url}");
        }
    }

    #[test]
    fn a_form_that_is_chosen_is_asked_for() {
        use MaintenanceNotifications as Choice;
        for (choice, expected) in [
            (Choice::InternalIp, "internal-ip"),
            (Choice::InternalFqdn, "internal-fqdn"),
            (Choice::ExternalIp, "external-ip"),
            (Choice::ExternalFqdn, "external-fqdn"),
            (Choice::NoAddress, "none"),
        ] {
            let config = DatabaseConfig::from_url("redis://10.1.2.3");
            let settings = settings(config.maintenance_notifications(choice));
            assert_eq!(moving_endpoint(&settings, None), expected);
        }
    }

    fn settings(main: DatabaseConfig) -> DatabaseSettings {
        let resolved = resolve(Config::new().database("main", main)).expect("settings");
        (*resolved.databases[0]).clone()
    }
}
