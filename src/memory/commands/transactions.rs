//! Transactions.

use std::mem;

use bytes::Bytes;

use crate::memory::{
    command::{
        Command,
        flags::{ALLOW_BUSY, FAST, LOADING, NOSCRIPT, SKIP_SLOWLOG, STALE},
    },
    context::Context,
    halt::{Halt, Outcome},
    reply::Reply,
    session::Transaction,
};

const QUICK: u32 = NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY;
const EXEC: u32 = NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG;

pub(super) const COMMANDS: &[Command] = &[
    Command::new("multi", 1, QUICK, (0, 0, 0), multi),
    Command::new("exec", 1, EXEC, (0, 0, 0), exec),
    Command::new("discard", 1, QUICK, (0, 0, 0), discard),
    Command::new("watch", -2, QUICK, (1, -1, 1), watch),
    Command::new("unwatch", 1, QUICK, (0, 0, 0), unwatch),
];

fn multi(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let transaction = &mut cx.session().transaction;
    if transaction.is_some() {
        return Err(Halt::error("ERR MULTI calls can not be nested"));
    }
    *transaction = Some(Transaction::default());
    Ok(Reply::OK)
}

fn exec(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    let Some(transaction) = cx.session().transaction.take() else {
        return Err(Halt::error("ERR EXEC without MULTI"));
    };
    let is_outdated = mem::take(&mut cx.session().is_outdated);
    cx.engine.unwatch(cx.client);
    if transaction.is_refused {
        return Err(Halt::error(
            "EXECABORT Transaction discarded because of previous errors.",
        ));
    }
    if is_outdated {
        return Ok(Reply::NullArray);
    }
    let requests = transaction.queued.into_iter().map(|(_, request)| request);
    Err(Halt::Transaction(requests.collect()))
}

fn discard(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    if cx.session().transaction.take().is_none() {
        return Err(Halt::error("ERR DISCARD without MULTI"));
    }
    cx.engine.unwatch(cx.client);
    Ok(Reply::OK)
}

fn watch(cx: &mut Context<'_>, args: &[Bytes]) -> Outcome {
    if cx.session().transaction.is_some() {
        return Err(Halt::error("ERR WATCH inside MULTI is not allowed"));
    }
    let database = cx.database;
    for key in &args[1..] {
        cx.engine.watch(cx.client, database, key);
    }
    Ok(Reply::OK)
}

fn unwatch(cx: &mut Context<'_>, _: &[Bytes]) -> Outcome {
    cx.engine.unwatch(cx.client);
    Ok(Reply::OK)
}

#[cfg(test)]
mod tests {
    use crate::memory::tests::client::Client;

    #[test]
    fn a_change_of_a_watched_key_by_another_client_aborts() {
        let client = Client::new();
        let other = Client::of(&client.store);
        for (change, reply) in [
            ("GET a", "*1 $1 1"),
            ("SET b 1", "*1 $1 1"),
            ("SET a 1", "*-1"),
            ("DEL a", "*-1"),
            ("FLUSHALL", "*-1"),
        ] {
            client.ask("SET a 1");
            client.ask("WATCH a");
            other.ask(change);
            client.ask("MULTI");
            client.ask("GET a");
            assert_eq!(client.ask("EXEC"), reply, "{change}");
        }
    }

    #[test]
    fn a_key_that_came_and_went_has_changed() {
        let client = Client::new();
        let other = Client::of(&client.store);
        client.ask("WATCH a");
        other.ask("SET a 1");
        other.ask("DEL a");
        client.ask("MULTI");
        assert_eq!(client.ask("EXEC"), "*-1");
        client.ask("MULTI");
        assert_eq!(client.ask("EXEC"), "*0", "it is watched no more");
    }

    #[test]
    fn a_watched_key_that_expires_aborts() {
        let client = Client::new();
        client.ask("SET a 1 PX 1000");
        client.ask("WATCH a");
        let later = std::time::Duration::from_secs(2);
        client.store.with(|engine| engine.clock.advance(later));
        client.ask("MULTI");
        assert_eq!(client.ask("EXEC"), "*-1");
        client.ask("SET a 1 PX 1000");
        client.store.with(|engine| engine.clock.advance(later));
        client.ask("WATCH a");
        client.ask("MULTI");
        assert_eq!(client.ask("EXEC"), "*0", "it had expired before");
    }

    #[test]
    fn an_exchange_of_databases_forgets_no_change() {
        let client = Client::new();
        let other = Client::of(&client.store);
        client.ask("WATCH a");
        for command in ["MULTI", "SET a 1", "DEL a", "SWAPDB 0 1", "EXEC"] {
            other.ask(command);
        }
        client.ask("MULTI");
        assert_eq!(client.ask("EXEC"), "*-1");
    }

    #[test]
    fn a_transaction_is_bounded() {
        let client = Client::new();
        client.ask("CONFIG SET client-query-buffer-limit 1mb");
        client.ask("MULTI");
        let set = ["SET".into(), "a".into(), vec![b'x'; 700_000].into()];
        assert_eq!(&client.ask_bytes(&set)[..], b"+QUEUED\r\n");
        assert_eq!(
            &client.ask_bytes(&set)[..],
            b"-ERR the transaction has more bytes than client-query-buffer-limit\r\n"
        );
        assert!(client.ask("EXEC").starts_with("-EXECABORT "));
        assert_eq!(client.ask("EXISTS a"), ":0");
        // One request as well, of a client that has come since.
        let other = Client::of(&client.store);
        let set = [
            "MSET".into(),
            "a".into(),
            set[2].clone(),
            "b".into(),
            set[2].clone(),
        ];
        assert_eq!(
            &other.ask_bytes(&set)[..],
            b"-ERR Protocol error: the request is too large\r\n"
        );
    }

    #[test]
    fn many_keys_are_watched_in_little_time() {
        let client = Client::new();
        let keys = (0..100_000).map(|number: u32| number.to_string().into());
        let watch: Vec<_> = ["WATCH".into()].into_iter().chain(keys).collect();
        assert_eq!(&client.ask_bytes(&watch)[..], b"+OK\r\n");
        assert!(client.ask("CLIENT INFO").contains(" watch=100000 "));
        assert_eq!(client.ask("UNWATCH"), "+OK");
    }

    #[test]
    fn errors_are_elements() {
        let client = Client::new();
        client.ask("MULTI");
        assert_eq!(client.ask("SET a x"), "+QUEUED");
        client.ask("INCR a");
        client.ask("SELECT 1");
        client.ask("EXISTS a");
        assert_eq!(
            client.ask("EXEC"),
            "*4 +OK -ERR value is not an integer or out of range +OK :0"
        );
    }
}
