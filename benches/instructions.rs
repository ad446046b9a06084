//! A fixed number of commands, for a tool that counts instructions: the same numbers whatever else the
//! machine does. The number of GETs in a row, one at a time or 64 at a time, is the first argument.
//!
//! ```text
//! cargo bench --features internals --bench instructions --no-run    # prints the program's path
//! valgrind --tool=callgrind PROGRAM 1000                            # instructions of the start, and 1,000
//! valgrind --tool=callgrind PROGRAM 11000                           # the difference is that of 10,000
//! valgrind --tool=callgrind PROGRAM 11008 64                        # 64 outstanding
//! ```

use bytes::{Buf, BytesMut};
use futures_util::future::join_all;
use redis::{Value, cmd};
use redis_steward::internals::Line;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    runtime::Builder,
};

/// What a GET of the key takes on the wire.
const COMMAND: usize = 36;
const REPLY: &[u8] = b"$16\r\n0123456789abcdef\r\n";

fn main() {
    // `cargo bench` passes an option of its own.
    let numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let numbers: Vec<usize> = numbers.collect();
    let commands = numbers.first().copied().unwrap_or(1_000);
    let outstanding = numbers.get(1).copied().unwrap_or(1);
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime
        .expect("a runtime")
        .block_on(run(commands, outstanding));
    println!("{commands} commands, {outstanding} outstanding");
}

async fn run(commands: usize, outstanding: usize) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let server = tokio::spawn(serve(server));
    let line = Line::open(client);
    let get = cmd("GET").arg("a key of 16 byte").take();
    assert_eq!(get.get_packed_command().len(), COMMAND);
    let expected = Value::BulkString(b"0123456789abcdef".into());
    for _ in 0..commands / outstanding {
        for reply in join_all((0..outstanding).map(|_| line.execute(&get))).await {
            assert_eq!(reply.expect("a reply"), expected);
        }
    }
    drop(line);
    server.await.expect("the server");
}

/// Answers every command, until there are no more.
async fn serve(mut stream: DuplexStream) {
    let mut input = BytesMut::new();
    while stream.read_buf(&mut input).await.expect("a stream") > 0 {
        let commands = input.len() / COMMAND;
        input.advance(commands * COMMAND);
        let answers = REPLY.repeat(commands);
        stream.write_all(&answers).await.expect("a stream");
    }
}
