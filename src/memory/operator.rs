//! Commands of the application itself, by the handle of its server.

use bytes::Bytes;

use super::{
    acl::DEFAULT_USER,
    check::unknown,
    engine::Engine,
    halt::Halt,
    reply::Reply,
    request::Request,
    session::{ClientId, Session},
};

/// No client has it.
const OPERATOR: ClientId = 0;

impl Engine {
    /// Runs a command, whatever the faults are, and counts nothing. Clients that wait for what it has changed go on, as
    /// soon as anything goes on.
    pub(super) fn operate(&mut self, request: &Request) -> Reply {
        let now = self.clock.millis();
        self.keyspace.expire(now);
        let command = match self.table.of(request) {
            Some(command) if command.is_container && request.len() > 1 => {
                return Halt::unknown_subcommand(command.name, &request[1]).at_once();
            }
            Some(command) if !command.takes(request.len()) => {
                return Halt::wrong_arity(command.name).at_once();
            }
            Some(command) => command,
            None => return unknown(request).at_once(),
        };
        let user = Some(Bytes::from_static(DEFAULT_USER));
        let session = Session::new(OPERATOR, "operator".into(), now, user);
        self.sessions.insert(OPERATOR, session);
        let counted = self.statistics.clone();
        let outcome = self.call(OPERATOR, command, request, now, 0);
        self.statistics = counted;
        self.disconnect(OPERATOR);
        if !self.faults.is_asleep(now) {
            self.settle(now);
            self.run();
        }
        outcome.unwrap_or_else(Halt::at_once)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use redis::cmd;

    use crate::memory::{MemoryServer, tests::client::Client};

    #[test]
    fn the_application_reaches_a_server_that_is_frozen() {
        let server = MemoryServer::new();
        let client = Client::of(&server.store);
        assert_eq!(client.ask("BLPOP l 0"), "");
        server.freeze();
        let push = cmd("RPUSH").arg("l").arg(&["a", "b"]).take();
        assert_eq!(server.query::<usize>(push).expect("a length"), 2);
        assert_eq!(client.read(), "");
        server.thaw();
        assert_eq!(client.read(), "*2 $1 l $1 a");
        let left = cmd("LRANGE").arg("l").arg(0).arg(-1).take();
        assert_eq!(server.query::<Vec<String>>(left).expect("a list"), ["b"]);
        assert_eq!(server.command_counts(), BTreeMap::from([("blpop", 1)]));
        assert_eq!(server.connections(), 1);
    }

    #[test]
    fn its_commands_meet_no_fault_and_their_own_errors() {
        let server = MemoryServer::new();
        server.fail_with("OOM of this test", &[]);
        server.set_loading(true);
        server.cut_after(0);
        let set = cmd("SET").arg("s").arg("text").take();
        server.query::<()>(&set).expect("OK");
        assert_eq!(server.get("s").as_deref(), Some(&b"text"[..]));
        for (words, code) in [
            (&["LLEN", "s"][..], "WRONGTYPE"),
            (&["NONSENSE"], "ERR"),
            (&["GET"], "ERR"),
            (&["CLIENT", "NONSENSE"], "ERR"),
            (&["EXEC"], "ERR"),
        ] {
            let command = cmd(words[0]).arg(&words[1..]).take();
            let error = server.query::<()>(command).expect_err("an error");
            assert_eq!(error.code(), Some(code), "{words:?}");
        }
        let wait = cmd("BLPOP").arg("l").arg(0).take();
        let nothing: Option<Vec<String>> = server.query(wait).expect("no wait");
        assert_eq!(nothing, None);
    }
}
