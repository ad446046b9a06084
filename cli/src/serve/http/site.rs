//! The answers to requests.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use redis_steward::{DatabaseStats, DurationHistogram, Metrics, Supervisor};
use serde_json::{Value, json};

pub(in crate::serve) struct Site {
    supervisor: Supervisor,
    metrics: Metrics,
    recorder: PrometheusHandle,
    /// The longest wait for a server.
    within: Duration,
    /// Whether the process is about to end.
    is_draining: AtomicBool,
}

type Answer = Response<Full<Bytes>>;

impl Site {
    /// Its recorder of metrics becomes that of the program.
    pub(in crate::serve) fn new(
        supervisor: Supervisor,
        within: Duration,
    ) -> Result<Self, BuildError> {
        let builder =
            PrometheusBuilder::new().set_buckets(&DurationHistogram::BOUNDS_IN_SECONDS)?;
        Ok(Self {
            metrics: supervisor.metrics(),
            recorder: builder.install_recorder()?,
            supervisor,
            within,
            is_draining: AtomicBool::new(false),
        })
    }

    /// From now on, it is not ready.
    pub(in crate::serve) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Answer, Infallible> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut answer = json_answer(
                StatusCode::METHOD_NOT_ALLOWED,
                &json!({"error": "only GET and HEAD are answered"}),
            );
            let allowed = HeaderValue::from_static("GET, HEAD");
            answer.headers_mut().insert(ALLOW, allowed);
            return Ok(answer);
        }
        Ok(match request.uri().path() {
            "/health" => self.health().await,
            "/ready" => self.verdict("ready", DatabaseStats::is_ready, false),
            // A process that ends is alive until it has ended.
            "/live" => self.verdict("live", DatabaseStats::is_live, true),
            "/metrics" => self.metrics(),
            _ => json_answer(
                StatusCode::NOT_FOUND,
                &json!({"error": "there are /health, /ready, /live and /metrics"}),
            ),
        })
    }

    /// Hands over what was counted since the last time, and lets the recorder sum it up. The recorder takes memory for
    /// each command until then, so that this is done also if nobody scrapes.
    pub(in crate::serve) fn keep_up(&self) {
        self.metrics.flush();
        self.recorder.run_upkeep();
    }

    /// What was counted until now, in the text format of Prometheus.
    fn metrics(&self) -> Answer {
        self.keep_up();
        let mut answer = Response::new(Full::from(self.recorder.render()));
        let format = HeaderValue::from_static("text/plain; version=0.0.4");
        answer.headers_mut().insert(CONTENT_TYPE, format);
        answer
    }

    /// Asks the servers.
    async fn health(&self) -> Answer {
        let health = self.supervisor.health(self.within).await;
        let is_ready = health.is_ready() && !self.is_draining();
        let mut document = json!(health);
        document["ready"] = json!(is_ready);
        document["draining"] = json!(self.is_draining());
        json_answer(status(is_ready), &document)
    }

    /// Tells what is known, without a question to a server.
    fn verdict(
        &self,
        key: &str,
        is_well: fn(&DatabaseStats) -> bool,
        while_draining: bool,
    ) -> Answer {
        let databases = self.supervisor.statistics().databases;
        let is_draining = self.is_draining();
        let verdict = if is_draining {
            while_draining
        } else {
            databases.values().all(is_well)
        };
        let databases: BTreeMap<_, _> = databases
            .iter()
            .map(|(name, stats)| (name, database(stats, key, is_well(stats))))
            .collect();
        let document = json!({
            key: verdict,
            "draining": is_draining,
            "databases": databases,
        });
        json_answer(status(verdict), &document)
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }
}

fn database(stats: &DatabaseStats, key: &str, is_well: bool) -> Value {
    json!({
        key: is_well,
        "state": stats.health,
        "reason": stats.health.reason(),
        "circuit_state": stats.circuit,
    })
}

fn status(is_well: bool) -> StatusCode {
    if is_well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

fn json_answer(status: StatusCode, document: &Value) -> Answer {
    let mut answer = Response::new(Full::from(format!("{document}\n")));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
