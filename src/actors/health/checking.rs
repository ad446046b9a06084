//! Health checks: a connection of the health actor's own is opened, asked and closed.
//!
//! Callers that ask while a check is under way get its answer, so that a page that many look at opens one connection.

use std::{sync::Arc, time::Duration};

use actix::{Addr, AsyncContext as _, Context, Handler, Message, ResponseFuture};
use futures_util::future::join;
use redis::{Cmd, Value, cmd};
use tokio::{sync::oneshot, time::Instant};

use super::{HealthActor, tasks};
use crate::{
    health_check::{Answers, ServerHealth},
    identity::DatabaseId,
    messages::CheckHealth,
    net::{
        Connection, DialError, Failure, Link, Mailbox, Origin, PushSlot, Reply, Tally, TallySink,
        WhileLoading, put_question,
    },
    state::DatabaseState,
};

/// A check has ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Checked {
    database: DatabaseId,
    answers: Answers,
}

impl Handler<CheckHealth> for HealthActor {
    type Result = ResponseFuture<Option<Answers>>;

    fn handle(&mut self, check: CheckHealth, ctx: &mut Context<Self>) -> Self::Result {
        let Some(watched) = self.databases.get(&check.database) else {
            return Box::pin(async { None });
        };
        let (caller, answer) = oneshot::channel();
        let callers = self.checks.entry(check.database).or_default();
        callers.push(caller);
        if callers.len() == 1 {
            self.examine(watched.database.clone(), ctx.address());
        }
        Box::pin(async { answer.await.ok() })
    }
}

impl Handler<Checked> for HealthActor {
    type Result = ();

    fn handle(&mut self, checked: Checked, _: &mut Context<Self>) {
        let callers = self.checks.remove(&checked.database).unwrap_or_default();
        for caller in callers {
            // It may have gone.
            let _ = caller.send(checked.answers.clone());
        }
    }
}

impl HealthActor {
    fn examine(&self, database: Arc<DatabaseState>, health: Addr<Self>) {
        let registry = self.registry.clone();
        actix_rt::spawn(async move {
            let asked = database.clone();
            let examined = tasks::run(&registry, async move { ask(&asked).await }).await;
            let explained = |error| Answers::missing(&database.explain_dial(&error));
            let answers = examined.unwrap_or_else(explained);
            let database = database.id.clone();
            health.do_send(Checked { database, answers });
        });
    }
}

/// Opens a connection, asks, and closes it, within the connect timeout and the attempt timeout.
async fn ask(database: &DatabaseState) -> Result<Answers, DialError> {
    let settings = database.settings.share();
    let dial = database.dialler.dial(&settings, WhileLoading::Report);
    let established = dial.await?;
    // No pool stops it.
    let (_, stop) = oneshot::channel();
    let link = Link {
        origin: Origin::Connection(0),
        stop,
        saturated: None,
        unsent: None,
        pushes: PushSlot::default(),
        bulletin: None,
    };
    let (mailbox, activity, connection) =
        Connection::new(established, &settings, Arc::new(Uncounted), link);
    let routes = database.parking.routes().clone();
    if let Some(until) = routes.and_then(|routes| routes.relaxed_until()) {
        // Maintenance was announced before it was opened.
        activity.relax(until);
    }
    let ping = database.dialler.question();
    let questions = put(mailbox, &ping, settings.attempt_timeout);
    let (_, answers) = join(connection.run(), questions).await;
    Ok(answers)
}

/// Puts the questions. The connection ends when the mailbox is dropped.
async fn put(mailbox: Mailbox, ping: &Cmd, within: Duration) -> Answers {
    let began = Instant::now();
    let deadline = began + within;
    let ping = match one(&mailbox, ping, deadline).await {
        Ok(Value::ServerError(error))
            if tasks::fails(&Reply::One(Value::ServerError(error.clone()))) =>
        {
            return Answers::missing(&format!("PING: {error}"));
        }
        Ok(_) => Some(began.elapsed()),
        Err(error) => return Answers::missing(&error),
    };
    let (server, error) = match one(&mailbox, &cmd("INFO"), deadline).await {
        Ok(Value::BulkString(info)) => (
            Some(ServerHealth::read(&String::from_utf8_lossy(&info))),
            None,
        ),
        Ok(Value::VerbatimString { text, .. }) => (Some(ServerHealth::read(&text)), None),
        Ok(Value::ServerError(error)) => (None, Some(format!("INFO: {error}").into())),
        Ok(_) => (None, Some("INFO: an answer that is no text".into())),
        Err(error) => (None, Some(error)),
    };
    Answers {
        ping,
        server,
        error,
    }
}

async fn one(mailbox: &Mailbox, question: &Cmd, deadline: Instant) -> Result<Value, Arc<str>> {
    match put_question(mailbox, question, deadline).await {
        Some(Ok(answered)) => match answered.reply {
            Reply::One(value) => Ok(value),
            Reply::Many(_) => unreachable!("BUG: one reply was expected and many came"),
        },
        Some(Err(Failure::TimedOut(_) | Failure::TimedOutEarly)) => Err("no answer in time".into()),
        Some(Err(Failure::Lost(reason, _))) => Err(reason.to_string().into()),
        Some(Err(_)) | None => Err("the connection has ended".into()),
    }
}

/// The questions of a check are in no statistics.
#[derive(Debug)]
struct Uncounted;

impl TallySink for Uncounted {
    fn add(&self, _: &Tally) {}
}
