//! A web server with a resource for kustomize; at first it holds every request.

use crate::harness::wait::{SOON, wait_for};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

pub(super) struct Remote {
    port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    manifest: String,
    answers: bool,
    /// Those who wait for an answer, or have waited.
    waiting: Vec<TcpStream>,
}

impl Remote {
    /// Listens until the tests end.
    pub(super) fn start(manifest: String) -> Self {
        let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { manifest, answers: false, waiting: Vec::new() }));
        let of_thread = Arc::clone(&state);
        thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                let mut state = lock(&of_thread);
                if state.answers {
                    answer(stream, &state.manifest);
                } else {
                    state.waiting.push(stream);
                }
            }
        });
        Self { port, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/web.yaml", self.port)
    }

    /// From now on everybody is answered.
    pub(super) fn answer(&self) {
        let mut state = lock(&self.state);
        state.answers = true;
        let waiting: Vec<TcpStream> = state.waiting.drain(..).collect();
        for stream in waiting {
            answer(stream, &state.manifest);
        }
    }

    /// Checks that no request was sent.
    #[track_caller]
    pub(super) fn was_not_asked(&self) {
        assert!(lock(&self.state).waiting.is_empty(), "kustomize asked for what it may not fetch");
    }

    /// Waits until a request is waiting.
    #[track_caller]
    pub(super) fn wait_asked(&self) {
        wait_for("it is asked", SOON, || match lock(&self.state).waiting.is_empty() {
            true => Err("not at all"),
            false => Ok(()),
        });
    }

    /// Waits until the first one who was made to wait is gone.
    #[track_caller]
    pub(super) fn wait_given_up(&self) {
        wait_for("whoever has asked is gone", SOON, || {
            let state = lock(&self.state);
            let mut first = state.waiting.first().ok_or("no request")?;
            first.set_nonblocking(true).unwrap();
            loop {
                match first.read(&mut [0; 512]) {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Err("it waits"),
                    Err(_) => return Ok(()),
                }
            }
        });
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whoever is gone does not hear it.
fn answer(mut stream: TcpStream, manifest: &str) {
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", manifest.len());
    let _ = stream.set_nonblocking(false);
    // An answer that comes before the request is garbage to Go's client.
    read_request(&stream);
    let _ = stream.write_all(format!("{head}{manifest}").as_bytes());
    // Closed with a request unread, the answer would be lost.
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Reads to the end of the head of a request, or until whoever sends it is gone.
fn read_request(mut stream: &TcpStream) {
    let _ = stream.set_read_timeout(Some(SOON));
    let (mut head, mut more) = (Vec::new(), [0; 512]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut more) {
            Ok(n @ 1..) => head.extend_from_slice(&more[..n]),
            Ok(0) | Err(_) => return,
        }
    }
}
