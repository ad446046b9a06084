//! The commands of a handle of the `redis` crate, the same for every client that has one.

use anyhow::Result;
use redis::{AsyncCommands, Value, aio::ConnectionLike, cmd, pipe};

use super::expect;

pub async fn get<C: AsyncCommands>(connection: &mut C, key: &str) -> Result<Vec<u8>> {
    Ok(connection.get(key).await?)
}

pub async fn set<C: AsyncCommands>(connection: &mut C, key: &str, value: &[u8]) -> Result<()> {
    let reply: Value = connection.set(key, value).await?;
    expect(Value::Okay, reply)
}

pub async fn incr<C: AsyncCommands>(connection: &mut C, key: &str) -> Result<i64> {
    // `AsyncCommands::incr` sends INCRBY, and the other clients INCR.
    Ok(cmd("INCR").arg(key).query_async(connection).await?)
}

pub async fn mget<C>(connection: &mut C, keys: &[String]) -> Result<Vec<Vec<u8>>>
where
    C: ConnectionLike + Send,
{
    Ok(cmd("MGET").arg(keys).query_async(connection).await?)
}

pub async fn pipeline<C>(connection: &mut C, keys: &[String]) -> Result<Vec<Vec<u8>>>
where
    C: ConnectionLike + Send,
{
    let mut gets = pipe();
    for key in keys {
        gets.get(key);
    }
    Ok(gets.query_async(connection).await?)
}
