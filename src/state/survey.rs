//! The classes of commands that are on no list, as the server describes them.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;

use crate::policy::command::Class;

/// Classes by the name of the command, as the caller wrote it. It is read only for commands that are on no
/// list.
#[derive(Debug, Default)]
pub(crate) struct Survey(ArcSwap<HashMap<Box<[u8]>, Class>>);

/// The maximum of names: a program that makes up names must not fill the memory.
const MAX_NAMES: usize = 256;

impl Survey {
    pub(crate) fn class(&self, name: &[u8]) -> Option<Class> {
        self.0.load().get(name).copied()
    }

    pub(crate) fn learn(&self, name: &[u8], class: Class) {
        self.0.rcu(|known| {
            let mut known = HashMap::clone(known);
            if known.len() < MAX_NAMES {
                known.insert(name.into(), class);
            }
            known
        });
    }

    /// Forgets all classes, because the server may be another one from now on.
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
    fn a_learnt_class_is_known_until_it_is_forgotten() {
        let survey = Survey::default();
        assert_eq!(survey.class(b"NEW"), None);
        survey.learn(b"NEW", Class::Configures);
        assert_eq!(survey.class(b"NEW"), Some(Class::Configures));
        for number in 0..2 * MAX_NAMES {
            survey.learn(&number.to_le_bytes(), Class::Plain);
        }
        assert_eq!(survey.0.load().len(), MAX_NAMES);
        survey.forget();
        assert_eq!(survey.class(b"NEW"), None);
    }
}
