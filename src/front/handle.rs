//! A front that runs.

use std::{net::SocketAddr, path::Path, sync::Arc};

use tokio::{
    io::AsyncWriteExt,
    sync::{Semaphore, oneshot},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    client::{Client, too_many},
    error::FrontError,
    listener::{Endpoint, Listener, Opened},
    service::Service,
    session::Session,
};
use crate::{database::Database, registry::Registry};

/// A running front: clients of Redis in any language use databases of a supervisor through it.
///
/// [`Supervisor::front`](crate::Supervisor::front) begins one. What a client sends runs as a call on the handle of
/// its database: over the pool, with the deadlines, retries, circuit breaker and bounds of the handle. So a client
/// that knows nothing of all that gets an error in time during an outage, and its connection stays. The front keeps
/// the supervisor running, and stops when this value is dropped.
///
/// ```no_run
/// # async fn example(supervisor: redis_steward::Supervisor) -> Result<(), Box<dyn std::error::Error>> {
/// let front = supervisor
///     .front()
///     .select(0, "main")
///     .select(6, "sessions")
///     .listen_tcp("127.0.0.1:6380")
///     .start()
///     .await?;
/// // Now: redis-cli -p 6380 -n 6 GET session:1
/// front.stop().await;
/// # Ok(())
/// # }
/// ```
///
/// # Commands
///
/// Everything runs that runs on a [`Database`], and the same is refused. A client may
/// send many requests before it reads; they run side by side and are answered in order.
///
/// - Commands that block have a connection of their own. Later requests of the client wait for them, as at a
///   server. If the client disconnects, they end, and what they would have popped stays.
/// - `MULTI` … `EXEC`: the front queues the commands and sends them as one. So an error for which the server
///   refuses to queue a command appears with `EXEC`, in the text of `EXECABORT`.
/// - `WATCH` leases a connection until `EXEC`, `DISCARD` or `UNWATCH`. A client that sends nothing for
///   [`transaction_timeout`](crate::FrontBuilder::transaction_timeout) loses its transaction: the next `EXEC` is an
///   `EXECABORT`.
/// - `SUBSCRIBE` and its like lease a connection for as long as there are subscriptions; see below.
/// - `HELLO`, `AUTH`, `SELECT`, `PING`, `ECHO`, `QUIT`, `RESET`, and of `CLIENT` the members `GETNAME`, `GETREDIR`,
///   `ID`, `INFO`, `SETINFO`, `SETNAME` and `TRACKINGINFO`, are answered by the front. `HELLO` names the program and
///   the version of the server to which a connection was opened last, and before the first one Redis 7.0.0.
/// - `MONITOR` and other members of `CLIENT` are refused, with the reason.
///
/// Clients speak RESP2 or RESP3, whatever the connections of the database speak. The replies to all common
/// commands have the shape that the client's version gives them. Replies to `LCS IDX`, `FUNCTION LIST`,
/// `COMMAND DOCS` and commands of modules have the shape of the database's [protocol](crate::Protocol).
///
/// # Subscriptions
///
/// Messages come in the order of the server, and none is left out while the connection lasts. So the front
/// disconnects a subscriber
/// - whose connection to the server was lost, because messages were lost with it. A client that stayed connected
///   would take the gap for a channel without messages; a client that is disconnected subscribes again, as all
///   clients do when a server restarts;
/// - that does not read: beyond [`max_message_bytes`](crate::FrontBuilder::max_message_bytes), or after
///   [`stall_timeout`](crate::FrontBuilder::stall_timeout).
///
/// A client that speaks RESP3 may run commands beside its subscriptions. They run on the handle, so that the order of
/// their replies among the messages is not the server's; but a command that is sent after `SUBSCRIBE` runs after it.
/// A subscriber may be silent for ever. It holds one of the connections that
/// [`max_connections`](crate::DatabaseConfig::max_connections) permits; over TCP, one whose machine has gone is found
/// by keepalive after six to seven minutes.
///
/// # Order
///
/// A client sees its commands run in the order in which it sent them, except for commands that are retried after a
/// failure: see [`Database`]. With several shared connections, a command that may write
/// waits for the earlier ones of its client, and later ones wait for it.
///
/// # Errors
///
/// An error of the server passes unchanged. An [`Error`](crate::Error) of this crate becomes an error reply, whose
/// text says what happened and whether the command may have run:
///
/// | code | error |
/// |---|---|
/// | `CIRCUITOPEN`, `ISOLATED`, `FAILED`, `SHUTTINGDOWN` | the database is out of use |
/// | `OVERLOADED` | a limit of this process was reached |
/// | `TIMEDOUT`, `CONNECTIONLOST`, `ABANDONED` | the call was interrupted |
/// | `REPLYTOOLARGE` | the reply exceeds a limit; the command ran |
/// | `REFUSED` | the command may not run here |
#[derive(Debug)]
#[must_use = "the front stops when this is dropped"]
pub struct Front {
    endpoints: Vec<Endpoint>,
    clients: Clients,
}

/// The tasks of all clients. Dropping it ends them.
#[derive(Debug)]
struct Clients {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Front {
    pub(super) async fn start(
        service: Arc<Service>,
        database: &Database,
        opened: Vec<Opened>,
        max_clients: usize,
    ) -> Result<Self, FrontError> {
        let front = Self {
            endpoints: opened.iter().map(|one| one.endpoint.clone()).collect(),
            clients: Clients {
                stop: CancellationToken::new(),
                tasks: TaskTracker::new(),
            },
        };
        let registry = &database.lifeline().registry;
        let places = Arc::new(Semaphore::new(max_clients.min(Semaphore::MAX_PERMITS)));
        for opened in opened {
            let (sender, driven) = oneshot::channel();
            let accepting = Accepting {
                service: service.clone(),
                registry: registry.clone(),
                places: places.clone(),
                stop: front.clients.stop.clone(),
                tasks: front.clients.tasks.clone(),
            };
            let stop = front.clients.stop.clone();
            let task = async move {
                let Ok(listener) = opened.drive() else {
                    return;
                };
                if sender.send(()).is_ok() {
                    stop.run_until_cancelled(accepting.run(listener)).await;
                }
            };
            let task = front.clients.tasks.track_future(task);
            // A task that the runtime does not run drops its end.
            if registry
                .executor
                .spawn(registry.until_stopped(task))
                .is_err()
                || driven.await.is_err()
            {
                return Err(FrontError::Runtime);
            }
        }
        Ok(front)
    }

    /// The TCP addresses on which it listens, in the order of the calls of
    /// [`listen_tcp`](crate::FrontBuilder::listen_tcp).
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.endpoints.iter().filter_map(|endpoint| match endpoint {
            Endpoint::Tcp(address) => Some(*address),
            Endpoint::Unix(_) => None,
        })
    }

    /// The Unix sockets on which it listens, in the order of the calls of
    /// [`listen_unix`](crate::FrontBuilder::listen_unix).
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.endpoints.iter().filter_map(|endpoint| match endpoint {
            Endpoint::Tcp(_) => None,
            Endpoint::Unix(path) => Some(&**path),
        })
    }

    /// Closes all addresses and disconnects all clients, and returns when their tasks have ended. Commands that
    /// were written may run. It ends also if the future is dropped.
    pub async fn stop(self) {
        self.clients.stop.cancel();
        self.clients.tasks.close();
        self.clients.tasks.wait().await;
    }
}

/// What a listener needs to serve clients.
struct Accepting {
    service: Arc<Service>,
    registry: Arc<Registry>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Accepting {
    async fn run(self, listener: Listener) {
        loop {
            let (mut stream, address) = listener.accept().await;
            let Ok(place) = self.places.clone().try_acquire_owned() else {
                // The socket has room for so little, and if it has not, the client learns less.
                let farewell = async move {
                    let _ = stream.write_all(&too_many()).await;
                    let _ = stream.shutdown().await;
                };
                self.serve(farewell);
                continue;
            };
            let session = Session::new(self.service.clone(), listener.start, address);
            let client = Client::new(stream, session);
            self.serve(async move {
                let _place = place;
                client.await;
            });
        }
    }

    fn serve(&self, client: impl Future<Output = ()> + Send + 'static) {
        let client = self.stop.clone().run_until_cancelled_owned(client);
        let client = self.registry.until_stopped(self.tasks.track_future(client));
        // Without a runtime the listener ends as well.
        let _ = self.registry.executor.spawn(client);
    }
}
