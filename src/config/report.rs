//! The problems of a configuration, while they are collected.

use std::{fmt::Display, ops::RangeInclusive};

use super::{
    ConfigError, Problem,
    layer::Layered,
    quantity::{Measure, Measured, within},
};

/// The problems found so far, and the database that is being checked.
#[derive(Default)]
pub(super) struct Report<'a> {
    database: Option<&'a str>,
    problems: Vec<Problem>,
    /// The number of problems before this database.
    earlier: usize,
}

impl<'a> Report<'a> {
    /// Starts with the checks of another database.
    pub(super) fn enter(&mut self, database: &'a str) {
        self.database = Some(database);
        self.earlier = self.problems.len();
    }

    pub(super) fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(ConfigError::new(self.problems))
    }

    pub(super) fn add(&mut self, key: &str, message: impl Display) {
        self.problems
            .push(Problem::new(self.database, key, message.to_string()));
    }

    /// Whether this database has a problem with a setting.
    fn has(&self, key: &str) -> bool {
        self.problems[self.earlier..]
            .iter()
            .any(|problem| problem.field() == key)
    }

    /// Reports a measure outside its range.
    pub(super) fn range<M: Measure>(&mut self, key: &str, value: M, range: &RangeInclusive<M>) {
        if let Err(message) = within(value, range) {
            self.add(key, message);
        }
    }

    /// Reports a setting outside its range. One that was left out is not.
    pub(super) fn range_of<T: Measured>(
        &mut self,
        key: &str,
        setting: &Layered<T>,
        range: &RangeInclusive<T::Measure>,
    ) {
        if let Some(value) = setting.get().measured() {
            self.range(key, value, range);
        }
    }

    /// Reports a measure outside its range, or with a fraction.
    pub(super) fn whole<M: Measure>(&mut self, key: &str, value: M, range: &RangeInclusive<M>) {
        self.range(key, value, range);
        if !value.is_whole() && !self.has(key) {
            let kind = M::KIND.replace("a number", "a whole number");
            self.add(key, format!("{} is not {kind}", value.shown()));
        }
    }

    /// Reports a setting above another. The default of one that was left out follows the other.
    pub(super) fn at_most<T: Measured, L: Measured<Measure = T::Measure>>(
        &mut self,
        setting: (&str, &Layered<T>),
        limit: (&str, &Layered<L>),
    ) {
        self.compare(setting, limit, "is above", |value, limit| value <= limit);
    }

    /// Reports a setting that is not below another. The default of one that was left out is.
    pub(super) fn below<T: Measured, L: Measured<Measure = T::Measure>>(
        &mut self,
        setting: (&str, &Layered<T>),
        limit: (&str, &Layered<L>),
    ) {
        self.compare(setting, limit, "is not below", |value, limit| value < limit);
    }

    fn compare<T: Measured, L: Measured<Measure = T::Measure>>(
        &mut self,
        (key, setting): (&str, &Layered<T>),
        (limit_key, limit): (&str, &Layered<L>),
        relation: &str,
        holds: impl FnOnce(T::Measure, T::Measure) -> bool,
    ) {
        let (Some(value), Some(bound)) = (setting.get().measured(), limit.get().measured()) else {
            return;
        };
        // A value outside its range is one problem, not one more with each of its neighbours.
        if holds(value, bound) || self.has(key) || self.has(limit_key) {
            return;
        }
        let value = placed(value.shown(), setting);
        let bound = placed(bound.as_limit(limit_key), limit);
        self.add(
            key,
            format!("{value} {relation} {bound}; lower it or raise {limit_key}"),
        );
    }
}

/// A value with the place that it comes from, unless that is the application's own code.
fn placed<T>(text: String, setting: &Layered<T>) -> String {
    match setting.origin().place() {
        Some(place) => format!("{text} ({place})"),
        None => text,
    }
}
