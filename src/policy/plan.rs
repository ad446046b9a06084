//! What has to be done with each of several things, to get from the present ones to those that are wanted.

use std::collections::BTreeMap;

/// A change as a value. `S` is a thing, `K` its name, and `C` what changes in one.
#[derive(Debug)]
pub(crate) struct Plan<K, S, C> {
    pub(crate) added: Vec<S>,
    pub(crate) changed: Vec<(K, S, C)>,
    pub(crate) unchanged: Vec<K>,
    pub(crate) removed: Vec<K>,
}

impl<K: Ord + Clone, S, C> Plan<K, S, C> {
    /// `compare` gives what changes from the present thing to the wanted one of the same name, if anything does.
    pub(crate) fn new<P>(
        mut present: BTreeMap<K, P>,
        wanted: impl IntoIterator<Item = (K, S)>,
        compare: impl Fn(&P, S) -> Result<(S, C), S>,
    ) -> Self {
        let mut plan = Self {
            added: Vec::new(),
            changed: Vec::new(),
            unchanged: Vec::new(),
            removed: Vec::new(),
        };
        for (name, thing) in wanted {
            match present.remove(&name) {
                None => plan.added.push(thing),
                Some(before) => match compare(&before, thing) {
                    Ok((thing, change)) => plan.changed.push((name, thing, change)),
                    Err(_) => plan.unchanged.push(name),
                },
            }
        }
        plan.removed = present.into_keys().collect();
        plan
    }

    /// Whether nothing is to be done.
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Things = BTreeMap<u8, u8>;

    fn plan(present: &Things, wanted: &Things) -> Plan<u8, (u8, u8), u8> {
        let wanted = wanted.iter().map(|(name, value)| (*name, (*name, *value)));
        Plan::new(present.clone(), wanted, |before, after| {
            if *before == after.1 {
                Err(after)
            } else {
                Ok((after, before.abs_diff(after.1)))
            }
        })
    }

    fn carry_out(present: &Things, plan: &Plan<u8, (u8, u8), u8>) -> Things {
        let mut things = present.clone();
        for name in &plan.removed {
            assert!(things.remove(name).is_some(), "{name} is not there");
        }
        for (name, value) in &plan.added {
            assert!(things.insert(*name, *value).is_none(), "{name} is there");
        }
        for (name, (_, value), difference) in &plan.changed {
            let before = things.insert(*name, *value).expect("it is there");
            assert!(before != *value && before.abs_diff(*value) == *difference);
        }
        for name in &plan.unchanged {
            assert_eq!(things[name], present[name]);
        }
        things
    }

    fn things() -> impl Strategy<Value = Things> {
        prop::collection::btree_map(0..8_u8, 0..3_u8, 0..8)
    }

    proptest! {
        #[test]
        fn what_is_planned_leads_to_what_is_wanted(present in things(), wanted in things()) {
            let plan = plan(&present, &wanted);
            prop_assert_eq!(&carry_out(&present, &plan), &wanted);
            prop_assert_eq!(plan.is_empty(), present == wanted);
            let kept = plan.changed.len() + plan.unchanged.len();
            prop_assert_eq!(kept + plan.added.len(), wanted.len());
            prop_assert_eq!(kept + plan.removed.len(), present.len());
        }
    }
}
