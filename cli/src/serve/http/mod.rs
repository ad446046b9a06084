//! HTTP for orchestrators.
//!
//! - this file: [`Listener`], which serves connections · `site`: [`Site`], the answers

mod site;

pub(super) use site::Site;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::sleep,
};

use crate::failure::Failure;

/// The most connections at a time. Further ones wait to be accepted.
const CONNECTIONS: usize = 64;
/// The longest time for the head of a request, so that idle connections give their place back.
const HEAD: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Listener(TcpListener);

impl Listener {
    /// `None` if HTTP is off.
    pub(super) async fn open(address: &str, allow_remote: bool) -> Result<Option<Self>, Failure> {
        if address == "off" {
            return Ok(None);
        }
        let literal = match address.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => address.to_owned(),
        };
        let parsed: SocketAddr = literal.parse().map_err(|_| {
            Failure::Usage(format!(
                "{address:?} is no address such as 127.0.0.1:9380; names are not looked up"
            ))
        })?;
        if !parsed.ip().is_loopback() && !allow_remote {
            return Err(Failure::Usage(format!(
                "other machines can reach {parsed}; permit that by --allow-remote"
            )));
        }
        let listener = TcpListener::bind(parsed).await;
        let listener = listener
            .map_err(|error| Failure::Run(format!("cannot listen on {parsed}: {error}")))?;
        Ok(Some(Self(listener)))
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Serves until it is aborted, with all its connections.
    pub(super) async fn serve(self, site: Arc<Site>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let place = places.clone().acquire_owned().await;
            let place = place.expect("BUG: the semaphore was closed");
            let Ok((stream, _)) = self.0.accept().await else {
                // There is no file descriptor left, for instance. Trying at once would be in vain.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let site = site.clone();
            connections.spawn(async move {
                serve(stream, site).await;
                drop(place);
            });
            while connections.try_join_next().is_some() {}
        }
    }
}

async fn serve(stream: TcpStream, site: Arc<Site>) {
    let answer = service_fn(|request| site.clone().answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), answer);
    // A client that breaks off concerns nobody else.
    let _ = connection.await;
}
