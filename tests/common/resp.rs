//! Just enough RESP2 for the fixtures: to ask a server, and to be one.
//! Blocking, and independent of the crate under test.

use std::{
    fmt,
    io::{self, BufRead},
};

/// A reply, as a test wants to compare or print it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Status(String),
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
}

/// The text of a status, error, number or bulk; of an array, a line each.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(text) | Self::Error(text) => f.write_str(text),
            Self::Int(n) => write!(f, "{n}"),
            Self::Bulk(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Nil => f.write_str("(nil)"),
            Self::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { "\n" })?;
                }
                Ok(())
            }
        }
    }
}

/// A command on the wire.
pub fn encode(args: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend(bulk(arg));
    }
    bytes
}

/// A bulk string on the wire.
pub fn bulk(value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    let header = format!("${}\r\n", value.len());
    [header.as_bytes(), value, b"\r\n"].concat()
}

/// Reads one reply.
///
/// # Errors
///
/// `UnexpectedEof` when the peer closed, `InvalidData` for anything but RESP2.
pub fn read_reply(from: &mut impl BufRead) -> io::Result<Reply> {
    let line = read_line(from)?;
    let (kind, rest) = line.split_at_checked(1).unwrap_or(("", ""));
    Ok(match kind {
        "+" => Reply::Status(rest.to_owned()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Int(number(rest)?),
        "$" | "*" if rest == "-1" => Reply::Nil,
        "$" => Reply::Bulk(read_bulk(from, number(rest)?)?),
        "*" => (0..number::<usize>(rest)?)
            .map(|_| read_reply(from))
            .collect::<io::Result<_>>()
            .map(Reply::Array)?,
        _ => return Err(invalid(&line)),
    })
}

/// Reads one command; `None` when the peer closed between two.
///
/// # Errors
///
/// `InvalidData` when it is not an array of bulk strings.
pub fn read_command(from: &mut impl BufRead) -> io::Result<Option<Vec<Vec<u8>>>> {
    if from.fill_buf()?.is_empty() {
        return Ok(None);
    }
    match read_reply(from)? {
        Reply::Array(items) => items
            .into_iter()
            .map(|item| match item {
                Reply::Bulk(bytes) => Ok(bytes),
                other => Err(invalid(&other.to_string())),
            })
            .collect::<io::Result<_>>()
            .map(Some),
        other => Err(invalid(&other.to_string())),
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(text) => Ok(text.to_owned()),
        None if line.ends_with('\n') => Err(invalid(&line)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn read_bulk(from: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length + 2];
    from.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn number<N: std::str::FromStr>(text: &str) -> io::Result<N> {
    text.parse().map_err(|_| invalid(text))
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP: {text:?}"))
}
