//! The load: callers that never stop, each with keys of its own, some of whom give up early.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use redis::{Cmd, cmd};
use redis_steward::Database;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::history::{Call, History, Outcome, What, value};
use crate::invariants;
use crate::site::Site;
use crate::stage::Stage;

pub(crate) struct Caller {
    /// Whether faults have hit its database from the start.
    pub(crate) is_disturbed: bool,
    pub(crate) counting: Database,
    pub(crate) database: Database,
    pub(crate) history: History,
    pub(crate) random: Rng,
    pub(crate) stage: Arc<Stage>,
    pub(crate) started: Instant,
}

impl Caller {
    /// Calls until told to stop.
    pub(crate) async fn run(mut self) -> History {
        for sequence in 1.. {
            if self.stage.calls_have_ended() {
                break;
            }
            self.call(sequence).await;
            // So many callers would otherwise keep every core busy, which is another test.
            sleep(Duration::from_millis(self.random.u64(0..40))).await;
        }
        self.history
    }

    async fn call(&mut self, sequence: u64) {
        let what = self.choose();
        let call = Call { sequence, what };
        let command = self.command(call);
        let database = match what {
            What::Count => &self.counting,
            _ => &self.database,
        };
        let start = Instant::now();
        let execution = database.execute(&command);
        let result = match self.random.u8(0..5) {
            0 => {
                let patience = Duration::from_micros(self.random.u64(0..20_000));
                timeout(patience, execution).await.ok()
            }
            _ => Some(execution.await),
        };
        let took = start.elapsed();
        let outcome = match result {
            Some(Ok(reply)) => Outcome::Replied(reply),
            Some(Err(error)) => Outcome::Failed(error),
            None => Outcome::Cancelled,
        };
        self.history
            .note(call, &outcome, start - self.started, took);
        self.judge(call, &outcome, took);
    }

    fn judge(&self, call: Call, outcome: &Outcome, took: Duration) {
        let context = || self.history.to_string();
        let stall = self.stage.pulse.stall();
        self.stage.judge(invariants::in_time(took, stall), context);
        match outcome {
            Outcome::Replied(reply) => {
                let own = invariants::own_reply(call, reply, &self.history);
                self.stage.judge(own, context);
            }
            Outcome::Failed(error) => {
                let said = format!("{error} {error:?}");
                self.stage
                    .judge(invariants::free_of_secrets(&said), context);
                self.stage.judge(invariants::plausible(error), context);
            }
            Outcome::Cancelled => {}
        }
        if !self.is_disturbed && !self.stage.faults_are_spread() {
            self.stage.judge(invariants::undisturbed(outcome), context);
        }
    }

    fn choose(&mut self) -> What {
        match self.random.u8(0..10) {
            0..3 => What::Count,
            3..5 => What::Join,
            5..7 => What::Write(self.size()),
            7..9 => What::Read,
            _ => What::Echo(self.size()),
        }
    }

    /// One value in twenty is big, and one big value in ten a megabyte: the server writes all of them
    /// to disk before it answers anybody else.
    fn size(&mut self) -> usize {
        match self.random.u16(0..200) {
            0 => 1 << 20,
            1..10 => self.random.usize(50_000..150_000),
            _ => self.random.usize(0..200),
        }
    }

    fn command(&self, call: Call) -> Cmd {
        let caller = self.history.caller;
        let own = |bytes| value(caller, call.sequence, bytes);
        match call.what {
            What::Count => cmd("INCR").arg(format!("counter:{caller}")).take(),
            What::Join => {
                let set = format!("members:{caller}");
                cmd("SADD").arg(set).arg(call.sequence).take()
            }
            What::Write(bytes) => {
                let key = format!("value:{caller}");
                cmd("SET").arg(key).arg(own(bytes)).take()
            }
            What::Read => cmd("GET").arg(format!("value:{caller}")).take(),
            What::Echo(bytes) => cmd("ECHO").arg(own(bytes)).take(),
        }
    }
}

/// Callers of a run, and what they have done when it is over.
pub(crate) struct Callers(JoinSet<History>);

impl Callers {
    pub(crate) fn start(callers: impl Iterator<Item = Caller>) -> Self {
        Self(callers.map(Caller::run).collect())
    }

    /// Waits for their last calls.
    pub(crate) async fn end(self, stage: &Stage) -> Vec<History> {
        stage.end_calls();
        self.0.join_all().await
    }
}

/// Compares what the server holds with what its callers know.
pub(crate) fn compare(site: &Site, histories: &[History], stage: &Stage) {
    let mut admin = site.admin();
    for history in histories.iter().filter(|it| it.database == site.name) {
        let read = |name: &str, key: &str| {
            let reply = cmd(name).arg(key).query(&mut admin);
            reply.expect("a server that is well")
        };
        for check in invariants::on_server(history, read) {
            stage.judge(check, || history.to_string());
        }
    }
}
