//! Everything that takes its turn in a case: the clients, and the program that is their limit.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use anyhow::Result;
use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde::{Serialize, Serializer};

use crate::{
    address::Address,
    case::{Case, Command, Service},
    dataset::Records,
    figures::Figures,
    limit::Limit,
    load, near,
    peer::{
        Bb8, Deadpool, Fred, FredPool, Glide, GlideCluster, Manager, Multiplexed, Observed, Peer,
        RedisRsCluster, Rustis, RustisNear, Steward, Tower, TowerCluster, TowerNear,
    },
    program::Programs,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    RedisSteward,
    /// Its handle whose calls wait for recovery, which differs under faults only.
    RedisStewardPatient,
    /// With metrics, and with the log and the spans that a program has by default. Measured if it is asked for.
    RedisStewardObserved,
    RedisRs,
    RedisRsManager,
    DeadpoolRedis,
    Bb8Redis,
    Fred,
    FredPool,
    Rustis,
    RedisTower,
    ValkeyGlide,
    RedisBenchmark,
}

/// A future that is boxed once for a round, and so costs no call anything.
pub type Turn<'a> = Pin<Box<dyn Future<Output = Result<Figures>> + 'a>>;

/// Connected to the server, and ready to be measured in one case.
pub trait Contender {
    fn round(&mut self, length: Duration) -> Turn<'_>;

    /// Begins anew after a round that failed, so that nothing of it is left.
    fn reconnect(&mut self) -> Pin<Box<dyn Future<Output = Result<()>> + '_>>;

    fn disconnect(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<()>>>>;
}

impl Name {
    /// Those that are compared with each other, in their usual order.
    pub fn compared() -> impl Iterator<Item = Self> {
        Self::measured().filter(|&name| name != Self::RedisStewardObserved)
    }

    /// Those that can be asked for.
    pub fn measured() -> impl Iterator<Item = Self> {
        Self::all().filter(|&name| name != Self::RedisStewardPatient)
    }

    /// Those that are put under faults. redis-benchmark is no client, and fred's pool fails as fred does.
    pub fn under_faults() -> impl Iterator<Item = Self> {
        Self::all().filter(|name| {
            !matches!(
                name,
                Self::FredPool | Self::RedisBenchmark | Self::RedisStewardObserved
            )
        })
    }

    /// Those that find their server by Redis Sentinel. redis-rs is its client for that.
    pub fn with_sentinel() -> impl Iterator<Item = Self> {
        [
            Self::RedisSteward,
            Self::RedisStewardPatient,
            Self::RedisRs,
            Self::Fred,
            Self::Rustis,
        ]
        .into_iter()
    }

    /// Those that know Redis Cluster. redis-rs is its client for that.
    pub fn with_cluster() -> impl Iterator<Item = Self> {
        [
            Self::RedisSteward,
            Self::RedisStewardPatient,
            Self::RedisRs,
            Self::Fred,
            Self::Rustis,
            Self::RedisTower,
            Self::ValkeyGlide,
        ]
        .into_iter()
    }

    /// Whether it can do what is measured. All can, if it is neither a cluster nor a near cache.
    pub fn is_able_to(self, case: Case) -> bool {
        match case.service {
            Service::Server | Service::Tls => true,
            Service::Cluster => self.is_able_to_at_a_cluster(case.command),
            Service::Near => self.has_a_near_cache(),
        }
    }

    /// The pools would have a cache for each connection, and the others have none: fred hands on what the server tells, and
    /// redis-benchmark is no client.
    fn has_a_near_cache(self) -> bool {
        matches!(
            self,
            Self::RedisSteward
                | Self::RedisStewardObserved
                | Self::RedisRs
                | Self::RedisRsManager
                | Self::Rustis
                | Self::RedisTower
        )
    }

    fn is_able_to_at_a_cluster(self, command: Command) -> bool {
        match self {
            Self::RedisSteward
            | Self::RedisStewardObserved
            | Self::Rustis
            | Self::RedisTower
            | Self::ValkeyGlide => true,
            // The keys of a pipeline have to be in one slot.
            Self::RedisRs => command != Command::Pipeline,
            // Those of a command, too.
            Self::Fred | Self::FredPool => command != Command::Mget,
            // They know no clusters; redis-benchmark asks for one key, and so one node.
            Self::RedisRsManager
            | Self::DeadpoolRedis
            | Self::Bb8Redis
            | Self::RedisBenchmark
            | Self::RedisStewardPatient => false,
        }
    }

    /// Takes one of `names` from the command line.
    pub fn one_of(names: impl Iterator<Item = Self>) -> impl TypedValueParser<Value = Self> {
        let values = names.filter_map(|name| name.to_possible_value());
        PossibleValuesParser::new(values)
            .map(|name| Self::from_str(&name, false).expect("the parser knows the names only"))
    }

    fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    /// Whether it counts when the best client beside redis-steward is looked for.
    pub fn is_peer(self) -> bool {
        !matches!(
            self,
            Self::RedisSteward
                | Self::RedisStewardPatient
                | Self::RedisStewardObserved
                | Self::RedisBenchmark
        )
    }

    pub async fn connect(
        self,
        address: Address,
        programs: &Programs,
        case: Case,
        records: &Arc<[Records]>,
    ) -> Result<Box<dyn Contender>> {
        match (self, case.service) {
            (Self::RedisRs, Service::Cluster) => {
                return client::<RedisRsCluster>(address, case, records).await;
            }
            (Self::RedisTower, Service::Cluster) => {
                return client::<TowerCluster>(address, case, records).await;
            }
            (Self::ValkeyGlide, Service::Cluster) => {
                return client::<GlideCluster>(address, case, records).await;
            }
            (Self::Rustis, Service::Near) => {
                return client::<RustisNear>(address, case, records).await;
            }
            (Self::RedisTower, Service::Near) => {
                return client::<TowerNear>(address, case, records).await;
            }
            _ => {}
        }
        match self {
            Self::RedisSteward => client::<Steward>(address, case, records).await,
            Self::RedisStewardObserved => client::<Observed>(address, case, records).await,
            Self::RedisRs => client::<Multiplexed>(address, case, records).await,
            Self::RedisRsManager => client::<Manager>(address, case, records).await,
            Self::DeadpoolRedis => client::<Deadpool>(address, case, records).await,
            Self::Bb8Redis => client::<Bb8>(address, case, records).await,
            Self::Fred => client::<Fred>(address, case, records).await,
            Self::FredPool => client::<FredPool>(address, case, records).await,
            Self::Rustis => client::<Rustis>(address, case, records).await,
            Self::RedisTower => client::<Tower>(address, case, records).await,
            Self::ValkeyGlide => client::<Glide>(address, case, records).await,
            Self::RedisStewardPatient => {
                unreachable!("BUG: the command line offers no {self} for comparison")
            }
            Self::RedisBenchmark => Ok(Box::new(Limit::new(address, programs.clone(), case))),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no name is skipped");
        f.write_str(value.get_name())
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

async fn client<P: Peer>(
    address: Address,
    case: Case,
    records: &Arc<[Records]>,
) -> Result<Box<dyn Contender>> {
    Ok(Box::new(Client {
        peer: P::connect(&address).await?,
        address,
        case,
        records: records.clone(),
        turns: 0,
    }))
}

struct Client<P> {
    peer: P,
    address: Address,
    case: Case,
    records: Arc<[Records]>,
    turns: usize,
}

impl<P: Peer> Contender for Client<P> {
    fn round(&mut self, length: Duration) -> Turn<'_> {
        let turn = self.turns;
        self.turns += 1;
        Box::pin(async move {
            if self.case.service == Service::Near {
                let Self { peer, address, .. } = self;
                return near::run(peer, address, self.case, &self.records, turn, length).await;
            }
            let round = load::run(&self.peer, self.case, &self.records, turn, length).await?;
            Ok(round.figures)
        })
    }

    fn reconnect(&mut self) -> Pin<Box<dyn Future<Output = Result<()>> + '_>> {
        Box::pin(async {
            self.peer = P::connect(&self.address).await?;
            Ok(())
        })
    }

    fn disconnect(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<()>>>> {
        Box::pin(self.peer.disconnect())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::{
        authority::Authority, dataset::Dataset, runtime::Flavour, server::Server, site::Site,
    };

    const CASE: Case = Case {
        command: Command::Get,
        bytes: 16,
        outstanding: 2,
        flavour: Flavour::CurrentThread,
        service: Service::Tls,
    };
    /// On a busy machine.
    const CONNECTED_WITHIN: Duration = Duration::from_secs(30);
    /// Some clients try again and again where they are not let in.
    const ENOUGH: Duration = Duration::from_secs(1);

    /// Whether each client gets the right replies of a server which `shown` has issued the certificate for, if it is to
    /// verify that by `trusted`; and whether any GET has reached the server.
    fn reach(
        shown: &Arc<Authority>,
        trusted: &Arc<Authority>,
        within: Duration,
    ) -> (Vec<(Name, Result<()>)>, bool) {
        let programs = Programs::default();
        let server = Server::start_with_tls(&programs, shown).expect("a server");
        let dataset = Dataset::write(&server.address(), CASE).expect("a data set");
        let mut address = server.tls_address().expect("a port for TLS");
        address.authority = Some(trusted.clone());
        let outcomes = CASE.flavour.block_on(async {
            let mut outcomes = Vec::new();
            // One by one, since some clients have a fixed and short time for a handshake.
            for name in Name::measured() {
                let once = async {
                    let connecting =
                        name.connect(address.clone(), &programs, CASE, &dataset.records);
                    let mut contender = connecting.await?;
                    contender.round(Duration::from_millis(10)).await?;
                    contender.disconnect().await
                };
                let outcome = timeout(within, once).await;
                outcomes.push((name, outcome.unwrap_or_else(|late| Err(late.into()))));
            }
            Ok(outcomes)
        });
        // A client that was late may still have been let in.
        let mut connection = redis::Client::open(server.url())
            .and_then(|client| client.get_connection())
            .expect("a connection");
        let statistics: String = redis::cmd("INFO")
            .arg("commandstats")
            .query(&mut connection)
            .expect("statistics");
        let gets = statistics.contains("cmdstat_get:");
        (outcomes.expect("a runtime"), gets)
    }

    #[test]
    fn every_client_gets_its_replies_over_tls_and_from_the_right_server_only() {
        let programs = Programs::default();
        let authority = || Arc::new(Authority::new(&programs).expect("an authority"));
        let (ours, foreign) = (authority(), authority());
        let (outcomes, are_seen) = reach(&ours, &ours, CONNECTED_WITHIN);
        for (name, outcome) in outcomes {
            outcome.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        }
        assert!(are_seen, "the server counts the GETs");
        let (outcomes, are_seen) = reach(&foreign, &ours, ENOUGH);
        for (name, outcome) in outcomes {
            assert!(outcome.is_err(), "{name} does not verify the server");
        }
        assert!(!are_seen, "a client does not verify the server");
    }

    #[test]
    fn every_client_gets_its_replies_from_a_cluster_and_who_is_left_out_cannot() {
        let programs = Programs::default();
        let mut site = Site::start(&programs, &[]).expect("a server");
        for (command, bytes) in [
            (Command::Get, 16),
            (Command::Set, 16),
            (Command::Incr, 0),
            (Command::Pipeline, 16),
            (Command::Mget, 16),
        ] {
            let case = Case {
                command,
                bytes,
                outstanding: 2,
                flavour: Flavour::CurrentThread,
                service: Service::Cluster,
            };
            site.prepare(case).expect("a cluster");
            let address = site.address(case).expect("its address");
            let mut dataset = Dataset::write(&address, case).expect("a data set");
            for name in Name::with_cluster().filter(|name| *name != Name::RedisStewardPatient) {
                dataset.renew().expect("renewed");
                let once = case.flavour.block_on(async {
                    let connecting =
                        name.connect(address.clone(), &programs, case, &dataset.records);
                    let mut contender = connecting.await?;
                    contender.round(Duration::from_millis(10)).await?;
                    contender.disconnect().await
                });
                let is_able = once.is_ok();
                assert_eq!(
                    is_able,
                    name.is_able_to(case),
                    "{name}, {command:?}: {once:?}"
                );
                if is_able {
                    dataset.check().expect("what it wrote is there");
                }
            }
        }
    }
}
