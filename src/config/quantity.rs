//! Values that have a range: durations, counts and database numbers.

use std::{ops::RangeInclusive, time::Duration};

/// Database numbers. A server has 16 of them unless its `databases` setting says otherwise.
pub(crate) const NUMBER: RangeInclusive<i64> = 0..=65_535;

/// The number of bytes in the name of a database or a client.
pub(crate) const NAME_BYTES: usize = 128;

/// The type of a setting that has a range.
pub(crate) trait Quantity: Copy {
    /// Counts of any width are compared as `u64`, durations as they are.
    type Measure: Measure;

    fn measure(self) -> Self::Measure;

    /// The quantity of a measure that lies within the setting's range.
    fn of(measure: Self::Measure) -> Self;
}

/// The type that quantities are compared in.
pub(crate) trait Measure: Copy + PartialOrd {
    /// The texts that can be read as one, as in "`x` is not a whole number".
    const KIND: &'static str;
    const TOO_LOW: &'static str;
    const TOO_HIGH: &'static str;

    /// Reads the text of a variable. `None` if it is of another kind; a message if it is of this
    /// kind, but has no usable value.
    fn read(text: &str) -> Option<Result<Self, String>>;

    fn is_whole(self) -> bool;

    /// As people write it in a configuration, with its unit: `0.5 s`.
    fn shown(self) -> String;

    /// As the limit of another setting, with the name of its own: `the command timeout of 5 s`.
    fn as_limit(self, key: &str) -> String;
}

/// A measure within its range, or the problem with it.
pub(crate) fn within<M: Measure>(value: M, range: &RangeInclusive<M>) -> Result<M, String> {
    let (problem, advice, limit) = if value < *range.start() {
        (M::TOO_LOW, "at least", range.start())
    } else if value > *range.end() {
        (M::TOO_HIGH, "at most", range.end())
    } else {
        return Ok(value);
    };
    Err(format!(
        "{} is {problem}; use {advice} {}",
        value.shown(),
        limit.shown()
    ))
}

/// A database number within its range, or the problem with it.
pub(crate) fn number(value: i64) -> Result<i64, String> {
    if NUMBER.contains(&value) {
        return Ok(value);
    }
    Err(format!(
        "{value} is no database number; use {} to {} (above 15 only where the server's `databases` \
         setting allows it)",
        NUMBER.start(),
        NUMBER.end()
    ))
}

/// A number and the unit after it, which may be empty.
fn split_unit(text: &str) -> (&str, &str) {
    // A number may hold an exponent, so the unit is the letters at the end, if the rest is a number.
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    (number.trim_end(), &text[number.len()..])
}

impl Measure for Duration {
    const KIND: &'static str = "a number of seconds";
    const TOO_LOW: &'static str = "too short";
    const TOO_HIGH: &'static str = "too long";

    fn read(text: &str) -> Option<Result<Self, String>> {
        let (number, unit) = split_unit(text);
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" | "s" => 1.0,
            "ms" => 0.001,
            "min" => 60.0,
            "h" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            _ => return None,
        };
        let seconds = number.parse::<f64>().ok()? * factor;
        let unusable = |_| format!("{text} is not a usable number of seconds");
        Some(Self::try_from_secs_f64(seconds).map_err(unusable))
    }

    fn is_whole(self) -> bool {
        self.subsec_nanos() == 0
    }

    fn shown(self) -> String {
        format!("{} s", self.as_secs_f64())
    }

    fn as_limit(self, key: &str) -> String {
        format!("the {} of {}", key.replace('_', " "), self.shown())
    }
}

impl Measure for u64 {
    const KIND: &'static str = "a whole number";
    const TOO_LOW: &'static str = "too small";
    const TOO_HIGH: &'static str = "too large";

    /// With or without `KiB`, `MiB` or `GiB`.
    fn read(text: &str) -> Option<Result<Self, String>> {
        let (number, unit) = split_unit(text);
        let factor: Self = match unit.to_ascii_lowercase().as_str() {
            "" => 1,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return None,
        };
        // As the documentation writes large ones: 65_536.
        let number: Self = number.replace('_', "").parse().ok()?;
        let too_large = || format!("{text} is too large");
        Some(number.checked_mul(factor).ok_or_else(too_large))
    }

    fn is_whole(self) -> bool {
        true
    }

    fn shown(self) -> String {
        self.to_string()
    }

    fn as_limit(self, key: &str) -> String {
        format!("{key}, {self}")
    }
}

impl Quantity for Duration {
    type Measure = Self;

    fn measure(self) -> Self {
        self
    }

    fn of(measure: Self) -> Self {
        measure
    }
}

impl Quantity for usize {
    type Measure = u64;

    fn measure(self) -> u64 {
        self as u64
    }

    fn of(measure: u64) -> Self {
        Self::try_from(measure).unwrap_or(Self::MAX)
    }
}

impl Quantity for u32 {
    type Measure = u64;

    fn measure(self) -> u64 {
        self.into()
    }

    fn of(measure: u64) -> Self {
        Self::try_from(measure).unwrap_or(Self::MAX)
    }
}

/// A stored setting that may have a quantity: a quantity, or one that may be left out.
pub(crate) trait Measured {
    type Measure: Measure;

    fn measured(&self) -> Option<Self::Measure>;
}

impl<Q: Quantity> Measured for Q {
    type Measure = Q::Measure;

    fn measured(&self) -> Option<Self::Measure> {
        Some(self.measure())
    }
}

impl<Q: Quantity> Measured for Option<Q> {
    type Measure = Q::Measure;

    fn measured(&self) -> Option<Self::Measure> {
        self.map(Quantity::measure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_inside_and_their_neighbours_are_not() {
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(32_767));
        let nanosecond = Duration::from_nanos(1);
        for inside in [short, long] {
            assert_eq!(within(inside, &(short..=long)), Ok(inside));
        }
        for outside in [short - nanosecond, long + nanosecond] {
            assert!(within(outside, &(short..=long)).is_err());
        }
        for (count, is_inside) in [(0, false), (1, true), (127, true), (128, false)] {
            assert_eq!(within(count, &(1_u64..=127)).is_ok(), is_inside, "{count}");
        }
        for (value, is_inside) in [(-1, false), (0, true), (65_535, true), (65_536, false)] {
            assert_eq!(number(value).is_ok(), is_inside, "{value}");
        }
    }

    #[test]
    fn messages_name_the_value_to_use() {
        let range = Duration::from_millis(1)..=Duration::from_secs(60);
        for (value, expected) in [
            (Duration::ZERO, "0 s is too short; use at least 0.001 s"),
            (
                Duration::from_secs(61),
                "61 s is too long; use at most 60 s",
            ),
        ] {
            assert_eq!(within(value, &range), Err(expected.into()));
        }
        assert_eq!(
            within(0, &(1_u64..=9)),
            Err("0 is too small; use at least 1".into())
        );
    }

    #[test]
    fn variables_hold_seconds_and_whole_numbers() {
        let half = Duration::from_millis(500);
        assert_eq!(Duration::read("0.5"), Some(Ok(half)));
        assert_eq!(Duration::read("NaN"), None);
        assert!(matches!(Duration::read("-1"), Some(Err(_))));
        assert_eq!(Duration::read("soon"), None);
        assert_eq!(Duration::read("500ms"), Some(Ok(half)));
        assert_eq!(Duration::read("2 min"), Some(Ok(Duration::from_secs(120))));
        assert_eq!(Duration::read("1e2"), Some(Ok(Duration::from_secs(100))));
        assert_eq!(u64::read("2 KiB"), Some(Ok(2048)));
        assert_eq!(u64::read("65_536"), Some(Ok(65_536)));
        assert!(matches!(
            u64::read("18446744073709551615 KiB"),
            Some(Err(_))
        ));
        assert_eq!(u64::read("7"), Some(Ok(7)));
        assert_eq!(u64::read("2.5"), None);
    }
}
