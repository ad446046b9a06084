//! Sums in 80 bits, the `long double` of Redis on x86-64, in which INCRBYFLOAT and HINCRBYFLOAT compute.

use rustc_apfloat::{Float, ieee::X87DoubleExtended};

use super::number;

/// Redis reads no longer number.
const LONGEST: usize = 5 * 1024;
/// The digits after the point that Redis writes, before it removes zeros at the end.
const PLACES: usize = 17;
const EXPONENT_BIAS: i32 = 16383;
const MANTISSA_BITS: i32 = 63;

/// The sum of two numbers. `None` if one is no number, `Some(None)` if the sum is infinite.
pub(super) fn sum(one: &[u8], other: &[u8]) -> Option<Option<String>> {
    let sum = (read(one)? + read(other)?).value;
    Some((!sum.is_infinite() && !sum.is_nan()).then(|| text(sum)))
}

/// `None` if it is no number.
pub(super) fn is_infinite(bytes: &[u8]) -> Option<bool> {
    read(bytes).map(X87DoubleExtended::is_infinite)
}

/// Reads a number as `strtold` does for Redis: decimal, hexadecimal, or `inf`, without spaces and not NaN.
fn read(bytes: &[u8]) -> Option<X87DoubleExtended> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.len() >= LONGEST {
        return None;
    }
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let magnitude = match lower.as_str() {
        "inf" | "infinity" => X87DoubleExtended::INFINITY,
        finite if finite.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
            let parsed: X87DoubleExtended = number::spelled_out(finite)?.parse().ok()?;
            let digits = match finite.strip_prefix("0x") {
                Some(digits) => digits.split('p').next()?,
                None => finite.split('e').next()?,
            };
            let is_too_small =
                parsed.is_zero() && digits.contains(|c: char| !matches!(c, '0' | '.'));
            if parsed.is_infinite() || is_too_small {
                return None;
            }
            parsed
        }
        _ => return None,
    };
    Some(if is_negative { -magnitude } else { magnitude })
}

/// A finite number, with all digits before the point and up to 17 after it.
fn text(number: X87DoubleExtended) -> String {
    let bits = number.to_bits();
    let mantissa = bits & u128::from(u64::MAX);
    let exponent = (bits >> 64) as i32 & 0x7fff;
    let power = exponent.max(1) - EXPONENT_BIAS - MANTISSA_BITS;
    let digits = if power >= 0 {
        whole(mantissa as u64, power)
    } else {
        fraction(mantissa, power.unsigned_abs())
    };
    let sign = if number.is_negative() && digits != "0" {
        "-"
    } else {
        ""
    };
    format!("{sign}{digits}")
}

/// The digits of mantissa · 2^power.
fn whole(mantissa: u64, power: i32) -> String {
    const BASE: u64 = 1_000_000_000;
    /// So many powers of two at once, as a part times 2^29 fits, and what is carried is smaller than a part can be.
    const MOST: i32 = 29;
    // The least significant part first.
    let mut parts = vec![
        mantissa % BASE,
        mantissa / BASE % BASE,
        mantissa / BASE / BASE,
    ];
    let mut left = power;
    while left > 0 {
        let shift = left.min(MOST);
        left -= shift;
        let mut carry = 0;
        for part in &mut parts {
            let multiplied = (*part << shift) + carry;
            (*part, carry) = (multiplied % BASE, multiplied / BASE);
        }
        if carry > 0 {
            parts.push(carry);
        }
    }
    let digits: String = parts
        .iter()
        .rev()
        .map(|part| format!("{part:09}"))
        .collect();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { "0" } else { digits }.into()
}

/// The digits of mantissa / 2^power, rounded to even at the last one, without zeros at the end.
fn fraction(mantissa: u128, power: u32) -> String {
    // Of 64 and 57 bits.
    let scaled = mantissa * 10_u128.pow(PLACES as u32);
    let units = if power > 127 {
        0
    } else {
        rounded(scaled, power)
    };
    let digits = format!("{units:0>width$}", width = PLACES + 1);
    let (whole, part) = digits.split_at(digits.len() - PLACES);
    let text = format!("{whole}.{part}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

fn rounded(number: u128, power: u32) -> u128 {
    let (whole, rest) = (number >> power, number & ((1 << power) - 1));
    let half = 1 << (power - 1);
    let goes_up = rest > half || rest == half && whole % 2 == 1;
    whole + u128::from(goes_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(one: &str, other: &str) -> Option<String> {
        sum(one.as_bytes(), other.as_bytes()).expect("two numbers")
    }

    /// What redis-server 7.0 replied on x86-64.
    #[test]
    fn sums_are_those_of_redis() {
        for (one, other, expected) in [
            ("1000", "0.1", "1000.09999999999999998"),
            ("0", "0.1", "0.1"),
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "-3", "0"),
            ("-0.5", "0.25", "-0.25"),
            ("1e30", "1", "1000000000000000000024696061952"),
            ("-9223372036854775809.5", "0", "-9223372036854775810"),
            ("0x10", "0x1p3", "24"),
            ("1e-40", "0", "0"),
        ] {
            assert_eq!(
                added(one, other).as_deref(),
                Some(expected),
                "{one} + {other}"
            );
        }
        assert!(added("1e400", "0").is_some_and(|text| text.len() == 401));
    }

    #[test]
    fn infinite_sums_are_told() {
        for (one, other) in [("inf", "1"), ("-Infinity", "inf"), ("1e4932", "1.1e4932")] {
            assert_eq!(added(one, other), None, "{one} + {other}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", " 1", "1 ", "nan", "abc", "1e", "--1", "+-1", "1e9999", "1e-9999", "0x", ".",
        ] {
            assert_eq!(sum(text.as_bytes(), b"1"), None, "{text:?}");
        }
    }
}
