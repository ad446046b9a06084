//! What the buttons of the page do.

use serde_json::json;

use super::StatusResponse;
use crate::{error::Error, supervisor::Supervisor};

#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Isolate,
    Reset,
}

impl Action {
    pub(super) async fn take(
        self,
        supervisor: &Supervisor,
        database: Option<impl AsRef<str>>,
    ) -> StatusResponse {
        let Some(database) = database.as_ref().map(AsRef::as_ref) else {
            return StatusResponse::refusal(400, "the query names no database");
        };
        // Neither an alias nor a default database stands in: an action is on the database that was looked at.
        let databases = supervisor.databases();
        if !databases.iter().any(|known| &**known == database) {
            return StatusResponse::refusal(404, "there is no database of this name");
        }
        let taken = match self {
            Self::Isolate => supervisor.isolate(database).await,
            Self::Reset => supervisor.reset(database).await,
        };
        match taken {
            Ok(()) => {
                let taken = json!({ "database": database, "action": self.word() });
                StatusResponse::json(200, taken.to_string())
            }
            // It was removed in between.
            Err(error @ Error::UnknownDatabase { .. }) => {
                StatusResponse::refusal(404, &error.to_string())
            }
            Err(error) => StatusResponse::refusal(503, &error.to_string()),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Isolate => "isolate",
            Self::Reset => "reset",
        }
    }
}
