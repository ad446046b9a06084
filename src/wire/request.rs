//! Requests on the wire: arrays of bulk strings, or lines for people with a terminal.

use bytes::{Buf, Bytes, BytesMut};

/// The arguments of a command, its name first.
pub(crate) type Request = Vec<Bytes>;

const MAX_LINE: usize = 64 * 1024;
const MAX_ARGUMENTS: i64 = 1024 * 1024;
pub(crate) const MAX_BULK: i64 = 512 * 1024 * 1024;
/// Without a login, a client may send this little, as in Redis.
const MAX_ARGUMENTS_BEFORE_LOGIN: i64 = 10;
const MAX_BULK_BEFORE_LOGIN: i64 = 16 * 1024;
/// What an argument costs beside its bytes, so that many empty ones count as well.
const OVERHEAD: usize = 32;
/// An announced length reserves no more than this.
const RESERVE: usize = 1024;

/// The number of bytes of a line, without and with its end.
#[derive(Clone, Copy, Debug)]
struct Line {
    text: usize,
    whole: usize,
}

/// Input that is no request. The client gets the text and is disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Takes requests off the front of the input.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// The most bytes of the arguments of a request.
    limit: usize,
    /// Those of the request under way, as announced.
    announced: usize,
    arguments: Vec<Bytes>,
    /// Arguments of the array under way that have not come.
    missing: usize,
    /// The length of the bulk string under way.
    length: Option<usize>,
    /// Bytes at the front of the input that were searched for the end of a line.
    searched: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_limit(usize::MAX)
    }
}

impl Decoder {
    /// The bytes of input without which it cannot go on, as far as they are known.
    pub(crate) fn wanted(&self) -> usize {
        self.length.map_or(0, |length| length + 2)
    }

    /// A decoder that refuses a request whose arguments have more bytes together, before it has them.
    pub(crate) fn with_limit(limit: usize) -> Self {
        Self {
            limit,
            announced: 0,
            arguments: Vec::new(),
            missing: 0,
            length: None,
            searched: 0,
        }
    }

    /// The next complete request; an empty line is none.
    pub(crate) fn next(
        &mut self,
        input: &mut BytesMut,
        is_logged_in: bool,
    ) -> Result<Option<Request>, Malformed> {
        loop {
            if self.missing > 0 {
                return self.rest(input, is_logged_in);
            }
            match input.first() {
                None => return Ok(None),
                Some(b'*') => {
                    let too_long = "Protocol error: too big mbulk count string";
                    let Some(line) = self.line(input, too_long)? else {
                        return Ok(None);
                    };
                    let count = number(&input[1..line.text])
                        .filter(|count| *count <= MAX_ARGUMENTS)
                        .ok_or(Malformed("Protocol error: invalid multibulk length"))?;
                    if !is_logged_in && count > MAX_ARGUMENTS_BEFORE_LOGIN {
                        return Err(Malformed(
                            "Protocol error: unauthenticated multibulk length",
                        ));
                    }
                    input.advance(line.whole);
                    if count > 0 {
                        self.missing = count as usize;
                        self.arguments = Vec::with_capacity(self.missing.min(RESERVE));
                    }
                }
                Some(_) => {
                    let too_long = "Protocol error: too big inline request";
                    let Some(line) = self.line(input, too_long)? else {
                        return Ok(None);
                    };
                    let arguments = split(&input[..line.text])
                        .ok_or(Malformed("Protocol error: unbalanced quotes in request"))?;
                    input.advance(line.whole);
                    if !arguments.is_empty() {
                        return Ok(Some(arguments));
                    }
                }
            }
        }
    }

    fn rest(
        &mut self,
        input: &mut BytesMut,
        is_logged_in: bool,
    ) -> Result<Option<Request>, Malformed> {
        while self.missing > 0 {
            let length = match self.length {
                Some(length) => length,
                None => {
                    let too_long = "Protocol error: too big bulk count string";
                    let Some(line) = self.line(input, too_long)? else {
                        return Ok(None);
                    };
                    if input.first() != Some(&b'$') {
                        return Err(Malformed("Protocol error: expected '$'"));
                    }
                    let length = number(&input[1..line.text])
                        .filter(|length| (0..=MAX_BULK).contains(length))
                        .ok_or(Malformed("Protocol error: invalid bulk length"))?;
                    if !is_logged_in && length > MAX_BULK_BEFORE_LOGIN {
                        return Err(Malformed("Protocol error: unauthenticated bulk length"));
                    }
                    self.announce(length as usize)?;
                    input.advance(line.whole);
                    *self.length.insert(length as usize)
                }
            };
            if input.len() < length + 2 {
                return Ok(None);
            }
            // A small argument is copied, so that a value does not keep the whole input alive.
            let argument = Bytes::copy_from_slice(&input[..length]);
            input.advance(length + 2);
            self.arguments.push(argument);
            self.length = None;
            self.missing -= 1;
        }
        self.announced = 0;
        Ok(Some(std::mem::take(&mut self.arguments)))
    }

    /// The line at the front, once it is complete. Each byte is searched once, in whatever pieces the line comes.
    fn line(&mut self, input: &[u8], too_long: &'static str) -> Result<Option<Line>, Malformed> {
        let known = &input[..input.len().min(MAX_LINE + 1)];
        let unknown = known.get(self.searched..).unwrap_or_default();
        let Some(found) = unknown.iter().position(|byte| *byte == b'\n') else {
            self.searched = known.len();
            return if input.len() > MAX_LINE {
                Err(Malformed(too_long))
            } else {
                Ok(None)
            };
        };
        let end = self.searched + found;
        self.searched = 0;
        let text = if input[..end].ends_with(b"\r") {
            end - 1
        } else {
            end
        };
        Ok(Some(Line {
            text,
            whole: end + 1,
        }))
    }

    fn announce(&mut self, length: usize) -> Result<(), Malformed> {
        self.announced = self
            .announced
            .saturating_add(length)
            .saturating_add(OVERHEAD);
        if self.announced > self.limit {
            return Err(Malformed("Protocol error: the request is too large"));
        }
        Ok(())
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The words of a line, with the quotes and escapes of redis-cli. `None` if a quote is not closed.
fn split(line: &[u8]) -> Option<Request> {
    let mut words = Vec::new();
    let mut bytes = line.iter().copied().peekable();
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        if bytes.peek().is_none() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some(byte) = bytes.next_if(|byte| !byte.is_ascii_whitespace()) {
            match byte {
                b'"' => loop {
                    match bytes.next()? {
                        b'"' => break,
                        b'\\' => word.push(escaped(&mut bytes)?),
                        byte => word.push(byte),
                    }
                },
                b'\'' => loop {
                    match bytes.next()? {
                        b'\'' => break,
                        b'\\' if bytes.next_if_eq(&b'\'').is_some() => word.push(b'\''),
                        byte => word.push(byte),
                    }
                },
                byte => word.push(byte),
            }
        }
        words.push(word.into());
    }
}

fn escaped(bytes: &mut std::iter::Peekable<impl Iterator<Item = u8>>) -> Option<u8> {
    Some(match bytes.next()? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        b'x' => {
            let mut digit = || (bytes.next()? as char).to_digit(16);
            (digit()? * 16 + digit()?) as u8
        }
        byte => byte,
    })
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
