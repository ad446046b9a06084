//! Named databases from a YAML file: what each setting is and where it comes from, handles by name, and a change while
//! the program runs.
//!
//! `cargo run --example named_databases`, on a server inside the process, or on that of `REDIS_URL`. It uses keys that
//! begin with `steward:named`, which expire. Try it with variables: `REDIS_STEWARD_CACHE_MAX_CONNECTIONS=7`.

use std::{error::Error, process::ExitCode, time::Duration};

use redis::AsyncCommands;
use redis_steward::{Config, DatabaseConfig, PresetDatabases, RedisDatabase, Supervisor};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/named_databases.yaml");

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    if std::env::var_os("REDIS_URL").is_none() {
        println!("REDIS_URL is not set: this runs on memory://, a server inside the process.");
    }
    let config = Config::load_from(FILE)?;
    println!("\nSettings that do not have their defaults:");
    for setting in config.explain().settings() {
        if setting.origin() != "default" {
            let origin = setting.origin().rsplit('/').next().unwrap_or_default();
            println!(
                "  {:10} {:16} {:24} {origin}",
                setting.database(),
                setting.setting(),
                setting.value()
            );
        }
    }

    let supervisor = Supervisor::spawn(config.clone()).await?;
    if let Err(error) = supervisor.ready(Duration::from_secs(2)).await {
        eprintln!("No server at REDIS_URL; without it, this runs on memory://: {error}");
        return Ok(ExitCode::FAILURE);
    }

    println!("\nEach name leads to its own database:");
    // By method, by variant and by name.
    let handles = [
        supervisor.main()?,
        supervisor.database(RedisDatabase::Sessions)?,
        supervisor.database("codebase")?,
    ];
    for mut handle in handles {
        let name = handle.name().to_owned();
        let () = handle.set_ex("steward:named:here", name, 60).await?;
        let here: String = handle.get("steward:named:here").await?;
        println!("  {here}");
    }
    if let Err(error) = supervisor.database("sesions") {
        println!("  and a slip is an error: {error}");
    }

    println!("\nA change while the program runs, beside calls that go on:");
    let mut cache = supervisor.database("cache")?;
    let changed = config
        .adjust("cache", |cache| {
            cache.command_timeout(Duration::from_secs(1))
        })
        .database("jobs", DatabaseConfig::from_url("memory://jobs"));
    let (applied, called) = tokio::join!(supervisor.apply(changed), async {
        for number in 0..100 {
            let () = cache.set_ex("steward:named:count", number, 60).await?;
        }
        Ok::<_, redis::RedisError>(100)
    });
    for line in applied?.to_string().lines() {
        println!("  {line}");
    }
    println!("  {} calls went through meanwhile", called?);

    println!("\nA configuration that cannot be used changes nothing, and says why:");
    let wrong = "databases:\n  main: {max_conections: 5}\n  cache: {command_timeout: soon}";
    if let Err(error) = Config::from_yaml_str(wrong) {
        for line in error.to_string().lines() {
            println!("  {line}");
        }
    }
    supervisor.shutdown(Duration::from_secs(5)).await;
    Ok(ExitCode::SUCCESS)
}
