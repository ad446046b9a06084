//! The problems of a configuration, while they are collected.

use std::{fmt::Display, ops::RangeInclusive};

use super::{
    ConfigError, Problem,
    layer::{Layered, Origin, Origins},
    position::FilePosition,
    quantity::{Measure, Measured, within},
};

/// The problems found so far, and the database that is being checked.
#[derive(Default)]
pub(super) struct Report<'a> {
    database: Option<(&'a str, &'a dyn Origins)>,
    problems: Vec<Problem>,
    /// The number of problems before this database.
    earlier: usize,
}

impl<'a> Report<'a> {
    /// Starts with the checks of another database.
    pub(super) fn enter(&mut self, name: &'a str, database: &'a dyn Origins) {
        self.database = Some((name, database));
        self.earlier = self.problems.len();
    }

    /// Goes on with what is about no database.
    pub(super) fn leave(&mut self) {
        self.database = None;
        self.earlier = self.problems.len();
    }

    pub(super) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(ConfigError::new(self.problems))
    }

    /// Adds a problem, with the place in a file or the variable that the setting comes from.
    pub(super) fn add(&mut self, key: &str, message: impl Display) {
        let origin = self.database.and_then(|(_, config)| config.origin(key));
        let mut message = message.to_string();
        if let Some(variable) = origin.and_then(Origin::variable)
            && !message.contains(variable)
        {
            message = format!("{message} ({variable})");
        }
        let position = origin.and_then(Origin::position).cloned();
        let name = self.database.map(|(name, _)| name);
        self.problems
            .push(Problem::new(name, key, message).at(position));
    }

    /// Adds a problem of something that is no setting of the database that is being checked.
    pub(super) fn add_at(
        &mut self,
        database: &str,
        key: &str,
        message: String,
        at: &Option<FilePosition>,
    ) {
        let problem = Problem::new(Some(database), key, message);
        self.problems.push(problem.at(at.clone()));
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
        (key, setting): (&str, &Layered<T>),
        (limit_key, limit): (&str, &Layered<L>),
    ) {
        let (Some(value), Some(bound)) = (setting.get().measured(), limit.get().measured()) else {
            return;
        };
        // A value outside its range is one problem, not one more with each of its neighbours.
        if value <= bound || self.has(key) || self.has(limit_key) {
            return;
        }
        let value = placed(value.shown(), setting);
        let bound = placed(bound.as_limit(limit_key), limit);
        self.add(
            key,
            format!("{value} is above {bound}; lower it or raise {limit_key}"),
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
