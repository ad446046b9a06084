//! The settings of a front.

use std::{
    collections::BTreeMap, net::SocketAddr, num::NonZeroUsize, path::PathBuf, sync::Arc,
    time::Duration,
};

use secrecy::SecretString;

use super::{
    error::FrontError,
    handle::Front,
    listener::{Endpoint, Opened},
    service::{DEFAULT_USER, Limits, Login, Service},
};
use crate::{database::Database, supervisor::Supervisor};

/// The settings of a [`Front`], from [`Supervisor::front`] on.
///
/// Without any [`database`](Self::database) or [`select`](Self::select), a supervisor with one database serves that.
#[derive(Clone, Debug)]
#[must_use = "nothing listens before start is awaited"]
pub struct FrontBuilder {
    supervisor: Supervisor,
    listeners: Vec<(Address, Option<String>)>,
    /// The database of the listeners that follow.
    database: Option<String>,
    numbers: BTreeMap<i64, String>,
    logins: Vec<(Login, Option<String>)>,
    allow_remote: bool,
    max_clients: usize,
    limits: Limits,
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[derive(Clone, Debug)]
enum Address {
    Tcp(String),
    Unix(PathBuf),
}

impl Supervisor {
    /// A front: it serves databases of this supervisor to clients of Redis in any language, with all that a handle
    /// does for them. See [`Front`].
    pub fn front(&self) -> FrontBuilder {
        FrontBuilder {
            supervisor: self.clone(),
            listeners: Vec::new(),
            database: None,
            numbers: BTreeMap::new(),
            logins: Vec::new(),
            allow_remote: false,
            max_clients: 1_000,
            limits: Limits::default(),
        }
    }
}

impl FrontBuilder {
    /// Listens on a TCP address such as `127.0.0.1:6380` or `[::1]:6380`; `localhost:6380` is `127.0.0.1:6380`, and
    /// port 0 is a free one, which [`Front::addresses`] tells. Every program on this machine can connect: see
    /// [`password`](Self::password). Addresses that other machines can reach need
    /// [`allow_remote`](Self::allow_remote).
    pub fn listen_tcp(mut self, address: impl Into<String>) -> Self {
        let address = Address::Tcp(address.into());
        self.listeners.push((address, self.database.clone()));
        self
    }

    /// Listens on a Unix socket. A socket at this path that nobody listens on is replaced. Who may connect is
    /// decided by the rights of the folder and by the umask of the process. The socket is removed when the front
    /// stops.
    pub fn listen_unix(mut self, path: impl Into<PathBuf>) -> Self {
        let address = Address::Unix(path.into());
        self.listeners.push((address, self.database.clone()));
        self
    }

    /// Clients of the listeners that follow begin in this database, which is their number 0.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.database = Some(name.into());
        self
    }

    /// `SELECT number` enters this database. In the database of number 0 clients of a listener without a
    /// [`database`](Self::database) begin.
    pub fn select(mut self, number: u32, name: impl Into<String>) -> Self {
        self.numbers.insert(number.into(), name.into());
        self
    }

    /// Clients have to log in with this password, by `AUTH` or `HELLO`.
    pub fn password(self, password: impl Into<SecretString>) -> Self {
        self.login(DEFAULT_USER, password, None)
    }

    /// Clients may log in as this user, and then begin in this database.
    pub fn user(
        self,
        name: impl Into<String>,
        password: impl Into<SecretString>,
        database: impl Into<String>,
    ) -> Self {
        self.login(name, password, Some(database.into()))
    }

    /// Permits addresses that other machines can reach. A front that has one needs a
    /// [`password`](Self::password) or a [`user`](Self::user). The passwords and all data cross the network
    /// without encryption.
    pub fn allow_remote(mut self) -> Self {
        self.allow_remote = true;
        self
    }

    /// The most clients at a time. Further ones get an error and are disconnected. Default: 1,000.
    pub fn max_clients(mut self, clients: NonZeroUsize) -> Self {
        self.max_clients = clients.get();
        self
    }

    /// The most bytes of one request, and of one transaction. A client that announces more gets an error and is
    /// disconnected. Default: 64 MiB. Each argument counts 32 bytes beside its own.
    pub fn max_request_bytes(mut self, bytes: NonZeroUsize) -> Self {
        self.limits.request_bytes = bytes.get();
        self
    }

    /// The most requests of one client that are under way at a time. Further ones wait in its connection. Default:
    /// 1,024.
    pub fn max_outstanding(mut self, requests: NonZeroUsize) -> Self {
        self.limits.outstanding = requests.get();
        self
    }

    /// With so many bytes of replies that a client has not read, no further request of it begins, and the replies
    /// to those under way are its last until it reads. Default: 1 MiB.
    pub fn max_output_bytes(mut self, bytes: NonZeroUsize) -> Self {
        self.limits.output_bytes = bytes.get();
        self
    }

    /// A client that reads nothing of its replies for so long is disconnected. Default: 60 s. Range: up to 1 year;
    /// more counts as a year.
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.limits.stall = timeout.min(YEAR);
        self
    }

    /// With so many bytes of messages that a subscriber has not read, beside
    /// [`max_output_bytes`](Self::max_output_bytes), it is disconnected, as at a server. Default: 32 MiB, which is the
    /// server's own default. Each message counts 128 bytes beside its texts.
    pub fn max_message_bytes(mut self, bytes: NonZeroUsize) -> Self {
        self.limits.message_bytes = bytes.get();
        self
    }

    /// The transaction of a client that sends nothing for so long is given up: keys that it watches are watched no
    /// more, and commands that it has queued are dropped. Its next `EXEC` is an `EXECABORT`, unless it begins anew by
    /// `DISCARD`, `UNWATCH` or `RESET`. So a client that has stopped in between holds no connection for ever.
    /// Default: 60 s. Range: up to 1 year; more counts as a year.
    pub fn transaction_timeout(mut self, timeout: Duration) -> Self {
        self.limits.transaction = timeout.min(YEAR);
        self
    }

    /// Opens all addresses, and serves clients from then on, on the runtime of the connections.
    ///
    /// # Errors
    ///
    /// [`FrontError`], for the first thing that does not fit. No address is open then.
    pub async fn start(self) -> Result<Front, FrontError> {
        if self.listeners.is_empty() {
            return Err(FrontError::NoListener);
        }
        let mut numbers = Numbers::new(&self.supervisor, &self.numbers)?;
        let mut logins = Vec::new();
        for (login, database) in &self.logins {
            let database = database.as_ref().map(|name| numbers.of(name)).transpose()?;
            logins.push(Login {
                database,
                ..login.clone()
            });
        }
        let mut opened = Vec::new();
        for (address, database) in &self.listeners {
            let start = match database {
                Some(name) => numbers.of(name)?,
                None => numbers.zero()?,
            };
            let endpoint = self.endpoint(address)?;
            opened.push(Opened::open(endpoint, start)?);
        }
        let any = numbers.any().clone();
        let service = Service::new(numbers.databases, logins, self.limits);
        Front::start(Arc::new(service), &any, opened, self.max_clients).await
    }

    fn login(
        mut self,
        user: impl Into<String>,
        password: impl Into<SecretString>,
        database: Option<String>,
    ) -> Self {
        let login = Login {
            user: user.into(),
            password: password.into(),
            database: None,
        };
        self.logins.retain(|(other, _)| other.user != login.user);
        self.logins.push((login, database));
        self
    }

    fn endpoint(&self, address: &Address) -> Result<Endpoint, FrontError> {
        let text = match address {
            Address::Unix(path) => return Ok(Endpoint::Unix(path.clone())),
            Address::Tcp(text) => text,
        };
        let literal = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.clone(),
        };
        let address: SocketAddr = literal
            .parse()
            .map_err(|_| FrontError::Address(text.as_str().into()))?;
        let is_remote = !address.ip().is_loopback();
        if is_remote && !self.allow_remote {
            return Err(FrontError::Remote(address));
        }
        if is_remote && self.logins.is_empty() {
            return Err(FrontError::NoPassword(address));
        }
        Ok(Endpoint::Tcp(address))
    }
}

/// The databases by number. Those that no SELECT reaches have negative numbers.
struct Numbers<'a> {
    supervisor: &'a Supervisor,
    databases: BTreeMap<i64, Database>,
    hidden: BTreeMap<String, i64>,
}

impl<'a> Numbers<'a> {
    fn new(
        supervisor: &'a Supervisor,
        numbers: &BTreeMap<i64, String>,
    ) -> Result<Self, FrontError> {
        let mut databases = BTreeMap::new();
        for (number, name) in numbers {
            databases.insert(*number, handle(supervisor, name)?);
        }
        Ok(Self {
            supervisor,
            databases,
            hidden: BTreeMap::new(),
        })
    }

    /// The number of a database in which clients begin.
    fn of(&mut self, name: &str) -> Result<i64, FrontError> {
        if let Some(number) = self.hidden.get(name) {
            return Ok(*number);
        }
        let number = -1 - self.hidden.len() as i64;
        self.databases
            .insert(number, handle(self.supervisor, name)?);
        self.hidden.insert(name.to_owned(), number);
        Ok(number)
    }

    /// The number 0, which needs no choice if there is only one database.
    fn zero(&mut self) -> Result<i64, FrontError> {
        if self.databases.contains_key(&0) {
            return Ok(0);
        }
        match &*self.supervisor.databases() {
            [only] => {
                self.databases.insert(0, handle(self.supervisor, only)?);
                Ok(0)
            }
            _ => Err(FrontError::NoDatabase),
        }
    }

    fn any(&self) -> &Database {
        let first = self.databases.values().next();
        first.expect("BUG: a listener has a database")
    }
}

fn handle(supervisor: &Supervisor, name: &str) -> Result<Database, FrontError> {
    let database = supervisor.database(name).map_err(FrontError::Database)?;
    Ok(database.with_texts())
}
