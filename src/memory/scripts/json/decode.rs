//! JSON as values of Lua.

use mlua::{Lua, Value};

use super::{DEEPEST, Problem};
use crate::memory::number;

pub(super) fn read(lua: &Lua, json: &[u8]) -> Result<Value, Problem> {
    let mut reader = Reader { lua, json, at: 0 };
    let token = reader.next()?;
    let value = reader.value(token, 0)?;
    let token = reader.next()?;
    if token.kind == Kind::End {
        return Ok(value);
    }
    Err(expected("the end", &token))
}

struct Reader<'a> {
    lua: &'a Lua,
    json: &'a [u8],
    at: usize,
}

struct Token {
    kind: Kind,
    /// The place of its first byte.
    at: usize,
}

#[derive(Debug, PartialEq)]
enum Kind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    String(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Kind {
    /// What errors call it.
    fn name(&self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::String(_) => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Error(text) => text,
        }
    }
}

fn expected(what: &str, token: &Token) -> Problem {
    let (found, at) = (token.kind.name(), token.at + 1);
    Problem::Json(format!(
        "Expected {what} but found {found} at character {at}"
    ))
}

impl Reader<'_> {
    /// The value that begins with this token.
    fn value(&mut self, token: Token, depth: usize) -> Result<Value, Problem> {
        Ok(match token.kind {
            Kind::String(text) => Value::String(self.lua.create_string(text)?),
            Kind::Number(number) => Value::Number(number),
            Kind::Boolean(boolean) => Value::Boolean(boolean),
            Kind::Null => Value::NULL,
            Kind::ObjectBegin => self.object(depth + 1)?,
            Kind::ArrayBegin => self.array(depth + 1)?,
            _ => return Err(expected("value", &token)),
        })
    }

    fn check_depth(&self, depth: usize) -> Result<(), Problem> {
        if depth <= DEEPEST {
            return Ok(());
        }
        let at = self.at;
        Err(Problem::Json(format!(
            "Found too many nested data structures ({depth}) at character {at}"
        )))
    }

    fn object(&mut self, depth: usize) -> Result<Value, Problem> {
        self.check_depth(depth)?;
        let table = self.lua.create_table()?;
        let mut token = self.next()?;
        if token.kind == Kind::ObjectEnd {
            return Ok(Value::Table(table));
        }
        loop {
            let Kind::String(key) = token.kind else {
                return Err(expected("object key string", &token));
            };
            let colon = self.next()?;
            if colon.kind != Kind::Colon {
                return Err(expected("colon", &colon));
            }
            let first = self.next()?;
            let value = self.value(first, depth)?;
            table.raw_set(self.lua.create_string(key)?, value)?;
            let end = self.next()?;
            match end.kind {
                Kind::ObjectEnd => return Ok(Value::Table(table)),
                Kind::Comma => token = self.next()?,
                _ => return Err(expected("comma or object end", &end)),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Problem> {
        self.check_depth(depth)?;
        let table = self.lua.create_table()?;
        let mut token = self.next()?;
        if token.kind == Kind::ArrayEnd {
            return Ok(Value::Table(table));
        }
        for index in 1.. {
            let value = self.value(token, depth)?;
            table.raw_set(index, value)?;
            let end = self.next()?;
            match end.kind {
                Kind::ArrayEnd => break,
                Kind::Comma => token = self.next()?,
                _ => return Err(expected("comma or array end", &end)),
            }
        }
        Ok(Value::Table(table))
    }

    fn next(&mut self) -> Result<Token, Problem> {
        while matches!(self.json.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let at = self.at;
        let Some(byte) = self.json.get(at) else {
            return Ok(Token {
                kind: Kind::End,
                at,
            });
        };
        self.at += 1;
        let kind = match byte {
            b'{' => Kind::ObjectBegin,
            b'}' => Kind::ObjectEnd,
            b'[' => Kind::ArrayBegin,
            b']' => Kind::ArrayEnd,
            b':' => Kind::Colon,
            b',' => Kind::Comma,
            b'"' => return self.string(at),
            _ => self.word(at),
        };
        Ok(Token { kind, at })
    }

    /// A number or a name.
    fn word(&mut self, at: usize) -> Kind {
        let rest = &self.json[at..];
        let names = [
            (&b"true"[..], Kind::Boolean(true)),
            (b"false", Kind::Boolean(false)),
            (b"null", Kind::Null),
        ];
        for (name, kind) in names {
            if rest.starts_with(name) {
                self.at = at + name.len();
                return kind;
            }
        }
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let length = rest.iter().take_while(is_part).count();
        let text = &rest[..length];
        let begins_number = matches!(rest[0], b'-' | b'0'..=b'9');
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let is_name = ["inf", "infinity", "nan"]
            .iter()
            .any(|name| digits.eq_ignore_ascii_case(name.as_bytes()));
        if !begins_number && !is_name {
            return Kind::Error("invalid token");
        }
        self.at = at + length;
        let is_nan = digits.eq_ignore_ascii_case(b"nan");
        let number = number::float(text).or(is_nan.then_some(f64::NAN));
        number.map_or(Kind::Error("invalid number"), Kind::Number)
    }

    /// A text, after its first quote.
    fn string(&mut self, begin: usize) -> Result<Token, Problem> {
        let mut text = Vec::new();
        loop {
            let at = self.at;
            let error = |text| {
                Ok(Token {
                    kind: Kind::Error(text),
                    at,
                })
            };
            self.at += 1;
            match self.json.get(at) {
                None => return error("unexpected end of string"),
                Some(b'"') => break,
                Some(b'\\') => {
                    let Some(escape) = self.json.get(self.at) else {
                        return error("unexpected end of string");
                    };
                    self.at += 1;
                    match escape {
                        b'"' | b'\\' | b'/' => text.push(*escape),
                        b'b' => text.push(8),
                        b'f' => text.push(12),
                        b'n' => text.push(b'\n'),
                        b'r' => text.push(b'\r'),
                        b't' => text.push(b'\t'),
                        b'u' => match self.unicode() {
                            Some(letter) => {
                                let mut bytes = [0; 4];
                                text.extend_from_slice(letter.encode_utf8(&mut bytes).as_bytes());
                            }
                            None => return error("invalid unicode escape code"),
                        },
                        _ => return error("invalid escape code"),
                    }
                }
                Some(byte) => text.push(*byte),
            }
        }
        Ok(Token {
            kind: Kind::String(text),
            at: begin,
        })
    }

    /// The letter of an escape, after `\u`: four digits, or a pair of such escapes.
    fn unicode(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if let Some(letter) = char::from_u32(first) {
            return Some(letter);
        }
        self.json.get(self.at..)?.strip_prefix(b"\\u")?;
        self.at += 2;
        let second = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) || !(0xdc00..0xe000).contains(&second) {
            return None;
        }
        char::from_u32(0x10000 + ((first & 0x3ff) << 10) + (second & 0x3ff))
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.json.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |number, digit| {
            Some(number * 16 + char::from(*digit).to_digit(16)?)
        })
    }
}
