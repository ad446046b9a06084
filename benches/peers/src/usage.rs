//! The processor time that this process, or the programs that it has run, used up.

use std::time::Duration;

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::{TimeVal, TimeValLike},
};

#[derive(Clone, Copy)]
pub enum Usage {
    /// This process with all of its threads, the runtime's and the clients' own.
    Own,
    /// Programs that have ended and were waited for.
    Children,
}

impl Usage {
    /// User and system time up to now.
    pub fn now(self) -> Duration {
        let who = match self {
            Self::Own => UsageWho::RUSAGE_SELF,
            Self::Children => UsageWho::RUSAGE_CHILDREN,
        };
        let usage = getrusage(who).expect("getrusage fails for bad arguments only");
        duration(usage.user_time()) + duration(usage.system_time())
    }
}

fn duration(time: TimeVal) -> Duration {
    Duration::from_micros(time.num_microseconds().unsigned_abs())
}
