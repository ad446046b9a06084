//! Which databases clients see, and where.

use std::{collections::BTreeMap, env, fs};

use redis_steward::{Config, Front, Supervisor};

use crate::{arguments::ServeArguments, failure::Failure, target};

/// The databases by the numbers of `SELECT`.
pub(super) type Numbers = BTreeMap<u32, String>;

/// The numbers of the command line, or those of the file.
pub(super) fn numbers(config: &Config, arguments: &ServeArguments) -> Result<Numbers, Failure> {
    let mut numbers = Numbers::new();
    let databases = target::setting(config, "number");
    if !arguments.select.is_empty() {
        for (number, name) in &arguments.select {
            insert(&mut numbers, *number, name, "the command line")?;
        }
        return Ok(numbers);
    }
    for (name, number) in &databases {
        // The explanation of a number is a number, and 0 where none is given.
        let number = number.parse().unwrap_or_default();
        insert(&mut numbers, number, name, "the file")?;
    }
    let is_chosen = arguments.database.is_some() || numbers.contains_key(&0);
    if !is_chosen && numbers.len() > 1 {
        let message = "no database of the file has the number 0, in which clients begin; choose one by --database or \
            --select";
        return Err(Failure::Usage(message.into()));
    }
    Ok(numbers)
}

fn insert(numbers: &mut Numbers, number: u32, name: &str, place: &str) -> Result<(), Failure> {
    match numbers.insert(number, name.to_owned()) {
        None => Ok(()),
        Some(other) => Err(Failure::Usage(format!(
            "{place} gives the number {number} to {other} and to {name}; choose by --select {number}={other}, and the \
             numbers of all others"
        ))),
    }
}

pub(super) async fn start(
    supervisor: &Supervisor,
    arguments: &ServeArguments,
    numbers: Numbers,
) -> Result<Front, Failure> {
    let mut front = supervisor.front();
    for (number, name) in numbers {
        front = front.select(number, name);
    }
    if let Some(name) = &arguments.database {
        front = front.database(name);
    }
    if arguments.allow_remote {
        front = front.allow_remote();
    }
    if let Some(password) = password(arguments)? {
        front = front.password(password);
    }
    for address in &arguments.listen {
        front = match path(address) {
            Some(path) => front.listen_unix(path),
            None => front.listen_tcp(address),
        };
    }
    Ok(front.start().await?)
}

/// The path, if it is one: with a slash, or behind `unix:`.
fn path(address: &str) -> Option<&str> {
    let path = address.strip_prefix("unix:");
    path.or_else(|| address.contains('/').then_some(address))
}

/// The password of clients, which no message shows.
fn password(arguments: &ServeArguments) -> Result<Option<String>, Failure> {
    let (password, place) = match (&arguments.password_env, &arguments.password_file) {
        (Some(variable), _) => {
            let unset = |_| Failure::Usage(format!("the variable {variable} is not set"));
            (env::var(variable).map_err(unset)?, variable.clone())
        }
        (None, Some(path)) => {
            let place = path.display().to_string();
            let unread = |error| Failure::Usage(format!("{place}: {error}"));
            let text = fs::read_to_string(path).map_err(unread)?;
            (text.trim_end_matches(['\r', '\n']).to_owned(), place)
        }
        (None, None) => return Ok(None),
    };
    if password.is_empty() {
        return Err(Failure::Usage(format!("the password in {place} is empty")));
    }
    Ok(Some(password))
}
