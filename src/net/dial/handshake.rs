//! Commands and replies on a connection before it takes requests.

use std::sync::Arc;

use bytes::BytesMut;
use redis::{Cmd, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    error::DialError,
    established::{Established, ServerInfo},
};
use crate::net::{
    codec::{Decoder, Limits},
    transport::Transport,
};

/// The peer may not be a Redis server at all, so its first replies may take little memory.
const LIMITS: Limits = Limits {
    max_bytes: 64 * 1024,
    max_depth: 8,
    max_elements: 1024,
    max_line: 4 * 1024,
};

pub(crate) struct Handshake {
    transport: Box<dyn Transport>,
    input: BytesMut,
    decoder: Decoder,
    max_reply_bytes: usize,
}

impl Handshake {
    pub(crate) fn new(transport: Box<dyn Transport>, max_reply_bytes: usize) -> Self {
        Self {
            transport,
            input: BytesMut::new(),
            decoder: Decoder::new(LIMITS),
            max_reply_bytes,
        }
    }

    /// Sends the commands in one write and returns their replies.
    pub(crate) async fn call<const N: usize>(
        &mut self,
        commands: [&Cmd; N],
    ) -> Result<[Value; N], DialError> {
        let mut bytes = Vec::new();
        for command in commands {
            command.write_packed_command(&mut bytes);
        }
        let sent = async {
            self.transport.write_all(&bytes).await?;
            self.transport.flush().await
        };
        // A server that refuses a client sends the reason and closes, so replies are read even if the
        // write failed.
        let sent = sent.await;
        let mut replies = [const { Value::Nil }; N];
        for reply in &mut replies {
            *reply = match (self.reply().await, &sent) {
                (Err(DialError::Closed { step }), Err(error)) => {
                    let error = Arc::new(std::io::Error::new(error.kind(), error.to_string()));
                    return Err(DialError::Broken { step, error });
                }
                (reply, _) => reply?,
            };
        }
        Ok(replies)
    }

    /// Hands the connection over. All commands were answered, so remaining input would be taken for the
    /// reply to the first request.
    pub(crate) fn established(self, seen: ServerInfo) -> Result<Established, DialError> {
        if !self.input.is_empty() {
            return Err(DialError::Unexpected { command: "PING" });
        }
        Ok(Established {
            transport: self.transport,
            seen,
            decoder: Decoder::new(Limits {
                max_bytes: self.max_reply_bytes,
                ..Limits::default()
            }),
        })
    }

    async fn reply(&mut self) -> Result<Value, DialError> {
        let step = "shaking hands";
        loop {
            match self.decoder.decode(&mut self.input)? {
                Some(Value::Push { .. }) => {}
                Some(reply) => return Ok(reply),
                None => match self.transport.read_buf(&mut self.input).await {
                    Ok(0) => return Err(DialError::Closed { step }),
                    Ok(_) => {}
                    Err(error) => {
                        let error = Arc::new(error);
                        return Err(DialError::Broken { step, error });
                    }
                },
            }
        }
    }
}
