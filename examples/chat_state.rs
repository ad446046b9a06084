//! A chat that goes on while Redis is away: the state of a thread as JSON with a time to live, a cache of summaries, and a
//! list of events.
//!
//! `cargo run --example chat_state`, on a server inside the process, which it stops for a while, or on that of `REDIS_URL`,
//! which it leaves alone. It uses keys that end with `:steward`, and deletes them.

use std::{error::Error, process::ExitCode, time::Duration};

use redis_steward::{
    Config, Database, DatabaseConfig, Fallback, HealthEvents, HealthState, MemoryServer,
    OnRecovery, Source, Supervisor,
};
use serde_json::{Value, json};

const DAY: u64 = 86_400;
const SOON: Duration = Duration::from_secs(10);

const STATE: &str = "thread_state:steward";
const EVENTS: &str = "thread_events:steward";
const SUMMARY: &str = "routine_summary:steward";

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let url = std::env::var("REDIS_URL").ok();
    let embedded = MemoryServer::new();
    if url.is_none() {
        println!("REDIS_URL is not set: this runs on memory://, a server inside the process.");
    }
    // A thread whose state is missing begins anew. So what was last seen of it is to be there in an outage, and
    // what is written in one is to be in Redis afterwards.
    let fallback = Fallback::memory()
        .on_recovery(OnRecovery::Replay)
        .stale_reads(Duration::from_secs(DAY), 10_000);
    let chats = DatabaseConfig::from_url(url.clone().unwrap_or_else(|| embedded.url()))
        .command_timeout(Duration::from_secs(2))
        .fallback(fallback);
    let supervisor = Supervisor::spawn(Config::new().database("chats", chats)).await?;
    if let Err(error) = supervisor.ready(SOON).await {
        eprintln!("No server at REDIS_URL; without it, this runs on memory://: {error}");
        return Ok(ExitCode::FAILURE);
    }
    let mut events = supervisor.subscribe();
    let chat = Chat {
        redis: supervisor.database("chats")?,
    };

    println!("\nA parent talks about the routine of a child.");
    chat.say("She sleeps badly").await?;
    chat.say("She wakes at five").await?;
    chat.summarise().await?;

    if url.is_none() {
        embedded.stop();
        println!("\nRedis is gone. Commands wait for it at first; then the circuit opens.");
        print_health(&mut events, |state| {
            matches!(state, HealthState::Degraded { .. })
        })
        .await?;
    }
    chat.say("Today she slept till six").await?;
    chat.summarise().await?;
    chat.say("And she ate well").await?;
    chat.claim_reminder().await;

    if url.is_none() {
        embedded.start();
        println!("\nRedis is back. What was written goes there before the chat does.");
        print_health(&mut events, |state| *state == HealthState::Healthy).await?;
    }
    chat.say("Thank you").await?;
    chat.claim_reminder().await;

    println!("\nRedis has now:");
    chat.show().await?;
    chat.forget().await?;
    let stats = &supervisor.statistics().databases["chats"];
    println!(
        "\n{} commands were answered by Redis, {} in memory, and {} refused.",
        stats.succeeded, stats.fallback.served, stats.refused
    );
    supervisor.shutdown(SOON).await;
    Ok(ExitCode::SUCCESS)
}

struct Chat {
    redis: Database,
}

impl Chat {
    /// One message: the state of the thread goes on, and the event is noted.
    async fn say(&self, message: &str) -> Result<(), redis_steward::Error> {
        let get = redis::cmd("GET").arg(STATE).take();
        let state: Option<String> = self.redis.query(get).await?;
        let state = state.and_then(|state| serde_json::from_str(&state).ok());
        let mut state = state.unwrap_or_else(|| json!({"turns": 0}));
        let turns = state["turns"].as_u64().unwrap_or(0) + 1;
        state = json!({"turns": turns, "last": message});

        let mut writes = redis::pipe();
        writes.set_ex(STATE, state.to_string(), DAY).ignore();
        writes.rpush(EVENTS, message).ignore();
        writes.expire(EVENTS, DAY as i64).ignore();
        // Something has changed, so the summary is out of date.
        writes.del(SUMMARY).ignore();
        let ((), source) = self.redis.pipeline_with_source(writes).await?;
        println!("  turn {turns}: {message:<26} kept {}", place(source));
        Ok(())
    }

    /// The summary of what happened, from the cache or made anew.
    async fn summarise(&self) -> Result<(), redis_steward::Error> {
        let get = redis::cmd("GET").arg(SUMMARY).take();
        if let Some(summary) = self.redis.query::<Option<String>>(get).await? {
            println!("  summary: {summary} (cached)");
            return Ok(());
        }
        let range = redis::cmd("LRANGE").arg(EVENTS).arg(0).arg(-1).take();
        let (events, source): (Vec<String>, _) = self.redis.query_with_source(range).await?;
        let summary = events.join("; ");
        let mut set = redis::cmd("SETEX");
        set.arg(SUMMARY).arg(3_600).arg(&summary);
        self.redis.query::<()>(set).await?;
        // The program knows that this is not all there is.
        let remark = match source {
            Source::Memory => " (since Redis is away)",
            _ => "",
        };
        println!("  summary: {summary}{remark}");
        Ok(())
    }

    /// Of several processes one is to send a reminder. Only Redis can tell which.
    async fn claim_reminder(&self) {
        let claim = redis::cmd("SET")
            .arg("reminder:steward")
            .arg("mine")
            .arg("NX")
            .arg("EX")
            .arg(60)
            .take();
        match self.redis.query::<Option<String>>(claim).await {
            Ok(Some(_)) => println!("  reminder: this process sends it"),
            Ok(None) => println!("  reminder: another process sends it"),
            Err(error) => println!("  reminder: later, since {error}"),
        }
    }

    async fn show(&self) -> Result<(), redis_steward::Error> {
        let mut all = redis::pipe();
        all.get(STATE).ttl(STATE).lrange(EVENTS, 0, -1);
        let (state, left, events): (String, u64, Vec<String>) = self.redis.pipeline(all).await?;
        let state: Value = serde_json::from_str(&state).unwrap_or_default();
        println!(
            "  {STATE}: {state}, for {} more hours",
            (left + 1_800) / 3_600
        );
        println!("  {EVENTS}: {events:?}");
        Ok(())
    }

    async fn forget(&self) -> Result<(), redis_steward::Error> {
        let keys = [STATE, EVENTS, SUMMARY, "reminder:steward"];
        self.redis.query(redis::cmd("DEL").arg(&keys)).await
    }
}

fn place(source: Source) -> &'static str {
    match source {
        Source::Memory => "in memory",
        _ => "in Redis",
    }
}

/// Prints what happens until the database has such a state.
async fn print_health(
    events: &mut HealthEvents,
    is: impl Fn(&HealthState) -> bool,
) -> Result<(), Box<dyn Error>> {
    let printed = async {
        while let Some(event) = events.next().await {
            println!("  health: {event}");
            if is(&event.state) {
                return;
            }
        }
    };
    Ok(tokio::time::timeout(SOON, printed).await?)
}
