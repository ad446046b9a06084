//! Elements of a reply: lines, blobs, and the headers of aggregates.

use redis::Value;

use super::{Decoder, Stop};
use crate::net::codec::{
    MAX_LENGTH, ProtocolError, ReplyLimit,
    aggregate::{Aggregate, Elements, Shape},
    cursor::{CRLF, Cursor, FRAME, find_crlf},
    scalar,
};

impl Decoder {
    /// Takes the next element, or the header of an aggregate.
    pub(super) fn item(&mut self, cursor: &mut Cursor<'_>, searched: usize) -> Result<Item, Stop> {
        if let Some(blob) = self.blob.take() {
            return self.body(blob, cursor);
        }
        let Some(&kind) = cursor.rest().first() else {
            return Ok(Item::Incomplete);
        };
        let line = Line {
            searched,
            limit: self.room(cursor, FRAME)?,
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
    ) -> Result<Item, Stop> {
        match self.line(line, cursor)? {
            Some(text) => Ok(Item::Value(read(text)?)),
            None => Ok(Item::Incomplete),
        }
    }

    fn integer(&mut self, line: Line, cursor: &mut Cursor<'_>) -> Result<Item, Stop> {
        let number = self.number(scalar::integer, line, cursor)?;
        Ok(number.map_or(Item::Incomplete, |number| Item::Value(Value::Int(number))))
    }

    fn blob(&mut self, kind: BlobKind, line: Line, cursor: &mut Cursor<'_>) -> Result<Item, Stop> {
        let Some(length) = self.length(line, cursor)? else {
            return Ok(Item::Incomplete);
        };
        if length < 0 {
            return match kind {
                BlobKind::BulkString => Ok(Item::Value(Value::Nil)),
                BlobKind::Error | BlobKind::VerbatimString => {
                    Err(ProtocolError::NegativeLength.into())
                }
            };
        }
        let room = self.room(cursor, CRLF.len())?;
        match usize::try_from(length) {
            Ok(length) if length <= room => self.body(Blob { kind, length }, cursor),
            _ => Err(self.too_large()),
        }
    }

    fn body(&mut self, blob: Blob, cursor: &mut Cursor<'_>) -> Result<Item, Stop> {
        let rest = cursor.rest();
        // This cannot overflow, because a blob has room for its CR LF within the limit.
        let length = blob.length + CRLF.len();
        let Some((body, end)) = rest.get(..length).map(|whole| whole.split_at(blob.length)) else {
            self.needed = length - rest.len();
            self.blob = Some(blob);
            return Ok(Item::Incomplete);
        };
        if end != CRLF {
            return Err(ProtocolError::Unterminated.into());
        }
        cursor.at += length;
        match blob.kind {
            BlobKind::BulkString => Ok(Item::Value(Value::BulkString(body.to_vec()))),
            BlobKind::Error => {
                self.found_error = true;
                Ok(Item::Value(scalar::blob_error(body)?))
            }
            BlobKind::VerbatimString => Ok(Item::Value(scalar::verbatim_string(body)?)),
        }
    }

    fn aggregate(
        &mut self,
        shape: Shape,
        line: Line,
        cursor: &mut Cursor<'_>,
    ) -> Result<Item, Stop> {
        let Some(length) = self.length(line, cursor)? else {
            return Ok(Item::Incomplete);
        };
        let length = match shape.elements(length)? {
            Elements::None(value) => return Ok(Item::Value(value)),
            Elements::Follow(length) => length,
        };
        self.elements = self.elements.saturating_add(length);
        if self.elements > self.limits.max_elements {
            return Err(ReplyLimit::Elements(self.limits.max_elements).into());
        }
        // The elements are one level below the aggregate.
        if self.open.len() + 1 >= self.limits.max_depth {
            return Err(ReplyLimit::Depth(self.limits.max_depth).into());
        }
        self.open
            .push(Aggregate::new(shape, length, cursor.rest().len()));
        Ok(Item::Opened)
    }

    /// Takes a line that holds a length.
    fn length(&mut self, line: Line, cursor: &mut Cursor<'_>) -> Result<Option<i64>, Stop> {
        let limit = line.limit.min(MAX_LENGTH);
        self.number(scalar::length, Line { limit, ..line }, cursor)
    }

    /// Takes a line that holds a number.
    fn number(
        &mut self,
        read: ReadLine<i64>,
        line: Line,
        cursor: &mut Cursor<'_>,
    ) -> Result<Option<i64>, Stop> {
        if let Some((number, length)) = scalar::plain_number(cursor.text())
            && length <= line.limit
        {
            cursor.at += length + FRAME;
            return Ok(Some(number));
        }
        Ok(self.line(line, cursor)?.map(read).transpose()?)
    }

    /// Takes a line, and returns the text between its type byte and its CR LF.
    fn line<'a>(&mut self, line: Line, cursor: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, Stop> {
        let text = cursor.text();
        let text = &text[..text.len().min(line.limit.saturating_add(CRLF.len()))];
        let end = find_crlf(text, line.searched);
        // A CR at the end may be the beginning of CR LF, so it does not count yet.
        let length = end.unwrap_or(text.len() - usize::from(text.ends_with(b"\r")));
        if length > line.limit {
            return Err(if line.limit < self.room(cursor, FRAME)? {
                ProtocolError::LengthTooLong { limit: line.limit }.into()
            } else {
                self.too_large()
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
    fn unknown(&self, byte: u8, cursor: &Cursor<'_>) -> Result<Item, Stop> {
        const HTTP: &[u8] = b"HTTP/";
        if self.open.is_empty() {
            if cursor.rest().starts_with(HTTP) {
                return Err(ProtocolError::Http.into());
            }
            if HTTP.starts_with(cursor.rest()) {
                return Ok(Item::Incomplete);
            }
        }
        Err(ProtocolError::UnknownType { byte }.into())
    }

    /// The number of bytes that the reply may still have beside the next `used`.
    fn room(&self, cursor: &Cursor<'_>, used: usize) -> Result<usize, Stop> {
        self.limits
            .max_bytes
            .checked_sub(self.taken + cursor.at + used)
            .ok_or_else(|| self.too_large())
    }

    fn too_large(&self) -> Stop {
        ReplyLimit::Bytes(self.limits.max_bytes).into()
    }
}

type ReadLine<T> = fn(&[u8]) -> Result<T, ProtocolError>;

/// The outcome of reading one item.
pub(super) enum Item {
    Value(Value),
    Opened,
    Incomplete,
}

#[derive(Clone, Copy)]
pub(super) struct Blob {
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
