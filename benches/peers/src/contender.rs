//! Everything that takes its turn in a case: the clients, and the program that is their limit.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use anyhow::Result;
use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde::{Serialize, Serializer};

use crate::{
    case::Case,
    dataset::Records,
    figures::Figures,
    limit::Limit,
    load,
    peer::{
        Bb8, Deadpool, Fred, FredPool, Glide, Manager, Multiplexed, Observed, Peer, Rustis,
        Steward, Tower,
    },
    server::Server,
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
        server: &Server,
        case: Case,
        records: &Arc<[Records]>,
    ) -> Result<Box<dyn Contender>> {
        let url = server.url();
        match self {
            Self::RedisSteward => client::<Steward>(&url, case, records).await,
            Self::RedisStewardObserved => client::<Observed>(&url, case, records).await,
            Self::RedisRs => client::<Multiplexed>(&url, case, records).await,
            Self::RedisRsManager => client::<Manager>(&url, case, records).await,
            Self::DeadpoolRedis => client::<Deadpool>(&url, case, records).await,
            Self::Bb8Redis => client::<Bb8>(&url, case, records).await,
            Self::Fred => client::<Fred>(&url, case, records).await,
            Self::FredPool => client::<FredPool>(&url, case, records).await,
            Self::Rustis => client::<Rustis>(&url, case, records).await,
            Self::RedisTower => client::<Tower>(&url, case, records).await,
            Self::ValkeyGlide => client::<Glide>(&url, case, records).await,
            Self::RedisStewardPatient => {
                unreachable!("BUG: the command line offers no {self} for comparison")
            }
            Self::RedisBenchmark => Ok(Box::new(Limit::new(
                server.port,
                server.programs.clone(),
                case,
            ))),
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
    url: &str,
    case: Case,
    records: &Arc<[Records]>,
) -> Result<Box<dyn Contender>> {
    Ok(Box::new(Client {
        peer: P::connect(url).await?,
        url: url.into(),
        case,
        records: records.clone(),
    }))
}

struct Client<P> {
    peer: P,
    url: String,
    case: Case,
    records: Arc<[Records]>,
}

impl<P: Peer> Contender for Client<P> {
    fn round(&mut self, length: Duration) -> Turn<'_> {
        Box::pin(load::run(&self.peer, self.case, &self.records, length))
    }

    fn reconnect(&mut self) -> Pin<Box<dyn Future<Output = Result<()>> + '_>> {
        Box::pin(async {
            self.peer = P::connect(&self.url).await?;
            Ok(())
        })
    }

    fn disconnect(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<()>>>> {
        Box::pin(self.peer.disconnect())
    }
}
