//! What a program knows of a write.

use redis_steward::{Error, Execution, Source};

/// Where a write is, as far as its reply or its error tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    AtServer,
    /// In the store that stands in, and so in the journal.
    InMemory,
    /// Nowhere.
    Nowhere,
    Unknown,
}

impl Fate {
    pub(crate) fn of<T>(ended: &Result<(T, Source), Error>) -> Self {
        match ended {
            Ok((_, Source::Redis)) => Self::AtServer,
            Ok((_, Source::Memory)) => Self::InMemory,
            Ok((_, Source::Cache)) => unreachable!("no handle of these tests is cached"),
            Err(error) => Self::of_error(error),
        }
    }

    pub(crate) fn of_error(error: &Error) -> Self {
        match error.execution() {
            Execution::NotSent | Execution::NotExecuted => Self::Nowhere,
            Execution::Unknown => Self::Unknown,
            other => panic!("the write is {other}: {error}"),
        }
    }

    /// How often the write may be there after recovery.
    pub(crate) fn times(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::AtServer | Self::InMemory => 1..=1,
            Self::Nowhere => 0..=0,
            Self::Unknown => 0..=1,
        }
    }
}
