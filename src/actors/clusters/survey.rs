//! The questions to the nodes of a cluster.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::{Value, cmd};
use tokio::time::{Instant, timeout_at};

use crate::{
    config::Address,
    net::{Mailbox, Reply, has_primary, put_question, read_epoch, read_slots},
    policy::cluster::{Told, Topology},
    state::DatabaseState,
};

/// A node that does not answer for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Once a node has answered, the others get so long, or twice as long as that one took.
const SHORT_PATIENCE: Duration = Duration::from_millis(20);

/// A node to ask: the way to it, and where that leads.
pub(super) type Place = (Mailbox, Address);

/// The way to a server over a connection that is open.
pub(super) fn place(state: &DatabaseState) -> Option<Place> {
    let routes = state.parking.routes();
    let route = routes.as_ref()?.least_loaded();
    Some((route.mailbox.clone(), route.address.clone()))
}

/// What nodes have said.
#[derive(Default)]
pub(super) struct Answers {
    /// What each of those who answered has told, or why it has not.
    pub(super) told: Vec<Result<Told<Address>, String>>,
    /// The nodes that were sought, and that others know.
    pub(super) found: Vec<Address>,
}

/// The answers of these nodes, without those of the slow ones.
pub(super) async fn ask(places: Vec<Place>, sought: &[Address]) -> Answers {
    let began = Instant::now();
    let mut deadline = began + PATIENCE;
    let asked = places
        .iter()
        .map(|place| ask_one(place, sought, began + PATIENCE));
    let mut asked: FuturesUnordered<_> = asked.collect();
    let Answers {
        mut told,
        mut found,
    } = Answers::default();
    while let Ok(Some(answer)) = timeout_at(deadline, asked.next()).await {
        let Some((answer, knows)) = answer else {
            continue;
        };
        if answer.is_ok() {
            let patience = (2 * began.elapsed()).max(SHORT_PATIENCE);
            deadline = deadline.min(Instant::now() + patience);
        }
        told.push(answer);
        found.extend(knows);
    }
    found.sort_unstable_by_key(Address::to_string);
    found.dedup();
    Answers { told, found }
}

/// What a node tells, and which of those that are sought it knows; `None` if it does not answer.
async fn ask_one(
    (mailbox, address): &Place,
    sought: &[Address],
    deadline: Instant,
) -> Option<(Result<Told<Address>, String>, Vec<Address>)> {
    let question = |what: &str| {
        let question = cmd("CLUSTER").arg(what).take();
        async move {
            let answer = put_question(mailbox, &question, deadline).await;
            match answer?.ok()?.reply {
                Reply::One(reply) => Some(reply),
                Reply::Many(_) => None,
            }
        }
    };
    let nodes = async {
        if sought.is_empty() {
            None
        } else {
            question("NODES").await
        }
    };
    let (slots, info, nodes) = futures_util::join!(question("SLOTS"), question("INFO"), nodes);
    let told = match slots? {
        Value::ServerError(error) => Err(format!(
            "{address} is no node of a cluster that tells its slots: {} {}",
            error.code(),
            error.details().unwrap_or_default()
        )),
        slots => read_slots(&slots, address).map(|ranges| Told {
            epoch: info.as_ref().and_then(read_epoch).unwrap_or(0),
            topology: Topology::new(ranges),
        }),
    };
    let found = sought.iter().filter(|sought| {
        let nodes = nodes.as_ref();
        nodes.is_some_and(|nodes| has_primary(nodes, sought, address))
    });
    Some((told, found.cloned().collect()))
}
