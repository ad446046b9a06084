//! TCP keepalive.

use std::time::Duration;

use super::{
    field::Field,
    quantity::{Quantity, within},
    report::Report,
    setting::{Schema, Setting, check_on, shown_parts},
};

/// Nothing but keepalive shows that the peer of a blocked command has gone, and its caller may have set no
/// time limit. It is found within about ten seconds, at the price of a packet every five for each leased
/// connection.
const OF_LEASES: Keepalive = Keepalive::new()
    .idle(Duration::from_secs(5))
    .interval(Duration::from_secs(2))
    .count(3);

/// From the rows of the table: [`Keepalive`] with its defaults and setters, and its check.
macro_rules! keepalive {
    ($(
        #[doc = $sentence:literal]
        $(#[doc = $doc:literal])*
        $name:ident as $key:literal: $type:ty, default($($default:tt)+), range($($range:tt)+);
    )+) => {
        /// The times at which the operating system asks a silent peer for a sign of life (TCP
        /// keepalive, RFC 1122 section 4.2.3.6).
        ///
        /// It finds the peer of an *idle* connection gone, and keeps firewalls and NAT tables from
        /// forgetting the connection. That takes a time shorter than theirs, at the price of a
        /// packet each time. The [attempt timeout](crate::DatabaseConfig::attempt_timeout) watches
        /// connections with commands under way, and is far quicker.
        ///
        /// A command that blocks has no such time limit. So leased connections, which blocking
        /// commands run on, ask after 5 s, every 2 s, and 3 times at most; a smaller value set here
        /// holds for them, too. Without keepalive they ask nothing either.
        ///
        /// ```
        /// use redis_steward::{DatabaseConfig, Keepalive};
        /// use std::time::Duration;
        ///
        /// let keepalive = Keepalive::new().idle(Duration::from_secs(120)).count(3);
        /// let cache = DatabaseConfig::new().keepalive(keepalive);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[must_use]
        pub struct Keepalive {
            $(pub(crate) $name: $type,)+
        }

        impl Keepalive {
            /// 5 probes, 60 s apart, after 600 s of silence.
            pub const fn new() -> Self {
                Self {
                    $($name: amount!($($default)+),)+
                }
            }

            $(
                #[doc = $sentence]
                #[doc = ""]
                #[doc = facts!(
                    default(default_text!($($default)+))
                    range(range_text!(($($range)+) () ()))
                    variable()
                )]
                $(#[doc = $doc])*
                pub const fn $name(mut self, $name: $type) -> Self {
                    self.$name = $name;
                    self
                }
            )+

            /// That of a leased connection, on which a command may wait for hours: where it is
            /// stricter than the configured one.
            pub(crate) fn of_leases(self) -> Self {
                Self {
                    idle: self.idle.min(OF_LEASES.idle),
                    interval: self.interval.min(OF_LEASES.interval),
                    count: self.count.min(OF_LEASES.count),
                }
            }

            /// Reports values outside their ranges.
            pub(super) fn check(&self, report: &mut Report<'_>) {
                $(report.whole($key, self.$name.measure(), &range!($($range)+));)+
            }

            /// Sets a part from text. The key is one of the table.
            pub(super) fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
                match key {
                    $($key => self.$name = read!(fixed $type, text, ($($range)+)),)+
                    _ => unreachable!("BUG: {key} is no part of keepalive"),
                }
                Ok(())
            }

            /// The parts as text, each with its key.
            fn parts(&self) -> Vec<(&'static str, String)> {
                vec![$(($key, self.$name.shown()),)+]
            }

            /// The table as data.
            pub(super) const FIELDS: &'static [Field] = &[$(Field {
                key: $key,
                names: &[],
                #[cfg(test)]
                unit: <$type as Setting>::KIND,
                schema: <$type as Setting>::SCHEMA,
                #[cfg(test)]
                range: range_text!(($($range)+) () ()),
                #[cfg(test)]
                default: default_text!($($default)+),
                example: example!($($default)+),
                variable: None,
                #[cfg(test)]
                sentence: $sentence,
            },)+];
        }
    };
}

// The limits are those of Linux (`MAX_TCP_KEEPIDLE`, `MAX_TCP_KEEPINTVL` and `MAX_TCP_KEEPCNT` in
// `include/net/tcp.h`).
keepalive! {
    /// The silence before the first probe, in whole seconds.
    ///
    /// Choose less than the time after which firewalls on the way forget a connection, often some
    /// minutes. The default spares the network, and leaves the next command to find such a
    /// connection lost.
    idle as "keepalive.idle": Duration, default(600 s), range(1 s..=32_767 s);

    /// The time between two probes, in whole seconds.
    ///
    /// A dead peer is found after this time multiplied by the
    /// [number of probes](Self::count): 5 min by default.
    interval as "keepalive.interval": Duration, default(60 s), range(1 s..=32_767 s);

    /// The number of unanswered probes after which the connection is dead.
    ///
    /// A low one takes a network that loses packets for a dead peer.
    count as "keepalive.count": u32, default(5), range(1..=127);
}

impl Default for Keepalive {
    fn default() -> Self {
        Self::new()
    }
}

/// `true` for the defaults; its parts have keys of their own.
impl Setting for Keepalive {
    const KIND: &'static str = "true, false, or a map of idle, interval and count";
    const SCHEMA: Schema = Schema::Parts(&["true", "false"]);

    fn read(text: &str) -> Result<Self, String> {
        check_on(text, Self::KIND).map(|()| Self::new())
    }

    fn shown(&self) -> String {
        shown_parts(&self.parts())
    }

    #[cfg(feature = "serde")]
    fn write(&self, _: &'static str, texts: &mut Vec<(&'static str, String)>) {
        texts.extend(self.parts());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_have_the_stricter_of_each_value() {
        assert_eq!(Keepalive::new().of_leases(), OF_LEASES);
        let strict = Keepalive::new().idle(Duration::from_secs(1)).count(2);
        assert_eq!(strict.of_leases(), strict.interval(OF_LEASES.interval));
    }
}
