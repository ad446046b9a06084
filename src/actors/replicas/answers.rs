//! What servers answer when they are asked for their replication and their zone.

use std::{sync::Arc, time::Duration};

use futures_util::future::{join, join_all};
use redis::{Value, cmd};
use tokio::time::{Instant, timeout};

use crate::{
    actors::question::put,
    net::Reply,
    policy::{nearness::zone_in, replicas::Replication},
    sanitize,
    state::DatabaseState,
};

/// A server that does not answer for so long serves no reads.
const PATIENCE: Duration = Duration::from_secs(1);

const REFUSED: &str = "it refuses INFO";

/// What a server has said when it was asked then, and how long that took. Without an answer, why there is none.
pub(super) struct Answer {
    pub(super) asked: Instant,
    pub(super) took: Duration,
    pub(super) said: Result<Replication, &'static str>,
    /// The availability zone that it has told, empty if it has none; `None` if it was not asked, or has not answered.
    pub(super) zone: Option<Arc<str>>,
}

/// A server that is asked, for its zone as well if `is_zone_due`.
pub(super) struct Asked {
    pub(super) server: Arc<DatabaseState>,
    pub(super) is_zone_due: bool,
}

/// Asks the primary, and after its answer all replicas at once.
pub(super) async fn ask(
    primary: Asked,
    replicas: Vec<Asked>,
) -> (Answer, Vec<(Arc<DatabaseState>, Answer)>) {
    let primary = ask_one(&primary).await;
    let answers = join_all(replicas.iter().map(ask_one)).await;
    let servers = replicas.into_iter().map(|asked| asked.server);
    (primary, servers.zip(answers).collect())
}

async fn ask_one(
    Asked {
        server,
        is_zone_due,
    }: &Asked,
) -> Answer {
    let asked = Instant::now();
    let replication = async {
        let said = match info(server, "replication").await {
            Ok(info) => Replication::read(&info).ok_or("it does not tell its replication"),
            Err(why) => Err(why),
        };
        (said, asked.elapsed())
    };
    // In the same write, so that it costs no round trip.
    let zone = async {
        if !is_zone_due {
            return None;
        }
        match info(server, "server").await {
            Ok(info) => Some(Arc::from(sanitize::text(zone_in(&info)))),
            // The user may not ask for it.
            Err(REFUSED) => Some(Arc::from("")),
            Err(_) => None,
        }
    };
    let ((said, took), zone) = join(replication, zone).await;
    Answer {
        asked,
        took,
        said,
        zone,
    }
}

/// A section of what a server tells of itself.
async fn info(server: &DatabaseState, section: &str) -> Result<String, &'static str> {
    let question = cmd("INFO").arg(section).take();
    let asking = put(server, &question, PATIENCE);
    // Its deadline may be extended during maintenance.
    let Some(reply) = timeout(PATIENCE, asking).await.ok().flatten() else {
        return Err("it does not answer");
    };
    let text = match reply {
        Reply::One(Value::BulkString(info)) => String::from_utf8(info).ok(),
        Reply::One(Value::VerbatimString { text, .. } | Value::SimpleString(text)) => Some(text),
        _ => None,
    };
    text.ok_or(REFUSED)
}
