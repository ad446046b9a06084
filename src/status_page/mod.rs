//! A page for operators, with its data and its actions, for any web framework.
//!
//! - this file: [`StatusPage`] · `request`, `response`: what a framework passes in, and gets back
//! - `report`: the data as JSON · `events`: the data as a stream · `action`: what the buttons do
//! - `page`: the page, which is `page.html`, and what it may load · `same_site`: whether a request comes from the page

mod action;
mod events;
mod page;
mod report;
mod request;
mod response;
mod same_site;

pub use events::StatusEvents;
pub use request::StatusRequest;
pub use response::{StatusBody, StatusResponse};

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::{action::Action, report::Report};
use crate::{
    events::EventPlace,
    supervisor::{Supervisor, WeakSupervisor},
};

/// The most streams of events at the same time, over all clones of a page.
const MAX_STREAMS: usize = 64;

/// A page that shows every database of a [`Supervisor`] live: state and reason, circuit, latency, connections, commands
/// in flight, the last error, and a log of events. It has buttons to [isolate](Supervisor::isolate) and
/// [reset](Supervisor::reset) a database.
///
/// It belongs to no web framework: [`respond`](Self::respond) takes the parts of a request and returns those of a
/// response. `examples/web_service` mounts it in actix-web and in axum. It is there with the feature `status-page`.
///
/// | request, below the path of the page | response |
/// |---|---|
/// | `GET` of the path itself | the page: HTML with its own style and script, which loads nothing else |
/// | `GET snapshot` | all databases as JSON: see [`snapshot`](Self::snapshot) |
/// | `GET events`, `GET events?after=PLACE` | the same, as a stream of server-sent events: see [`StatusEvents`] |
/// | `POST isolate?database=NAME`, `POST reset?database=NAME` | `{"database", "action"}`, or `{"error"}` with status 400, 403, 404 or 503 |
///
/// A page is cheap to clone. It does not keep the supervisor running: when that has stopped, streams end, and
/// further requests are answered with status 503.
///
/// # Safety
///
/// **The application has to decide who may see the page and press its buttons.** The page asks nobody for a password. Mount it
/// behind the authentication of the application, or on an address that only operators reach. Where anybody may look,
/// [`without_actions`](Self::without_actions) takes the buttons away. Names of databases, addresses in texts of errors and the
/// load are visible; passwords and values are not.
///
/// What the page does by itself:
/// - Actions are taken by `POST` alone, and only with the header `x-redis-steward: status-page`, which other sites cannot send
///   unless the application permits it by CORS. `Sec-Fetch-Site` has to be `same-origin`; where a browser does not send that,
///   `Origin` has to be `Host`. So a proxy has to leave `Host` as it is, and a service without authentication has to check
///   `Host` itself, against names that are pointed at its address (DNS rebinding).
/// - Its `content-security-policy` permits the style and the script of the page and requests to its own origin, and nothing
///   else; no other site may frame it. Names and texts are shown as text.
/// - At most 64 streams are open at a time. A slow reader holds back nothing but its own stream.
///
/// # Example
///
/// ```
/// use redis_steward::{Config, StatusPage, StatusRequest, Supervisor};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let supervisor = Supervisor::spawn(Config::single("memory://")).await?;
/// let page = StatusPage::new(&supervisor);
/// let response = page.respond(StatusRequest::new("GET", "/snapshot")).await;
/// assert_eq!(response.status, 200);
/// // response.headers are pairs of texts, and response.body is a stream of `Result<Bytes, Infallible>`.
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StatusPage {
    supervisor: WeakSupervisor,
    has_actions: bool,
    closed: CancellationToken,
    streams: Arc<Semaphore>,
}

impl StatusPage {
    /// A page with buttons.
    pub fn new(supervisor: &Supervisor) -> Self {
        Self {
            supervisor: supervisor.downgrade(),
            has_actions: true,
            closed: CancellationToken::new(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
        }
    }

    /// The page without buttons; `isolate` and `reset` are answered with status 403.
    #[must_use]
    pub fn without_actions(mut self) -> Self {
        self.has_actions = false;
        self
    }

    /// Answers a request. [The table](Self) lists the paths; any other one is answered with status 404, and a method that
    /// is not listed with 405.
    ///
    /// If the future is dropped, an action may or may not take effect.
    pub async fn respond(&self, request: StatusRequest<'_>) -> StatusResponse {
        let reads = ["GET", "HEAD"].contains(&request.method);
        match request.path.trim_matches('/') {
            "" | "snapshot" | "events" if !reads => StatusResponse::wrong_method("GET, HEAD"),
            "" => StatusResponse::page(),
            "snapshot" => self.answer_snapshot(),
            "events" => self.answer_events(request.parameter("after").as_deref()),
            "isolate" => self.act(Action::Isolate, &request).await,
            "reset" => self.act(Action::Reset, &request).await,
            _ => StatusResponse::refusal(404, "there is no such page"),
        }
    }

    /// The HTML of the page. It asks for its data by URLs relative to its own path, with or without a slash at the end.
    pub fn html() -> &'static str {
        page::HTML
    }

    /// All databases as JSON: `statistics`, as of [`Supervisor::statistics`]; `has_actions`; `events`, the last event of each
    /// database; `place`, after which a stream can go on; and `interval`, which is `null`. `None` if the supervisor has
    /// stopped.
    pub fn snapshot(&self) -> Option<String> {
        let supervisor = self.supervisor.upgrade()?;
        let statistics = supervisor.statistics();
        let told = events::present(&supervisor);
        Some(Report::new(&statistics, None, &told, self.has_actions).to_json())
    }

    /// A stream of server-sent events. `None` if the supervisor has stopped, after
    /// [`close_streams`](Self::close_streams), and while 64 streams are open.
    pub fn events(&self) -> Option<StatusEvents> {
        self.events_after(None)
    }

    /// A place that is no place is as good as one of another supervisor.
    fn events_after(&self, place: Option<EventPlace>) -> Option<StatusEvents> {
        if self.closed.is_cancelled() {
            return None;
        }
        let permit = self.streams.clone().try_acquire_owned().ok()?;
        let supervisor = self.supervisor.upgrade()?;
        Some(StatusEvents::new(
            &supervisor,
            self.has_actions,
            self.closed.clone(),
            permit,
            place,
        ))
    }

    /// Ends all streams of this page and its clones, and begins no other one. A web server that waits for open responses
    /// when it stops would wait for them otherwise.
    pub fn close_streams(&self) {
        self.closed.cancel();
    }

    fn answer_snapshot(&self) -> StatusResponse {
        match self.snapshot() {
            Some(json) => StatusResponse::json(200, json),
            None => StatusResponse::stopped(),
        }
    }

    fn answer_events(&self, after: Option<&str>) -> StatusResponse {
        let place = after.and_then(|after| after.parse().ok());
        match self.events_after(place) {
            Some(events) => StatusResponse::events(events),
            None => StatusResponse::refusal(503, "there is no stream now"),
        }
    }

    async fn act(&self, action: Action, request: &StatusRequest<'_>) -> StatusResponse {
        if request.method != "POST" {
            return StatusResponse::wrong_method("POST");
        }
        if !self.has_actions {
            return StatusResponse::refusal(403, "this page has no actions");
        }
        if let Err(why) = same_site::check(request) {
            return StatusResponse::refusal(403, why);
        }
        match self.supervisor.upgrade() {
            Some(supervisor) => {
                action
                    .take(&supervisor, request.parameter("database"))
                    .await
            }
            None => StatusResponse::stopped(),
        }
    }
}
