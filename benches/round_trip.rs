//! The round trip of a command without the operating system: a handle's dispatch, the task of a
//! connection, and a server in the same thread that answers at once through a stream in memory.
//!
//! `cargo bench --bench round_trip`. `GET` and `GET, announced` differ in that the server announces its maintenance
//! (`maintenance_notifications`), which no command should pay for. The throughput is in commands. The time is that of a round of 1 or
//! 64 commands, with the server's part and a task switch or two.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use redis::{Cmd, Value, cmd};
use redis_steward::internals::Line;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::Builder,
};

const KEY: &str = "a key of 16 byte";
/// Bytes of a GET of the key on the wire.
const COMMAND: usize = 36;
const VALUE: &[u8] = b"0123456789abcdef";
const REPLY: &[u8] = b"$16\r\n0123456789abcdef\r\n";
const MAX_OUTSTANDING: usize = 64;

fn round_trip(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let get = cmd("GET").arg(KEY).take();
    assert_eq!(get.get_packed_command().len(), COMMAND);
    let mut group = criterion.benchmark_group("round trip");
    for outstanding in [1, MAX_OUTSTANDING] {
        group.throughput(Throughput::Elements(outstanding as u64));
        let ways = [
            ("GET", Line::open as fn(DuplexStream) -> Line),
            ("GET, announced", Line::open_with_announcements),
        ];
        for (name, open) in ways {
            let (client, server) = tokio::io::duplex(64 * 1024);
            let server = runtime.spawn(serve(server));
            let line = {
                let _inside = runtime.enter();
                open(client)
            };
            group.bench_function(BenchmarkId::new(name, outstanding), |bencher| {
                bencher.iter_custom(|rounds| {
                    runtime.block_on(async {
                        let start = Instant::now();
                        for _ in 0..rounds {
                            round(&line, &get, outstanding).await;
                        }
                        start.elapsed()
                    })
                });
            });
            drop(line);
            runtime.block_on(server).expect("the server");
        }
    }
    group.finish();
}

async fn round(line: &Line, get: &Cmd, outstanding: usize) {
    for reply in join_all((0..outstanding).map(|_| line.execute(get))).await {
        let Value::BulkString(value) = black_box(reply.expect("a reply")) else {
            panic!("no value");
        };
        assert_eq!(value, VALUE);
    }
}

/// Answers every command, until there are no more.
async fn serve(mut stream: DuplexStream) {
    let replies = REPLY.repeat(MAX_OUTSTANDING);
    let mut input = BytesMut::new();
    while stream.read_buf(&mut input).await.expect("a stream") > 0 {
        let commands = input.len() / COMMAND;
        input.advance(commands * COMMAND);
        let answer = &replies[..commands * REPLY.len()];
        stream.write_all(answer).await.expect("a stream");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = round_trip
}
criterion_main!(benches);
