//! Whether a command may run: the checks of Redis, in its order.

use super::{
    engine::Engine,
    halt::{Halt, shown},
    request::Request,
    session::{ClientId, Session, Transaction},
    signature::{Signature, flags},
};

impl Engine {
    /// Whether a command may run: the checks of Redis, in its order.
    pub(super) fn check(
        &mut self,
        id: ClientId,
        command: Option<&'static Signature>,
        request: &Request,
    ) -> Result<&'static Signature, Halt> {
        let Some(command) = command else {
            return Err(unknown(request));
        };
        if command.is_container && request.len() > 1 {
            return Err(Halt::unknown_subcommand(command.name, &request[1]));
        }
        if !command.takes(request.len()) {
            return Err(Halt::wrong_arity(command.name));
        }
        let session = self.session(id);
        let is_logged_in = session.user.is_some();
        let is_in_transaction = session.transaction.is_some();
        // As in Redis, whether a login is needed may change for a client that is connected.
        if !is_logged_in && !command.has(flags::NO_AUTH) && self.users.want_login() {
            return Err(Halt::error("NOAUTH Authentication required."));
        }
        if is_in_transaction && command.has(flags::NO_MULTI) {
            return Err(Halt::error("ERR Command not allowed inside a transaction"));
        }
        let context = if is_in_transaction {
            "multi"
        } else {
            "toplevel"
        };
        if let Err(denial) = self.permit(context, id, command, request) {
            let text = denial.text(self.user_of(id));
            return Err(Halt::error(format!("NOPERM {text}")));
        }
        self.check_slots(id, command, request)?;
        if let Some(error) = self.faults.failure(command) {
            return Err(Halt::error(error));
        }
        let session = self.session(id);
        let flags = flags_to_run(command, session);
        let is_confined = session.is_subscriber() && !WHILE_SUBSCRIBED.contains(&command.name);
        let runs_while_loading = command.has(flags::LOADING)
            && executed(command, session).is_none_or(|all| all.all_have(flags::LOADING));
        let is_queued = session.transaction.is_some() && !FREES_TRANSACTION.contains(&command.name);
        if self.lacks_memory(flags & flags::DENYOOM != 0, is_queued) {
            return Err(Halt::OUT_OF_MEMORY);
        }
        if self.faults.is_read_only && flags & flags::WRITE != 0 {
            return Err(Halt::READ_ONLY);
        }
        if is_confined {
            return Err(Halt::error(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
                 allowed in this context",
                command.name
            )));
        }
        if self.faults.is_loading && !runs_while_loading {
            return Err(Halt::error(
                "LOADING Redis is loading the dataset in memory",
            ));
        }
        Ok(command)
    }

    /// Whether a command is refused because the memory is full: if it needs memory, or is queued in a
    /// transaction, which needs some.
    pub(super) fn lacks_memory(&mut self, is_denied: bool, is_queued: bool) -> bool {
        if self.faults.is_out_of_memory {
            return is_denied || is_queued;
        }
        is_denied && !self.make_room()
            || is_queued && self.settings.is_out_of_memory(&self.keyspace)
    }

    /// Evicts keys until the data fits the bounds of the settings. Tells whether it does.
    pub(super) fn make_room(&mut self) -> bool {
        let has_room = self
            .settings
            .make_room(&mut self.keyspace, &mut self.random);
        if self.trackers.are_any() {
            // No client has changed these keys, not even the one whose command needs the room.
            self.invalidate(None);
        }
        has_room
    }
}

/// The transaction that a command executes.
pub(super) fn executed<'a>(command: &Signature, session: &'a Session) -> Option<&'a Transaction> {
    let transaction = session.transaction.as_ref();
    transaction.filter(|_| command.name == "exec")
}

/// The flags of a command, and of those that it executes.
pub(super) fn flags_to_run(command: &Signature, session: &Session) -> u32 {
    let executed = executed(command, session);
    command.flags | executed.map_or(0, Transaction::flags)
}

/// Commands that need no more memory in a transaction.
const FREES_TRANSACTION: [&str; 4] = ["exec", "discard", "quit", "reset"];

const WHILE_SUBSCRIBED: [&str; 9] = [
    "subscribe",
    "unsubscribe",
    "psubscribe",
    "punsubscribe",
    "ssubscribe",
    "sunsubscribe",
    "ping",
    "quit",
    "reset",
];

/// The error of a command that does not exist, with the arguments that Redis shows.
pub(super) fn unknown(request: &Request) -> Halt {
    const SHOWN: usize = 128;
    let name = request.first().map(|name| shown(name)).unwrap_or_default();
    let mut arguments = String::new();
    for argument in request.iter().skip(1) {
        if arguments.len() >= SHOWN {
            break;
        }
        let left = SHOWN - arguments.len();
        let argument = shown(&argument[..argument.len().min(left)]);
        arguments.push_str(&format!("'{argument}' "));
    }
    Halt::error(format!(
        "ERR unknown command '{name}', with args beginning with: {arguments}"
    ))
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn a_server_that_loads_runs_few_commands() {
        let client = Client::new();
        client.ask("MULTI");
        client.ask("GET a");
        client.store.with(|engine| engine.faults.is_loading = true);
        assert_eq!(
            client.ask("EXEC"),
            "-EXECABORT Transaction discarded because of: LOADING Redis is loading the dataset in memory"
        );
        assert!(client.ask("GET a").starts_with("-LOADING "));
        assert!(client.ask("INFO persistence").contains("loading:1"));
        client.ask("MULTI");
        client.ask("ECHO a");
        assert_eq!(client.ask("EXEC"), "*1 $1 a");
    }

    #[test]
    fn a_server_that_is_read_only_refuses_writes() {
        let client = Client::new();
        client.ask("MULTI");
        client.ask("SET a 1");
        client
            .store
            .with(|engine| engine.faults.is_read_only = true);
        assert!(
            client
                .ask("EXEC")
                .starts_with("-EXECABORT Transaction discarded because of: READONLY ")
        );
        assert!(client.ask("SET a 1").starts_with("-READONLY "));
        assert_eq!(client.ask("GET a"), "$-1");
    }

    #[test]
    fn a_queued_command_needs_memory() {
        let client = Client::new();
        client
            .store
            .with(|engine| engine.faults.is_out_of_memory = true);
        assert!(client.ask("SET a 1").starts_with("-OOM "));
        assert_eq!(client.ask("GET a"), "$-1");
        client.ask("MULTI");
        assert!(client.ask("GET a").starts_with("-OOM "));
        assert_eq!(client.ask("DISCARD"), "+OK");
    }
}
