//! Credentials that change while connections are open: they authenticate again in place.

use std::{sync::Arc, time::Duration};

use actix::{AsyncContext, Context, Handler};
use futures_util::future::join_all;
use oneshot::AsyncReceiver;
use redis::{Cmd, Value};
use tokio::time::Instant;

use super::PoolActor;
use crate::{
    log::log_line,
    messages::{Authenticated, Evidence, LoginFetched},
    net::{Answer, Answered, DialError, Expected, Failure, LoginNote, Reply, Request, Responder},
    policy::backoff::Backoff,
    state::Route,
};

/// When to ask the provider of credentials again on behalf of open connections.
#[derive(Debug, Default)]
pub(super) struct Relogin {
    /// What the provider has said. Dials ask it as well, and say nothing of older connections.
    due: Option<Instant>,
    is_under_way: bool,
    /// After a failure.
    retry_at: Option<Instant>,
    backoff: Backoff,
}

/// The command by which a leased connection authenticates when its caller gives it back.
pub(super) struct SetAside {
    generation: u64,
    command: Arc<[u8]>,
}

impl PoolActor {
    /// A connection is open, with these credentials.
    pub(super) fn note_login(&mut self, login: Option<LoginNote>) {
        let due = login.and_then(|login| login.due);
        let earlier = self.relogin.due.filter(|_| !self.connections.is_empty());
        self.relogin.due = earlier.into_iter().chain(due).min();
    }

    /// There is another provider, or none. Connections with its credentials are on their way.
    pub(super) fn forget_logins(&mut self) {
        self.relogin.due = None;
        self.relogin.retry_at = None;
        self.relogin.backoff.reset();
    }

    pub(super) fn relogin_at(&self) -> Option<Instant> {
        if self.relogin.is_under_way || self.connections.is_empty() {
            return None;
        }
        self.relogin.retry_at.or(self.relogin.due)
    }

    pub(super) fn fetch_login_if_due(&mut self, now: Instant, ctx: &mut Context<Self>) {
        if self.relogin_at().is_none_or(|due| due > now) {
            return;
        }
        self.relogin.is_under_way = true;
        let settings = self.state.settings.share();
        let (dialler, asked_for) = (self.state.dialler.clone(), settings.clone());
        let fetch = async move { dialler.authentication(&asked_for).await };
        let task = match self.registry.executor.spawn(fetch) {
            Ok(task) => task,
            Err(error) => return self.retry_login(DialError::Spawn(Arc::new(error)), now),
        };
        let pool = ctx.address();
        actix_rt::spawn(async move {
            let result = task.await.unwrap_or(Err(DialError::Cancelled));
            pool.do_send(LoginFetched { settings, result });
        });
    }

    /// A leased connection is back. Whatever its caller does on it comes before.
    pub(super) fn authenticate_returned(&mut self, id: u64, ctx: &mut Context<Self>) {
        let Some(held) = self.connections.get_mut(&id) else {
            return;
        };
        let (Some(aside), Some(route)) = (held.set_aside.take(), held.route.clone()) else {
            return;
        };
        held.login = aside.generation;
        let answer = self.authenticate(&route, &aside.command);
        let limit = self.state.settings.load().attempt_timeout;
        let pool = ctx.address();
        actix_rt::spawn(async move {
            // Its success says nothing of other connections, which may be tried again.
            if let refusal @ Some(_) = refusal_among(vec![answer], limit).await {
                pool.do_send(Authenticated { refusal });
            }
        });
    }

    /// Sends the command to all connections with older credentials that no caller has, and sets it aside for others.
    fn authenticate_all(&mut self, command: &Cmd, login: LoginNote, ctx: &mut Context<Self>) {
        let command: Arc<[u8]> = command.get_packed_command().into();
        let generation = login.generation;
        let mut free = Vec::new();
        for held in self.connections.values_mut() {
            let Some(route) = &held.route else { continue };
            if held.login >= generation {
                continue;
            }
            if held.lent.is_some() {
                held.set_aside = Some(SetAside {
                    generation,
                    command: command.clone(),
                });
            } else {
                held.login = generation;
                free.push(route.clone());
            }
        }
        let answers = free
            .iter()
            .map(|route| self.authenticate(route, &command))
            .collect();
        let limit = self.state.settings.load().attempt_timeout;
        let pool = ctx.address();
        actix_rt::spawn(async move {
            let refusal = refusal_among(answers, limit).await;
            pool.do_send(Authenticated { refusal });
        });
    }

    fn authenticate(&self, route: &Route, command: &[u8]) -> AsyncReceiver<Answer> {
        let (mut responder, answer) = Responder::own();
        responder.bind();
        let deadline = Instant::now() + self.state.settings.load().attempt_timeout;
        let request = Request::new(command.to_vec(), Expected::One, deadline, responder);
        // If it has ended meanwhile, the request answers itself.
        let _ = route.mailbox.send(request);
        answer
    }

    fn retry_login(&mut self, error: DialError, now: Instant) {
        let reason = error.reason();
        let pause = self.relogin.backoff.pause(reason, fastrand::f64());
        self.relogin.retry_at = Some(now + pause);
        self.relogin.is_under_way = false;
        let (database, cause) = (self.state.name(), error.clone());
        log_line!(
            self.registry.log,
            DEBUG,
            %database,
            error = %cause,
            "open connections cannot authenticate again"
        );
        self.report(Evidence::LoginFailed(error));
    }

    fn relogin_succeeded(&mut self) {
        self.relogin.is_under_way = false;
        self.relogin.retry_at = None;
        self.relogin.backoff.reset();
    }
}

/// Waits for all answers, and gives the first that is no success. A server may refuse new credentials that are not valid
/// yet, or not any more.
async fn refusal_among(answers: Vec<AsyncReceiver<Answer>>, limit: Duration) -> Option<DialError> {
    let refusal = |answer| match answer {
        Ok(Answered {
            reply: Reply::One(Value::ServerError(error)),
            ..
        }) => Some(DialError::refused("AUTH", &error)),
        Err(Failure::TimedOut(_) | Failure::TimedOutEarly) => {
            Some(DialError::unauthenticated(limit))
        }
        // If the connection has ended, the next one uses the new ones.
        Ok(_) | Err(_) => None,
    };
    let answers = join_all(answers).await;
    answers.into_iter().flatten().find_map(refusal)
}

impl Handler<LoginFetched> for PoolActor {
    type Result = ();

    fn handle(&mut self, LoginFetched { settings, result }: LoginFetched, ctx: &mut Self::Context) {
        let now = Instant::now();
        self.look_at_settings(ctx);
        match result {
            // They may be for another server.
            _ if !Arc::ptr_eq(&settings, &self.state.settings.share()) => {
                self.relogin.is_under_way = false;
            }
            Ok(Some((command, login))) => {
                self.relogin.due = login.due;
                self.authenticate_all(&command, login, ctx);
            }
            Ok(None) => {
                self.relogin.due = None;
                self.relogin_succeeded();
            }
            Err(error) => self.retry_login(error, now),
        }
        self.arm(now, ctx);
    }
}

impl Handler<Authenticated> for PoolActor {
    type Result = ();

    fn handle(&mut self, Authenticated { refusal }: Authenticated, ctx: &mut Self::Context) {
        let now = Instant::now();
        match refusal {
            Some(error) => {
                // All are tried again, also with the same ones.
                for held in self.connections.values_mut() {
                    held.login = 0;
                }
                self.retry_login(error, now);
            }
            None => self.relogin_succeeded(),
        }
        self.arm(now, ctx);
    }
}
