//! The listener and the connections of a [`FaultProxy`](super::FaultProxy).

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    net::{Ipv4Addr, Shutdown},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use socket2::SockRef;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Notify, watch},
};

use super::{
    proxy::Mode,
    pump::{Broken, Direction, Pump, Traffic},
};

pub(super) struct Shared {
    pub(super) port: u16,
    pub(super) target: u16,
    /// The size of socket buffers, when not the kernel's choice.
    pub(super) buffer: Option<u32>,
    pub(super) mode: watch::Sender<Mode>,
    pub(super) listen: watch::Sender<Listen>,
    pub(super) listening: AtomicBool,
    pub(super) accepted: Mutex<Vec<Instant>>,
    /// The open connections, each with the bell that resets it.
    pub(super) open: Mutex<BTreeMap<usize, Arc<Notify>>>,
    /// Nothing passes on the connections up to this number, and nothing closes them.
    pub(super) stranded: watch::Sender<usize>,
    /// Those of which this is so by now.
    pub(super) silent: Mutex<BTreeSet<usize>>,
    pub(super) traffic: Traffic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listen {
    Accept,
    Refuse,
    Stop,
}

/// Runs the proxy until it is told to stop.
pub(super) async fn serve(shared: Arc<Shared>) {
    let mut listen = shared.listen.subscribe();
    loop {
        if listen
            .wait_for(|listen| *listen != Listen::Refuse)
            .await
            .is_err()
            || *listen.borrow() == Listen::Stop
        {
            return;
        }
        let listener = shared.bind();
        shared.listening.store(true, Ordering::SeqCst);
        while *listen.borrow_and_update() == Listen::Accept {
            tokio::select! {
                _ = listen.changed() => {}
                Ok((client, _)) = listener.accept() => shared.admit(client),
            }
        }
        // A child process that is being started has a copy of the socket: closing it is not enough.
        let _ = SockRef::from(&listener).shutdown(Shutdown::Both);
        drop(listener);
        shared.listening.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    fn socket(&self) -> TcpSocket {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("SO_REUSEADDR");
        if let Some(bytes) = self.buffer {
            socket.set_recv_buffer_size(bytes).expect("SO_RCVBUF");
            socket.set_send_buffer_size(bytes).expect("SO_SNDBUF");
        }
        socket
    }

    /// Accepted sockets inherit the listener's buffer sizes.
    fn bind(&self) -> TcpListener {
        let socket = self.socket();
        socket
            .bind((Ipv4Addr::LOCALHOST, self.port).into())
            .expect("the proxy's port");
        socket.listen(1024).expect("a listening socket")
    }

    fn admit(self: &Arc<Self>, client: TcpStream) {
        let id = {
            let mut accepted = self.accepted.lock().unwrap();
            accepted.push(Instant::now());
            accepted.len()
        };
        let bell = Arc::new(Notify::new());
        self.open.lock().unwrap().insert(id, Arc::clone(&bell));
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            shared.connect(id, client, &bell).await;
            shared.open.lock().unwrap().remove(&id);
        });
    }

    /// Both sides of the connection are closed when this returns.
    async fn connect(&self, id: usize, mut client: TcpStream, bell: &Notify) {
        let dial = async {
            let mut mode = self.mode.subscribe();
            mode.wait_for(|mode| *mode != Mode::BlackHole).await.ok()?;
            self.socket()
                .connect((Ipv4Addr::LOCALHOST, self.target).into())
                .await
                .ok()
        };
        let server = tokio::select! {
            server = dial => server,
            () = bell.notified() => None,
        };
        let Some(mut server) = server else {
            let _ = client.set_zero_linger();
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));

        let mut stranded = self.stranded.subscribe();
        let relay = async {
            tokio::select! {
                ended = self.relay(&mut client, &mut server) => return ended.err(),
                _ = stranded.wait_for(|last| *last >= id) => {}
            }
            self.silent.lock().unwrap().insert(id);
            pending().await
        };
        let broken = tokio::select! {
            broken = relay => broken,
            () = bell.notified() => Some(Broken::Failed),
        };
        match broken {
            None => {}
            Some(Broken::Cut) => {
                let _ = client.shutdown().await;
            }
            Some(Broken::Failed) => {
                let _ = (client.set_zero_linger(), server.set_zero_linger());
            }
        }
    }

    async fn relay(&self, client: &mut TcpStream, server: &mut TcpStream) -> Result<(), Broken> {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let pump = |direction, from, to| Pump {
            direction,
            from,
            to,
            mode: self.mode.subscribe(),
            traffic: &self.traffic,
            capacity: self.buffer.map_or(1 << 20, |bytes| bytes as usize),
        };
        tokio::try_join!(
            pump(Direction::Requests, from_client, to_server).run(),
            pump(Direction::Replies, from_server, to_client).run(),
        )?;
        Ok(())
    }
}
