//! The load: callers with keys of their own that call until the end of the run and cancel some calls.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fastrand::Rng;
use redis::{Cmd, Value, cmd, pipe};
use redis_steward::{Database, Error, Replica};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    history::{Call, History, Operation, Outcome, value},
    invariants, keys,
    site::Site,
    stage::Stage,
};

pub(crate) struct Caller {
    /// Whether faults have hit its database from the start.
    pub(crate) is_disturbed: bool,
    pub(crate) counting: Database,
    pub(crate) database: Database,
    pub(crate) replica: Replica,
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
        let call = Call {
            sequence,
            operation: self.choose(),
        };
        let limit = Duration::from_micros(self.random.u64(0..20_000));
        let is_cancelled = self.random.u8(0..5) == 0;
        self.history.tally.submitted += 1;
        let start = Instant::now();
        let execution = self.execute(call);
        let result = if is_cancelled {
            timeout(limit, execution).await.ok()
        } else {
            Some(execution.await)
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

    async fn execute(&self, call: Call) -> Result<Value, Error> {
        let command = self.command(call);
        match call.operation {
            Operation::Count => self.counting.execute(&command).await,
            Operation::CountAndRead => {
                let get = cmd("GET").arg(keys::value(self.history.caller)).take();
                let mut both = pipe();
                both.add_command(command).add_command(get);
                self.database.pipeline(&both).await
            }
            Operation::CountOnLease => {
                let key = keys::counter(self.history.caller);
                let mut lease = self.database.lease_for(key).await?;
                lease.execute(&command).await
            }
            Operation::ReadReplica => self.replica.execute(&command).await,
            _ => self.database.execute(&command).await,
        }
    }

    fn check(&self, call: Call, outcome: &Outcome, took: Duration) {
        let context = || self.history.to_string();
        let stall = self.stage.pulse.stall();
        let in_time = invariants::in_time(call.operation, took, stall);
        self.stage.record(in_time, context);
        match outcome {
            Outcome::Replied(reply) => {
                let own = invariants::own_reply(call, reply, &self.history);
                self.stage.record(own, context);
            }
            Outcome::Failed(error) => {
                let text = format!("{error} {error:?}");
                self.stage
                    .record(invariants::free_of_secrets(&text), context);
                let plausible = invariants::plausible(call.operation, error);
                self.stage.record(plausible, context);
            }
            Outcome::Cancelled => {}
        }
        if !self.is_disturbed && !self.stage.faults_are_spread() {
            let check = invariants::undisturbed(outcome, stall);
            self.stage.record(check, context);
        }
    }

    fn choose(&mut self) -> Operation {
        match self.random.u8(0..40) {
            0..10 => Operation::Count,
            10..16 => Operation::Join,
            16..20 => Operation::Write(self.size()),
            20..24 => Operation::Read,
            24..27 => Operation::Echo(self.size()),
            27..29 => Operation::CountAndRead,
            29..31 => Operation::WriteSeveral,
            31..33 => Operation::ReadSeveral,
            33..35 => Operation::ReadReplica,
            35..37 => Operation::Push,
            37..39 => Operation::Pop,
            _ => Operation::CountOnLease,
        }
    }

    /// One value in twenty is big, and one big value in ten a megabyte. The server writes each to its file
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
            Operation::Count | Operation::CountAndRead | Operation::CountOnLease => {
                cmd("INCR").arg(keys::counter(caller)).take()
            }
            Operation::Join => {
                let set = keys::members(caller);
                cmd("SADD").arg(set).arg(call.sequence).take()
            }
            Operation::Write(bytes) => {
                let key = keys::value(caller);
                cmd("SET").arg(key).arg(own(bytes)).take()
            }
            Operation::Read | Operation::ReadReplica => cmd("GET").arg(keys::value(caller)).take(),
            Operation::Echo(bytes) => cmd("ECHO").arg(own(bytes)).take(),
            Operation::WriteSeveral => {
                let mut mset = cmd("MSET");
                for (place, key) in keys::several(caller).into_iter().enumerate() {
                    mset.arg(key).arg(own(keys::bytes_at(place)));
                }
                mset
            }
            Operation::ReadSeveral => cmd("MGET").arg(keys::several(caller)).take(),
            Operation::Push => {
                let list = keys::list(caller);
                cmd("RPUSH").arg(list).arg(call.sequence).take()
            }
            Operation::Pop => {
                let seconds = Operation::BLOCK.as_secs_f64();
                cmd("BLPOP").arg(keys::list(caller)).arg(seconds).take()
            }
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
    let mut reader = site.reader();
    for history in histories
        .iter()
        .filter(|history| history.database == site.name)
    {
        let read = |command: &str, key: &str, rest: &[&str]| reader.read(command, key, rest);
        for check in invariants::on_server(history, read) {
            stage.record(check, || history.to_string());
        }
    }
}
