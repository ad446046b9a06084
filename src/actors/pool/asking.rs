//! Questions and orders of the pool's own to the server. They travel over the connections that all callers share.

use actix::{AsyncContext, Context, Handler};
use oneshot::AsyncReceiver;
use redis::{Value, cmd};
use tokio::time::Instant;

use super::{Event, PoolActor};
use crate::{
    execution::Execution,
    messages::{NotVerified, Verified},
    net::{Answer, ClientId, Expected, Reply, Request, Responder},
    policy::outcome::{AttemptEnd, RetryAdvice, classify},
};

impl PoolActor {
    /// Asks the server which of these connections it still knows. A connection whose name it has not said needs
    /// no question: nothing waits on it yet, or the user may not ask.
    pub(super) fn verify(&mut self, ids: &[u64], ctx: &mut Context<Self>) -> Event {
        let named = self.client_ids(ids);
        let is_named = |id: &u64| named.iter().any(|(named, _)| named == id);
        let unnamed = ids.iter().copied().filter(|id| !is_named(id)).collect();
        if !named.is_empty() {
            self.ask_for(named, ctx);
        }
        Event::Verified {
            known: unnamed,
            disowned: Vec::new(),
        }
    }

    fn ask_for(&mut self, named: Vec<(u64, ClientId)>, ctx: &mut Context<Self>) {
        let mut question = cmd("CLIENT").arg("LIST").arg("ID").take();
        for (_, client) in &named {
            question.arg(client.number);
        }
        let answer = self.ask(question.get_packed_command(), Expected::One);
        let pool = ctx.address();
        actix_rt::spawn(async move {
            match answer.await {
                Ok(Ok(answered)) if !is_passing(&answered.reply) => {
                    pool.do_send(verified(named, &answered.reply));
                }
                // Nothing is known, and another answer may tell more.
                _ => pool.do_send(NotVerified),
            }
        });
    }

    /// Asks the server to end the waits on these connections, as if their timeouts had passed. A reply that is
    /// already on its way is not touched, so nothing that was popped is lost.
    pub(super) fn unblock(&mut self, ids: &[u64]) {
        let clients = self.client_ids(ids);
        if clients.is_empty() {
            return;
        }
        let mut orders = Vec::new();
        for (_, client) in &clients {
            let order = cmd("CLIENT").arg("UNBLOCK").arg(client.number).take();
            order.write_packed_command(&mut orders);
        }
        let answer = self.ask(orders, Expected::Many(clients.len()));
        // Requests for which none waits are not sent. The answers do not matter: the pool looks again.
        actix_rt::spawn(async move { drop(answer.await) });
    }

    /// The names by which the server knows these connections, where it has said them.
    fn client_ids(&self, ids: &[u64]) -> Vec<(u64, ClientId)> {
        let name = |id: &u64| {
            let route = self.connections.get(id)?.route.as_ref()?;
            Some((*id, route.activity.client_id()?.clone()))
        };
        ids.iter().filter_map(name).collect()
    }

    /// Sends a request of the pool's own on a shared connection, also while the pool takes no others any more.
    fn ask(&self, bytes: Vec<u8>, expected: Expected) -> AsyncReceiver<Answer> {
        let (responder, answer) = Responder::own();
        let deadline = Instant::now() + self.state.settings.load().attempt_timeout;
        let request = Request::new(bytes, expected, deadline, responder);
        self.state.parking.park(request);
        answer
    }
}

/// Whether it is an error that may be over soon.
fn is_passing(reply: &Reply) -> bool {
    let Reply::One(Value::ServerError(error)) = reply else {
        return false;
    };
    let outcome = classify(AttemptEnd::ErrorReply(error.into()));
    (outcome.execution, outcome.again) != (Execution::NotExecuted, RetryAdvice::Never)
}

/// Where the user may not ask, or the server does not know the question, nothing speaks against a connection.
fn verified(named: Vec<(u64, ClientId)>, reply: &Reply) -> Verified {
    let listed = match reply {
        Reply::One(list) => ClientId::listed(list),
        Reply::Many(_) => None,
    };
    let is_known = |client: &ClientId| listed.as_ref().is_none_or(|all| all.contains(client));
    let (known, disowned): (Vec<_>, Vec<_>) =
        named.into_iter().partition(|(_, client)| is_known(client));
    let ids = |of: Vec<(u64, ClientId)>| of.into_iter().map(|(id, _)| id).collect();
    Verified {
        known: ids(known),
        disowned: ids(disowned),
    }
}

impl Handler<Verified> for PoolActor {
    type Result = ();

    fn handle(&mut self, Verified { known, disowned }: Verified, ctx: &mut Self::Context) {
        self.turn(Event::Verified { known, disowned }, ctx);
    }
}

impl Handler<NotVerified> for PoolActor {
    type Result = ();

    fn handle(&mut self, _: NotVerified, ctx: &mut Self::Context) {
        self.turn(Event::NotVerified, ctx);
    }
}
