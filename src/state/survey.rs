//! The commands that are on no list, as the server describes them.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;

use crate::policy::command::{Class, KeyRange};

/// Descriptions by the name of the command, as the caller wrote it. It is read only for commands that are on no
/// list.
#[derive(Debug, Default)]
pub(crate) struct Survey(ArcSwap<HashMap<Box<[u8]>, Surveyed>>);

/// A command, as the server describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Surveyed {
    pub(crate) class: Class,
    /// `None` if it has no keys, or if they are at no regular places.
    pub(crate) keys: Option<KeyRange>,
}

impl Surveyed {
    /// The server does not describe it.
    pub(crate) const PLAIN: Self = Self {
        class: Class::Plain,
        keys: None,
    };
}

/// The maximum of names: a program that makes up names must not fill the memory.
const MAX_NAMES: usize = 256;

impl Survey {
    pub(crate) fn class(&self, name: &[u8]) -> Option<Class> {
        self.0.load().get(name).map(|known| known.class)
    }

    /// Where its keys are.
    pub(crate) fn keys(&self, name: &[u8]) -> Option<KeyRange> {
        self.0.load().get(name)?.keys
    }

    pub(crate) fn learn(&self, name: &[u8], surveyed: Surveyed) {
        self.0.rcu(|known| {
            let mut known = HashMap::clone(known);
            if known.len() < MAX_NAMES {
                known.insert(name.into(), surveyed);
            }
            known
        });
    }

    /// Forgets all, because the server may be another one from now on.
    pub(crate) fn forget(&self) {
        if !self.0.load().is_empty() {
            self.0.store(Arc::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learnt_is_known_until_it_is_forgotten() {
        let survey = Survey::default();
        assert_eq!(survey.class(b"NEW"), None);
        assert_eq!(survey.keys(b"NEW"), None);
        let keys = KeyRange::new(1, -1, 2);
        let described = Surveyed {
            class: Class::Configures,
            keys: Some(keys),
        };
        survey.learn(b"NEW", described);
        assert_eq!(survey.class(b"NEW"), Some(Class::Configures));
        assert_eq!(survey.keys(b"NEW"), Some(keys));
        for number in 0..2 * MAX_NAMES {
            survey.learn(&number.to_le_bytes(), Surveyed::PLAIN);
        }
        assert_eq!(survey.0.load().len(), MAX_NAMES);
        survey.forget();
        assert_eq!(survey.class(b"NEW"), None);
    }
}
