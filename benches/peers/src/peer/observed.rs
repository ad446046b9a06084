//! redis-steward as a program has it that is observed: its metrics are flushed to the recorder of a Prometheus exporter
//! ten times a second, which is more often than one is scraped, and a subscriber of `tracing` writes lines from INFO on,
//! so that spans are off.

use std::{io, sync::Once, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::{Peer, Steward};
use crate::address::Address;

const FLUSH_EVERY: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub struct Observed(Steward);

impl Peer for Observed {
    type Reply = Vec<u8>;

    async fn connect(address: &Address) -> Result<Self> {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            metrics::set_global_recorder(recorder).expect("the only recorder");
            let lines = tracing_subscriber::fmt().with_writer(io::sink);
            // Of a run it is the first, since it connects before valkey-glide. Tests come in any order.
            let _ = lines.try_init();
        });
        let steward = Steward::connect(address).await?;
        let metrics = steward.supervisor().metrics();
        // It ends with the supervisor.
        tokio::spawn(metrics.run(FLUSH_EVERY));
        Ok(Self(steward))
    }

    async fn get(&mut self, key: &str) -> Result<Vec<u8>> {
        self.0.get(key).await
    }

    async fn set(&mut self, key: &str, value: &Bytes) -> Result<()> {
        self.0.set(key, value).await
    }

    async fn incr(&mut self, key: &str) -> Result<i64> {
        self.0.incr(key).await
    }

    async fn pipeline(&mut self, keys: &[String]) -> Result<Vec<Vec<u8>>> {
        self.0.pipeline(keys).await
    }

    async fn mget(&mut self, keys: &[String]) -> Result<Vec<Vec<u8>>> {
        self.0.mget(keys).await
    }

    async fn disconnect(self) -> Result<()> {
        self.0.disconnect().await
    }
}
