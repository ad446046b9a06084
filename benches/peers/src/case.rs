//! What is measured: one command, with so many calls outstanding, on one runtime, at one server, with or without TLS or a
//! near cache, or at a cluster.

use serde::Serialize;

use crate::runtime::Flavour;

/// Commands in one pipeline.
pub const PIPELINE: usize = 100;

/// Keys of one MGET.
const MGET: usize = 10;
/// Keys that each task of a cluster's case takes in turns, so that it alone asks more than one node.
const IN_TURNS: usize = 8;
/// Keys that all tasks of a near cache's case read in turns.
const NEAR_KEYS: usize = 1_000;
/// Of so many calls of a mixed case, one asks for a key that no cache has.
pub const FRESH_EVERY: usize = 10;

const KIB: usize = 1024;
const LARGE: usize = 16 * KIB;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    Get,
    Set,
    Incr,
    /// [`PIPELINE`] GETs in one round trip.
    Pipeline,
    /// One for [`MGET`] keys. Measured at a cluster only, where they lie on several nodes.
    Mget,
    /// GETs that a near cache answers while another connection changes their keys, and one in [`FRESH_EVERY`] that it cannot
    /// answer. Measured with a near cache only.
    Mixed,
}

/// What the clients are connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    Server,
    /// The same server, over TLS.
    Tls,
    /// Three primaries, with the slots spread over them.
    Cluster,
    /// The server, read through a cache of the client's that the server tells of changes.
    Near,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub command: Command,
    /// The size of each value. A counter has none.
    pub bytes: usize,
    /// Calls under way at any time; a pipeline is one call.
    pub outstanding: usize,
    pub flavour: Flavour,
    pub service: Service,
}

/// Each is measured with every number of outstanding calls.
const COMMANDS: [(Command, usize); 10] = [
    (Command::Get, 16),
    (Command::Get, KIB),
    (Command::Get, LARGE),
    (Command::Set, 16),
    (Command::Set, KIB),
    (Command::Set, LARGE),
    (Command::Incr, 0),
    (Command::Pipeline, 16),
    (Command::Mget, 16),
    (Command::Mixed, 16),
];

impl Case {
    /// Every case, in the order in which it is measured and reported.
    pub fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for service in Service::ALL {
            for flavour in Flavour::ALL {
                for (command, bytes) in COMMANDS {
                    cases.extend(command.outstanding().iter().map(|&outstanding| Self {
                        command,
                        bytes,
                        outstanding,
                        flavour,
                        service,
                    }));
                }
            }
        }
        cases.retain(Self::is_measured);
        cases
    }

    /// The cases of a run of about a minute: how it scales for the smallest command, and every
    /// other command once, without TLS, a cluster or a near cache.
    pub fn quick() -> Vec<Self> {
        let mut cases = Self::all();
        cases.retain(|case| case.service == Service::Server);
        cases.retain(|case| match (case.command, case.bytes) {
            (Command::Get, 16) => case.flavour != Flavour::Actix || case.outstanding == 64,
            (Command::Pipeline, _) => case.outstanding == 16,
            (Command::Set, 16) => false,
            (Command::Set, KIB) => case.outstanding == 64,
            (_, bytes) => case.outstanding == 64 && bytes < LARGE || case.is_large_on_threads(),
        });
        cases
    }

    /// Such as `get-16B/256/current-thread`, and over TLS `get-16B/tls/256/current-thread`, of which the other is no part.
    pub fn name(&self) -> String {
        let service = match self.service {
            Service::Server => "",
            Service::Tls => "/tls",
            Service::Cluster => "/cluster",
            Service::Near => "/near",
        };
        let (work, outstanding) = (self.work(), self.outstanding);
        format!("{work}{service}/{outstanding}/{}", self.flavour)
    }

    /// Where it runs, such as `current-thread over TLS`.
    pub fn setting(&self) -> String {
        let service = match self.service {
            Service::Server => "",
            Service::Tls => " over TLS",
            Service::Cluster => " at a cluster",
            Service::Near => " with a near cache",
        };
        format!("{}{service}", self.flavour)
    }

    /// The command and its size, such as `get-16B`.
    pub fn work(&self) -> String {
        let size = match self.bytes {
            bytes if bytes < KIB => format!("{bytes}B"),
            bytes => format!("{}KiB", bytes / KIB),
        };
        match self.command {
            Command::Get => format!("get-{size}"),
            Command::Set => format!("set-{size}"),
            Command::Incr => "incr".into(),
            Command::Pipeline => format!("pipeline-{PIPELINE}"),
            Command::Mget => format!("mget-{MGET}"),
            Command::Mixed => format!("mixed-{size}"),
        }
    }

    /// The sets of keys that there are: one for each task, or one for all of them.
    pub fn key_sets(&self) -> usize {
        match self.service {
            Service::Near => 1,
            Service::Server | Service::Tls | Service::Cluster => self.outstanding,
        }
    }

    /// The keys of a set: those of one call, or those that the calls of a task take in turns.
    pub fn keys_per_set(&self) -> usize {
        match self.command {
            Command::Pipeline => PIPELINE,
            Command::Mget => MGET,
            Command::Get | Command::Set | Command::Incr | Command::Mixed => self.turns(),
        }
    }

    /// The keys that the calls of a task take in turns.
    pub fn turns(&self) -> usize {
        match (self.command, self.service) {
            (Command::Get | Command::Set | Command::Incr, Service::Cluster) => IN_TURNS,
            (_, Service::Near) => NEAR_KEYS,
            _ => 1,
        }
    }

    /// On actix there are two series only, because its runtime is tokio's current-thread one. And over TLS and at a cluster
    /// one each, and some single cases; with a near cache some single cases.
    fn is_measured(&self) -> bool {
        let is_actix = self.flavour == Flavour::Actix;
        match self.service {
            Service::Server => {
                !matches!(self.command, Command::Mget | Command::Mixed)
                    && (!is_actix || self.is_measured_on_actix())
            }
            Service::Tls => !is_actix && self.is_measured_over_tls(),
            Service::Cluster => !is_actix && self.is_measured_at_a_cluster(),
            Service::Near => !is_actix && self.is_measured_with_a_near_cache(),
        }
    }

    fn is_measured_on_actix(&self) -> bool {
        (self.command, self.bytes) == (Command::Get, 16)
            || (self.command, self.bytes, self.outstanding) == (Command::Set, KIB, 64)
    }

    fn is_measured_over_tls(&self) -> bool {
        match (self.command, self.bytes) {
            (Command::Get, 16) => true,
            (Command::Get | Command::Set, LARGE) | (Command::Set, KIB) => self.outstanding == 64,
            (Command::Pipeline, _) => self.outstanding == 16,
            _ => false,
        }
    }

    fn is_measured_at_a_cluster(&self) -> bool {
        match (self.command, self.bytes) {
            (Command::Get, 16) => true,
            (Command::Get, KIB) | (Command::Set, 16) | (Command::Incr, _) => self.outstanding == 64,
            (Command::Pipeline | Command::Mget, _) => self.outstanding == 16,
            _ => false,
        }
    }

    fn is_measured_with_a_near_cache(&self) -> bool {
        match (self.command, self.bytes) {
            (Command::Get, 16) => matches!(self.outstanding, 1 | 64),
            (Command::Get, KIB) | (Command::Mixed, _) => self.outstanding == 64,
            _ => false,
        }
    }

    fn is_large_on_threads(&self) -> bool {
        self.bytes == LARGE && self.outstanding == 64 && self.flavour == Flavour::MultiThread
    }
}

impl Service {
    const ALL: [Self; 4] = [Self::Server, Self::Tls, Self::Cluster, Self::Near];
}

impl Command {
    /// Operations that one call counts for.
    pub fn operations(self) -> usize {
        match self {
            Self::Pipeline => PIPELINE,
            _ => 1,
        }
    }

    fn outstanding(self) -> &'static [usize] {
        match self {
            Self::Pipeline => &[1, 16, 64],
            _ => &[1, 16, 64, 256, 1024],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_say_what_is_measured() {
        let case = Case {
            command: Command::Set,
            bytes: 16 * KIB,
            outstanding: 256,
            flavour: Flavour::CurrentThread,
            service: Service::Server,
        };
        assert_eq!(case.name(), "set-16KiB/256/current-thread");
        assert_eq!(case.setting(), "current-thread");
        let over_tls = Case {
            service: Service::Tls,
            ..case
        };
        assert_eq!(over_tls.name(), "set-16KiB/tls/256/current-thread");
        assert_eq!(over_tls.setting(), "current-thread over TLS");
        let at_a_cluster = Case {
            service: Service::Cluster,
            ..case
        };
        assert_eq!(at_a_cluster.name(), "set-16KiB/cluster/256/current-thread");
        assert_eq!(at_a_cluster.setting(), "current-thread at a cluster");
        let near = Case {
            command: Command::Mixed,
            service: Service::Near,
            ..case
        };
        assert_eq!(near.name(), "mixed-16KiB/near/256/current-thread");
        assert_eq!(near.setting(), "current-thread with a near cache");
        let names: Vec<_> = Case::all().iter().map(Case::name).collect();
        assert!(names.contains(&"pipeline-100/64/multi-thread".into()));
        assert!(names.contains(&"incr/1/multi-thread".into()));
    }

    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = Case::all().iter().map(Case::name).collect();
        assert_eq!(names.len(), Case::all().len());
    }

    #[test]
    fn a_full_run_has_the_series_on_each_runtime() {
        let all = Case::all();
        let plain: Vec<_> = all
            .iter()
            .filter(|case| case.service == Service::Server)
            .collect();
        let count = |flavour| plain.iter().filter(|case| case.flavour == flavour).count();
        assert_eq!(count(Flavour::MultiThread), 7 * 5 + 3);
        assert_eq!(count(Flavour::CurrentThread), 7 * 5 + 3);
        assert_eq!(count(Flavour::Actix), 5 + 1);
    }

    /// The names of the cases at a service, on one runtime.
    fn names(service: Service, flavour: Flavour) -> Vec<String> {
        let cases = Case::all().into_iter();
        let cases = cases.filter(|case| (case.service, case.flavour) == (service, flavour));
        cases.map(|case| case.name()).collect()
    }

    #[test]
    fn over_tls_there_are_nine_cases_on_each_of_two_runtimes() {
        let counts = Flavour::ALL.map(|flavour| names(Service::Tls, flavour).len());
        assert_eq!(counts, [9, 9, 0]);
        let threads = names(Service::Tls, Flavour::MultiThread);
        let large = "set-16KiB/tls/64/multi-thread";
        assert!(threads.contains(&large.into()), "{threads:?}");
    }

    #[test]
    fn at_a_cluster_there_are_ten_cases_on_each_of_two_runtimes() {
        let counts = Flavour::ALL.map(|flavour| names(Service::Cluster, flavour).len());
        assert_eq!(counts, [10, 10, 0]);
        let threads = names(Service::Cluster, Flavour::MultiThread);
        for name in ["get-16B/cluster/1024", "mget-10/cluster/16"] {
            let name = format!("{name}/multi-thread");
            assert!(threads.contains(&name), "{threads:?}");
        }
    }

    #[test]
    fn with_a_near_cache_there_are_four_cases_on_each_of_two_runtimes() {
        let counts = Flavour::ALL.map(|flavour| names(Service::Near, flavour).len());
        assert_eq!(counts, [4, 4, 0]);
        let threads = names(Service::Near, Flavour::MultiThread);
        for name in [
            "get-16B/near/1",
            "get-16B/near/64",
            "get-1KiB/near/64",
            "mixed-16B/near/64",
        ] {
            let name = format!("{name}/multi-thread");
            assert!(threads.contains(&name), "{threads:?}");
        }
    }

    #[test]
    fn a_quick_run_has_about_twenty_cases() {
        let quick = Case::quick().len();
        assert!((18..=22).contains(&quick), "{quick}");
    }
}
