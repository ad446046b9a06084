//! The run, told in tables, files and a picture.

mod json;
mod line;
mod markdown;
mod plot;
mod summary;
mod table;

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    arguments::Arguments,
    case::Case,
    comparison::{Comparison, Measured},
};

/// What goes to stdout.
pub fn text(comparison: &Comparison) -> String {
    let Comparison {
        machine,
        settings,
        cases,
    } = comparison;
    let few = if settings.rounds < 5 {
        "Fewer than 5 rounds are for trying things out, not for figures.\n"
    } else {
        ""
    };
    format!(
        "{machine}\nMedians of {} rounds of {} ms in alternating order; every reply was checked.\n{few}{}\n{}{}",
        settings.rounds,
        settings.round.as_millis(),
        repeated(cases),
        table::tables(cases),
        summary::summary(cases),
    )
}

/// Turns that failed, a line for each.
fn repeated(cases: &[Measured]) -> String {
    let lines = cases.iter().flat_map(|measured| {
        let case = measured.case.name();
        measured.outcomes.iter().flat_map(move |outcome| {
            let line = format!(
                "Repeated: a turn of {} in {case}, which failed",
                outcome.peer
            );
            outcome
                .failures
                .iter()
                .map(move |failure| format!("{line}: {failure}\n"))
        })
    });
    lines.collect()
}

/// Prints; it is no failure if nobody reads to the end.
pub fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("printing"),
        _ => Ok(()),
    }
}

/// Finds out before the run, rather than after it, what stands in the way of its files.
pub fn check(arguments: &Arguments, cases: &[Case]) -> Result<()> {
    check_files(&[
        ("--json", &arguments.json),
        ("--markdown", &arguments.markdown),
        ("--plot", &arguments.plot),
    ])?;
    if arguments.plot.is_some() && !cases.iter().any(plot::shows) {
        bail!("--plot shows GET of 16 B on tokio, which is not measured: add --case get-16B/")
    }
    Ok(())
}

/// Whether files can be written. It leaves what is there as it is, and nothing behind.
pub fn check_files(files: &[(&str, &Option<PathBuf>)]) -> Result<()> {
    for (flag, file) in files {
        if let Some(path) = file {
            let was_there = path.exists();
            let opened = OpenOptions::new().create(true).append(true).open(path);
            let opened = opened.and_then(|_| match was_there {
                true => Ok(()),
                false => fs::remove_file(path),
            });
            opened.with_context(|| {
                format!(
                    "{flag}: cannot write {}, choose another place",
                    path.display()
                )
            })?;
        }
    }
    Ok(())
}

pub fn write_files(arguments: &Arguments, comparison: &Comparison) -> Result<()> {
    if let Some(path) = &arguments.json {
        write(path, &json::json(comparison)?)?;
    }
    if let Some(path) = &arguments.markdown {
        write(path, &markdown::markdown(comparison))?;
    }
    if let Some(path) = &arguments.plot {
        write(path, &plot::svg(&comparison.cases)?)?;
    }
    Ok(())
}

pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Cases in a row that `key` does not tell apart.
fn groups<T, K: PartialEq>(items: &[T], key: impl Fn(&T) -> K) -> impl Iterator<Item = &[T]> {
    items.chunk_by(move |a, b| key(a) == key(b))
}
