//! An actix actor of the application: it sends commands as messages through a `Recipient`, and gets
//! health events as messages, without knowing the type of an actor of this crate.
//!
//! `cargo run --example actix_messages`, on a server inside the process, or on that of
//! `REDIS_URL`. It runs for ten seconds. The server inside the
//! process is stopped meanwhile, and started again; kill yours.
//! It uses the key `steward:ticks`, and deletes it.

use std::{error::Error, process::ExitCode, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient, ResponseFuture};
use redis::Value;
use redis_steward::{Config, Execute, HealthEvent, MemoryServer, Subscribe, Supervisor};

/// Counts ticks in Redis, and prints the health of the database meanwhile.
struct Ticker {
    main: Recipient<Execute>,
    health: Recipient<Subscribe>,
}

/// Asks for one more tick.
#[derive(Message)]
#[rtype(result = "String")]
struct Tick;

impl Actor for Ticker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let events = ctx.address().recipient();
        self.health.do_send(Subscribe(events));
    }
}

impl Handler<HealthEvent> for Ticker {
    type Result = ();

    fn handle(&mut self, event: HealthEvent, _: &mut Self::Context) {
        println!("health: {event}");
    }
}

impl Handler<Tick> for Ticker {
    type Result = ResponseFuture<String>;

    /// The reply is awaited outside the actor, which handles other messages meanwhile.
    fn handle(&mut self, _: Tick, _: &mut Self::Context) -> Self::Result {
        let incr = redis::cmd("INCR").arg("steward:ticks").take();
        let reply = self
            .main
            .send(Execute::new(incr).timeout(Duration::from_millis(500)));
        Box::pin(async move {
            match reply.await {
                Ok(Ok(Value::Int(number))) => format!("tick {number}"),
                Ok(Ok(other)) => format!("INCR gives {other:?}?"),
                Ok(Err(error)) => format!("no tick: {error}"),
                Err(closed) => format!("no pool: {closed}"),
            }
        })
    }
}

#[actix_rt::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let url = std::env::var("REDIS_URL").ok();
    let embedded = MemoryServer::new();
    if url.is_none() {
        println!("REDIS_URL is not set: this runs on memory://, a server inside the process.");
    }
    let config = Config::single(url.clone().unwrap_or_else(|| embedded.url()));
    let supervisor = Supervisor::spawn(config).await?;
    if let Err(error) = supervisor.ready(Duration::from_secs(2)).await {
        eprintln!("No server at REDIS_URL; without it, this runs on memory://: {error}");
        return Ok(ExitCode::FAILURE);
    }

    let ticker = Ticker {
        main: supervisor.database("main")?.recipient(),
        health: supervisor.recipient(),
    }
    .start();
    for tick in 1..=40 {
        match tick {
            10 => embedded.stop(),
            25 => embedded.start(),
            _ => {}
        }
        println!("{}", ticker.send(Tick).await?);
        actix_rt::time::sleep(Duration::from_millis(250)).await;
    }

    let tidy = Execute::new(redis::cmd("DEL").arg("steward:ticks").take());
    if let Err(error) = supervisor.database("main")?.recipient().send(tidy).await? {
        eprintln!("steward:ticks is left: {error}");
    }
    let report = supervisor.shutdown(Duration::from_secs(5)).await;
    println!("shut down: {report:?}");
    Ok(ExitCode::SUCCESS)
}
