//! Concurrent transfers between accounts that never lose money: each watches the two balances that it
//! reads, and begins anew if another transfer has changed one of them.
//!
//! `cargo run --example optimistic_lock`, on a server inside the process, or on that of
//! `REDIS_URL`. It uses keys that begin with `steward:account`, which expire.

use std::{error::Error, process::ExitCode, time::Duration};

use redis::{AsyncCommands, cmd};
use redis_steward::{Config, Database, Supervisor};

const ACCOUNTS: [&str; 3] = [
    "steward:account:ada",
    "steward:account:bob",
    "steward:account:eve",
];
const START: i64 = 100;

/// The reason why a transfer was not made.
#[derive(Debug, thiserror::Error)]
enum TransferError {
    #[error("{0} has only {1}")]
    InsufficientFunds(&'static str, i64),
    #[error(transparent)]
    Redis(#[from] redis_steward::Error),
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| {
        println!("REDIS_URL is not set: this runs on memory://, a server inside the process.");
        "memory://".into()
    });
    let supervisor = Supervisor::spawn(Config::single(url)).await?;
    if let Err(error) = supervisor.ready(Duration::from_secs(2)).await {
        eprintln!("No server at REDIS_URL; without it, this runs on memory://: {error}");
        return Ok(ExitCode::FAILURE);
    }
    let mut main = supervisor.database("main")?;
    for account in ACCOUNTS {
        let () = main.set_ex(account, START, 60).await?;
    }

    let transfers: Vec<_> = (0..30)
        .map(|number| {
            let main = main.clone();
            let (from, to) = (
                ACCOUNTS[number % 3],
                ACCOUNTS[(number + 1 + number % 2) % 3],
            );
            let amount = 10 * (number as i64 % 7 + 1);
            tokio::spawn(async move { transfer(&main, from, to, amount).await })
        })
        .collect();
    let (mut made, mut refused, mut failed) = (0, 0, 0);
    for transfer in transfers {
        match transfer.await? {
            Ok(()) => made += 1,
            Err(TransferError::InsufficientFunds(..)) => refused += 1,
            Err(error @ TransferError::Redis(_)) => {
                failed += 1;
                eprintln!("not transferred: {error}");
            }
        }
    }
    let balances: Vec<i64> = main.mget(&ACCOUNTS).await?;
    println!("{made} transfers made, {refused} refused, {failed} failed; balances {balances:?}");
    let total: i64 = balances.iter().sum();
    println!("money before: {}, after: {total}", 3 * START);
    supervisor.shutdown(Duration::from_secs(5)).await;
    Ok(if total == 3 * START {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn transfer(
    main: &Database,
    from: &'static str,
    to: &'static str,
    amount: i64,
) -> Result<(), TransferError> {
    // The body may run several times, so its only effect is the commands in the pipeline.
    main.transaction(&[from, to], |mut lease, mut pipe| async move {
        let (mine, theirs): (i64, i64) = lease.query(cmd("MGET").arg(from).arg(to)).await?;
        if mine < amount {
            return Err(TransferError::InsufficientFunds(from, mine));
        }
        pipe.set_ex(from, mine - amount, 60)
            .ignore()
            .set_ex(to, theirs + amount, 60)
            .ignore();
        Ok(())
    })
    .await
}
