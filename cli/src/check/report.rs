//! The results of a check.

use std::{collections::BTreeMap, io};

use redis_steward::{Config, HealthCheck, HealthState};
use serde_json::{Value, json};

use super::rights::{Method, Right, Rights};
use crate::{
    output::{Colour, Output, Span, Table},
    target,
};

/// One database.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) address: String,
    pub(crate) health: HealthCheck,
    /// `None` if its server did not answer.
    pub(crate) rights: Option<Rights>,
}

impl Checked {
    /// Whether commands can be expected to succeed at the server. A fallback that stands in is not enough here.
    fn is_ok(&self) -> bool {
        self.health.is_ready() && self.health.ping.is_some()
    }

    fn missing_rights(&self) -> usize {
        let rights = self.rights.as_ref();
        rights.map_or(0, |rights| rights.missing().count())
    }
}

/// All databases of a file.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) file: String,
    pub(crate) databases: BTreeMap<String, Checked>,
    pub(crate) notes: &'a Config,
}

impl Report<'_> {
    /// Whether all databases are ready.
    pub(crate) fn is_ok(&self) -> bool {
        self.databases.values().all(Checked::is_ok)
    }

    /// Whether there is anything else to say.
    pub(crate) fn has_remarks(&self) -> bool {
        let are_missing = |checked: &Checked| checked.missing_rights() > 0;
        !self.notes.notes().is_empty() || self.databases.values().any(are_missing)
    }

    pub(crate) fn print(&self, output: &Output) -> io::Result<()> {
        if output.is_json {
            return output.json(&self.document());
        }
        for line in self.table().lines(output.paint) {
            output.line(line)?;
        }
        for line in self.remarks() {
            output.line(line)?;
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new(&[
            "database", "address", "state", "ping", "server", "role", "clients", "memory", "rights",
        ]);
        for (name, checked) in &self.databases {
            let plain = |text: Option<String>| (text.unwrap_or_else(|| "-".into()), Colour::Plain);
            let server = checked.health.server.as_ref();
            table.row(vec![
                plain(Some(name.clone())),
                plain(Some(checked.address.clone())),
                state(checked),
                plain(checked.health.ping.map(|ping| Span(ping).to_string())),
                plain(server.and_then(|server| {
                    let version = server.version.as_ref()?;
                    Some(format!("{} {version}", server.program.as_ref()?))
                })),
                plain(server.and_then(|server| server.role.clone())),
                plain(server.and_then(|server| Some(server.connected_clients?.to_string()))),
                plain(server.and_then(redis_steward::ServerHealth::used_memory_human)),
                rights(checked),
            ]);
        }
        table
    }

    /// What does not fit into the table, a line each.
    fn remarks(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, checked) in &self.databases {
            let reasons = checked.health.reasons().into_iter();
            lines.extend(reasons.map(|reason| format!("{name}: {reason}")));
            let Some(rights) = &checked.rights else {
                continue;
            };
            let user = rights.user.as_deref().unwrap_or("of this database");
            for (need, right) in rights.missing() {
                let (command, cost) = (need.command, need.cost);
                lines.push(match right {
                    Right::Untried(error) => format!("{name}: {command} was not tried: {error}"),
                    Right::Unknown => {
                        format!("{name}: the server does not know {command}, so that {cost}")
                    }
                    _ => format!("{name}: the user {user} may not run {command}, so that {cost}"),
                });
            }
        }
        let notes = self.notes.notes().iter();
        lines.extend(notes.map(|note| format!("note: {note}")));
        if !lines.is_empty() {
            lines.insert(0, String::new());
        }
        lines
    }

    fn document(&self) -> Value {
        let databases = self.databases.iter();
        let databases: BTreeMap<_, _> = databases
            .map(|(name, checked)| (name, checked.document()))
            .collect();
        json!({
            "ok": self.is_ok(),
            "file": self.file,
            "databases": databases,
            "notes": target::notes(self.notes),
        })
    }
}

impl Checked {
    /// The health with its keys, and what the check adds.
    fn document(&self) -> Value {
        let mut document = json!(self.health);
        document["ok"] = json!(self.is_ok());
        document["address"] = json!(self.address);
        document["rights"] = json!(self.rights.as_ref().map(rights_document));
        document
    }
}

fn rights_document(rights: &Rights) -> Value {
    let needs = rights.missing().map(|(need, right)| {
        let (problem, error) = match right {
            Right::Denied => ("denied", None),
            Right::Unknown => ("unknown", None),
            Right::Untried(error) => ("untried", Some(error)),
            Right::Granted => unreachable!("BUG: a right that is granted is missing"),
        };
        json!({"command": need.command, "problem": problem, "cost": need.cost, "error": error})
    });
    json!({
        "user": rights.user,
        "method": match rights.method {
            Method::DryRun => "dry_run",
            Method::Running => "running",
        },
        "missing": needs.collect::<Vec<_>>(),
    })
}

fn state(checked: &Checked) -> (String, Colour) {
    let colour = match checked.health.state {
        HealthState::Healthy if checked.is_ok() => Colour::Good,
        _ if checked.is_ok() => Colour::Doubtful,
        _ => Colour::Bad,
    };
    (checked.health.state.word().to_owned(), colour)
}

fn rights(checked: &Checked) -> (String, Colour) {
    match (&checked.rights, checked.missing_rights()) {
        (None, _) => ("-".into(), Colour::Plain),
        (_, 0) => ("all".into(), Colour::Good),
        (_, missing) => (format!("{missing} missing"), Colour::Doubtful),
    }
}
