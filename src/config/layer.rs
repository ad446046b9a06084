//! Values that know their origin, so that sources can be applied in any order.

use std::fmt;

/// The source of a value. A URL is weaker than a variable, so that `REDIS_DB` can override the
/// number in a URL written in code; setters are the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The table of fields.
    Default,
    /// A part of a URL that was given in code.
    Url,
    /// An environment variable of this name.
    Variable(&'static str),
    /// A setter, called by the application.
    Setter,
}

impl Origin {
    /// Sources in order of precedence. Gaps leave room for further ones: a service registry below
    /// URLs, a file between URLs and variables.
    fn rank(self) -> u8 {
        match self {
            Self::Default => 0,
            Self::Url => 20,
            Self::Variable(_) => 40,
            Self::Setter => 50,
        }
    }

    /// The origin of the parts of a URL that comes from here. Setters override the parts of a URL
    /// given in code; one from a variable is as strong as any variable.
    pub(super) fn of_url_parts(self) -> Self {
        match self {
            Self::Default | Self::Setter => Self::Url,
            other => other,
        }
    }

    /// The place to correct, for messages about values that the application did not write itself.
    pub(super) fn place(self) -> Option<&'static str> {
        match self {
            Self::Variable(name) => Some(name),
            Self::Default | Self::Url | Self::Setter => None,
        }
    }
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

    pub(super) fn origin(&self) -> Origin {
        self.origin
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

    const ORDER: [Origin; 4] = [
        Origin::Default,
        Origin::Url,
        Origin::Variable("A"),
        Origin::Setter,
    ];

    #[test]
    fn a_weaker_origin_never_overrides_a_stronger_one_in_whatever_order_they_come() {
        for (first, one) in ORDER.into_iter().enumerate() {
            for (second, other) in ORDER.into_iter().enumerate() {
                let mut layered = Layered::new(None);
                layered.offer(Some(first), one);
                layered.offer(Some(second), other);
                let strongest = first.max(second);
                assert_eq!(*layered.get(), Some(strongest), "{one:?}, {other:?}");
                assert_eq!(layered.origin(), ORDER[strongest]);
            }
        }
    }

    #[test]
    fn of_equally_strong_origins_the_later_one_holds() {
        let mut layered = Layered::new(0);
        layered.offer(1, Origin::Variable("A"));
        layered.offer(2, Origin::Variable("B"));
        assert_eq!(
            (*layered.get(), layered.origin()),
            (2, Origin::Variable("B"))
        );
    }

    #[test]
    fn parts_of_a_url_are_as_strong_as_its_source_but_weaker_than_setters() {
        for (url, parts) in [
            (Origin::Default, Origin::Url),
            (Origin::Setter, Origin::Url),
            (Origin::Variable("A"), Origin::Variable("A")),
        ] {
            assert_eq!(url.of_url_parts(), parts);
        }
    }

    #[test]
    fn debug_shows_the_value() {
        assert_eq!(format!("{:?}", Layered::new(Some(1))), "Some(1)");
    }
}
