//! The open loop: a call at each tick of the clock, whatever became of those before it.

use std::time::{Duration, Instant};

use tokio::{
    select,
    sync::oneshot::Receiver,
    time::{sleep_until, timeout},
};

use super::client::{Client, Failure};

const EVERY: Duration = Duration::from_millis(5);

/// One call, when it was made, and how it ended.
#[derive(Clone, Debug)]
pub struct Call {
    pub started: Instant,
    pub took: Duration,
    pub end: End,
}

#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Acknowledged,
    Failed(Failure),
    /// Given up by the bench.
    Hung,
}

impl Call {
    /// Each call counts in a key of its own, so that the server knows in the end not only how many
    /// calls have run but which.
    pub fn key(number: usize) -> String {
        format!("call:{number}")
    }

    pub fn is_acknowledged(&self) -> bool {
        matches!(self.end, End::Acknowledged)
    }

    pub fn ended(&self) -> Instant {
        self.started + self.took
    }
}

/// Calls until it is told to stop, and returns when all calls have ended, or were given up at `bound`.
/// Each call counts in a key of its own, which `key` makes of its number.
pub async fn run<C: Client>(
    client: C,
    key: impl Fn(usize) -> String,
    bound: Duration,
    mut stopped: Receiver<()>,
) -> Vec<Call> {
    let start = Instant::now();
    let mut tasks = Vec::new();
    loop {
        let number = tasks.len();
        select! {
            // Also when the other end is gone, and nobody is left who could tell.
            _ = &mut stopped => break,
            () = sleep_until(due(start, number).into()) => {}
        }
        tasks.push(tokio::spawn(call(client.clone(), key(number), bound)));
    }
    let mut calls = Vec::with_capacity(tasks.len());
    for task in tasks {
        calls.push(task.await.expect("a call does not panic"));
    }
    calls
}

/// A call that is late does not move those after it.
fn due(start: Instant, number: usize) -> Instant {
    start + EVERY * u32::try_from(number).expect("a run is too short for so many calls")
}

async fn call<C: Client>(client: C, key: String, bound: Duration) -> Call {
    let started = Instant::now();
    let end = match timeout(bound, client.increment(&key)).await {
        Ok(Ok(_)) => End::Acknowledged,
        Ok(Err(failure)) => End::Failed(failure),
        Err(_) => End::Hung,
    };
    Call {
        started,
        took: started.elapsed(),
        end,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use tokio::sync::{Notify, oneshot};

    use super::*;
    use crate::runtime::Flavour;

    /// Never answers, and tells when it has been called often enough.
    #[derive(Clone, Default)]
    struct Silent {
        calls: Arc<AtomicUsize>,
        enough: Arc<Notify>,
    }

    const ENOUGH: usize = 20;

    impl Client for Silent {
        async fn increment(&self, _: &str) -> Result<i64, Failure> {
            if self.calls.fetch_add(1, Ordering::Relaxed) + 1 == ENOUGH {
                self.enough.notify_one();
            }
            pending().await
        }
    }

    #[test]
    fn calls_are_due_at_fixed_times() {
        let start = Instant::now();
        let offset = |number| due(start, number) - start;
        assert_eq!(offset(0), Duration::ZERO);
        assert_eq!(offset(200), Duration::from_secs(1));
    }

    #[test]
    fn calls_are_made_on_schedule_while_all_earlier_ones_hang() {
        let client = Silent::default();
        let bound = EVERY * (ENOUGH as u32) * 10;
        let calls = Flavour::CurrentThread.block_on(async {
            let (stop, stopped) = oneshot::channel();
            let load = tokio::spawn(run(client.clone(), Call::key, bound, stopped));
            client.enough.notified().await;
            stop.send(()).expect("the load runs");
            Ok(load.await?)
        });
        let calls = calls.expect("the load ends");
        assert!(calls.len() >= ENOUGH, "{}", calls.len());
        assert!(
            calls
                .iter()
                .all(|call| call.end == End::Hung && call.took >= bound)
        );
    }
}
