//! Questions and orders of the pool's own to the server. They travel over the connections that all callers share.

use actix::{AsyncContext, Context, Handler};
use oneshot::AsyncReceiver;
use redis::cmd;
use tokio::time::Instant;

use super::{Event, PoolActor};
use crate::{
    messages::Verified,
    net::{Answer, ClientId, Expected, Reply, Request, Responder},
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
            // Without an answer, or with an error, nothing is known.
            let Ok(Ok(answered)) = answer.await else {
                return;
            };
            let Reply::One(list) = answered.reply else {
                return;
            };
            if let Some(listed) = ClientId::listed(&list) {
                let (known, disowned): (Vec<_>, Vec<_>) = named
                    .into_iter()
                    .partition(|(_, client)| listed.contains(client));
                let ids = |of: Vec<(u64, ClientId)>| of.into_iter().map(|(id, _)| id).collect();
                pool.do_send(Verified {
                    known: ids(known),
                    disowned: ids(disowned),
                });
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
        let patience = self.state.settings.load().attempt_timeout;
        let request = Request {
            bytes,
            expected,
            deadline: Instant::now() + patience,
            may_block: false,
            may_be_large: false,
            may_introduce: false,
            responder,
        };
        self.state.parking.park(request);
        answer
    }
}

impl Handler<Verified> for PoolActor {
    type Result = ();

    fn handle(&mut self, Verified { known, disowned }: Verified, ctx: &mut Self::Context) {
        self.turn(Event::Verified { known, disowned }, ctx);
    }
}
