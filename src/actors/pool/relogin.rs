//! Credentials that change while connections are open: they authenticate again in place.

use std::sync::Arc;

use actix::{AsyncContext, Context, Handler};
use futures_util::future::join_all;
use redis::Value;
use tokio::time::Instant;

use super::PoolActor;
use crate::{
    log::log_line,
    messages::{Authenticated, Evidence, LoginFetched},
    net::{Answer, DialError, Expected, Reply, Request, Responder},
    policy::backoff::Backoff,
    state::Route,
};

/// When to ask the provider of credentials again, and which ones the open connections have.
#[derive(Debug, Default)]
pub(super) struct Relogin {
    /// Those of this generation.
    generation: u64,
    is_under_way: bool,
    /// After a failure.
    retry_at: Option<Instant>,
    backoff: Backoff,
}

impl PoolActor {
    /// A connection is open, with the present credentials.
    pub(super) fn note_login(&mut self) {
        if self.connections.is_empty() {
            self.relogin.generation = self.state.dialler.login_generation();
        }
    }

    pub(super) fn relogin_at(&self) -> Option<Instant> {
        if self.relogin.is_under_way || self.connections.is_empty() {
            return None;
        }
        self.relogin
            .retry_at
            .or_else(|| self.state.dialler.login_due())
    }

    pub(super) fn fetch_login_if_due(&mut self, now: Instant, ctx: &mut Context<Self>) {
        if self.relogin_at().is_none_or(|due| due > now) {
            return;
        }
        self.relogin.is_under_way = true;
        let settings = self.state.settings.share();
        let dialler = self.state.dialler.clone();
        let fetch = async move { dialler.authentication(&settings).await };
        let task = match self.registry.executor.spawn(fetch) {
            Ok(task) => task,
            Err(error) => return self.retry_login(DialError::Spawn(Arc::new(error)), now),
        };
        let pool = ctx.address();
        actix_rt::spawn(async move {
            let result = task.await.unwrap_or(Err(DialError::Cancelled));
            pool.do_send(LoginFetched(result));
        });
    }

    /// A leased connection is back. Whatever its caller does on it comes before.
    pub(super) fn authenticate_returned(&mut self, id: u64) {
        let Some(held) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(command) = held.login.take() else {
            return;
        };
        if let Some(route) = held.route.clone() {
            // If it is refused, the connection goes on with the former ones.
            drop(self.authenticate(&route, &command));
        }
    }

    /// Sends the command to all connections that no caller has, and sets it aside for the others.
    fn authenticate_all(&mut self, command: &redis::Cmd, ctx: &mut Context<Self>) {
        let command: Arc<[u8]> = command.get_packed_command().into();
        let mut free = Vec::new();
        for held in self.connections.values_mut() {
            let Some(route) = &held.route else { continue };
            if held.lent.is_some() {
                held.login = Some(command.clone());
            } else {
                free.push(route.clone());
            }
        }
        let answers: Vec<_> = free
            .iter()
            .map(|route| self.authenticate(route, &command))
            .collect();
        let pool = ctx.address();
        actix_rt::spawn(async move {
            let answers = join_all(answers).await;
            let refusal = answers.into_iter().flatten().find_map(refusal);
            pool.do_send(Authenticated { refusal });
        });
    }

    fn authenticate(&self, route: &Route, command: &[u8]) -> oneshot::AsyncReceiver<Answer> {
        let (responder, answer) = Responder::own();
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
}

/// A server may refuse new credentials that are not valid yet, or not any more.
fn refusal(answer: Answer) -> Option<DialError> {
    match answer {
        Ok(answered) => match answered.reply {
            Reply::One(Value::ServerError(error)) => Some(DialError::refused("AUTH", &error)),
            _ => None,
        },
        // The connection has ended, and the next one uses the new ones.
        Err(_) => None,
    }
}

impl Handler<LoginFetched> for PoolActor {
    type Result = ();

    fn handle(&mut self, LoginFetched(result): LoginFetched, ctx: &mut Self::Context) {
        let now = Instant::now();
        match result {
            Ok(command) => {
                let generation = self.state.dialler.login_generation();
                if generation == self.relogin.generation {
                    self.relogin.is_under_way = false;
                    self.relogin.retry_at = None;
                } else {
                    self.relogin.generation = generation;
                    self.authenticate_all(&command, ctx);
                }
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
                self.relogin.generation = 0;
                self.retry_login(error, now);
            }
            None => {
                self.relogin.is_under_way = false;
                self.relogin.retry_at = None;
                self.relogin.backoff.reset();
            }
        }
        self.arm(now, ctx);
    }
}
