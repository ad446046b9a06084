//! The incremental decoder.

use std::mem;

use bytes::{Buf, BytesMut};
use redis::Value;

use super::{
    Limits, ProtocolError,
    aggregate::{Aggregate, Elements, Shape},
    cursor::{CRLF, Cursor, FRAME, find_crlf},
    scalar,
};

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
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Value>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.needed = 0;
        if self.open.is_empty()
            && self.blob.is_none()
            && let Some(reply) = self.plain_reply(input)
        {
            self.searched = 0;
            return Ok(Some(reply));
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
        !self.open.is_empty() || self.blob.is_some()
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
        let number = || {
            scalar::plain_number(&wire[1..]).filter(|(_, length)| *length <= self.limits.max_line)
        };
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

    fn reply(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Value>, ProtocolError> {
        // The searched length belongs to the first item only.
        let mut searched = mem::take(&mut self.searched);
        loop {
            match self.item(cursor, mem::take(&mut searched))? {
                Item::Incomplete => return Ok(None),
                Item::Opened => {}
                Item::Value(value) => {
                    if let Some(reply) = self.place(value)? {
                        return Ok(Some(reply));
                    }
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

    fn item(&mut self, cursor: &mut Cursor<'_>, searched: usize) -> Result<Item, ProtocolError> {
        if let Some(blob) = self.blob.take() {
            return self.body(blob, cursor);
        }
        let Some(&kind) = cursor.rest().first() else {
            return Ok(Item::Incomplete);
        };
        let line = Line {
            searched,
            limit: self.line_limit(cursor)?,
        };
        match kind {
            b'+' => self.scalar(scalar::simple_string, line, cursor),
            b'-' => {
                self.found_error = true;
                self.scalar(scalar::error_line, line, cursor)
            }
            b':' => self.integer(line, cursor),
            b'$' => self.blob(BlobKind::BulkString, line, cursor),
            b'*' => self.aggregate(Shape::Array, line, cursor),
            b'_' => self.scalar(scalar::null, line, cursor),
            b'#' => self.scalar(scalar::boolean, line, cursor),
            b',' => self.scalar(scalar::double, line, cursor),
            b'(' => self.scalar(scalar::big_number, line, cursor),
            b'!' => self.blob(BlobKind::Error, line, cursor),
            b'=' => self.blob(BlobKind::VerbatimString, line, cursor),
            b'%' => self.aggregate(Shape::Map, line, cursor),
            b'~' => self.aggregate(Shape::Set, line, cursor),
            b'>' => self.aggregate(Shape::Push, line, cursor),
            b'|' => self.aggregate(Shape::Attribute, line, cursor),
            byte => self.unknown(byte, cursor),
        }
    }

    fn scalar(
        &mut self,
        read: ReadLine<Value>,
        line: Line,
        cursor: &mut Cursor<'_>,
    ) -> Result<Item, ProtocolError> {
        match self.line(line, cursor)? {
            Some(text) => read(text).map(Item::Value),
            None => Ok(Item::Incomplete),
        }
    }

    fn integer(&mut self, line: Line, cursor: &mut Cursor<'_>) -> Result<Item, ProtocolError> {
        let number = self.number(scalar::integer, line, cursor)?;
        Ok(number.map_or(Item::Incomplete, |number| Item::Value(Value::Int(number))))
    }

    fn blob(
        &mut self,
        kind: BlobKind,
        line: Line,
        cursor: &mut Cursor<'_>,
    ) -> Result<Item, ProtocolError> {
        let Some(length) = self.number(scalar::length, line, cursor)? else {
            return Ok(Item::Incomplete);
        };
        if length < 0 {
            return match kind {
                BlobKind::BulkString => Ok(Item::Value(Value::Nil)),
                BlobKind::Error | BlobKind::VerbatimString => Err(ProtocolError::NegativeLength),
            };
        }
        let room = self.room(cursor, CRLF.len())?;
        match usize::try_from(length) {
            Ok(length) if length <= room => self.body(Blob { kind, length }, cursor),
            _ => Err(self.too_large()),
        }
    }

    fn body(&mut self, blob: Blob, cursor: &mut Cursor<'_>) -> Result<Item, ProtocolError> {
        let rest = cursor.rest();
        // This cannot overflow, because a blob has room for its CR LF within the limit.
        let length = blob.length + CRLF.len();
        let Some((body, end)) = rest.get(..length).map(|whole| whole.split_at(blob.length)) else {
            self.needed = length - rest.len();
            self.blob = Some(blob);
            return Ok(Item::Incomplete);
        };
        if end != CRLF {
            return Err(ProtocolError::Unterminated);
        }
        cursor.at += length;
        match blob.kind {
            BlobKind::BulkString => Ok(Item::Value(Value::BulkString(body.to_vec()))),
            BlobKind::Error => {
                self.found_error = true;
                scalar::blob_error(body).map(Item::Value)
            }
            BlobKind::VerbatimString => scalar::verbatim_string(body).map(Item::Value),
        }
    }

    fn aggregate(
        &mut self,
        shape: Shape,
        line: Line,
        cursor: &mut Cursor<'_>,
    ) -> Result<Item, ProtocolError> {
        let Some(length) = self.number(scalar::length, line, cursor)? else {
            return Ok(Item::Incomplete);
        };
        let length = match shape.elements(length)? {
            Elements::None(value) => return Ok(Item::Value(value)),
            Elements::Follow(length) => length,
        };
        self.elements = self.elements.saturating_add(length);
        if self.elements > self.limits.max_elements {
            return Err(ProtocolError::TooManyElements {
                limit: self.limits.max_elements,
            });
        }
        self.open
            .push(Aggregate::new(shape, length, cursor.rest().len()));
        // The elements are one level below the aggregate.
        if self.open.len() >= self.limits.max_depth {
            return Err(ProtocolError::TooDeep {
                limit: self.limits.max_depth,
            });
        }
        Ok(Item::Opened)
    }

    /// Takes a line that holds a number.
    fn number(
        &mut self,
        read: ReadLine<i64>,
        line: Line,
        cursor: &mut Cursor<'_>,
    ) -> Result<Option<i64>, ProtocolError> {
        if let Some((number, length)) = scalar::plain_number(cursor.text())
            && length <= line.limit
        {
            cursor.at += length + FRAME;
            return Ok(Some(number));
        }
        self.line(line, cursor)?.map(read).transpose()
    }

    /// Takes a line, and returns the text between its type byte and its CR LF.
    fn line<'a>(
        &mut self,
        line: Line,
        cursor: &mut Cursor<'a>,
    ) -> Result<Option<&'a [u8]>, ProtocolError> {
        let text = cursor.text();
        let text = &text[..text.len().min(line.limit.saturating_add(CRLF.len()))];
        let end = find_crlf(text, line.searched);
        // A CR at the end may be the beginning of CR LF, so it does not count yet.
        let length = end.unwrap_or(text.len() - usize::from(text.ends_with(b"\r")));
        if length > line.limit {
            let max_line = self.limits.max_line;
            return Err(if line.limit < max_line {
                self.too_large()
            } else {
                ProtocolError::LineTooLong { limit: max_line }
            });
        }
        if end.is_none() {
            self.searched = length;
            return Ok(None);
        }
        cursor.at += length + FRAME;
        Ok(Some(&text[..length]))
    }

    /// The error for a byte that begins no reply. If the input may be the answer of an HTTP server, more
    /// bytes are awaited, so that the error can say so.
    fn unknown(&self, byte: u8, cursor: &Cursor<'_>) -> Result<Item, ProtocolError> {
        const HTTP: &[u8] = b"HTTP/";
        if self.open.is_empty() {
            if cursor.rest().starts_with(HTTP) {
                return Err(ProtocolError::Http);
            }
            if HTTP.starts_with(cursor.rest()) {
                return Ok(Item::Incomplete);
            }
        }
        Err(ProtocolError::UnknownType { byte })
    }

    /// The longest permitted text of the next line.
    fn line_limit(&self, cursor: &Cursor<'_>) -> Result<usize, ProtocolError> {
        Ok(self.room(cursor, FRAME)?.min(self.limits.max_line))
    }

    /// The number of bytes that the reply may still have beside the next `used`.
    fn room(&self, cursor: &Cursor<'_>, used: usize) -> Result<usize, ProtocolError> {
        self.limits
            .max_bytes
            .checked_sub(self.taken + cursor.at + used)
            .ok_or_else(|| self.too_large())
    }

    fn too_large(&self) -> ProtocolError {
        ProtocolError::TooLarge {
            limit: self.limits.max_bytes,
        }
    }
}

type ReadLine<T> = fn(&[u8]) -> Result<T, ProtocolError>;

/// The outcome of reading one item.
enum Item {
    Value(Value),
    Opened,
    Incomplete,
}

#[derive(Clone, Copy)]
struct Blob {
    kind: BlobKind,
    length: usize,
}

#[derive(Clone, Copy)]
enum BlobKind {
    BulkString,
    Error,
    VerbatimString,
}

/// A line before it is read: the bytes already searched, and the limit of its text.
#[derive(Clone, Copy)]
struct Line {
    searched: usize,
    limit: usize,
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
