//! A read that the near cache answers, beside one that the server answers.
//!
//! `REDIS_URL=redis://localhost cargo bench --bench near_cache`, with a server that tracks (Redis 6 or later). The time is
//! that of a call on a handle, from a task of a current-thread runtime.

use std::{env, hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use redis::{Value, cmd};
use redis_steward::{Config, Source, Supervisor};
use tokio::runtime::Builder;

fn near_cache(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://localhost".into());
    let get = cmd("GET").arg("a key of 16 byte").take();
    let (supervisor, main, cached) = runtime.block_on(async {
        let supervisor = Supervisor::spawn(Config::single(url))
            .await
            .expect("a supervisor");
        let main = supervisor.database("main").expect("configured");
        let set = cmd("SET")
            .arg("a key of 16 byte")
            .arg("0123456789abcdef")
            .take();
        main.query::<()>(&set).await.expect("a server");
        let cached = main.cached();
        loop {
            let (_, source) = cached
                .query_with_source::<Value>(&get)
                .await
                .expect("a reply");
            if source == Source::Cache {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (supervisor, main, cached)
    });
    let mut group = criterion.benchmark_group("GET 16 B");
    for (name, database) in [("near cache", &cached), ("server", &main)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                runtime.block_on(async {
                    let start = std::time::Instant::now();
                    for _ in 0..rounds {
                        black_box(database.execute(&get).await.expect("a reply"));
                    }
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
    runtime.block_on(supervisor.shutdown(Duration::ZERO));
}

criterion_group!(benches, near_cache);
criterion_main!(benches);
