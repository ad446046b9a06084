//! Reading over a reply that exceeds a limit.

use super::{
    MAX_LENGTH, Oversized, ProtocolError,
    aggregate::{Elements, Shape},
    cursor::{CRLF, Cursor, FRAME, find_crlf},
    scalar,
};

/// A reply that is read over. Only its framing is looked at, and none of it is kept.
pub(super) struct Skip {
    oversized: Oversized,
    /// Elements that have not ended. Each tells its own end, and an aggregate counts for its elements, so
    /// a number is enough for any nesting.
    left: u128,
    within: Within,
}

/// The place in the present element.
enum Within {
    /// Before its type byte.
    Start,
    /// In the text of a line.
    Line,
    /// Before so many bytes of a blob.
    Blob(u64),
    /// Before the CR LF of a blob.
    BlobEnd,
}

impl Skip {
    /// Begins before an element. With it, so many have not ended.
    pub(super) fn new(oversized: Oversized, left: u128) -> Self {
        Self {
            oversized,
            left,
            within: Within::Start,
        }
    }

    pub(super) fn oversized(&self) -> &Oversized {
        &self.oversized
    }

    pub(super) fn into_oversized(self) -> Oversized {
        self.oversized
    }

    /// Takes what is at hand of the reply, and tells whether that was the rest of it.
    pub(super) fn advance(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, ProtocolError> {
        while self.left > 0 {
            let goes_on = match self.within {
                Within::Start => self.start(cursor)?,
                Within::Line => self.line(cursor),
                Within::Blob(bytes) => self.blob(bytes, cursor),
                Within::BlobEnd => self.blob_end(cursor)?,
            };
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn start(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, ProtocolError> {
        let Some(&kind) = cursor.rest().first() else {
            return Ok(false);
        };
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {
                cursor.at += 1;
                self.within = Within::Line;
                Ok(true)
            }
            b'$' | b'!' | b'=' => {
                let Some(length) = length(cursor)? else {
                    return Ok(false);
                };
                match u64::try_from(length) {
                    Ok(length) => self.within = Within::Blob(length),
                    Err(_) if kind == b'$' => self.end_element(),
                    Err(_) => return Err(ProtocolError::NegativeLength),
                }
                Ok(true)
            }
            b'*' => self.aggregate(Shape::Array, cursor),
            b'~' => self.aggregate(Shape::Set, cursor),
            b'%' => self.aggregate(Shape::Map, cursor),
            b'|' => self.aggregate(Shape::Attribute, cursor),
            b'>' => self.aggregate(Shape::Push, cursor),
            byte => Err(ProtocolError::UnknownType { byte }),
        }
    }

    fn aggregate(&mut self, shape: Shape, cursor: &mut Cursor<'_>) -> Result<bool, ProtocolError> {
        let Some(length) = length(cursor)? else {
            return Ok(false);
        };
        if let Elements::Follow(elements) = shape.elements(length)? {
            self.left += elements as u128;
        }
        self.end_element();
        Ok(true)
    }

    fn line(&mut self, cursor: &mut Cursor<'_>) -> bool {
        let text = cursor.rest();
        match find_crlf(text, 0) {
            Some(end) => {
                cursor.at += end + CRLF.len();
                self.end_element();
                true
            }
            None => {
                // A CR at the end may be the beginning of CR LF.
                cursor.at += text.len() - usize::from(text.ends_with(b"\r"));
                false
            }
        }
    }

    fn blob(&mut self, bytes: u64, cursor: &mut Cursor<'_>) -> bool {
        let at_hand = cursor.rest().len();
        let taken = usize::try_from(bytes).unwrap_or(usize::MAX).min(at_hand);
        cursor.at += taken;
        let left = bytes - taken as u64;
        self.within = if left > 0 {
            Within::Blob(left)
        } else {
            Within::BlobEnd
        };
        left == 0
    }

    fn blob_end(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, ProtocolError> {
        match cursor.rest().get(..CRLF.len()) {
            None => Ok(false),
            Some(CRLF) => {
                cursor.at += CRLF.len();
                self.end_element();
                Ok(true)
            }
            Some(_) => Err(ProtocolError::Unterminated),
        }
    }

    fn end_element(&mut self) {
        self.left -= 1;
        self.within = Within::Start;
    }
}

/// Takes the header of a blob or an aggregate, and returns its length.
fn length(cursor: &mut Cursor<'_>) -> Result<Option<i64>, ProtocolError> {
    let text = cursor.text();
    if let Some((number, length)) = scalar::plain_number(text) {
        cursor.at += length + FRAME;
        return Ok(Some(number));
    }
    let line = &text[..text.len().min(MAX_LENGTH + CRLF.len())];
    match find_crlf(line, 0) {
        Some(end) => {
            cursor.at += end + FRAME;
            scalar::length(&line[..end]).map(Some)
        }
        None if line.len() - usize::from(line.ends_with(b"\r")) > MAX_LENGTH => {
            Err(ProtocolError::LengthTooLong { limit: MAX_LENGTH })
        }
        None => Ok(None),
    }
}
