//! The incremental decoder.

mod element;

use std::mem;

use bytes::{Buf, BytesMut};
use redis::{PushKind, Value};

use self::element::{Blob, Item};
use super::{
    Limits, Oversized, ProtocolError, ReplyLimit,
    aggregate::Aggregate,
    cursor::{CRLF, Cursor, FRAME},
    scalar,
    skip::Skip,
};

/// A reply or a push, as it came or as too large to be kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decoded {
    Value(Value),
    TooLarge(Oversized),
}

/// Takes replies off the front of a stream of bytes.
///
/// Every byte is looked at once, however the stream is cut: elements are decoded as they come, and an
/// incomplete element is resumed where its reading stopped. Nesting is kept on an explicit stack, so that
/// no input can exhaust the stack of the thread.
pub(crate) struct Decoder {
    limits: Limits,
    /// The incomplete aggregates, outermost first.
    open: Vec<Aggregate>,
    /// The blob whose header has been taken and whose body has not.
    blob: Option<Blob>,
    /// The reply that is read over, because it exceeds a limit.
    skip: Option<Skip>,
    /// Bytes of the incomplete line at the front that were searched for its CR LF.
    searched: usize,
    /// Bytes of the current reply taken by earlier calls.
    taken: usize,
    /// Elements that the current reply has announced.
    elements: usize,
    needed: usize,
    failed: Option<ProtocolError>,
    found_error: bool,
}

impl Decoder {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            open: Vec::new(),
            blob: None,
            skip: None,
            searched: 0,
            taken: 0,
            elements: 0,
            needed: 0,
            failed: None,
            found_error: false,
        }
    }

    /// Takes the next complete reply from the front of `input`; `Ok(None)` when more bytes are
    /// needed.
    ///
    /// The bytes of a reply are taken as its elements are decoded, so between calls the only permitted
    /// change of `input` is to append to it.
    ///
    /// # Errors
    ///
    /// After an error the stream is out of step and must be closed: every later call returns the
    /// same error.
    pub(crate) fn decode(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<Decoded>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.needed = 0;
        if !self.is_within_reply()
            && let Some(reply) = self.plain_reply(input)
        {
            self.searched = 0;
            return Ok(Some(Decoded::Value(reply)));
        }
        let mut cursor = Cursor::new(input);
        let reply = self.reply(&mut cursor);
        let taken = cursor.at;
        input.advance(taken);
        match &reply {
            Ok(Some(_)) => {
                self.taken = 0;
                self.elements = 0;
            }
            Ok(None) => self.taken += taken,
            Err(error) => self.failed = Some(*error),
        }
        reply
    }

    /// The number of bytes that the bulk string at the front still lacks, 0 if there is none: a hint for
    /// the reader's buffer.
    ///
    /// The server has only announced this number. Reserve it up to a bound (a mebibyte, say); otherwise
    /// the peer decides how much memory is allocated.
    pub(crate) fn needed(&self) -> usize {
        self.needed
    }

    /// Whether a part of a reply has been taken from the input, and the rest has not.
    pub(crate) fn is_within_reply(&self) -> bool {
        !self.open.is_empty() || self.blob.is_some() || self.skip.is_some()
    }

    /// Whether the part that has been taken belongs to a push.
    pub(crate) fn is_within_push(&self) -> bool {
        let oversized = self.skip.as_ref().map(Skip::oversized);
        self.open.first().is_some_and(Aggregate::is_push)
            || oversized.is_some_and(|oversized| oversized.push.is_some())
    }

    /// The limit that the reply under way exceeds, while it is read over.
    pub(crate) fn exceeded(&self) -> Option<ReplyLimit> {
        self.skip.as_ref().map(|skip| skip.oversized().limit)
    }

    /// The number of bytes that were taken of an incomplete reply.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Whether an error was decoded, at any depth, since the last call of this. It spares a search of every
    /// reply for error texts to sanitize.
    pub(crate) fn take_found_error(&mut self) -> bool {
        std::mem::take(&mut self.found_error)
    }

    /// The fast path: takes a complete `+OK`, integer or bulk string in the plain form in which servers
    /// send it.
    ///
    /// Nearly all replies are of these types, and they take less time here than on the general path. After
    /// `None` the general path must look at the input.
    #[inline]
    fn plain_reply(&self, input: &mut BytesMut) -> Option<Value> {
        const OK: &[u8] = b"+OK\r\n";
        let wire = &input[..input.len().min(self.limits.max_bytes)];
        let number = || scalar::plain_number(&wire[1..]);
        match wire.first()? {
            b'+' if wire.starts_with(OK) => {
                input.advance(OK.len());
                Some(Value::Okay)
            }
            b':' => {
                let (number, length) = number()?;
                input.advance(length + FRAME);
                Some(Value::Int(number))
            }
            b'$' => {
                let (number, length) = number()?;
                let start = length + FRAME;
                let end = start.checked_add(usize::try_from(number).ok()?)?;
                let body = wire
                    .get(start..end)
                    .filter(|_| wire[end..].starts_with(CRLF))?
                    .to_vec();
                input.advance(end + CRLF.len());
                Some(Value::BulkString(body))
            }
            _ => None,
        }
    }

    fn reply(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Decoded>, ProtocolError> {
        if self.skip.is_none() {
            match self.value(cursor) {
                Ok(reply) => return Ok(reply.map(Decoded::Value)),
                Err(Stop::Malformed(error)) => return Err(error),
                Err(Stop::TooLarge(limit)) => self.begin_skip(limit, cursor),
            }
        }
        let Some(skip) = &mut self.skip else {
            return Ok(None);
        };
        let is_over = skip.advance(cursor)?;
        let skipped = self.skip.take_if(|_| is_over);
        Ok(skipped.map(|skip| Decoded::TooLarge(skip.into_oversized())))
    }

    /// Drops what was kept of the reply, of which the next element is at the front.
    fn begin_skip(&mut self, limit: ReplyLimit, cursor: &Cursor<'_>) {
        let push = match self.open.first() {
            Some(outermost) => outermost.push_kind(),
            None if cursor.rest().starts_with(b">") => Some(PushKind::Other(String::new())),
            None => None,
        };
        // An aggregate that is incomplete is itself among the missing elements of the one around it.
        let missing = self.open.iter().map(|open| open.missing() as u128);
        let counted_twice = self.open.len().saturating_sub(1) as u128;
        let left = missing.reduce(|sum, missing| sum + missing).unwrap_or(1) - counted_twice;
        self.open = Vec::new();
        self.found_error = false;
        self.skip = Some(Skip::new(Oversized { limit, push }, left));
    }

    fn value(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Value>, Stop> {
        // The searched length belongs to the first item only.
        let mut searched = mem::take(&mut self.searched);
        loop {
            let start = cursor.at;
            match self.item(cursor, mem::take(&mut searched)) {
                Ok(Item::Incomplete) => return Ok(None),
                Ok(Item::Opened) => {}
                Ok(Item::Value(value)) => {
                    if let Some(reply) = self.place(value)? {
                        return Ok(Some(reply));
                    }
                }
                Err(stop) => {
                    cursor.at = start;
                    return Err(stop);
                }
            }
        }
    }

    /// Adds a value to the innermost incomplete aggregate, and every aggregate that it completes to the
    /// next. Returns the reply once no aggregate is incomplete.
    fn place(&mut self, mut value: Value) -> Result<Option<Value>, ProtocolError> {
        while let Some(innermost) = self.open.last_mut() {
            if !innermost.push(value) {
                return Ok(None);
            }
            value = innermost.finish()?;
            self.open.pop();
        }
        Ok(Some(value))
    }
}

/// The reason why a reply is not decoded.
enum Stop {
    Malformed(ProtocolError),
    TooLarge(ReplyLimit),
}

impl From<ProtocolError> for Stop {
    fn from(error: ProtocolError) -> Self {
        Self::Malformed(error)
    }
}

impl From<ReplyLimit> for Stop {
    fn from(limit: ReplyLimit) -> Self {
        Self::TooLarge(limit)
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
