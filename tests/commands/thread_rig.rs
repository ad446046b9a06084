//! A blocking handle under test.

use std::time::Duration;

use redis::cmd;
use redis_steward::{BlockingDatabase, Config, DatabaseConfig, Supervisor};

use crate::common::{FaultProxy, RedisServer, eventually, proc::sockets_to};

const SOON: Duration = Duration::from_secs(10);

/// A server behind a proxy that counts bytes, and a supervisor that uses no runtime of the test.
pub(crate) struct Rig {
    pub(crate) server: RedisServer,
    pub(crate) proxy: FaultProxy,
    pub(crate) supervisor: Supervisor,
    pub(crate) main: BlockingDatabase,
}

impl Rig {
    pub(crate) fn start() -> Self {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(server.port());
        let database = DatabaseConfig::from_url(proxy.url())
            // Probes would be counted as request bytes.
            .health_check_interval(Duration::from_secs(3600));
        let supervisor = Supervisor::spawn_blocking(Config::new().database("main", database));
        let supervisor = supervisor.expect("a supervisor");
        let main = supervisor.database("main").expect("main").blocking();
        main.execute(&cmd("PING")).expect("a reply");
        Self {
            server,
            proxy,
            supervisor,
            main,
        }
    }

    /// The reply to a PING shows that all bytes written before it have arrived.
    #[track_caller]
    pub(crate) fn assert_nothing_written_since(&self, before: u64) {
        let mark = cmd("PING");
        self.main.execute(&mark).expect("a reply");
        let written = self.proxy.request_bytes() - before;
        assert_eq!(written, mark.get_packed_command().len() as u64);
    }

    pub(crate) fn end(self) {
        let in_flight = || self.supervisor.statistics().databases["main"].in_flight;
        eventually(SOON, "nothing is in flight", || in_flight() == 0);
        futures_executor::block_on(self.supervisor.shutdown(SOON));
        assert_eq!(sockets_to(self.proxy.port()), 0);
        eventually(SOON, "the server has no client", || {
            self.server.clients_named("redis-steward").is_empty()
        });
    }
}
