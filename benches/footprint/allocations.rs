//! Allocations per command, here and with the `redis` crate's multiplexed connection.

use std::time::Duration;

use futures_util::future::join_all;
use redis::{Cmd, Value, aio::ConnectionLike, cmd};
use redis_steward::{CircuitState, Database, DatabaseConfig, Error};

use crate::{
    common::{self, RedisServer, eventually_async},
    heap::allocations,
};

const COMMANDS: usize = 32_000;
const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn print() {
    let server = RedisServer::start();
    let (supervisor, main) = common::spawn(DatabaseConfig::from_url(server.url())).await;
    let client = redis::Client::open(server.url()).expect("a URL");
    let multiplexed = client.get_multiplexed_async_connection();
    let multiplexed = multiplexed.await.expect("a connection");

    println!("allocations per command              execute   as ConnectionLike   redis-rs");
    let set = cmd("SET").arg("key").arg("0123456789abcdef").take();
    let get = cmd("GET").arg("key").take();
    let value = Value::BulkString(b"0123456789abcdef".into());
    for (name, command, reply) in [("SET", set, Value::Okay), ("GET", get, value)] {
        for outstanding in [1, 64] {
            let work = Work {
                command: &command,
                reply: &reply,
                outstanding,
            };
            let execute = work.allocations(&Handle(main.clone())).await;
            let ours = work.allocations(&Connection(main.clone())).await;
            let theirs = work.allocations(&Connection(multiplexed.clone())).await;
            let name = format!("{name} of 16 bytes, {outstanding} outstanding");
            println!("{name:<32} {execute:>12.2} {ours:>19.2} {theirs:>10.2}");
        }
    }
    let circuit = || supervisor.statistics().databases["main"].circuit;
    server.kill();
    eventually_async(SOON, "the circuit opens", || {
        circuit() == CircuitState::Open
    })
    .await;
    let get = cmd("GET").arg("key").take();
    let refused = allocations_of_refusal(&main, &get).await;
    println!("GET, refused by an open circuit {refused:>13.2}");
    println!();
    supervisor.shutdown(SOON).await;
}

/// Allocations per command that an open circuit refuses.
async fn allocations_of_refusal(main: &Database, command: &Cmd) -> f64 {
    let before = allocations();
    for _ in 0..COMMANDS {
        let refused = main.execute(command).await;
        assert!(matches!(refused, Err(Error::CircuitOpen { .. })));
    }
    (allocations() - before) as f64 / COMMANDS as f64
}

/// One way to run a command.
trait Caller: Clone {
    async fn call(&mut self, command: &Cmd) -> Value;
}

#[derive(Clone)]
struct Handle(Database);

impl Caller for Handle {
    async fn call(&mut self, command: &Cmd) -> Value {
        self.0.execute(command).await.expect("a reply")
    }
}

#[derive(Clone)]
struct Connection<C>(C);

impl<C: ConnectionLike + Clone> Caller for Connection<C> {
    async fn call(&mut self, command: &Cmd) -> Value {
        self.0.req_packed_command(command).await.expect("a reply")
    }
}

struct Work<'a> {
    command: &'a Cmd,
    reply: &'a Value,
    outstanding: usize,
}

impl Work<'_> {
    /// Allocations per command, once all buffers have grown.
    async fn allocations(&self, caller: &impl Caller) -> f64 {
        self.run(caller).await;
        let before = allocations();
        self.run(caller).await;
        (allocations() - before) as f64 / COMMANDS as f64
    }

    async fn run(&self, caller: &impl Caller) {
        let callers = (0..self.outstanding).map(async |_| {
            let mut caller = caller.clone();
            for _ in 0..COMMANDS / self.outstanding {
                assert_eq!(&caller.call(self.command).await, self.reply);
            }
        });
        join_all(callers).await;
    }
}
