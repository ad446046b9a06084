//! The error of an aborted transaction.
//!
//! The `redis` crate has an error of its own for it, with a list of the commands that were refused, and no way
//! to construct it. So a connection of that crate reads the replies once more, from memory. That is rare, and
//! takes some microseconds.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use redis::{
    AsyncConnectionConfig, RedisConnectionInfo, RedisError, RedisResult, ServerError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cmd, pipe,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::unconstrained,
};

/// The error of a transaction whose `EXEC` was answered with `exec`, after these replies to `MULTI` and to the
/// queueing of its commands. The texts are free of line breaks.
pub(super) fn aborted(exec: &ServerError, queueing: &[Value]) -> RedisError {
    let is_error = |reply: &Value| matches!(reply, Value::ServerError(_));
    // Without a refused command, or without MULTI, the `redis` crate has no error that tells the cause.
    let is_listed = match queueing {
        [multi, commands @ ..] => !is_error(multi) && commands.iter().any(is_error),
        [] => false,
    };
    let listed = if is_listed {
        read_again(exec, queueing)
    } else {
        None
    };
    listed.unwrap_or_else(|| exec.clone().into())
}

fn read_again(exec: &ServerError, queueing: &[Value]) -> Option<RedisError> {
    let commands = queueing.len() - 1;
    let mut transaction = pipe();
    transaction.atomic();
    let mut replies = Vec::new();
    for reply in queueing {
        match reply {
            Value::ServerError(error) => write(&mut replies, error),
            _ => replies.extend_from_slice(b"+QUEUED\r\n"),
        }
    }
    write(&mut replies, exec);
    for _ in 0..commands {
        transaction.add_command(cmd("QUEUED"));
    }
    let stream = Replies {
        bytes: replies,
        is_asked: false,
    };
    // Without these settings it would greet the server, and need a timer.
    let info = RedisConnectionInfo::default().set_skip_set_lib_name();
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let connecting = pin!(MultiplexedConnection::new_with_config(
        &info, stream, config
    ));
    let (mut connection, driver) = ready(connecting)?.ok()?;
    let mut driver = pin!(unconstrained(driver));
    let mut reading = pin!(unconstrained(async move {
        connection
            .req_packed_commands(&transaction, commands + 1, 1)
            .await
    }));
    // The request is handed over, written, and answered.
    (0..TURNS)
        .find_map(|_| {
            let read: Option<RedisResult<_>> = ready(reading.as_mut());
            ready(driver.as_mut());
            read
        })?
        .err()
}

/// More turns than it takes.
const TURNS: usize = 8;

fn write(replies: &mut Vec<u8>, error: &ServerError) {
    let text = error.details().unwrap_or_default();
    replies.extend_from_slice(format!("-{} {text}\r\n", error.code()).as_bytes());
}

fn ready<T>(future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A stream that is answered with these bytes as soon as something is written to it.
struct Replies {
    bytes: Vec<u8>,
    is_asked: bool,
}

impl AsyncRead for Replies {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_asked || self.bytes.is_empty() {
            return Poll::Pending;
        }
        let len = self.bytes.len().min(buffer.remaining());
        buffer.put_slice(&self.bytes[..len]);
        self.bytes.drain(..len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replies {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_asked = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, ServerErrorKind};

    use super::*;
    use crate::sanitize;

    fn error(line: &str) -> ServerError {
        sanitize::from_line(line)
    }

    #[test]
    fn every_refused_command_is_listed_in_the_words_of_the_redis_crate() {
        let refused = |line| Value::ServerError(error(line));
        for commands in [3, 2_000] {
            let mut queueing = vec![Value::SimpleString("QUEUED".into()); commands];
            queueing[0] = Value::Okay;
            queueing[1] = refused("ERR one");
            queueing[commands - 1] = refused("MYERR two");
            let error = aborted(&error("EXECABORT discarded"), &queueing);
            let last = commands - 2;
            let text = format!(
                "Transaction aborted: [(Index 0, error: ResponseError: one), \
                 (Index {last}, error: \"MYERR\": two)]"
            );
            assert_eq!(error.to_string(), text);
            assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ExecAbort));
            let listed = error.into_server_errors().expect("a list");
            assert_eq!((listed[0].0, listed[1].0), (0, last));
        }
    }

    #[test]
    fn without_a_refused_command_it_is_the_error_of_exec() {
        let queued = Value::SimpleString("QUEUED".into());
        for queueing in [
            vec![],
            vec![Value::Okay, queued.clone()],
            vec![Value::ServerError(error("ERR no MULTI")), queued],
        ] {
            let error = aborted(&error("MISCONF disk"), &queueing);
            assert_eq!(error.code(), Some("MISCONF"));
        }
    }
}
