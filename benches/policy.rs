//! The cost of a command beside its I/O: admission, the check of its name, the choice of its route, and
//! the record of its outcome; and the cost of a call that an open circuit refuses.
//!
//! `cargo bench --bench policy`. These run for every command, so each should stay in the tens of
//! nanoseconds. `refused/handle` is the whole cost of a call while a server is down, and has to stay
//! below a microsecond.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::{FutureExt, StreamExt};
use redis::{Cmd, cmd};
use redis_steward::{
    CircuitState, Config, Database, Error, Supervisor,
    internals::{Admission, Breaker, Events, Line, refusal},
};
use tokio::runtime::Builder;

#[path = "../tests/common/mod.rs"]
mod common;

fn admission(criterion: &mut Criterion) {
    let free = Admission::free();
    assert!(free.admits(36));
    criterion.bench_function("admission", |bencher| {
        bencher.iter(|| free.admits(black_box(36)));
    });
    assert!(!free.take_success());
    criterion.bench_function("admission/success", |bencher| {
        bencher.iter(|| black_box(&free).note_success());
    });
    assert!(free.take_success());
}

fn refused(criterion: &mut Criterion) {
    let open = Admission::open();
    assert!(!open.admits(36));
    criterion.bench_function("refused/gate", |bencher| {
        bencher.iter(|| open.admits(black_box(36)));
    });

    let database = database_with_open_circuit();
    let get = get();
    criterion.bench_function("refused/handle", |bencher| {
        bencher.iter(|| {
            let refused = black_box(&database).execute(&get).now_or_never();
            assert!(matches!(refused, Some(Err(Error::CircuitOpen { .. }))));
            refused
        });
    });
}

fn command_check(criterion: &mut Criterion) {
    let read = cmd("XREADGROUP")
        .arg(&["GROUP", "g", "c", "COUNT", "10", "STREAMS", "k", ">"])
        .take();
    let config = cmd("CONFIG").arg("GET").arg("maxmemory").take();
    for (name, command, is_refused) in [
        ("GET", get(), false),
        ("XREADGROUP", read, false),
        ("CONFIG", config, true),
    ] {
        assert_eq!(refusal(&command).is_some(), is_refused);
        criterion.bench_function(&format!("command check/{name}"), |bencher| {
            bencher.iter(|| refusal(black_box(&command)));
        });
    }
}

fn route(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (stream, _server) = tokio::io::duplex(64);
    let line = {
        let _inside = runtime.enter();
        Line::open(stream)
    };
    assert!(line.has_route());
    criterion.bench_function("route", |bencher| {
        bencher.iter(|| black_box(&line).has_route());
    });
}

fn breaker(criterion: &mut Criterion) {
    let mut breaker = Breaker::default();
    let now = Instant::now();
    criterion.bench_function("breaker/failure and success", |bencher| {
        bencher.iter(|| breaker.stumble(black_box(now)));
    });
    assert!(breaker.is_closed());
}

/// One change of health, while 1,000 databases change in turn. Subscribers that do not read cost nothing.
fn health_event(criterion: &mut Criterion) {
    let names: Vec<Arc<str>> = (0..1_000).map(|number| number.to_string().into()).collect();
    for subscribers in [0, 8] {
        let events = Events::default();
        let idle: Vec<_> = (0..subscribers).map(|_| events.subscribe()).collect();
        let rounds = [true, false].into_iter().cycle();
        let mut changes =
            rounds.flat_map(|is_healthy| names.iter().map(move |name| (name, is_healthy)));
        criterion.bench_function(
            &format!("health event/{subscribers} idle subscribers"),
            |bencher| {
                bencher.iter(|| {
                    let (name, is_healthy) = changes.next().expect("an endless cycle");
                    events.publish(name, is_healthy);
                });
            },
        );
        drop(idle);
    }
}

fn get() -> Cmd {
    cmd("GET").arg("a key of 16 byte").take()
}

/// A database whose server does not exist, once its circuit has opened. The supervisor lives as long as
/// the handle, and goes on dialling, at most every two seconds.
fn database_with_open_circuit() -> Database {
    let port = common::ports::free_port();
    let config = Config::single(format!("redis://127.0.0.1:{port}"));
    let supervisor = Supervisor::spawn_blocking(config).expect("spawn");
    let opened = supervisor
        .subscribe()
        .any(async |event| event.circuit == CircuitState::Open);
    assert!(futures_executor::block_on(opened), "the circuit opens");
    supervisor.database("main").expect("main")
}

criterion_group! {
    name = policy;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = admission, refused, command_check, route, breaker, health_event
}
criterion_main!(policy);
