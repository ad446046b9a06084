//! The report of a change of the configuration.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// What [`Supervisor::apply`](crate::Supervisor::apply) has changed, database by database.
///
/// `Display` gives one line for each database that was changed, added or removed, and one sentence if there is none.
/// It shows the names of settings and no value.
///
/// ```no_run
/// # async fn example(
/// #     supervisor: redis_steward::Supervisor,
/// #     config: redis_steward::Config,
/// # ) -> Result<(), redis_steward::ApplyError> {
/// let applied = supervisor.apply(config).await?;
/// if applied.has_changes() {
///     println!("{applied}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// All databases of the new configuration, and those that it does not have any more.
    pub databases: BTreeMap<Arc<str>, DatabaseChange>,
}

/// What has become of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseChange {
    /// It has the same settings as before. Nothing was touched.
    Unchanged,
    /// It is new. Its first connection is being opened.
    Added,
    /// It is not in the new configuration. It was drained, and its handles answer
    /// [`UnknownDatabase`](crate::Error::UnknownDatabase).
    Removed,
    /// Settings have changed that hold at once.
    TookEffect {
        /// Their names, in the order of the documentation of [`DatabaseConfig`](crate::DatabaseConfig).
        settings: Vec<&'static str>,
    },
    /// Settings have changed, and some of them belong to a connection from its opening on, such as the address or the
    /// password. New connections are being opened, and take over when the first of them is open. The other settings
    /// hold at once.
    Reconnecting {
        /// Their names, in the order of the documentation of [`DatabaseConfig`](crate::DatabaseConfig). Another host or
        /// port is another `url`.
        settings: Vec<&'static str>,
    },
}

impl Applied {
    /// Whether any database was changed, added or removed.
    pub fn has_changes(&self) -> bool {
        self.databases
            .values()
            .any(|change| *change != DatabaseChange::Unchanged)
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.has_changes() {
            return f.write_str("no database has changed");
        }
        let mut separator = "";
        for (name, change) in &self.databases {
            if *change != DatabaseChange::Unchanged {
                write!(f, "{separator}{name}: {change}")?;
                separator = "\n";
            }
        }
        Ok(())
    }
}

impl fmt::Display for DatabaseChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged => f.write_str("unchanged"),
            Self::Added => f.write_str("added"),
            Self::Removed => f.write_str("removed"),
            Self::TookEffect { settings } => write!(f, "changed {}", settings.join(", ")),
            Self::Reconnecting { settings } => {
                let settings = settings.join(", ");
                write!(f, "changed {settings}; its connections are being replaced")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_listed_and_databases_without_one_are_not() {
        let mut applied = Applied::default();
        applied
            .databases
            .insert("a".into(), DatabaseChange::Unchanged);
        assert_eq!(applied.to_string(), "no database has changed");
        let settings = vec!["password", "max_parked"];
        let changed = DatabaseChange::Reconnecting { settings };
        applied.databases.insert("b".into(), changed);
        applied
            .databases
            .insert("c".into(), DatabaseChange::Removed);
        let settings = vec!["command_timeout"];
        let changed = DatabaseChange::TookEffect { settings };
        applied.databases.insert("d".into(), changed);
        assert_eq!(
            applied.to_string(),
            "b: changed password, max_parked; its connections are being replaced\n\
             c: removed\n\
             d: changed command_timeout"
        );
    }
}
