//! Live updates of an experiment for many viewers: each subscribes first, then reads the state, and reads it again
//! wherever updates may be missing. So none of them shows an old state for long, also after an outage.
//!
//! `cargo run --example live_updates`, on a server inside the process, or on that of
//! `REDIS_URL`. The server inside the process is stopped meanwhile, and started again; kill yours.
//! It uses the key and the channel `steward:experiment:7`, and deletes the key.

use std::{error::Error, process::ExitCode, time::Duration};

use redis_steward::{Config, Database, MemoryServer, PubSubEvent, Supervisor};

const EXPERIMENT: &str = "steward:experiment:7";
const VIEWERS: usize = 3;
const STEPS: u32 = 40;

#[tokio::main]
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
    // All calls wait through the outage.
    let main = supervisor.database("main")?.patient();
    let main = main.with_timeout(Duration::from_secs(30));
    let del = redis::cmd("DEL").arg(EXPERIMENT).take();
    main.query::<()>(del.clone()).await?;

    let viewers: Vec<_> = (1..=VIEWERS)
        .map(|number| tokio::spawn(watch(number, main.clone())))
        .collect();
    for step in 1..=STEPS {
        if step == STEPS / 4 {
            embedded.stop();
            let embedded = embedded.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                embedded.start();
            });
        }
        publish(&main, step).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut up_to_date = 0;
    for viewer in viewers {
        match viewer.await? {
            Ok(()) => up_to_date += 1,
            Err(error) => eprintln!("a viewer has given up: {error}"),
        }
    }
    println!("{up_to_date} of {VIEWERS} viewers have seen the end");
    main.query::<()>(del).await?;
    let stats = supervisor.statistics().databases["main"].subscriptions;
    println!("{} connections were opened for them", stats.opened);
    supervisor.shutdown(Duration::from_secs(5)).await;
    Ok(if up_to_date == VIEWERS {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The state and the message are one step. The state expires when nothing updates it for an hour.
async fn publish(main: &Database, step: u32) -> Result<(), redis_steward::Error> {
    let mut update = redis::pipe();
    update
        .atomic()
        .set_ex(EXPERIMENT, step, 60 * 60)
        .publish(EXPERIMENT, step);
    main.idempotent().pipeline::<()>(update).await
}

/// What a web socket would send to a page.
async fn watch(number: usize, main: Database) -> Result<(), redis_steward::Error> {
    let mut updates = main.subscribe([EXPERIMENT]).await?;
    // After the confirmation: an update in between comes as well, and none is missed.
    let mut shown = state(&main).await?;
    while shown < STEPS {
        match updates.next().await {
            Some(PubSubEvent::Message { payload, .. }) => {
                let step = std::str::from_utf8(&payload).ok();
                // One that came before the state was read is no news.
                let step = step.and_then(|step| step.parse().ok()).unwrap_or(shown);
                shown = shown.max(step);
            }
            Some(PubSubEvent::Interrupted { cause, .. }) => {
                println!("viewer {number} shows step {shown} as old: {cause}");
            }
            Some(PubSubEvent::Gap { .. } | PubSubEvent::Lagged(_)) => {
                shown = state(&main).await?;
                println!("viewer {number} shows step {shown}");
            }
            Some(other) => println!("viewer {number}: {other:?}"),
            None => break,
        }
    }
    Ok(())
}

async fn state(main: &Database) -> Result<u32, redis_steward::Error> {
    let step: Option<u32> = main.query(redis::cmd("GET").arg(EXPERIMENT)).await?;
    Ok(step.unwrap_or_default())
}
