//! A server that moves, over TLS: the next one has to prove that it is the one whose address was told. No free server announces
//! a move, so that servers of rustls play it.

use std::{
    io::{BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{JoinHandle, spawn},
    time::Duration,
};

use redis::cmd;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::{
    Config, Database, DatabaseConfig, DatabaseStats, Protocol, Supervisor, Tls,
    common::{
        certificates::{Authority, Files},
        eventually_async,
        resp::{bulk, encode, read_command},
        script::handshake,
    },
};

const SOON: Duration = Duration::from_secs(20);

/// A server with a certificate of its own.
struct Server {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    config: Arc<ServerConfig>,
    is_over: AtomicBool,
    accepted: AtomicUsize,
    /// Commands after the greeting.
    echoes: AtomicUsize,
    /// Comes before the reply to the next of them.
    announcement: Mutex<Option<Vec<u8>>>,
}

impl Server {
    fn start(files: &Files) -> Self {
        let certificate = CertificateDer::from_pem_file(&files.certificate).expect("a file");
        let key = PrivateKeyDer::from_pem_file(&files.key).expect("a file");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate");
        let shared = Arc::new(Shared {
            config: Arc::new(config),
            is_over: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            echoes: AtomicUsize::new(0),
            announcement: Mutex::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let acceptor = spawn({
            let shared = shared.clone();
            move || shared.accept(&listener)
        });
        Self {
            port,
            shared,
            acceptor: Some(acceptor),
        }
    }

    fn moves_to(&self, address: &str) {
        let mut push = encode(&["MOVING", "1", "60", address]);
        push[0] = b'>';
        *self.shared.announcement.lock().expect("no panic") = Some(push);
    }

    fn echoes(&self) -> usize {
        self.shared.echoes.load(SeqCst)
    }

    fn accepted(&self) -> usize {
        self.shared.accepted.load(SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_over.store(true, SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        let mut players = Vec::new();
        while let Ok((socket, _)) = listener.accept()
            && !self.is_over.load(SeqCst)
        {
            self.accepted.fetch_add(1, SeqCst);
            let shared = self.clone();
            // It ends when its client closes, which is before the server is dropped.
            players.push(spawn(move || shared.serve(socket)));
        }
        for player in players {
            let _ = player.join();
        }
    }

    fn serve(&self, socket: TcpStream) {
        let session = ServerConnection::new(self.config.clone()).expect("a session");
        let mut stream = BufReader::new(StreamOwned::new(session, socket));
        while let Ok(Some(command)) = read_command(&mut stream) {
            let mut answer = Vec::new();
            match handshake(&command) {
                Some(greeting) => answer.extend(greeting),
                None => {
                    let announcement = self.announcement.lock().expect("no panic").take();
                    answer.extend(announcement.unwrap_or_default());
                    self.echoes.fetch_add(1, SeqCst);
                    answer.extend(bulk(&command[1]));
                }
            }
            if stream.get_mut().write_all(&answer).is_err() {
                break;
            }
        }
    }
}

/// A database whose server has a certificate for 127.0.0.1.
struct Rig {
    authority: Authority,
    old: Server,
    supervisor: Supervisor,
    main: Database,
}

impl Rig {
    async fn start() -> Self {
        let authority = Authority::new();
        let old = Server::start(&authority.issue("old", &["127.0.0.1"]));
        let main = DatabaseConfig::from_url(format!("rediss://127.0.0.1:{}", old.port))
            .tls(Tls::new().ca_file(authority.file()))
            .protocol(Protocol::Resp3);
        let supervisor = Supervisor::spawn(Config::new().database("main", main)).await;
        let supervisor = supervisor.expect("spawn");
        supervisor.ready(SOON).await.expect("ready");
        let main = supervisor.database("main").expect("a database");
        Self {
            authority,
            old,
            supervisor,
            main,
        }
    }

    async fn echo(&self) {
        let reply: String = self
            .main
            .query(cmd("ECHO").arg("a"))
            .await
            .expect("a reply");
        assert_eq!(reply, "a");
    }

    fn stats(&self) -> DatabaseStats {
        self.supervisor.statistics().databases["main"].clone()
    }
}

#[tokio::test]
async fn row_254_the_new_server_is_verified_by_the_name_that_was_told() {
    let rig = Rig::start().await;
    let new = Server::start(&rig.authority.issue("new", &["localhost"]));
    rig.old.moves_to(&format!("localhost:{}", new.port));
    rig.echo().await;
    let has_moved = || rig.stats().pool.evicted.moved == 1;
    eventually_async(SOON, "the connection is replaced", has_moved).await;
    rig.echo().await;
    assert_eq!((rig.old.echoes(), new.echoes()), (1, 1));
    let pool = rig.stats().pool;
    assert_eq!((pool.handoffs, pool.lost, pool.dial_failures), (1, 0, 0));
    rig.supervisor.shutdown(SOON).await;
}

#[tokio::test]
async fn row_254_a_server_without_the_certificate_for_it_is_not_moved_to() {
    let rig = Rig::start().await;
    let new = Server::start(&rig.authority.issue("new", &["127.0.0.1"]));
    rig.old.moves_to(&format!("localhost:{}", new.port));
    rig.echo().await;
    let is_tried = || rig.stats().pool.dial_failures > 0 && new.accepted() > 0;
    eventually_async(SOON, "it is tried", is_tried).await;
    rig.echo().await;
    let _lease = rig.main.lease().await.expect("a lease at the old address");
    assert_eq!((rig.old.echoes(), new.echoes()), (2, 0));
    assert_eq!(rig.stats().pool.handoffs, 0);
    rig.supervisor.shutdown(SOON).await;
}
