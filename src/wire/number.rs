//! Numbers as Redis reads and writes them.

use std::borrow::Cow;

use bytes::BytesMut;
use rustc_apfloat::{Float, ieee::Double};

/// Reads an integer as Redis does: the shortest decimal form alone, without a plus sign, spaces or leading
/// zeros.
pub(crate) fn integer(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let is_short = match digits {
        [b'0'] => bytes.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !is_short {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Reads a number as `strtod` does for Redis: decimal, hexadecimal, or `inf`, without spaces and not NaN.
pub(crate) fn float(bytes: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.is_empty() || text.contains(char::is_whitespace) {
        return None;
    }
    if let Some(number) = hexadecimal(text) {
        return Some(number);
    }
    let number: f64 = text.parse().ok()?;
    // A number that is written in digits and is infinite is out of range, and so is one that becomes 0.
    let (digits, _) = text.split_once(['e', 'E']).unwrap_or((text, ""));
    let is_too_large = number.is_infinite() && digits.contains(|c: char| c.is_ascii_digit());
    let is_too_small = number == 0.0 && digits.contains(|c: char| matches!(c, '1'..='9'));
    (!number.is_nan() && !is_too_large && !is_too_small).then_some(number)
}

fn hexadecimal(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    if !lower.starts_with("0x") {
        return None;
    }
    let number: Double = spelled_out(&lower)?.parse().ok()?;
    Some(sign * f64::from_bits(number.to_bits() as u64))
}

/// A number without sign, in lower case, in the form that the library for floating point reads: with the exponent
/// that C may leave out of a hexadecimal one. `None` if digits are missing, which the library does not mind.
pub(crate) fn spelled_out(lower: &str) -> Option<Cow<'_, str>> {
    let (digits, marker) = match lower.strip_prefix("0x") {
        Some(digits) => (digits, 'p'),
        None => (lower, 'e'),
    };
    let has_digit = |text: &str| text.contains(|c: char| c.is_ascii_hexdigit());
    let exponent = digits.split_once(marker);
    let (mantissa, exponent) = exponent.map_or((digits, None), |(digits, at)| (digits, Some(at)));
    if !has_digit(mantissa) || exponent.is_some_and(|exponent| !has_digit(exponent)) {
        return None;
    }
    let lacks_exponent = marker == 'p' && exponent.is_none();
    Some(if lacks_exponent {
        format!("{lower}p0").into()
    } else {
        lower.into()
    })
}

/// Writes an integer without an allocation.
pub(crate) fn put(out: &mut BytesMut, number: i64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut left = number.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        start -= 1;
        digits[start] = b'-';
    }
    out.extend_from_slice(&digits[start..]);
}

/// The shortest text that reads back as the same number, in the form of Redis 7.2 and later: an exponent
/// where the decimal point would be far from the digits.
pub(crate) fn text(number: f64) -> String {
    const LARGEST_WRITTEN_OUT: f64 = (i64::MAX / 2) as f64;
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    if number.fract() == 0.0 && number.abs() <= LARGEST_WRITTEN_OUT {
        return format!("{number}");
    }
    // Rust's scientific form has the shortest digits: d.ddde±x.
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let after_point = mantissa.split_once('.').map_or(0, |(_, part)| part.len());
    // The power of ten by which the digits, read as an integer, are multiplied.
    let power = exponent - after_point as i32;
    if (-6..8).contains(&power) || power < 0 && exponent.abs() < 4 {
        return format!("{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{}", exponent.abs())
}

/// A number written out, with up to 17 digits after the point.
pub(crate) fn decimal(number: f64) -> String {
    let digits = format!("{number:.17}");
    let short = digits.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0" } else { short }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_form() {
        for (text, number) in [("0", 0), ("-1", -1), ("9223372036854775807", i64::MAX)] {
            assert_eq!(integer(text.as_bytes()), Some(number));
        }
        for text in [
            "",
            "-",
            "-0",
            "01",
            "+1",
            " 1",
            "1 ",
            "9223372036854775808",
            "1.0",
        ] {
            assert_eq!(integer(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn floats_are_those_of_strtod() {
        for (text, number) in [
            ("1.5", 1.5),
            ("-inf", f64::NEG_INFINITY),
            ("1e3", 1e3),
            ("0x10", 16.0),
            ("-0X1.8P1", -3.0),
            ("0e-999", 0.0),
        ] {
            assert_eq!(float(text.as_bytes()), Some(number));
        }
        for text in [
            "", "nan", " 1", "1e999", "1e-999", "abc", "1e", "0x", "0x1p",
        ] {
            assert_eq!(float(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_written_out() {
        for (number, text) in [
            (0.1, "0.10000000000000001"),
            (100.0, "100"),
            (-12.5, "-12.5"),
            (-1e-20, "0"),
        ] {
            assert_eq!(decimal(number), text);
        }
    }

    #[test]
    fn floats_are_written_in_their_shortest_form() {
        for (number, expected) in [
            (3.0, "3"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (-0.0, "-0"),
            (1e18, "1000000000000000000"),
            (1e20, "1e+20"),
            (12_345_678_901_234_567_000.0, "12345678901234567000"),
            (1.5e-9, "1.5e-9"),
            (0.000_001, "0.000001"),
            (0.000_001_5, "1.5e-6"),
            (0.001_234_567_8, "0.0012345678"),
            (1_718_000_000.125, "1718000000.125"),
            (-12_345.123_456_78, "-1.234512345678e+4"),
        ] {
            assert_eq!(text(number), expected);
        }
    }
}
