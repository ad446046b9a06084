//! GETs of 16 bytes through a handle on `memory://`, on a current-thread runtime: the path of a call with admission,
//! deadline, breaker and statistics, and the embedded server.
//!
//! `cargo bench --bench embedded`. The throughput is in commands.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use redis::{AsyncCommands, cmd};
use redis_steward::{Config, Supervisor};
use tokio::runtime::Builder;

const VALUE: &str = "0123456789abcdef";
/// Commands that each of the outstanding callers sends, one after the other, in a round.
const TURNS: usize = 100;

fn get(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (supervisor, main) = runtime.block_on(async {
        let supervisor = Supervisor::spawn(Config::single("memory://"))
            .await
            .expect("it starts");
        supervisor
            .ready(Duration::from_secs(5))
            .await
            .expect("a healthy database");
        let mut main = supervisor.database("main").expect("it is known");
        let () = main.set("key", VALUE).await.expect("OK");
        (supervisor, main)
    });
    let command = cmd("GET").arg("key").take();

    let mut group = criterion.benchmark_group("embedded");
    for outstanding in [1, 16, 256] {
        group.throughput(Throughput::Elements((outstanding * TURNS) as u64));
        group.bench_function(BenchmarkId::new("GET 16 B", outstanding), |bencher| {
            let caller = async || {
                for _ in 0..TURNS {
                    let value: String = main.query(&command).await.expect("a value");
                    assert_eq!(black_box(value), VALUE);
                }
            };
            bencher.iter_custom(|rounds| {
                runtime.block_on(async {
                    let start = Instant::now();
                    for _ in 0..rounds {
                        join_all((0..outstanding).map(|_| caller())).await;
                    }
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
    runtime.block_on(supervisor.shutdown(Duration::from_secs(5)));
}

criterion_group!(benches, get);
criterion_main!(benches);
