//! The sentinels actor: follows the services of sentinels, and tells their databases of failovers.
//!
//! For each service there is one task, whatever number of databases it has. A task that panics is started again.

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message};
use tokio_util::task::AbortOnDropHandle;

use super::exit_guard::ExitGuard;
use crate::{
    config::Address,
    log::log_line,
    messages::{Moved, Reconfigured},
    net::{SentinelService, follow_service},
    registry::Registry,
    state::DatabaseState,
};

pub(super) struct SentinelsActor {
    registry: Arc<Registry>,
    followed: Vec<Followed>,
    // Never read: it reports the end of this actor when it is dropped.
    _guard: ExitGuard,
}

/// A service whose failovers are followed. Its tasks end with it.
struct Followed {
    service: Arc<SentinelService>,
    databases: Vec<Arc<DatabaseState>>,
    primary: Option<Address>,
    /// Never read, and replaced if it panics.
    following: Option<AbortOnDropHandle<()>>,
    _watching: AbortOnDropHandle<()>,
}

/// The pause before a task that has panicked is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The primary of a service may be another one.
#[derive(Message)]
#[rtype(result = "()")]
struct Switched(Arc<SentinelService>);

/// The task that follows a service has panicked.
#[derive(Message)]
#[rtype(result = "()")]
struct NotFollowed(Arc<SentinelService>);

impl SentinelsActor {
    pub(super) fn new(registry: Arc<Registry>, guard: ExitGuard) -> Self {
        Self {
            registry,
            followed: Vec::new(),
            _guard: guard,
        }
    }

    /// Follows the services of the present databases, and no others.
    fn compare(&mut self, ctx: &mut Context<Self>) {
        let directory = &self.registry.services.sentinels;
        let mut states = self.registry.states();
        states.retain(|state| state.settings.load().address.is_of_sentinels());
        let settings: Vec<_> = states.iter().map(|state| state.settings.share()).collect();
        directory.retain(&settings);
        let mut before = std::mem::take(&mut self.followed);
        for (state, settings) in states.into_iter().zip(settings) {
            let Some(service) = directory.service(&settings) else {
                continue;
            };
            let is_it = |followed: &Followed| Arc::ptr_eq(&followed.service, &service);
            if let Some(at) = before.iter().position(is_it) {
                let mut followed = before.swap_remove(at);
                followed.databases.clear();
                self.followed.push(followed);
            }
            match self.followed.iter_mut().find(|followed| is_it(followed)) {
                Some(followed) => followed.databases.push(state),
                None => {
                    let followed = self.follow(service.clone(), state, ctx);
                    self.followed.push(followed);
                }
            }
        }
        // Pools that have crashed meanwhile, or databases that are new here, have missed what was told before.
        for followed in &self.followed {
            actix_rt::spawn(followed.tell());
        }
    }

    fn follow(
        &self,
        service: Arc<SentinelService>,
        database: Arc<DatabaseState>,
        ctx: &mut Context<Self>,
    ) -> Followed {
        let mut present = service.watch();
        let primary = present.borrow_and_update().clone();
        let (actor, watched) = (ctx.address(), service.clone());
        let watching = actix_rt::spawn(async move {
            while present.changed().await.is_ok() {
                actor.do_send(Switched(watched.clone()));
            }
        });
        Followed {
            databases: vec![database],
            primary,
            following: self.start_task(&service, ctx),
            _watching: AbortOnDropHandle::new(watching),
            service,
        }
    }

    /// Starts the task of a service. It runs apart from the application, which may block its own runtime.
    fn start_task(
        &self,
        service: &Arc<SentinelService>,
        ctx: &mut Context<Self>,
    ) -> Option<AbortOnDropHandle<()>> {
        let task = self.registry.until_stopped(follow_service(service.clone()));
        let (actor, service) = (ctx.address(), service.clone());
        let task = match self.registry.executor.spawn_apart(task) {
            Ok(task) => AbortOnDropHandle::new(task),
            Err(error) => {
                log_line!(self.registry.log, WARN, %error, "sentinels cannot be followed");
                ctx.notify_later(NotFollowed(service), RESTART_PAUSE);
                return None;
            }
        };
        let watching = actix_rt::spawn(async move {
            // Dropped with this one, it is aborted.
            if task.await.is_err_and(|error| error.is_panic()) {
                actor.do_send(NotFollowed(service));
            }
        });
        Some(AbortOnDropHandle::new(watching))
    }

    fn find(&mut self, service: &Arc<SentinelService>) -> Option<&mut Followed> {
        let mut followed = self.followed.iter_mut();
        followed.find(|followed| Arc::ptr_eq(&followed.service, service))
    }
}

impl Followed {
    /// Tells the pools where the primary is. The future ends when they use no other.
    fn tell(&self) -> impl Future<Output = ()> + use<> {
        for database in &self.databases {
            database.subscribers.look();
        }
        let pools = self.databases.iter().map(|database| database.pool.load());
        let told: Vec<_> = match &self.primary {
            Some(primary) => pools
                .filter_map(|pool| {
                    let primary = primary.clone();
                    let pool = pool.as_ref()?;
                    Some(pool.moved.send(Moved { primary }))
                })
                .collect(),
            None => Vec::new(),
        };
        async move {
            for told in told {
                // A pool that crashes meanwhile has no connection left.
                let _ = told.await;
            }
        }
    }
}

impl Actor for SentinelsActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.compare(ctx);
    }
}

impl Handler<Reconfigured> for SentinelsActor {
    type Result = ();

    fn handle(&mut self, _: Reconfigured, ctx: &mut Self::Context) {
        self.compare(ctx);
    }
}

impl Handler<Switched> for SentinelsActor {
    type Result = ();

    fn handle(&mut self, Switched(service): Switched, _: &mut Self::Context) {
        let registry = self.registry.clone();
        let Some(followed) = self.find(&service) else {
            return;
        };
        let primary = service.watch().borrow().clone();
        if primary == followed.primary {
            return;
        }
        let before = std::mem::replace(&mut followed.primary, primary);
        let told = followed.tell();
        let databases = followed.databases.clone();
        let change = before.zip(followed.primary.clone());
        actix_rt::spawn(async move {
            told.await;
            // The first is no change. Whoever is told of one finds no connection to the old primary any more.
            if let Some((from, to)) = change {
                for database in databases {
                    registry.announce_failover(&database.name, &from, &to);
                }
            }
        });
    }
}

impl Handler<NotFollowed> for SentinelsActor {
    type Result = ();

    fn handle(&mut self, NotFollowed(service): NotFollowed, ctx: &mut Self::Context) {
        log_line!(
            self.registry.log,
            WARN,
            "the task that follows sentinels is started again"
        );
        ctx.run_later(RESTART_PAUSE, move |sentinels, ctx| {
            let task = sentinels.start_task(&service, ctx);
            if let Some(followed) = sentinels.find(&service) {
                followed.following = task;
            }
        });
    }
}
