//! A handle beside the `redis` crate's multiplexed connection, in one run and in turns: GET of
//! 16 bytes with 16, 64 and 256 calls outstanding, on both flavours of tokio's runtime.
//!
//! `cargo bench --bench data_plane` (it starts its own redis-server). Absolute numbers are noise
//! on a shared machine; the ratios of medians are what to look at.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::{Value, aio::ConnectionLike, cmd};
use redis_steward::{Config, Supervisor};
use tokio::runtime::{Builder, Runtime};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(400);

fn main() {
    let server = Server::start();
    println!("GET of 16 bytes, medians of {ROUNDS} rounds in turns");
    println!("runtime         outstanding   steward op/s   redis-rs op/s   ratio");
    for (flavour, runtime) in [
        ("multi-thread", multi_thread()),
        ("current-thread", current_thread()),
    ] {
        for outstanding in [1, 16, 64, 256] {
            let [ours, theirs] = runtime.block_on(compare(&server.url, outstanding));
            let ratio = ours / theirs;
            println!("{flavour:<15} {outstanding:>11} {ours:>14.0} {theirs:>15.0} {ratio:>7.2}");
        }
    }
}

async fn compare(url: &str, outstanding: usize) -> [f64; 2] {
    let supervisor = Supervisor::spawn(Config::single(url)).await.expect("spawn");
    supervisor
        .ready(Duration::from_secs(5))
        .await
        .expect("ready");
    let ours = supervisor.database("main").expect("main");
    let client = redis::Client::open(url).expect("url");
    let theirs = client
        .get_multiplexed_async_connection()
        .await
        .expect("connect");
    let set = cmd("SET").arg("key").arg("0123456789abcdef").take();
    ours.execute(&set).await.expect("set");

    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        rates[0].push(round(&ours, outstanding).await);
        rates[1].push(round(&theirs, outstanding).await);
    }
    supervisor.shutdown(Duration::from_secs(1)).await;
    rates.map(median)
}

/// Operations per second with so many tasks, each with one call outstanding.
async fn round<C>(connection: &C, outstanding: usize) -> f64
where
    C: ConnectionLike + Clone + Send + 'static,
{
    let start = Instant::now();
    let tasks: Vec<_> = (0..outstanding)
        .map(|_| tokio::spawn(call_until(connection.clone(), start + ROUND)))
        .collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await.expect("task");
    }
    calls as f64 / start.elapsed().as_secs_f64()
}

async fn call_until<C: ConnectionLike>(mut connection: C, end: Instant) -> usize {
    let get = cmd("GET").arg("key").take();
    let expected = Value::BulkString(b"0123456789abcdef".to_vec());
    let mut calls = 0;
    // The clock is looked at once in a while, so that it is not what is measured.
    while Instant::now() < end {
        for _ in 0..16 {
            let reply = connection.req_packed_command(&get).await.expect("reply");
            assert_eq!(reply, expected);
        }
        calls += 16;
    }
    calls
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("runtime")
}

fn current_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime")
}

/// A redis-server of its own, ended with the bench.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        drop(listener);
        let process = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--bind",
                "127.0.0.1",
            ])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(5),
                "redis-server does not start"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        let url = format!("redis://127.0.0.1:{port}");
        Self { process, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is our own child, so it can only be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
