//! Sessions: JSON in Redis that ends half an hour after its last use.

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use redis_steward::Supervisor;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::failure::Failure;

const SECONDS: u64 = 1_800;

#[derive(Deserialize, Serialize)]
pub struct Session {
    user: String,
}

#[derive(Serialize)]
struct Opened<'a> {
    id: Uuid,
    #[serde(flatten)]
    session: &'a Session,
}

/// `POST /sessions`
pub async fn open(
    supervisor: Data<Supervisor>,
    session: Json<Session>,
) -> Result<HttpResponse, Failure> {
    let sessions = supervisor.database("sessions")?;
    let id = Uuid::new_v4();
    let json = serde_json::to_string(&*session).expect("a session is JSON");
    let set = redis::cmd("SET")
        .arg(key(id))
        .arg(json)
        .arg("EX")
        .arg(SECONDS)
        .take();
    // The key is new each time, so it may be written twice.
    sessions.idempotent().query::<()>(set).await?;
    let opened = Opened {
        id,
        session: &session,
    };
    Ok(HttpResponse::Created().json(opened))
}

/// `GET /sessions/ID`, which is a use.
pub async fn read(supervisor: Data<Supervisor>, id: Path<Uuid>) -> Result<HttpResponse, Failure> {
    let sessions = supervisor.database("sessions")?;
    let get = redis::cmd("GETEX")
        .arg(key(*id))
        .arg("EX")
        .arg(SECONDS)
        .take();
    let json: Option<String> = sessions.idempotent().query(get).await?;
    let session = json.and_then(|json| serde_json::from_str::<Session>(&json).ok());
    Ok(match session {
        Some(session) => HttpResponse::Ok().json(session),
        None => HttpResponse::NotFound().finish(),
    })
}

/// `DELETE /sessions/ID`
pub async fn close(supervisor: Data<Supervisor>, id: Path<Uuid>) -> Result<HttpResponse, Failure> {
    let sessions = supervisor.database("sessions")?;
    let delete = redis::cmd("DEL").arg(key(*id)).take();
    sessions.idempotent().query::<u64>(delete).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn key(id: Uuid) -> String {
    format!("web:session:{id}")
}
