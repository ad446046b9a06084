//! A thousand databases: reading their YAML file and checking it, and a change of one setting of one of them, from the
//! configuration to the report: `Supervisor::apply`.
//!
//! `cargo bench --bench apply`. The databases are on one embedded server.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use redis_steward::{Config, DatabaseConfig, Supervisor};
use tokio::runtime::Builder;

const DATABASES: usize = 1_000;

fn config(parked: usize) -> Config {
    let database = |number| {
        let database = DatabaseConfig::from_url("memory://apply");
        match number {
            500 => database.max_parked(parked),
            _ => database,
        }
    };
    (0..DATABASES).fold(Config::new(), |config, number| {
        config.database(format!("database-{number}"), database(number))
    })
}

fn load(criterion: &mut Criterion) {
    let mut text = String::from("host: redis.internal\nmax_connections: 20\ndatabases:\n");
    for number in 0..DATABASES {
        text += &format!("  database-{number}: {{db: {number}, command_timeout: 500 ms}}\n");
    }
    criterion.bench_function("load/1,000 databases of a YAML text", |bencher| {
        bencher.iter(|| {
            let config = Config::from_yaml_str(&text).expect("a good text");
            config.check().expect("valid");
        });
    });
}

fn apply(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let supervisor = runtime.block_on(async {
        let supervisor = Supervisor::spawn(config(1)).await.expect("it starts");
        let patience = Duration::from_secs(60);
        supervisor.ready(patience).await.expect("healthy databases");
        supervisor
    });
    let mut parked = 1;
    criterion.bench_function("apply/one change among 1,000 databases", |bencher| {
        bencher.iter_custom(|rounds| {
            runtime.block_on(async {
                let mut total = Duration::ZERO;
                for _ in 0..rounds {
                    parked = parked % 1_000 + 1;
                    let config = config(parked);
                    let start = Instant::now();
                    let applied = supervisor.apply(config).await.expect("it is valid");
                    total += start.elapsed();
                    assert!(applied.has_changes());
                }
                total
            })
        });
    });
    runtime.block_on(supervisor.shutdown(Duration::from_secs(5)));
}

criterion_group!(benches, load, apply);
criterion_main!(benches);
