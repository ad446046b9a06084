//! Commands and replies on a connection before it takes requests.

use std::{io, mem, net::IpAddr, sync::Arc};

use bytes::BytesMut;
use redis::{Cmd, PushKind, ServerError, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    error::DialError,
    established::{Established, ServerInfo},
    step::Step,
};
use crate::{
    config::Address,
    maintenance::Announcement,
    net::{
        codec::{Decoded, Decoder, Limits, ProtocolError},
        transport::Transport,
    },
};

/// The peer may not be a Redis server at all, so its first replies may take little memory.
const LIMITS: Limits = Limits {
    max_bytes: 64 * 1024,
    max_depth: 8,
    max_elements: 1024,
};

/// The most announcements that are kept before there is a connection.
const MOST_EARLY: usize = 16;

pub(super) struct Handshake {
    transport: Box<dyn Transport>,
    input: BytesMut,
    decoder: Decoder,
    /// Announcements that have come.
    early: Vec<Value>,
    /// The command whose reply comes next.
    waits_for: Step,
    /// The last write failed for this reason.
    unsent: Option<Arc<io::Error>>,
    /// The refusal that explains the end of the connection, or its silence, should either follow.
    last_words: Option<DialError>,
}

impl Handshake {
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            transport,
            input: BytesMut::new(),
            early: Vec::new(),
            decoder: Decoder::new(LIMITS),
            waits_for: Step::Ping,
            unsent: None,
            last_words: None,
        }
    }

    /// Sends the commands in one write.
    ///
    /// A server that refuses a client sends the reason and closes, so replies are to be read even if the
    /// write failed.
    pub(super) async fn send(&mut self, commands: &[Cmd]) {
        let mut bytes = Vec::new();
        for command in commands {
            command.write_packed_command(&mut bytes);
        }
        let sent = async {
            self.transport.write_all(&bytes).await?;
            self.transport.flush().await
        };
        self.unsent = sent.await.err().map(Arc::new);
    }

    /// The reply to a command.
    pub(super) async fn reply(&mut self, to: Step) -> Result<Value, DialError> {
        self.waits_for = to;
        let step = to.phase();
        loop {
            let decoded = self.decoder.decode(&mut self.input)?;
            // What exceeds these limits is no reply to a greeting, so its end is not awaited.
            if let Some(limit) = self.decoder.exceeded() {
                return Err(ProtocolError::TooLarge(limit).into());
            }
            match decoded {
                Some(Decoded::Value(push @ Value::Push { .. })) => self.note_push(push),
                Some(Decoded::Value(reply)) => return Ok(reply),
                Some(Decoded::TooLarge(oversized)) => {
                    return Err(ProtocolError::TooLarge(oversized.limit).into());
                }
                None => match self.transport.read_buf(&mut self.input).await {
                    Ok(0) => return Err(self.ended(DialError::Closed { step })),
                    Ok(_) => {}
                    Err(error) => match DialError::broken(step, error) {
                        // It explains why a write has failed.
                        error @ DialError::Tls(_) => return Err(error),
                        error => return Err(self.ended(error)),
                    },
                },
            }
        }
    }

    /// The latest announcements are kept, so that none is without its end.
    fn note_push(&mut self, push: Value) {
        if let Value::Push { kind, .. } = &push
            && let PushKind::Other(kind) = kind
            && Announcement::is_kind(kind)
        {
            if self.early.len() == MOST_EARLY {
                self.early.remove(0);
            }
            self.early.push(push);
        }
    }

    /// Where the connection leads.
    pub(super) fn peer_ip(&self) -> Option<IpAddr> {
        self.transport.peer_ip()
    }

    /// The command whose reply did not come.
    pub(super) fn waits_for(&self) -> Step {
        self.waits_for
    }

    /// A refusal that may concern the client and not the command. If no other answer comes, this is why.
    pub(super) fn note_refusal(&mut self, of: Step, error: &ServerError) {
        self.last_words = Some(DialError::refused(of.command(), error));
    }

    pub(super) fn take_last_words(&mut self) -> Option<DialError> {
        self.last_words.take()
    }

    fn ended(&mut self, error: DialError) -> DialError {
        let step = self.waits_for.phase();
        let unsent = self.unsent.take();
        let unsent = unsent.map(|error| DialError::Broken { step, error });
        self.take_last_words().or(unsent).unwrap_or(error)
    }

    /// Hands the connection over. All commands were answered, so remaining input would be taken for the
    /// reply to the first request, unless it is a push, which a server that `announces` may send at any time.
    pub(super) fn established(
        mut self,
        address: Address,
        seen: ServerInfo,
        announces: bool,
        max_reply_bytes: usize,
    ) -> Result<Established, DialError> {
        let is_push = announces && self.input.starts_with(b">");
        if !self.input.is_empty() && !is_push {
            let command = self.waits_for.command();
            return Err(DialError::Unexpected { command });
        }
        Ok(Established {
            address,
            transport: self.transport,
            login: None,
            seen,
            input: mem::take(&mut self.input),
            early: mem::take(&mut self.early),
            announces,
            decoder: Decoder::new(Limits {
                max_bytes: max_reply_bytes,
                ..Limits::default()
            }),
        })
    }
}
