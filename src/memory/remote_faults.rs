//! The faults of an embedded server, by remote control.

use std::time::Duration;

use super::{commands, faults::Failing, server::MemoryServer};

impl MemoryServer {
    /// Stops processing, as SIGSTOP does: clients can connect and send, and get no answer. Messages to them, such as those
    /// that [`query`](Self::query) causes, wait as well.
    pub fn freeze(&self) {
        self.store.with(|engine| engine.faults.is_frozen = true);
    }

    /// Goes on after [`freeze`](Self::freeze), with all that was sent meanwhile.
    pub fn thaw(&self) {
        self.store.with(|engine| {
            engine.faults.is_frozen = false;
            engine.tick_all();
        });
    }

    /// Disconnects all clients and refuses new ones; sockets of [`listen`](Self::listen) are closed. The data stays.
    pub fn stop(&self) {
        self.store.set_open(false);
        self.store.with(|engine| engine.disconnect_all());
    }

    /// Accepts clients again after [`stop`](Self::stop). Sockets of [`listen`](Self::listen) are opened again within
    /// moments.
    pub fn start(&self) {
        self.store.set_open(true);
    }

    /// Disconnects all clients, which may connect again at once. Returns their number.
    pub fn drop_connections(&self) -> usize {
        self.store.with(|engine| engine.disconnect_all())
    }

    /// Whether commands are refused with `LOADING`, as while a dataset is loaded.
    pub fn set_loading(&self, is_loading: bool) {
        self.store
            .with(|engine| engine.faults.is_loading = is_loading);
    }

    /// Whether writes are refused with `READONLY`, as on a replica.
    pub fn set_read_only(&self, is_read_only: bool) {
        self.store
            .with(|engine| engine.faults.is_read_only = is_read_only);
    }

    /// Whether commands that need memory are refused with `OOM`, whatever there is.
    pub fn set_out_of_memory(&self, is_out_of_memory: bool) {
        self.store
            .with(|engine| engine.faults.is_out_of_memory = is_out_of_memory);
    }

    /// Answers these commands with an error from now on, and does not run them; all commands if none is named. The
    /// text begins with the code, as in `CLUSTERDOWN The cluster is down`. A name such as `CONFIG` stands for all its
    /// subcommands, and `CONFIG SET` for one. If a command is named again, the latest error counts.
    ///
    /// # Panics
    ///
    /// If the server has no command of such a name: the fault would never show.
    #[track_caller]
    pub fn fail_with(&self, error: &str, commands: &[&str]) {
        self.fail(error, commands, None);
    }

    /// Like [`fail_with`](Self::fail_with), for so many commands alone; those after them run again. None fail if it
    /// is 0.
    ///
    /// ```
    /// # use redis_steward::{Config, DatabaseConfig, MemoryServer, Supervisor};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = MemoryServer::new();
    /// # let config = Config::new().database("main", DatabaseConfig::from_url(server.url()));
    /// # let supervisor = Supervisor::spawn(config).await?;
    /// # let main = supervisor.database("main")?;
    /// server.fail_times(1, "OOM command not allowed when used memory > 'maxmemory'.", &["SET"]);
    /// let set = redis::cmd("SET").arg("a").arg(1).take();
    /// assert!(main.query::<()>(&set).await.is_err());
    /// assert!(main.query::<()>(&set).await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the server has no command of such a name.
    #[track_caller]
    pub fn fail_times(&self, times: usize, error: &str, commands: &[&str]) {
        if times > 0 {
            self.fail(error, commands, Some(times));
        }
    }

    #[track_caller]
    fn fail(&self, error: &str, commands: &[&str], left: Option<usize>) {
        let names = commands
            .iter()
            .map(|name| name.to_ascii_lowercase().replace(' ', "|"));
        let commands: Vec<String> = names.collect();
        for name in &commands {
            let is_known = commands::table().named(name.as_bytes()).is_some();
            assert!(is_known, "the embedded server has no command {name:?}");
        }
        let failing = Failing {
            error: error.into(),
            commands,
            left,
        };
        self.store
            .with(|engine| engine.faults.failing.push(failing));
    }

    /// Sends so many more bytes of replies, counted over all clients, and disconnects the client whose reply
    /// reaches that number.
    pub fn cut_after(&self, bytes: usize) {
        self.store
            .with(|engine| engine.faults.cut_after = Some(bytes));
    }

    /// Delays every reply by so much, in whole milliseconds, rounded up. The commands run at once.
    pub fn set_delay(&self, delay: Duration) {
        self.store.with(|engine| engine.faults.delay = delay);
    }

    /// Takes all faults back.
    pub fn heal(&self) {
        self.store.set_open(true);
        self.store.with(|engine| {
            engine.faults = Default::default();
            engine.tick_all();
        });
    }
}
