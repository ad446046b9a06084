//! All figures, for programs.

use anyhow::Result;
use serde::{Serialize, Serializer};

use crate::{
    case::{Command, Service},
    comparison::{Comparison, Measured},
    measure::Outcome,
    runtime::Flavour,
};

pub fn json(comparison: &Comparison) -> Result<String> {
    Ok(serde_json::to_string(comparison)? + "\n")
}

/// A case as the file has it: with its name, and flat.
#[derive(Serialize)]
struct Record<'a> {
    name: String,
    command: Command,
    bytes: usize,
    outstanding: usize,
    runtime: Flavour,
    service: Service,
    results: &'a [Outcome],
}

impl Serialize for Measured {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = Record {
            name: self.case.name(),
            command: self.case.command,
            bytes: self.case.bytes,
            outstanding: self.case.outstanding,
            runtime: self.case.flavour,
            service: self.case.service,
            results: &self.outcomes,
        };
        record.serialize(serializer)
    }
}
