//! The load: callers with keys of their own that call until the end of the run and cancel some calls.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fastrand::Rng;
use redis::{Cmd, cmd};
use redis_steward::Database;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    history::{Call, History, Operation, Outcome, value},
    invariants,
    site::Site,
    stage::Stage,
};

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
            // Without a pause the callers would keep every core busy, which is not the goal of this test.
            sleep(Duration::from_millis(self.random.u64(0..40))).await;
        }
        self.history
    }

    async fn call(&mut self, sequence: u64) {
        let operation = self.choose();
        let call = Call {
            sequence,
            operation,
        };
        let command = self.command(call);
        let database = match operation {
            Operation::Count => &self.counting,
            _ => &self.database,
        };
        let start = Instant::now();
        let execution = database.execute(&command);
        let result = match self.random.u8(0..5) {
            0 => {
                let limit = Duration::from_micros(self.random.u64(0..20_000));
                timeout(limit, execution).await.ok()
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
        self.check(call, &outcome, took);
    }

    fn check(&self, call: Call, outcome: &Outcome, took: Duration) {
        let context = || self.history.to_string();
        let stall = self.stage.pulse.stall();
        self.stage.record(invariants::in_time(took, stall), context);
        match outcome {
            Outcome::Replied(reply) => {
                let own = invariants::own_reply(call, reply, &self.history);
                self.stage.record(own, context);
            }
            Outcome::Failed(error) => {
                let text = format!("{error} {error:?}");
                self.stage
                    .record(invariants::free_of_secrets(&text), context);
                self.stage.record(invariants::plausible(error), context);
            }
            Outcome::Cancelled => {}
        }
        if !self.is_disturbed && !self.stage.faults_are_spread() {
            let check = invariants::undisturbed(outcome, stall);
            self.stage.record(check, context);
        }
    }

    fn choose(&mut self) -> Operation {
        match self.random.u8(0..10) {
            0..3 => Operation::Count,
            3..5 => Operation::Join,
            5..7 => Operation::Write(self.size()),
            7..9 => Operation::Read,
            _ => Operation::Echo(self.size()),
        }
    }

    /// One value in twenty is big, and one big value in ten a megabyte. The server writes each to disk
    /// before it answers the next command.
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
        match call.operation {
            Operation::Count => cmd("INCR").arg(format!("counter:{caller}")).take(),
            Operation::Join => {
                let set = format!("members:{caller}");
                cmd("SADD").arg(set).arg(call.sequence).take()
            }
            Operation::Write(bytes) => {
                let key = format!("value:{caller}");
                cmd("SET").arg(key).arg(own(bytes)).take()
            }
            Operation::Read => cmd("GET").arg(format!("value:{caller}")).take(),
            Operation::Echo(bytes) => cmd("ECHO").arg(own(bytes)).take(),
        }
    }
}

/// The callers of a run.
pub(crate) struct Callers(JoinSet<History>);

impl Callers {
    pub(crate) fn start(callers: impl Iterator<Item = Caller>) -> Self {
        Self(callers.map(Caller::run).collect())
    }

    /// Waits for the last calls, and returns the histories.
    pub(crate) async fn end(self, stage: &Stage) -> Vec<History> {
        stage.end_calls();
        self.0.join_all().await
    }
}

/// Compares the data on the server with the histories of its callers.
pub(crate) fn compare(site: &Site, histories: &[History], stage: &Stage) {
    let mut admin = site.admin();
    for history in histories
        .iter()
        .filter(|history| history.database == site.name)
    {
        let read = |name: &str, key: &str| {
            let reply = cmd(name).arg(key).query(&mut admin);
            reply.expect("a responsive server")
        };
        for check in invariants::on_server(history, read) {
            stage.record(check, || history.to_string());
        }
    }
}
