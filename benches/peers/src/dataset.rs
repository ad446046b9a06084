//! The keys and values of a case, a set for each task, so that a reply that reaches the wrong
//! caller is noticed.

use std::sync::{Arc, atomic::AtomicU32};

use anyhow::{Context, Result};
use bytes::Bytes;
use redis::{Connection, ConnectionLike, cluster, pipe};

use crate::{
    address::Address,
    case::{Case, Command},
    peer::{connection_info, expect_value},
};

/// What one task asks for, or all: a key and its value, or as many as one call has, or as are taken in turns.
pub struct Records {
    pub keys: Vec<String>,
    pub values: Vec<Bytes>,
    /// How often another connection has changed each of them; empty if none does.
    pub changes: Vec<AtomicU32>,
}

/// The records of all tasks, and the connection that writes them.
pub struct Dataset {
    pub records: Arc<[Records]>,
    case: Case,
    store: Store,
}

/// Where they are written.
enum Store {
    Server(Connection),
    Cluster(Box<cluster::ClusterConnection>),
}

impl Dataset {
    /// Empties the server and writes what the case will read.
    pub fn write(address: &Address, case: Case) -> Result<Self> {
        let sets = (0..case.key_sets()).map(|set| Records::of_case(set, case));
        let mut dataset = Self {
            records: sets.collect(),
            case,
            store: Store::open(address).context("writing the data set")?,
        };
        dataset.reset().context("writing the data set")?;
        Ok(dataset)
    }

    /// Makes it what it was, where a turn changes it: counters start again where they did, and
    /// what will be written is not there yet.
    pub fn renew(&mut self) -> Result<()> {
        match self.case.command {
            Command::Incr => self.reset().context("resetting the counters"),
            Command::Set => self.clear().context("removing what was written"),
            Command::Get | Command::Pipeline | Command::Mget | Command::Mixed => Ok(()),
        }
    }

    /// Reads what a turn has written. The replies to it are all the same, and so tell too little.
    pub fn check(&mut self) -> Result<()> {
        if self.case.command != Command::Set {
            return Ok(());
        }
        let records = self.records.iter();
        for (key, value) in records.flat_map(|it| it.keys.iter().zip(&it.values)) {
            let get = redis::cmd("GET").arg(key).take();
            let stored: Option<Vec<u8>> = get.query(self.store.connection())?;
            expect_value(value, &stored.unwrap_or_default())
                .with_context(|| format!("what is stored as {key}"))?;
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        Ok(redis::cmd("FLUSHALL").exec(self.store.connection())?)
    }

    fn reset(&mut self) -> Result<()> {
        self.clear()?;
        for (task, Records { keys, values, .. }) in self.records.iter().enumerate() {
            if self.case.command == Command::Incr {
                let start = count_start(task).to_string();
                self.store
                    .set(keys.iter().map(|key| (key, start.as_bytes())))?;
                continue;
            }
            let values = values.iter().map(Bytes::as_ref);
            self.store.set(keys.iter().zip(values))?;
        }
        Ok(())
    }
}

impl Store {
    fn open(address: &Address) -> Result<Self> {
        if address.nodes.is_some() {
            let client = cluster::ClusterClient::new(address.node_urls())?;
            return Ok(Self::Cluster(client.get_connection()?.into()));
        }
        let client = redis::Client::open(connection_info(address)?)?;
        Ok(Self::Server(client.get_connection()?))
    }

    fn connection(&mut self) -> &mut dyn ConnectionLike {
        match self {
            Self::Server(connection) => connection,
            Self::Cluster(connection) => connection.as_mut(),
        }
    }

    /// In one round trip, or one to each node.
    fn set<'a>(&mut self, pairs: impl Iterator<Item = (&'a String, &'a [u8])>) -> Result<()> {
        match self {
            Self::Server(connection) => {
                let mut writes = pipe();
                for (key, value) in pairs {
                    writes.set(key, value).ignore();
                }
                writes.exec(connection)?;
            }
            Self::Cluster(connection) => {
                let mut writes = cluster::cluster_pipe();
                for (key, value) in pairs {
                    writes.set(key, value).ignore();
                }
                writes.exec(connection)?;
            }
        }
        Ok(())
    }
}

impl Records {
    /// The set of a task, or of all, in a case.
    pub fn of_case(set: usize, case: Case) -> Self {
        let records = Self::of(set, case.keys_per_set(), case.bytes);
        if case.command == Command::Mixed {
            return records.changing();
        }
        records
    }

    pub fn of(set: usize, count: usize, bytes: usize) -> Self {
        let numbers = set * count..(set + 1) * count;
        Self {
            keys: numbers.clone().map(key).collect(),
            values: numbers.map(|number| value(number, bytes)).collect(),
            changes: Vec::new(),
        }
    }

    /// With values that say which one of their key's they are.
    fn changing(self) -> Self {
        let places = 0..self.keys.len();
        Self {
            values: places.clone().map(|place| changed(place, 0)).collect(),
            changes: places.map(|_| AtomicU32::new(0)).collect(),
            ..self
        }
    }
}

/// Where the counter of a task starts, so far apart that nobody's count is another's.
pub fn count_start(task: usize) -> i64 {
    task as i64 * 1_000_000_000
}

/// The key of a record.
pub fn key(number: usize) -> String {
    format!("key:{number}")
}

/// A value that no other key has, in letters and digits, so that it can be a program's argument.
pub fn value(number: usize, bytes: usize) -> Bytes {
    let pattern = format!("value{number:06}of");
    pattern.bytes().cycle().take(bytes).collect()
}

/// The value of a key after so many changes: 16 B.
pub fn changed(place: usize, changes: u32) -> Bytes {
    format!("{place:05}:{changes:010}").into()
}

/// After how many changes this is the value of a key; `None` if it never is.
pub fn changes_of(place: usize, value: &[u8]) -> Option<u32> {
    let (own, changes) = std::str::from_utf8(value).ok()?.split_once(':')?;
    let is_whole = (own.len(), changes.len()) == (5, 10);
    (is_whole && own.parse() == Ok(place)).then(|| changes.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{
        authority::Authority,
        case::{PIPELINE, Service},
        peer::WrongReply,
        program::Programs,
        runtime::Flavour,
        server::Server,
    };

    #[test]
    fn values_have_their_size_and_differ() {
        let values: HashSet<_> = (0..6400).map(|number| value(number, 16)).collect();
        assert_eq!(values.len(), 6400);
        assert!(values.iter().all(|value| value.len() == 16));
        assert_eq!(value(7, 16 * 1024).len(), 16 * 1024);
    }

    #[test]
    fn a_value_that_was_not_stored_or_is_another_is_found() {
        let server = Server::start(&Programs::default()).expect("a server");
        let case = Case {
            command: Command::Set,
            bytes: 16,
            outstanding: 2,
            flavour: Flavour::CurrentThread,
            service: Service::Server,
        };
        let mut dataset = Dataset::write(&server.address(), case).expect("a data set");
        dataset.check().expect("it has just been written");
        let swapped = dataset.records[0].values[0].clone();
        let mut connection = redis::Client::open(server.url())
            .and_then(|client| client.get_connection())
            .expect("a connection");
        let key = &dataset.records[1].keys[0];
        redis::cmd("SET")
            .arg(key)
            .arg(swapped.as_ref())
            .exec(&mut connection)
            .expect("set");
        let error = dataset.check().expect_err("another's value");
        assert!(error.is::<WrongReply>(), "{error:#}");
        dataset.renew().expect("emptied");
        assert!(dataset.check().is_err());
    }

    #[test]
    fn a_server_with_a_certificate_is_written_to_as_well() {
        let programs = Programs::default();
        let authority = Arc::new(Authority::new(&programs).expect("an authority"));
        let server = Server::start_with_tls(&programs, &authority).expect("a server");
        let case = Case {
            command: Command::Get,
            bytes: 16,
            outstanding: 1,
            flavour: Flavour::CurrentThread,
            service: Service::Tls,
        };
        let address = server.tls_address().expect("it has TLS");
        let dataset = Dataset::write(&address, case).expect("a data set");
        let mut connection = server.connect().expect("a connection");
        for (key, value) in dataset.records[0]
            .keys
            .iter()
            .zip(&dataset.records[0].values)
        {
            let stored: Vec<u8> = redis::Cmd::get(key)
                .query(&mut connection)
                .expect("a value");
            assert_eq!(&stored, value);
        }
    }

    #[test]
    fn a_value_that_changes_says_whose_it_is_and_after_how_many_changes() {
        let value = changed(7, 42);
        assert_eq!(value.len(), 16);
        assert_eq!(changes_of(7, &value), Some(42));
        assert_eq!(changes_of(8, &value), None);
        assert_eq!(changes_of(7, &value[..15]), None);
        assert_eq!(changes_of(7, b""), None);
    }

    #[test]
    fn tasks_share_no_key() {
        let keys = |task| Records::of(task, PIPELINE, 16).keys;
        let all: HashSet<_> = keys(0).into_iter().chain(keys(1)).collect();
        assert_eq!(all.len(), 2 * PIPELINE);
    }
}
