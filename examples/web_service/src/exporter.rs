//! The statistics for a Prometheus server.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpResponse, rt::time::interval, web};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use redis_steward::{DurationHistogram, Metrics, Supervisor};

#[derive(Clone)]
pub struct Exporter(Arc<Parts>);

struct Parts {
    metrics: Metrics,
    recorder: PrometheusHandle,
}

impl Exporter {
    /// Makes it the recorder of the program, with the buckets that the statistics have.
    pub fn install(supervisor: &Supervisor) -> Result<Self, BuildError> {
        let builder =
            PrometheusBuilder::new().set_buckets(&DurationHistogram::BOUNDS_IN_SECONDS)?;
        Ok(Self(Arc::new(Parts {
            recorder: builder.install_recorder()?,
            metrics: supervisor.metrics(),
        })))
    }

    /// Hands over what was counted, each second. The recorder takes memory for each command until it sums them up, so
    /// that this is done also if nobody scrapes.
    pub async fn run(self) {
        let mut every = interval(Duration::from_secs(1));
        loop {
            every.tick().await;
            self.keep_up();
        }
    }

    fn keep_up(&self) {
        self.0.metrics.flush();
        self.0.recorder.run_upkeep();
    }
}

/// What was counted until now.
pub async fn metrics(exporter: web::Data<Exporter>) -> HttpResponse {
    exporter.keep_up();
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(exporter.0.recorder.render())
}
