//! Values that know their origin, so that sources can be applied in any order.

use std::{fmt, sync::Arc};

use super::position::FilePosition;

/// The source of a value. A URL is weaker than a variable, so that `REDIS_DB` can override the
/// number in a URL written in code; setters are the strongest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The table of fields.
    Default,
    /// The service registry.
    Registry,
    /// A part of a URL that was given in code.
    Url,
    /// What the configuration of an application says of all databases.
    EmbeddedForAll,
    /// What the configuration of an application says of one database.
    Embedded,
    /// A key of a file that holds for all databases in it.
    FileForAll(FilePosition),
    /// A key of one database in a file.
    File(FilePosition),
    /// An environment variable that holds for all databases.
    VariableForAll(Arc<str>),
    /// An environment variable of one database.
    Variable(Arc<str>),
    /// A setter, called by the application.
    Setter,
}

impl Origin {
    /// Sources in order of precedence.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Registry => 10,
            Self::Url => 20,
            Self::EmbeddedForAll | Self::FileForAll(_) => 30,
            Self::Embedded | Self::File(_) => 31,
            Self::VariableForAll(_) => 40,
            Self::Variable(_) => 41,
            Self::Setter => 50,
        }
    }

    /// The origin of the parts of a URL that comes from here. Setters override the parts of a URL
    /// given in code; one from elsewhere is as strong as anything from there.
    pub(super) fn of_url_parts(&self) -> Self {
        match self {
            Self::Default | Self::Setter => Self::Url,
            other => other.clone(),
        }
    }

    pub(super) fn position(&self) -> Option<&FilePosition> {
        match self {
            Self::FileForAll(position) | Self::File(position) => Some(position),
            _ => None,
        }
    }

    pub(super) fn variable(&self) -> Option<&str> {
        match self {
            Self::VariableForAll(name) | Self::Variable(name) => Some(name),
            _ => None,
        }
    }

    /// The place to correct, for messages about values that the application did not write itself.
    pub(super) fn place(&self) -> Option<String> {
        match self {
            Self::FileForAll(position) | Self::File(position) => Some(position.to_string()),
            Self::VariableForAll(name) | Self::Variable(name) => Some(name.to_string()),
            Self::Default
            | Self::Registry
            | Self::Url
            | Self::EmbeddedForAll
            | Self::Embedded
            | Self::Setter => None,
        }
    }
}

/// As [`Config::explain`](crate::Config::explain) names it.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Registry => f.write_str("service registry"),
            Self::Url => f.write_str("URL in code"),
            Self::FileForAll(position) | Self::File(position) => position.fmt(f),
            Self::VariableForAll(name) | Self::Variable(name) => f.write_str(name),
            Self::EmbeddedForAll | Self::Embedded => {
                f.write_str("configuration of the application")
            }
            Self::Setter => f.write_str("code"),
        }
    }
}

/// Settings whose origins are known by their keys.
pub(super) trait Origins {
    /// The origin of a setting; that of the whole for a part of one. `None` for what is no setting.
    fn origin(&self, key: &str) -> Option<&Origin>;
}

/// A value and its origin.
#[derive(Clone)]
pub(crate) struct Layered<T> {
    value: T,
    origin: Origin,
}

impl<T> Layered<T> {
    /// A value that everything else overrides.
    pub(super) fn new(default: T) -> Self {
        Self {
            value: default,
            origin: Origin::Default,
        }
    }

    /// A value from somewhere.
    pub(super) fn given(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// Takes a value unless the present one has a stronger origin. Of two with equally strong
    /// origins, the later one is taken.
    pub(super) fn offer(&mut self, value: T, origin: Origin) {
        if origin.rank() >= self.origin.rank() {
            *self = Self { value, origin };
        }
    }

    pub(super) fn get(&self) -> &T {
        &self.value
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn into_value(self) -> T {
        self.value
    }
}

/// Shows the value alone.
impl<T: fmt::Debug> fmt::Debug for Layered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One origin of each kind, from the weakest to the strongest.
    fn order() -> [Origin; 8] {
        let position = || FilePosition::new("file.yaml".into(), 1, 2);
        [
            Origin::Default,
            Origin::Registry,
            Origin::Url,
            Origin::FileForAll(position()),
            Origin::File(position()),
            Origin::VariableForAll("A".into()),
            Origin::Variable("B".into()),
            Origin::Setter,
        ]
    }

    #[test]
    fn a_weaker_origin_never_overrides_a_stronger_one_in_whatever_order_they_come() {
        for (first, one) in order().into_iter().enumerate() {
            for (second, other) in order().into_iter().enumerate() {
                let mut layered = Layered::new(None);
                layered.offer(Some(first), one.clone());
                layered.offer(Some(second), other.clone());
                let strongest = first.max(second);
                assert_eq!(*layered.get(), Some(strongest), "{one:?}, {other:?}");
                assert_eq!(*layered.origin(), order()[strongest]);
            }
        }
    }

    #[test]
    fn of_equally_strong_origins_the_later_one_holds() {
        let mut layered = Layered::new(0);
        layered.offer(1, Origin::Variable("A".into()));
        layered.offer(2, Origin::Variable("B".into()));
        assert_eq!(*layered.get(), 2);
        assert_eq!(*layered.origin(), Origin::Variable("B".into()));
    }

    #[test]
    fn parts_of_a_url_are_as_strong_as_its_source_but_weaker_than_setters() {
        let variable = Origin::Variable("A".into());
        for (url, parts) in [
            (Origin::Default, Origin::Url),
            (Origin::Setter, Origin::Url),
            (variable.clone(), variable),
        ] {
            assert_eq!(url.of_url_parts(), parts);
        }
    }

    #[test]
    fn debug_shows_the_value() {
        assert_eq!(format!("{:?}", Layered::new(Some(1))), "Some(1)");
    }
}
