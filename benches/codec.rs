//! Decoding of typical replies, beside the `redis` crate's parser, and encoding of commands.
//!
//! `cargo bench --bench codec`, or `cargo bench --bench codec -- 'decode/map'` for a part of it.
//! Both decoders find the reply in a buffer into which it has just been copied, as by a read. The
//! decoded value is dropped. `decode/64 bulks` is a read that brought many replies.

use std::{hint::black_box, time::Duration};

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use redis::{Cmd, Pipeline, Value, cmd, parse_redis_value, pipe};
use redis_steward::internals::Decoder;

fn decode(criterion: &mut Criterion) {
    for reply in replies() {
        let Reply { name, wire, count } = &reply;
        let expected = parse_redis_value(&wire[..wire.len() / count]).expect("a reply");
        reply.assert_decodes_to(&expected);

        let mut group = criterion.benchmark_group(format!("decode/{name}"));
        group.throughput(Throughput::Elements(*count as u64));
        group.bench_function("steward", |bencher| {
            let mut decoder = Decoder::default();
            let mut input = BytesMut::new();
            bencher.iter(|| {
                input.extend_from_slice(black_box(wire));
                for _ in 0..*count {
                    black_box(decoder.decode(&mut input));
                }
            });
        });
        group.bench_function("redis-rs", |bencher| {
            let mut input = BytesMut::new();
            bencher.iter(|| {
                input.clear();
                input.extend_from_slice(black_box(wire));
                for one in input.chunks_exact(wire.len() / count) {
                    black_box(parse_redis_value(one).expect("a reply"));
                }
            });
        });
        group.finish();
    }
}

/// A command encoded into bytes of its own, as it is sent, and appended to an existing buffer.
fn encode(criterion: &mut Criterion) {
    for (name, command) in commands() {
        let mut group = criterion.benchmark_group(format!("encode/{name}"));
        let packed = command.get_packed_command();
        let mut appended = Vec::new();
        command.write_packed_command(&mut appended);
        assert_eq!(packed, appended);
        group.bench_function("own", |bencher| {
            bencher.iter(|| black_box(&command).get_packed_command());
        });
        group.bench_function("appended", |bencher| {
            bencher.iter(|| {
                appended.clear();
                black_box(&command).write_packed_command(&mut appended);
                black_box(appended.len())
            });
        });
        group.finish();
    }
    let pipeline = gets();
    assert_eq!(pipeline.get_packed_pipeline().len(), 64 * 36);
    criterion.bench_function("encode/pipeline of 64 GET", |bencher| {
        bencher.iter(|| black_box(&pipeline).get_packed_pipeline());
    });
}

/// The same reply `count` times.
struct Reply {
    name: &'static str,
    wire: Vec<u8>,
    count: usize,
}

impl Reply {
    fn assert_decodes_to(&self, expected: &Value) {
        let mut decoder = Decoder::default();
        let mut input = BytesMut::from(&self.wire[..]);
        for _ in 0..self.count {
            let value = decoder.decode(&mut input);
            assert_eq!(value.as_ref(), Some(expected), "{}", self.name);
        }
        assert!(input.is_empty(), "{}", self.name);
    }
}

fn replies() -> Vec<Reply> {
    let one = |name, wire| Reply {
        name,
        wire,
        count: 1,
    };
    let map: Vec<u8> = (0..20)
        .flat_map(|field| [bulk(b"a field of a hash"), format!(":{field}\r\n").into()].concat())
        .collect();
    vec![
        one("OK", b"+OK\r\n".into()),
        one("integer", b":1234567\r\n".into()),
        one("nil", b"_\r\n".into()),
        one("bulk of 16 B", bulk(&[b'x'; 16])),
        one("bulk of 1 KiB", bulk(&[b'x'; 1 << 10])),
        one("bulk of 16 KiB", bulk(&[b'x'; 16 << 10])),
        one(
            "array of 100 bulks",
            [b"*100\r\n".to_vec(), bulk(&[b'x'; 16]).repeat(100)].concat(),
        ),
        one("map of 20", [b"%20\r\n".to_vec(), map].concat()),
        one(
            "error",
            b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n".into(),
        ),
        Reply {
            name: "64 bulks of 16 B",
            wire: bulk(&[b'x'; 16]).repeat(64),
            count: 64,
        },
    ]
}

fn bulk(body: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat()
}

fn commands() -> [(&'static str, Cmd); 4] {
    let key = "a key of 16 byte";
    let set = |bytes| cmd("SET").arg(key).arg(vec![b'x'; bytes]).take();
    [
        ("GET", cmd("GET").arg(key).take()),
        ("SET of 16 B", set(16)),
        ("SET of 1 KiB", set(1 << 10)),
        ("SET of 16 KiB", set(16 << 10)),
    ]
}

fn gets() -> Pipeline {
    let mut gets = pipe();
    for _ in 0..64 {
        gets.cmd("GET").arg("a key of 16 byte");
    }
    gets
}

criterion_group! {
    name = codec;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = decode, encode
}
criterion_main!(codec);
