//! Servers that announce their maintenance.

use actix::{AsyncContext, Context, Handler};
use tokio::{sync::watch, time::Instant};

use super::{Event, PoolActor};
use crate::{
    config::Address,
    identity::PartOf,
    log::log_line,
    maintenance::Bulletin,
    messages::Announced,
    policy::{handoff, pool::Lane},
    state::count,
};

pub(super) type Handoff = handoff::Handoff<Address>;
pub(super) type HandoffEvent = handoff::Event<Address>;

impl PoolActor {
    /// Where a connection tells what its server announces.
    pub(super) fn listen_to_announcements(
        &self,
        id: u64,
        ctx: &mut Context<Self>,
    ) -> watch::Sender<Bulletin> {
        let (announcements, mut said) = watch::channel(Bulletin::default());
        let pool = ctx.address();
        actix_rt::spawn(async move {
            let mut known = Bulletin::default();
            // Until the connection ends, and not faster than they are handled.
            while said.changed().await.is_ok() {
                let present = said.borrow_and_update().clone();
                let is_new = present.moves > known.moves;
                let told = Announced {
                    id,
                    moving: present.moving.clone().filter(|_| is_new),
                    slots_have_moved: present.slot_moves > known.slot_moves,
                    works: present.works,
                };
                known = present;
                if pool.send(told).await.is_err() {
                    break;
                }
            }
        });
        announcements
    }

    /// Tells the machine of handoffs what has happened, and does what follows.
    pub(super) fn tell_handoff(&mut self, event: HandoffEvent, ctx: &mut Context<Self>) {
        let now = Instant::now().into_std();
        self.handoff.on(event, now);
        while let Some(action) = self.handoff.poll() {
            match action {
                handoff::Action::Relax { id, until } => {
                    if let Some(held) = self.connections.get(&id) {
                        held.activity.relax(Instant::from_std(until));
                    }
                }
                handoff::Action::HandOff { to, until } => {
                    self.hand_off(to, Instant::from_std(until), ctx);
                }
                handoff::Action::HandedOff { id, to } => {
                    self.handed_off(id, to.as_ref(), ctx);
                }
            }
        }
    }

    /// A connection has been opened.
    pub(super) fn tell_opened(&mut self, id: u64, lane: Lane, ctx: &mut Context<Self>) {
        let Some(held) = self.connections.get(&id) else {
            return;
        };
        let event = HandoffEvent::Opened {
            id,
            at: held.address.clone(),
            is_shared: lane == Lane::Shared,
        };
        self.tell_handoff(event, ctx);
    }

    fn hand_off(&mut self, to: Option<Address>, until: Instant, ctx: &mut Context<Self>) {
        let settings = self.state.settings.share();
        let database = self.state.name();
        match &to {
            Some(to) => {
                let to = to.to_string();
                log_line!(self.registry.log, INFO, %database, to, "the server is about to move");
            }
            None => {
                log_line!(self.registry.log, INFO, %database, "the server is about to move");
            }
        }
        if let Address::Tcp { .. } = &settings.address {
            self.state.dialler.move_to(&settings.address, to, until);
        } else {
            // It is looked up once more.
            for held in self.connections.values() {
                self.doubt(&held.address);
            }
        }
        self.turn(Event::HandOff, ctx);
    }

    fn handed_off(&mut self, id: u64, to: Option<&Address>, ctx: &mut Context<Self>) {
        let Some(held) = self.connections.get(&id) else {
            return;
        };
        let database = self.state.name();
        if let Some(to) = to.filter(|to| **to != held.address) {
            let to = to.to_string();
            log_line!(
                self.registry.log,
                WARN,
                %database,
                to,
                "the server moves to an address that cannot be reached from here"
            );
            return;
        }
        count(&self.state.counters.handoffs);
        if let Some(to) = to {
            self.leave_behind(to, ctx);
        }
        if self.state.part_of.is_some() {
            // Events are about the databases that the configuration names.
            return;
        }
        let present = &self.state.settings.load().address;
        let to = to.unwrap_or(present);
        self.registry.announce_handoff(&database, present, to);
    }

    /// Leases that were opened at the old address meanwhile are replaced as well.
    fn leave_behind(&mut self, to: &Address, ctx: &mut Context<Self>) {
        self.state.dialler.has_moved();
        let behind = self.connections.iter();
        let behind = behind.filter(|(_, held)| held.lane == Lane::Leased && held.address != *to);
        let behind = behind.map(|(id, _)| *id).collect();
        self.turn(Event::LeftBehind(behind), ctx);
    }

    /// What the nodes of a cluster serve has changed.
    fn ask_cluster(&self) {
        let Some(PartOf::Nodes(whole)) = &self.state.part_of else {
            return;
        };
        if let Some(cluster) = self.registry.state(whole) {
            cluster.cluster.ask_again(whole);
        }
    }
}

impl Handler<Announced> for PoolActor {
    type Result = ();

    fn handle(&mut self, announced: Announced, ctx: &mut Context<Self>) {
        let database = self.state.name();
        let Announced { id, works, .. } = announced;
        let moving = announced
            .moving
            .as_ref()
            .map(|moving| format!("{moving:?}"));
        log_line!(self.registry.log, DEBUG, %database, connection = id, moving, works, "maintenance announced");
        let Some(held) = self.connections.get(&id) else {
            // It has ended.
            return;
        };
        if announced.slots_have_moved {
            self.ask_cluster();
        }
        let is_present = held.endpoint == self.state.settings.load().address;
        // One to another place is replaced anyway.
        let Some(moving) = announced
            .moving
            .filter(|_| is_present && !self.pool.is_draining())
        else {
            return;
        };
        let (within, to) = (moving.within, moving.to);
        self.tell_handoff(HandoffEvent::Moving { id, within, to }, ctx);
        // The machine may wait for a time.
        self.arm(Instant::now(), ctx);
    }
}
