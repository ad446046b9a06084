//! What the clients of a comparison are connected to: a server, and where a case wants one, a cluster.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};

use crate::{
    address::Address,
    authority::Authority,
    case::{Case, Service},
    cluster::Cluster,
    program::Programs,
    server::Server,
};

const PRIMARIES: usize = 3;
/// None fails, and one that a busy machine leaves without its turn is not to count as dead.
const NODE_TIMEOUT: Duration = Duration::from_secs(15);

pub struct Site {
    server: Server,
    cluster: Option<Cluster>,
}

impl Site {
    /// The server, with TLS if one of these cases wants it.
    pub fn start(programs: &Programs, cases: &[Case]) -> Result<Self> {
        let server = match cases.iter().any(|case| case.service == Service::Tls) {
            true => Server::start_with_tls(programs, &Arc::new(Authority::new(programs)?))?,
            false => Server::start(programs)?,
        };
        Ok(Self {
            server,
            cluster: None,
        })
    }

    /// Starts what this case wants and is not there yet, so that no cluster runs beside the cases before it.
    pub fn prepare(&mut self, case: Case) -> Result<()> {
        if case.service == Service::Cluster && self.cluster.is_none() {
            let cluster = Cluster::start(self.programs(), PRIMARIES, 0, NODE_TIMEOUT);
            self.cluster = Some(cluster.context("starting a cluster")?);
        }
        Ok(())
    }

    pub fn address(&self, case: Case) -> Result<Address> {
        match case.service {
            Service::Server => Ok(self.server.address()),
            Service::Near => Ok(self.server.address().near()),
            Service::Tls => self.server.tls_address().context("the server has no TLS"),
            Service::Cluster => {
                let cluster = self.cluster.as_ref().context("there is no cluster")?;
                Ok(cluster.address())
            }
        }
    }

    pub fn programs(&self) -> &Programs {
        &self.server.programs
    }

    /// An error if a server is gone, which explains whatever the clients had to say.
    pub fn check(&self) -> Result<()> {
        self.server.check()?;
        self.cluster.as_ref().map_or(Ok(()), Cluster::check)
    }
}
