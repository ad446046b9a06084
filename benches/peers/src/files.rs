//! The files that the findings of a subcommand go to.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::report;

#[derive(Args, Debug)]
pub struct Files {
    /// Write all figures, those of each round too, to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the tables to FILE
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl Files {
    /// Finds things out, and writes them. That the files can be written is checked before.
    pub fn take<F: Serialize>(
        &self,
        find_out: impl FnOnce() -> Result<F>,
        markdown: impl FnOnce(&F) -> String,
    ) -> Result<F> {
        report::check_files(&[("--json", &self.json), ("--markdown", &self.markdown)])?;
        let findings = find_out()?;
        if let Some(path) = &self.json {
            report::write(path, &(serde_json::to_string_pretty(&findings)? + "\n"))?;
        }
        if let Some(path) = &self.markdown {
            report::write(path, &markdown(&findings))?;
        }
        Ok(findings)
    }
}
