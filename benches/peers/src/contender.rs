//! Everything that takes its turn in a case: the clients, and the program that is their limit.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use anyhow::Result;
use clap::ValueEnum;
use serde::{Serialize, Serializer};

use crate::{
    case::Case,
    dataset::Records,
    figures::Figures,
    limit::Limit,
    load,
    peer::{Bb8, Deadpool, Fred, FredPool, Manager, Multiplexed, Peer, Rustis, Steward},
    server::Server,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    RedisSteward,
    RedisRs,
    RedisRsManager,
    DeadpoolRedis,
    Bb8Redis,
    Fred,
    FredPool,
    Rustis,
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
    /// Whether it counts when the best client beside redis-steward is looked for.
    pub fn is_peer(self) -> bool {
        !matches!(self, Self::RedisSteward | Self::RedisBenchmark)
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
            Self::RedisRs => client::<Multiplexed>(&url, case, records).await,
            Self::RedisRsManager => client::<Manager>(&url, case, records).await,
            Self::DeadpoolRedis => client::<Deadpool>(&url, case, records).await,
            Self::Bb8Redis => client::<Bb8>(&url, case, records).await,
            Self::Fred => client::<Fred>(&url, case, records).await,
            Self::FredPool => client::<FredPool>(&url, case, records).await,
            Self::Rustis => client::<Rustis>(&url, case, records).await,
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
