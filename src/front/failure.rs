//! Errors as clients of the front get them: a code, and a text that says what happened and whether the command may
//! have run.

use redis::ServerError;

use crate::{error::Error, execution::Execution};

/// The error reply to a call that failed. An error of the server passes as it came.
pub(super) fn text(error: &Error) -> String {
    if let Some(errors) = error.server_errors()
        && let Some((_, error)) = errors.first()
    {
        return of_server(error);
    }
    let code = code(error);
    match error {
        // These say it themselves.
        Error::TimedOut { .. }
        | Error::ConnectionLost { .. }
        | Error::ShuttingDown { .. }
        | Error::Abandoned { .. }
        | Error::ReplyTooLarge { .. } => format!("{code} {error}"),
        _ => {
            let execution: Execution = error.execution();
            format!("{code} {error}; {execution}")
        }
    }
}

fn code(error: &Error) -> &'static str {
    match error {
        Error::CircuitOpen { .. } => "CIRCUITOPEN",
        Error::Overloaded { .. } => "OVERLOADED",
        Error::TimedOut { .. } => "TIMEDOUT",
        Error::ConnectionLost { .. } => "CONNECTIONLOST",
        Error::ReplyTooLarge { .. } => "REPLYTOOLARGE",
        Error::CommandRefused { .. } => "REFUSED",
        Error::ShuttingDown { .. } => "SHUTTINGDOWN",
        Error::Abandoned { .. } => "ABANDONED",
        Error::Failed { .. } => "FAILED",
        Error::Isolated { .. } => "ISOLATED",
        _ => "ERR",
    }
}

/// The error reply that the server sent.
pub(super) fn of_server(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}
