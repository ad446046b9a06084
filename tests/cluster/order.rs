//! The order of calls while slots move: a caller that does not wait for its replies finds its writes in the order in which
//! it has made them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use redis::{cmd, pipe};
use redis_steward::{Database, Error};
use tokio::task::{JoinHandle, block_in_place, spawn_blocking};

use super::Rig;
use crate::common::{cluster::Cluster, eventually_async, left_out_on_embedded};

const SOON: Duration = Duration::from_secs(30);
/// So many calls of a caller are under way at a time.
const OUTSTANDING: usize = 48;

/// Callers that append numbers to lists of their own, and do not wait for the replies.
struct Appending {
    is_over: Arc<AtomicBool>,
    appended: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<usize>>,
}

impl Appending {
    fn to(main: &Database, lists: &[[String; 2]]) -> Self {
        Self::by(main, lists, tokio::spawn)
    }

    /// By threads that know no runtime.
    fn on_threads(main: &Database, lists: &[[String; 2]]) -> Self {
        Self::by(main, lists, |caller| {
            spawn_blocking(|| {
                let thread = thread::spawn(|| futures_executor::block_on(caller));
                thread.join().expect("no caller panics")
            })
        })
    }

    fn by(
        main: &Database,
        lists: &[[String; 2]],
        start: impl Fn(BoxFuture<'static, usize>) -> JoinHandle<usize>,
    ) -> Self {
        let (is_over, appended) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let callers = lists.iter().map(|lists| {
            let caller = append(
                main.clone(),
                lists.clone(),
                is_over.clone(),
                appended.clone(),
            );
            start(caller.boxed())
        });
        Self {
            callers: callers.collect(),
            is_over,
            appended,
        }
    }

    async fn more(&self, calls: usize) {
        let before = self.appended.load(Relaxed);
        let is_more = || self.appended.load(Relaxed) >= before + calls;
        eventually_async(SOON, "appended numbers", is_more).await;
    }

    /// Compares the lists with what was appended to them.
    async fn end(self, main: &Database, lists: &[[String; 2]]) {
        self.is_over.store(true, Relaxed);
        for (caller, lists) in self.callers.into_iter().zip(lists) {
            let numbers = caller.await.expect("no caller panics");
            for list in lists {
                let lrange = cmd("LRANGE").arg(list).arg(0).arg(-1).take();
                let stored: Vec<usize> = main.query(lrange).await.expect("a list");
                let wrong = stored.iter().enumerate().find(|(at, number)| at != *number);
                assert_eq!(wrong, None, "{list}, of {numbers}");
                assert_eq!(stored.len(), numbers, "{list}");
            }
        }
    }
}

/// Every third call is a pipeline that appends to both lists, which are at two nodes at times.
async fn append(
    main: Database,
    lists: [String; 2],
    is_over: Arc<AtomicBool>,
    appended: Arc<AtomicUsize>,
) -> usize {
    let (main, [first, second]) = (&main, &lists);
    let numbers = (0..).take_while(|_| !is_over.load(Relaxed));
    let calls = numbers.map(|number: usize| async move {
        let rpush = |list: &str| cmd("RPUSH").arg(list).arg(number).take();
        if number.is_multiple_of(3) {
            let mut both = pipe();
            both.add_command(rpush(first)).add_command(rpush(second));
            main.pipeline::<(usize, usize)>(&both).await?;
        } else {
            let (one, other) = tokio::join!(
                main.query::<usize>(rpush(first)),
                main.query::<usize>(rpush(second))
            );
            one?;
            other?;
        }
        Ok::<_, Error>(())
    });
    let mut ended = stream::iter(calls).buffered(OUTSTANDING);
    let mut numbers = 0;
    while let Some(ended) = ended.next().await {
        ended.expect("no call fails");
        numbers += 1;
        appended.fetch_add(1, Relaxed);
    }
    numbers
}

/// Two lists for each of some callers.
fn lists() -> Vec<[String; 2]> {
    let lists = (0..3).map(|n| [0, 1].map(|of| format!("{{order:{}}}:{n}", 2 * n + of)));
    lists.collect()
}

/// Each node has one shared connection, over which calls keep their order.
async fn rig(primaries: usize, replicas: usize) -> Rig {
    let cluster = Cluster::start(primaries, replicas);
    Rig::with(cluster, |main| main.shared_connections(1, 1)).await
}

fn slots(cluster: &Cluster, lists: &[[String; 2]]) -> Vec<u16> {
    let lists = lists.iter().flatten();
    lists.map(|list| cluster.slot_of(list)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_260_calls_keep_their_order_while_slots_move() {
    if left_out_on_embedded() {
        return;
    }
    let rig = rig(3, 0).await;
    let lists = lists();
    let appending = Appending::to(&rig.main, &lists);
    move_slots(&rig.cluster, &lists, &appending).await;
    appending.end(&rig.main, &lists).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_262_callers_need_no_runtime_to_follow_slots() {
    if left_out_on_embedded() {
        return;
    }
    let rig = rig(3, 0).await;
    // Both callers have lists of the same slots.
    let lists = [0, 1].map(|n| [0, 1].map(|of| format!("{{order:{of}}}:{n}")));
    let appending = Appending::on_threads(&rig.main, &lists);
    move_slots(&rig.cluster, &lists[..1], &appending).await;
    appending.end(&rig.main, &lists).await;
}

async fn move_slots(cluster: &Cluster, lists: &[[String; 2]], appending: &Appending) {
    appending.more(200).await;
    for slot in slots(cluster, lists) {
        for _ in 0..3 {
            block_in_place(|| {
                let from = cluster.primary_of(slot);
                cluster.migrate_slot(slot, from, (from + 1) % 3);
                cluster.until_settled();
            });
            appending.more(200).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_261_calls_keep_their_order_when_a_replica_is_promoted_by_hand() {
    if left_out_on_embedded() {
        return;
    }
    let rig = rig(2, 1).await;
    let lists = lists();
    let appending = Appending::to(&rig.main, &lists);
    appending.more(200).await;
    for shard in 0..2 {
        let replica = rig.cluster.replicas_of(shard).start;
        block_in_place(|| rig.cluster.failover_by_hand(replica));
        appending.more(200).await;
    }
    appending.end(&rig.main, &lists).await;
}
