//! A peer that plays scripts, for behaviour that a real server does not show.

use std::{
    io::{self, BufReader, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::{
    ports::free_port,
    resp::read_command,
    script::{Act, Answer, Script, is},
};

/// The name of a command and its arguments.
pub type Command = Vec<Vec<u8>>;

/// Plays the scripts on a port of 127.0.0.1: the first connection gets the
/// first one, and so on; the last script is played for all further ones.
pub struct ScriptedServer {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    port: u16,
    scripts: Vec<Script>,
    stopping: AtomicBool,
    accepted: AtomicUsize,
    open: AtomicUsize,
    written: AtomicU64,
    seen: Mutex<Vec<(usize, Command)>>,
}

impl ScriptedServer {
    /// # Panics
    ///
    /// When there is no script.
    pub fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        let scripts: Vec<_> = scripts.into_iter().collect();
        assert!(!scripts.is_empty(), "a scripted server needs a script");
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
        let shared = Arc::new(Shared {
            port,
            scripts,
            stopping: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            seen: Mutex::default(),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            spawn(move || shared.accept(&listener))
        };
        Self {
            shared,
            acceptor: Some(acceptor),
        }
    }

    pub fn port(&self) -> u16 {
        self.shared.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port())
    }

    /// Every command received so far, of all connections in order of arrival.
    pub fn seen(&self) -> Vec<Command> {
        self.shared
            .seen
            .lock()
            .unwrap()
            .iter()
            .map(|(_, command)| command.clone())
            .collect()
    }

    /// The commands received on one connection, counted from 0.
    pub fn seen_on(&self, connection: usize) -> Vec<Command> {
        let seen = self.shared.seen.lock().unwrap();
        let on_it = seen.iter().filter(|(on, _)| *on == connection);
        on_it.map(|(_, command)| command.clone()).collect()
    }

    /// How many commands of this name were received.
    pub fn count(&self, name: &str) -> usize {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter().filter(|(_, command)| is(command, name)).count()
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Connections neither side has closed.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Bytes handed to the kernel so far.
    pub fn bytes_written(&self) -> u64 {
        self.shared.written.load(Ordering::SeqCst)
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which closes and joins everything else.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port()));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        let mut players = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            if self.stopping.load(Ordering::SeqCst) {
                break;
            }
            let connection = self.accepted.fetch_add(1, Ordering::SeqCst);
            self.open.fetch_add(1, Ordering::SeqCst);
            let handle = stream.try_clone().expect("a second handle to the socket");
            let shared = Arc::clone(&self);
            let player = spawn(move || {
                // An error means that the client has closed or the server has ended.
                let _ = shared.play(connection, &stream);
                let _ = stream.shutdown(Shutdown::Both);
                shared.open.fetch_sub(1, Ordering::SeqCst);
            });
            players.push((handle, player));
        }
        for (handle, player) in players {
            let _ = handle.shutdown(Shutdown::Both);
            let _ = player.join();
        }
    }

    fn play(&self, connection: usize, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let script = &self.scripts[connection.min(self.scripts.len() - 1)];
        match &script.0 {
            Act::Answer(answer) => self.listen(connection, stream, &mut |command| answer(command)),
            Act::Session(begin) => self.listen(connection, stream, &mut begin()),
            Act::Raw(bytes) => {
                self.write(stream, bytes)?;
                self.listen(connection, stream, &mut |_| Answer::Bytes(Vec::new()))
            }
            Act::Silent => self.listen(connection, stream, &mut |_| Answer::Bytes(Vec::new())),
            Act::Endless(bytes) => loop {
                self.write(stream, bytes)?;
            },
            Act::Http => {
                let mut request = stream;
                if request.read(&mut [0; 4096])? == 0 {
                    return Ok(());
                }
                self.write(
                    stream,
                    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                )
            }
            Act::Close => Ok(()),
        }
    }

    fn listen(
        &self,
        connection: usize,
        stream: &TcpStream,
        answer: &mut dyn FnMut(&[Vec<u8>]) -> Answer,
    ) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        while let Some(command) = read_command(&mut reader)? {
            self.seen
                .lock()
                .unwrap()
                .push((connection, command.clone()));
            match answer(&command) {
                Answer::Bytes(bytes) => self.write(stream, &bytes)?,
                Answer::Close => break,
            }
        }
        Ok(())
    }

    fn write(&self, mut stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = stream.write(bytes)?;
            self.written.fetch_add(written as u64, Ordering::SeqCst);
            bytes = &bytes[written..];
        }
        Ok(())
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new()
        .name("scripted".to_owned())
        .spawn(run)
        .expect("a thread")
}
