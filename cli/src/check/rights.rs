//! The rights of a user, as far as this crate needs them.

use redis_steward::{
    Database, Error,
    redis::{Cmd, Value, cmd},
};

/// A command that this crate runs by itself, and the consequence if it may not.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) command: &'static str,
    /// Arguments with which it changes nothing, or nothing that lasts.
    arguments: &'static [&'static str],
    pub(crate) cost: &'static str,
}

const NEEDS: [Need; 7] = [
    Need {
        command: "PING",
        arguments: &[],
        cost: "connections are probed by GET of a key that does not exist",
    },
    Need {
        command: "INFO",
        arguments: &[],
        cost: "health checks tell no version, role, memory or number of clients",
    },
    Need {
        command: "CLIENT SETNAME",
        arguments: &["redis-steward-check"],
        cost: "the connections have no name in CLIENT LIST",
    },
    Need {
        command: "COMMAND INFO",
        arguments: &["GET"],
        cost: "commands that redis-steward does not know are taken for ordinary ones, also if they block",
    },
    Need {
        command: "CLIENT INFO",
        arguments: &[],
        cost: "a shutdown cannot end the waits of blocking commands before its grace is over",
    },
    Need {
        command: "CLIENT LIST",
        arguments: &["ID", "1"],
        cost: "blocking commands that the server has forgotten in an outage are not found behind a proxy",
    },
    Need {
        command: "CLIENT UNBLOCK",
        // No client has this number.
        arguments: &["0"],
        cost: "a shutdown cannot end the waits of blocking commands before its grace is over",
    },
];

/// How the rights were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// The server was asked, and ran nothing.
    DryRun,
    /// The commands were run, in a form that changes nothing.
    Running,
}

/// What became of a need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Granted,
    Denied,
    /// The server, for instance an older one or a proxy, does not know the command.
    Unknown,
    /// There was no answer.
    Untried(String),
}

/// The rights of the user of a database.
#[derive(Debug)]
pub(crate) struct Rights {
    /// The name of the user, if the server tells it.
    pub(crate) user: Option<String>,
    pub(crate) method: Method,
    pub(crate) needs: Vec<(&'static Need, Right)>,
}

impl Rights {
    /// The needs that are not met.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (&'static Need, &Right)> {
        let needs = self.needs.iter().map(|(need, right)| (*need, right));
        needs.filter(|(_, right)| **right != Right::Granted)
    }
}

/// Finds the rights of the user of this database.
pub(crate) async fn of(database: &Database) -> Rights {
    let user: Option<String> = database.query(cmd("ACL").arg("WHOAMI")).await.ok();
    if let Some(user) = &user
        && let Some(needs) = by_dry_run(database, user).await
    {
        return Rights {
            user: Some(user.clone()),
            method: Method::DryRun,
            needs,
        };
    }
    Rights {
        user,
        method: Method::Running,
        needs: by_running(database).await,
    }
}

/// `None` if the server does not permit the question, or does not know it.
async fn by_dry_run(database: &Database, user: &str) -> Option<Vec<(&'static Need, Right)>> {
    let mut needs = Vec::new();
    for need in &NEEDS {
        let mut question = cmd("ACL").arg("DRYRUN").arg(user).take();
        need.append_to(&mut question);
        let right = match database.execute(&question).await {
            Ok(Value::Okay) => Right::Granted,
            // The text says which right is missing.
            Ok(_) => Right::Denied,
            Err(Error::Server { code, error, .. }) if &*code == "ERR" => {
                // `ERR Command 'x' not found` is about the need, anything else about the question.
                let is_about_need = error.to_string().contains("not found");
                is_about_need.then_some(Right::Unknown)?
            }
            Err(_) => return None,
        };
        needs.push((need, right));
    }
    Some(needs)
}

/// Runs the commands on a connection of its own, which is closed afterwards because its name was changed.
async fn by_running(database: &Database) -> Vec<(&'static Need, Right)> {
    let mut lease = match database.lease().await {
        Ok(lease) => lease,
        Err(error) => {
            let untried = |need| (need, Right::Untried(error.to_string()));
            return NEEDS.iter().map(untried).collect();
        }
    };
    let mut needs = Vec::new();
    for need in &NEEDS {
        let mut command = Cmd::new();
        need.append_to(&mut command);
        let right = match lease.execute(&command).await {
            Ok(_) => Right::Granted,
            Err(Error::Server { code, error, .. }) => of_refusal(&code, &error.to_string()),
            Err(error) => Right::Untried(error.to_string()),
        };
        needs.push((need, right));
    }
    needs
}

/// The server looks at rights before it looks at arguments, so that another error comes after the right.
fn of_refusal(code: &str, text: &str) -> Right {
    let text = text.to_ascii_lowercase();
    match code {
        "NOPERM" => Right::Denied,
        "ERR" if text.contains("unknown command") || text.contains("unknown subcommand") => {
            Right::Unknown
        }
        _ => Right::Granted,
    }
}

impl Need {
    fn append_to(&self, command: &mut Cmd) {
        for word in self
            .command
            .split(' ')
            .chain(self.arguments.iter().copied())
        {
            command.arg(word);
        }
    }
}
