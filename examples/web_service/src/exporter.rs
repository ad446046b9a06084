//! The statistics for a Prometheus server.

use actix_web::{HttpResponse, web};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use redis_steward::{DurationHistogram, Metrics, Supervisor};

pub struct Exporter {
    metrics: Metrics,
    recorder: PrometheusHandle,
}

impl Exporter {
    /// Makes it the recorder of the program, with the buckets that the statistics have.
    pub fn install(supervisor: &Supervisor) -> Result<Self, BuildError> {
        let builder =
            PrometheusBuilder::new().set_buckets(&DurationHistogram::BOUNDS_IN_SECONDS)?;
        Ok(Self {
            recorder: builder.install_recorder()?,
            metrics: supervisor.metrics(),
        })
    }
}

/// What was counted until now.
pub async fn metrics(exporter: web::Data<Exporter>) -> HttpResponse {
    exporter.metrics.flush();
    // Frees what the recorder has kept of histograms since the last scrape.
    exporter.recorder.run_upkeep();
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(exporter.recorder.render())
}
