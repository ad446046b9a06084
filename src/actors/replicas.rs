//! The replicas actor: has a database for each replica that serves reads, of a service or of a node of a cluster, and looks
//! at all of them once per second.
//!
//! A look is a question to the primary how far it is, and after its answer one to each replica. In this order a replica
//! that keeps up has reached where the primary was.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use futures_util::future::join_all;
use redis::{Value, cmd};
use tokio::time::{Instant, timeout};

use super::{exit_guard::ExitGuard, question::put};
use crate::{
    config::{Address, DatabaseSettings, WhenDown},
    identity::{DatabaseId, PartOf},
    messages::{HaveReplicas, Reconfigured},
    net::Reply,
    policy::{
        nearness::RoundTrip,
        replicas::{Census, Progress, Replication},
    },
    registry::Registry,
    state::{DatabaseState, Replica, View},
};

/// How often replicas are looked at: about the precision with which the age of their data is known.
const INTERVAL: Duration = Duration::from_secs(1);
/// The same while a replica is new.
const SHORT_INTERVAL: Duration = Duration::from_millis(50);
/// A server that does not answer for so long serves no reads.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) struct ReplicasActor {
    registry: Arc<Registry>,
    supervisor: Recipient<HaveReplicas>,
    watched: HashMap<DatabaseId, Watched>,
    alarm: Option<SpawnHandle>,
    // Never read: it reports the end of this actor when it is dropped.
    _guard: ExitGuard,
}

/// A database whose replicas are looked at.
struct Watched {
    database: Arc<DatabaseState>,
    /// What its replicas were made from.
    made_from: Option<(Vec<Address>, Arc<DatabaseSettings>)>,
    progress: Progress,
    census: Census,
    /// Of those that answer, the primary among them.
    round_trips: HashMap<DatabaseId, RoundTrip>,
    is_asking: bool,
}

/// What is known of where the replicas of a database are.
enum Whereabouts {
    At(Vec<Address>),
    /// It will be known.
    Awaited,
    /// It will not, for this reason.
    Unknown(&'static str),
    /// Those of a cluster are with its nodes, each of which is a database.
    AtNodes,
}

/// What a database and its replicas have said of their replication.
#[derive(Message)]
#[rtype(result = "()")]
struct Looked {
    database: DatabaseId,
    /// Where the database led when they were asked.
    endpoint: Address,
    primary: Answer,
    replicas: Vec<(Arc<DatabaseState>, Answer)>,
}

/// What a server has said when it was asked then, and how long that took. Without an answer, why there is none.
struct Answer {
    asked: Instant,
    took: Duration,
    said: Result<Replication, &'static str>,
}

impl ReplicasActor {
    pub(super) fn new(
        registry: Arc<Registry>,
        supervisor: Recipient<HaveReplicas>,
        guard: ExitGuard,
    ) -> Self {
        Self {
            registry,
            supervisor,
            watched: HashMap::new(),
            alarm: None,
            _guard: guard,
        }
    }

    fn look_at_all(&mut self, ctx: &mut Context<Self>) {
        self.watched
            .retain(|_, watched| !watched.database.is_removed());
        let mut replicas = HashMap::<DatabaseId, Vec<Arc<DatabaseState>>>::new();
        for state in self.registry.states() {
            if let Some(PartOf::Replicas(primary)) = &state.part_of {
                replicas.entry(primary.clone()).or_default().push(state);
            }
        }
        let mut has_new = false;
        for (state, whereabouts) in self.wanted() {
            let present = replicas.remove(&state.id).unwrap_or_default();
            let watched = self.watched.entry(state.id.clone());
            let watched = watched.or_insert_with(|| Watched::new(state));
            has_new |= watched.look(whereabouts, present, &self.supervisor, ctx);
        }
        if let Some(alarm) = self.alarm.take() {
            ctx.cancel_future(alarm);
        }
        if !self.watched.is_empty() {
            let pause = if has_new { SHORT_INTERVAL } else { INTERVAL };
            self.alarm = Some(ctx.run_later(pause, Self::look_at_all));
        }
    }

    /// The databases whose replicas are wanted, nodes of clusters among them.
    fn wanted(&self) -> Vec<(Arc<DatabaseState>, Whereabouts)> {
        let mut configured = self.registry.configured();
        configured.retain(|state| state.replicas.is_wanted());
        let mut wanted = Vec::new();
        for state in configured {
            let settings = state.settings.share();
            if matches!(settings.address, Address::Cluster(_)) {
                let table = state.cluster.table.present();
                for node in table.iter().flat_map(|table| table.serving()) {
                    let replicas = Whereabouts::At(node.replicas.to_vec());
                    wanted.push((node.state.clone(), replicas));
                }
            }
            wanted.push((state.clone(), self.whereabouts(&settings)));
        }
        wanted
    }

    fn whereabouts(&self, settings: &DatabaseSettings) -> Whereabouts {
        if matches!(settings.address, Address::Cluster(_)) {
            return Whereabouts::AtNodes;
        }
        if !settings.address.is_of_sentinels() {
            return Whereabouts::Unknown(
                "its address names no sentinels and no cluster, which tell where the replicas are",
            );
        }
        let told = self.registry.services.replicas(settings);
        told.map_or(Whereabouts::Awaited, Whereabouts::At)
    }
}

impl Watched {
    fn new(database: Arc<DatabaseState>) -> Self {
        Self {
            database,
            made_from: None,
            progress: Progress::default(),
            census: Census::default(),
            round_trips: HashMap::new(),
            is_asking: false,
        }
    }

    /// Asks how far the servers are. Tells whether some of them are new, and their answers are still to come.
    fn look(
        &mut self,
        whereabouts: Whereabouts,
        replicas: Vec<Arc<DatabaseState>>,
        supervisor: &Recipient<HaveReplicas>,
        ctx: &mut Context<ReplicasActor>,
    ) -> bool {
        let settings = self.database.settings.share();
        self.leave_if_elsewhere(&settings, supervisor);
        let addresses = match whereabouts {
            Whereabouts::At(addresses) => addresses,
            Whereabouts::Awaited => return self.database.is_connected(),
            Whereabouts::AtNodes => {
                let is_known = self.database.cluster.table.present().is_some();
                return !is_known && self.database.is_connected();
            }
            Whereabouts::Unknown(why) => {
                self.publish_none(why);
                return false;
            }
        };
        self.have(addresses, settings.clone(), supervisor);
        let is_new = |replica: &Arc<DatabaseState>| {
            replica.parking.routes().is_none() && replica.dial_error.load().is_none()
        };
        // Before the first look they are waited for, so that it finds all that can serve.
        let has_new =
            self.database.replicas.view.present().is_none() && replicas.iter().any(is_new);
        if !self.is_asking && !has_new {
            self.is_asking = true;
            let (database, actor) = (self.database.clone(), ctx.address());
            let endpoint = settings.address.clone();
            actix_rt::spawn(async move {
                let looked = ask(&database, endpoint, replicas).await;
                actor.do_send(looked);
            });
        }
        has_new
    }

    /// Those of another address serve no more.
    fn leave_if_elsewhere(
        &mut self,
        settings: &DatabaseSettings,
        supervisor: &Recipient<HaveReplicas>,
    ) {
        let is_elsewhere = self
            .made_from
            .as_ref()
            .is_some_and(|(_, from)| from.address != settings.address);
        if is_elsewhere {
            self.made_from = None;
            self.progress = Progress::default();
            self.database.replicas.view.publish(View::default());
            supervisor.do_send(HaveReplicas {
                of: self.database.id.clone(),
                replicas: Vec::new(),
            });
        }
    }

    /// Has the supervisor make a database of each replica, if there are others or the settings are.
    fn have(
        &mut self,
        addresses: Vec<Address>,
        settings: Arc<DatabaseSettings>,
        supervisor: &Recipient<HaveReplicas>,
    ) {
        let is_made = self
            .made_from
            .as_ref()
            .is_some_and(|(made, from)| *made == addresses && Arc::ptr_eq(from, &settings));
        if is_made {
            return;
        }
        let replicas = addresses.iter();
        supervisor.do_send(HaveReplicas {
            of: self.database.id.clone(),
            replicas: replicas
                .map(|address| Arc::new(of_replica(&settings, address)))
                .collect(),
        });
        self.made_from = Some((addresses, settings));
    }

    fn publish_none(&self, why: &str) {
        let is_told = |view: &Arc<View>| !view.unusable.is_empty() && view.usable.is_empty();
        if !self
            .database
            .replicas
            .view
            .present()
            .as_ref()
            .is_some_and(is_told)
        {
            let name = self.database.name();
            self.database.replicas.view.publish(View {
                unusable: vec![(name, why.to_owned())],
                ..View::default()
            });
        }
    }

    fn looked(
        &mut self,
        Looked {
            endpoint,
            primary,
            replicas,
            ..
        }: Looked,
        registry: &Registry,
    ) {
        self.is_asking = false;
        let is_elsewhere = |(_, from): &(_, Arc<DatabaseSettings>)| from.address != endpoint;
        if self.made_from.as_ref().is_none_or(is_elsewhere) {
            return;
        }
        let mut round_trips = HashMap::new();
        let mut view = View::default();
        if let Ok(said) = &primary.said {
            let is_other = !self.progress.is_followed_by(said);
            self.progress
                .primary_answered(primary.asked.into_std(), said);
            if let Some(PartOf::Nodes(cluster)) = &self.database.part_of
                && self.census.is_outdated(said, replicas.len())
                && let Some(cluster) = registry.state(cluster)
            {
                cluster.cluster.ask_again(&cluster.id);
            }
            if !said.is_replica {
                let before = self.round_trips.get(&self.database.id);
                // After a failover it is another server.
                let round_trip = round_trip(before.filter(|_| !is_other), &primary);
                view.primary = Some(round_trip);
                round_trips.insert(self.database.id.clone(), round_trip);
            }
        }
        for (state, answer) in replicas {
            let address: Arc<str> = state.settings.load().address.to_string().into();
            match self.judge(&answer) {
                Ok(said) => {
                    let round_trip = round_trip(self.round_trips.get(&state.id), &answer);
                    round_trips.insert(state.id.clone(), round_trip);
                    view.usable.push(Replica {
                        address,
                        state,
                        round_trip,
                        is_linked: said.is_linked,
                        complete_until: self.progress.complete_until(said),
                    });
                }
                Err(why) => view.unusable.push((address, why.to_owned())),
            }
        }
        self.round_trips = round_trips;
        self.database.replicas.view.publish(view);
    }

    /// Whether a server serves reads.
    fn judge<'a>(&self, answer: &'a Answer) -> Result<&'a Replication, &'static str> {
        match &answer.said {
            Ok(said) if !said.is_replica => Err("it is no replica"),
            Ok(said) if said.is_syncing => Err("it is loading the data of its primary"),
            Ok(said) if !self.progress.is_followed_by(said) => Err("it follows another primary"),
            Ok(said) => Ok(said),
            Err(why) => Err(why),
        }
    }
}

async fn ask(
    database: &DatabaseState,
    endpoint: Address,
    replicas: Vec<Arc<DatabaseState>>,
) -> Looked {
    let primary = ask_one(database).await;
    let answers = join_all(replicas.iter().map(|replica| ask_one(replica))).await;
    Looked {
        database: database.id.clone(),
        endpoint,
        primary,
        replicas: replicas.into_iter().zip(answers).collect(),
    }
}

async fn ask_one(database: &DatabaseState) -> Answer {
    let asked = Instant::now();
    // Its deadline may be extended during maintenance.
    let question = cmd("INFO").arg("replication").take();
    let asking = put(database, &question, PATIENCE);
    let reply = timeout(PATIENCE, asking).await.ok().flatten();
    let info = match &reply {
        Some(Reply::One(Value::BulkString(info))) => std::str::from_utf8(info).ok(),
        Some(Reply::One(Value::VerbatimString { text, .. } | Value::SimpleString(text))) => {
            Some(&**text)
        }
        _ => None,
    };
    let said = match (reply.is_some(), info) {
        (_, Some(info)) => Replication::read(info).ok_or("it does not tell its replication"),
        (true, None) => Err("it refuses INFO"),
        (false, None) => Err("it does not answer"),
    };
    Answer {
        asked,
        took: asked.elapsed(),
        said,
    }
}

/// The mean round trip after this answer.
fn round_trip(before: Option<&RoundTrip>, answer: &Answer) -> RoundTrip {
    let mut round_trip = before.copied().unwrap_or(RoundTrip::first(answer.took));
    round_trip.measured(answer.took);
    round_trip
}

/// The settings of a replica.
fn of_replica(settings: &DatabaseSettings, address: &Address) -> DatabaseSettings {
    DatabaseSettings {
        when_down: WhenDown::Refuse,
        fallback: None,
        ..settings.of_part(address)
    }
}

impl Actor for ReplicasActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look_at_all(ctx);
    }
}

impl Handler<Reconfigured> for ReplicasActor {
    type Result = ();

    fn handle(&mut self, _: Reconfigured, ctx: &mut Self::Context) {
        self.look_at_all(ctx);
    }
}

impl Handler<Looked> for ReplicasActor {
    type Result = ();

    fn handle(&mut self, looked: Looked, _: &mut Self::Context) {
        if let Some(watched) = self.watched.get_mut(&looked.database) {
            watched.looked(looked, &self.registry);
        }
    }
}
