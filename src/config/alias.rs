//! Further names of databases.

use std::collections::HashMap;

use super::{Config, excerpt::quoted, position::FilePosition, report::Report};
use crate::nearest::hint;

/// A further name of a database.
#[derive(Clone, Debug)]
pub(super) struct Alias {
    pub(super) name: String,
    pub(super) target: String,
    /// The number that is given beside it, which has to be that of the database.
    pub(super) number: Option<i64>,
    pub(super) at: Option<FilePosition>,
}

impl Config {
    /// A further name for a database. Both lead to the same connections, limits and statistics.
    ///
    /// In a file it is `codebase: {alias_of: analytics}`. Two databases with the same URL are something else: each has
    /// its own connections.
    ///
    /// ```
    /// use redis_steward::Config;
    ///
    /// let config = Config::single("redis://localhost").alias("queue", "main");
    /// # config.check().unwrap();
    /// ```
    pub fn alias(mut self, name: impl Into<String>, of: impl Into<String>) -> Self {
        self.aliases.push(Alias {
            name: name.into(),
            target: of.into(),
            number: None,
            at: None,
        });
        self
    }
}

/// Checks aliases against the databases, each with its number.
pub(super) fn check(aliases: &[Alias], numbers: &HashMap<&str, i64>, report: &mut Report<'_>) {
    let mut names: Vec<&str> = Vec::new();
    for Alias {
        name,
        target,
        number,
        at,
    } in aliases
    {
        let mut add = |message: String| report.add_at(name, "alias_of", message, at);
        if numbers.contains_key(name.as_str()) || names.contains(&name.as_str()) {
            add("is given to a name that is taken already".into());
        }
        names.push(name);
        match numbers.get(target.as_str()) {
            Some(own) if number.is_some_and(|number| number != *own) => {
                add(format!(
                    "leads to {}, whose number is {own}; remove the number here",
                    quoted(target)
                ));
            }
            Some(_) => {}
            None => {
                let hint = hint(target, numbers.keys().copied());
                add(format!(
                    "names {}, which is no database{hint}",
                    quoted(target)
                ));
            }
        }
    }
}
