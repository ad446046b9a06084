//! Commands of the application itself, by the handle of its server.

use bytes::Bytes;

use super::{
    acl::DEFAULT_USER,
    check::unknown,
    engine::Engine,
    halt::Halt,
    reply::Reply,
    request::Request,
    session::{OPERATOR, Session},
};

impl Engine {
    /// Runs a command, whatever the faults are, and counts nothing. Clients that wait for what it has changed go on, as
    /// soon as anything goes on.
    pub(super) fn operate(&mut self, request: &Request) -> Reply {
        self.expire();
        let now = self.clock.millis();
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
        let outcome = self.call(OPERATOR, command, request, now, 0);
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
    use std::{collections::BTreeMap, time::Duration};

    use redis::cmd;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::Instant,
    };

    use crate::memory::{MemoryServer, stream::MemoryStream, tests::client::Client};

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
    fn the_application_reaches_a_server_that_sleeps() {
        let server = MemoryServer::new();
        let client = Client::of(&server.store);
        let sleeper = Client::of(&server.store);
        assert_eq!(client.ask("BLPOP l 0"), "");
        assert_eq!(sleeper.ask("DEBUG SLEEP 1"), "");
        let push = cmd("RPUSH").arg("l").arg("a").take();
        assert_eq!(server.query::<usize>(push).expect("a length"), 1);
        assert_eq!(client.read(), "");
        server.store.with(|engine| {
            engine.clock.advance(Duration::from_secs(2));
            engine.tick(sleeper.id);
        });
        assert_eq!(client.read(), "*2 $1 l $1 a");
        assert_eq!(sleeper.read(), "+OK");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_waits_notices_the_end_of_a_sleep() {
        let server = MemoryServer::new();
        let mut stream = MemoryStream::connect(&server.store).expect("a server that is open");
        let pop = b"BLPOP l 0\r\n";
        stream.write_all(pop).await.expect("a connection");
        let began = Instant::now();
        let mut reply = [0; 18];
        let push = async {
            let sleep = cmd("DEBUG").arg("SLEEP").arg(1).take();
            server.query::<()>(sleep).expect("OK");
            let push = cmd("RPUSH").arg("l").arg("abc").take();
            server.query::<()>(push).expect("a length");
        };
        // The time stands still while something is left to do, so it tells who has waited for what.
        let limit = Duration::from_secs(60);
        let (read, ()) = tokio::join!(
            tokio::time::timeout(limit, stream.read_exact(&mut reply)),
            push
        );
        read.expect("a reply in time").expect("a connection");
        assert_eq!(&reply, b"*2\r\n$1\r\nl\r\n$3\r\nabc");
        assert!(began.elapsed() < limit / 2, "{:?}", began.elapsed());
    }

    #[test]
    fn what_expires_when_the_application_looks_is_noticed() {
        let server = MemoryServer::new();
        let client = Client::of(&server.store);
        let reader = Client::of(&server.store);
        client.expect(&[
            ("SET a 1 PX 1000", "+OK"),
            ("XGROUP CREATE x g $ MKSTREAM", "+OK"),
            ("PEXPIRE x 1000", ":1"),
            ("WATCH a", "+OK"),
            ("MULTI", "+OK"),
            ("SET b 1", "+QUEUED"),
        ]);
        let wait = "XREADGROUP GROUP g c BLOCK 0 STREAMS x >";
        assert_eq!(reader.ask(wait), "");
        server
            .store
            .with(|engine| engine.clock.advance(Duration::from_secs(2)));
        assert_eq!(server.get("a"), None);
        assert!(reader.read().starts_with("-NOGROUP "));
        assert_eq!(client.ask("EXEC"), "*-1");
    }

    #[test]
    fn its_commands_count_for_nothing_and_begin_the_counts_anew() {
        let server = MemoryServer::new();
        let client = Client::of(&server.store);
        client.ask("GET a");
        client.ask("NONSENSE");
        let of_the_application = |words: &[&str]| {
            let command = cmd(words[0]).arg(&words[1..]).take();
            server.query::<redis::Value>(command)
        };
        of_the_application(&["GET", "a"]).expect("nothing");
        of_the_application(&["LPUSH", "a"]).expect_err("an error");
        assert_eq!(server.command_counts(), BTreeMap::from([("get", 1)]));
        let errors = |engine: &mut crate::memory::engine::Engine| engine.statistics.error_replies;
        assert_eq!(server.store.with(errors), 1);
        of_the_application(&["CONFIG", "RESETSTAT"]).expect("OK");
        assert_eq!(server.command_counts(), BTreeMap::new());
        assert_eq!(server.store.with(errors), 0);
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

    /// Data of several slots is written and read at once, though clients cannot do so.
    #[test]
    fn its_keys_may_be_of_several_slots() {
        let server = MemoryServer::new_cluster();
        let client = Client::of(&server.store);
        assert!(client.ask("MSET a 1 b 2").starts_with("-CROSSSLOT "));
        let set = cmd("MSET").arg(&["a", "1", "b", "2"]).take();
        server.query::<()>(set).expect("OK");
        assert_eq!(server.keys(0).len(), 2);
        #[cfg(feature = "memory-lua")]
        for source in [
            "return redis.call('MGET', 'a', 'b')",
            "#!lua\nreturn {redis.call('GET', 'a'), redis.call('GET', 'b')}",
        ] {
            let eval = cmd("EVAL").arg(source).arg(0).take();
            let values = server.query::<Vec<i64>>(eval).expect("values");
            assert_eq!(values, [1, 2]);
        }
    }

    #[cfg(feature = "memory-lua")]
    #[test]
    fn its_scripts_meet_no_fault_and_no_bound() {
        let server = MemoryServer::new();
        let script = |source: &str| {
            let eval = cmd("EVAL").arg(source).arg(0).take();
            server.query::<String>(eval)
        };
        server.fail_with("ERR of this test", &["SET"]);
        server.set_read_only(true);
        server.set_out_of_memory(true);
        let ok = script("return redis.call('SET', 'a', 'text')").expect("OK");
        assert_eq!(ok, "OK");
        let ok = script("#!lua\nreturn redis.call('SET', 'b', 'text')").expect("OK");
        assert_eq!(ok, "OK");
        server.heal();
        server.set_max_memory(1, crate::memory::EvictionPolicy::AllKeysLru);
        let ok = script("return redis.call('SET', 'c', 'text')").expect("OK");
        assert_eq!(ok, "OK");
        assert_eq!(server.keys(0).len(), 3, "nothing was evicted for it");
        let user = cmd("ACL").arg("SETUSER").arg("default").arg("-set").take();
        server.query::<()>(user).expect("OK");
        let ok = script("return redis.call('SET', 'd', 'text')").expect("OK");
        assert_eq!(ok, "OK", "it may do everything");
        assert_eq!(server.command_counts(), BTreeMap::new());
        let error = script("return redis.call('GET')").expect_err("an error");
        assert_eq!(error.code(), Some("ERR"));
        let errors = |engine: &mut crate::memory::engine::Engine| engine.statistics.error_replies;
        assert_eq!(server.store.with(errors), 0);
    }
}
