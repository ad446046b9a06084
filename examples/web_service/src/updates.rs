//! Live updates of an experiment, by WebSocket.

use actix_web::{
    HttpRequest, HttpResponse,
    rt::spawn,
    web::{Data, Path, Payload},
};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, Session};
use redis_steward::{Database, Error, PubSubEvent, Subscription, Supervisor};
use serde_json::json;
use tokio::sync::watch;

use crate::failure::Failure;

/// Its state, and the channel of its changes.
const EXPERIMENT: &str = "web:experiment";
const SECONDS: u64 = 24 * 60 * 60;

/// The pages that follow the experiment.
pub struct Viewers {
    closing: watch::Sender<bool>,
}

impl Viewers {
    pub fn new() -> Self {
        Self {
            closing: watch::Sender::new(false),
        }
    }

    /// Closes all sockets, for which the server would wait otherwise.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }
}

/// `POST /updates/STEP`: the experiment has come to this step. The state and the message are one transaction.
pub async fn publish(
    supervisor: Data<Supervisor>,
    step: Path<u64>,
) -> Result<HttpResponse, Failure> {
    let mut update = redis::pipe();
    update
        .atomic()
        .set_ex(EXPERIMENT, *step, SECONDS)
        .publish(EXPERIMENT, *step);
    let updates = supervisor.database("updates")?.idempotent();
    updates.pipeline::<()>(update).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /updates`: a WebSocket with the present step and each later one, as `{"step":5}`. `{"is_old":true}` says that no
/// updates come for now; a step follows when they come again.
pub async fn follow(
    request: HttpRequest,
    body: Payload,
    supervisor: Data<Supervisor>,
    viewers: Data<Viewers>,
) -> Result<HttpResponse, actix_web::Error> {
    let redis = supervisor.database("updates").map_err(Failure::from)?;
    // Before the upgrade, so that a failure is an answer with a status.
    let updates = redis.subscribe([EXPERIMENT]).await.map_err(Failure::from)?;
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    let viewer = Viewer {
        redis: redis.patient(),
        session,
    };
    let closing = viewers.closing.subscribe();
    spawn(viewer.serve(updates, messages.aggregate_continuations(), closing));
    Ok(response)
}

struct Viewer {
    redis: Database,
    session: Session,
}

/// Why a socket ends.
enum End {
    Closed,
    /// The page is to come back later.
    Again,
}

impl From<actix_ws::Closed> for End {
    fn from(_: actix_ws::Closed) -> Self {
        Self::Closed
    }
}

impl From<Error> for End {
    fn from(_: Error) -> Self {
        Self::Again
    }
}

impl Viewer {
    async fn serve(
        mut self,
        mut updates: Subscription,
        mut messages: AggregatedMessageStream,
        mut closing: watch::Receiver<bool>,
    ) {
        let end = async {
            self.show_state().await?;
            loop {
                tokio::select! {
                    event = updates.next() => self.show(event).await?,
                    message = messages.recv() => self.answer(message).await?,
                    _ = closing.wait_for(|closing| *closing) => return Err(End::Again),
                }
            }
        };
        let end: Result<(), End> = end.await;
        if let Err(End::Again) = end {
            let reason = CloseReason::from(CloseCode::Restart);
            // The page may have gone.
            let _ = self.session.close(Some(reason)).await;
        }
    }

    async fn show_state(&mut self) -> Result<(), End> {
        let get = redis::cmd("GET").arg(EXPERIMENT).take();
        let step: Option<u64> = self.redis.query(get).await?;
        self.send(json!({ "step": step.unwrap_or_default() })).await
    }

    /// A page that is slow delays no other: what it has not taken waits in the queue of its subscription.
    async fn show(&mut self, event: Option<PubSubEvent>) -> Result<(), End> {
        match event {
            Some(event) if event.misses_messages() => self.show_state().await,
            Some(PubSubEvent::Message { payload, .. }) => {
                let step = std::str::from_utf8(&payload).ok();
                match step.and_then(|step| step.parse::<u64>().ok()) {
                    Some(step) => self.send(json!({ "step": step })).await,
                    // It is not from this program.
                    None => Ok(()),
                }
            }
            Some(PubSubEvent::Interrupted { .. }) => self.send(json!({ "is_old": true })).await,
            Some(_) => Ok(()),
            None => Err(End::Again),
        }
    }

    async fn answer(
        &mut self,
        message: Option<Result<AggregatedMessage, actix_ws::ProtocolError>>,
    ) -> Result<(), End> {
        match message {
            Some(Ok(AggregatedMessage::Ping(bytes))) => Ok(self.session.pong(&bytes).await?),
            Some(Ok(AggregatedMessage::Close(_)) | Err(_)) | None => Err(End::Closed),
            // A page has nothing to say.
            Some(Ok(_)) => Ok(()),
        }
    }

    async fn send(&mut self, value: serde_json::Value) -> Result<(), End> {
        Ok(self.session.text(value.to_string()).await?)
    }
}
