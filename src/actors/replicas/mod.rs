//! The replicas actor: has a database for each replica that serves reads, of a service or of a node of a cluster, and looks
//! at all of them once per second.
//!
//! A look is a question to the primary how far it is, and after its answer one to each replica. In this order a replica
//! that keeps up has reached where the primary was. Now and then each is asked for its availability zone as well.

mod answers;

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use tokio::time::Instant;

use self::answers::{Answer, Asked, ask};
use super::exit_guard::ExitGuard;
use crate::{
    config::{Address, DatabaseSettings, WhenDown},
    identity::{DatabaseId, PartOf},
    messages::{HaveReplicas, Reconfigured},
    policy::{
        nearness::Nearness,
        replicas::{Census, Progress, Replication},
    },
    registry::Registry,
    state::{DatabaseState, Replica, View},
};

/// How often replicas are looked at: about the precision with which the age of their data is known.
const INTERVAL: Duration = Duration::from_secs(1);
/// The same while a replica is new.
const SHORT_INTERVAL: Duration = Duration::from_millis(50);

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
    nearness: HashMap<DatabaseId, Nearness>,
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
            nearness: HashMap::new(),
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
            let now = Instant::now().into_std();
            let asked = |server: Arc<DatabaseState>| {
                let known = self.nearness.get(&server.id);
                Asked {
                    is_zone_due: known.is_none_or(|known| known.is_zone_due(now)),
                    server,
                }
            };
            let primary = asked(self.database.clone());
            let replicas = replicas.into_iter().map(asked).collect();
            let (database, actor) = (self.database.id.clone(), ctx.address());
            let endpoint = settings.address.clone();
            actix_rt::spawn(async move {
                let (primary, replicas) = ask(primary, replicas).await;
                actor.do_send(Looked {
                    database,
                    endpoint,
                    primary,
                    replicas,
                });
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
            self.nearness.clear();
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
        let mut nearness = HashMap::new();
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
                let known = self.nearness.remove(&self.database.id);
                // After a failover it is another server.
                let near = nearness_of(known.filter(|_| !is_other), &primary);
                view.primary = Some(near.clone());
                nearness.insert(self.database.id.clone(), near);
            }
        }
        for (state, answer) in replicas {
            let address: Arc<str> = state.settings.load().address.to_string().into();
            match self.judge(&answer) {
                Ok(said) => {
                    let near = nearness_of(self.nearness.get(&state.id).cloned(), &answer);
                    nearness.insert(state.id.clone(), near.clone());
                    view.usable.push(Replica {
                        address,
                        state,
                        nearness: near,
                        is_linked: said.is_linked,
                        complete_until: self.progress.complete_until(said),
                    });
                }
                Err(why) => view.unusable.push((address, why.to_owned())),
            }
        }
        self.nearness = nearness;
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

/// How near a server is after this answer.
fn nearness_of(known: Option<Nearness>, answer: &Answer) -> Nearness {
    let mut nearness = known.unwrap_or(Nearness::first(answer.took));
    nearness.answered(answer.took);
    if let Some(zone) = &answer.zone {
        nearness.zone_told(answer.asked.into_std(), zone.clone());
    }
    nearness
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
