//! A small HTTP server that stores the notifications it receives.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A notification: the header `Idempotency-Key`, and the body.
pub(super) type ReceivedNotification = (String, Value);

pub(super) struct Listener {
    port: u16,
    notifications: Arc<Mutex<Vec<ReceivedNotification>>>,
}

impl Listener {
    /// Listens until the tests end.
    pub(super) fn start() -> Self {
        let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let notifications = Arc::default();
        let kept = Arc::clone(&notifications);
        thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                // Whoever is killed in the middle of a message has not told it.
                if let Some(notification) = receive(stream) {
                    lock(&kept).push(notification);
                }
            }
        });
        Self { port, notifications }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/notifications", self.port)
    }

    /// What has arrived, in this order.
    pub(super) fn notifications(&self) -> Vec<ReceivedNotification> {
        lock(&self.notifications).clone()
    }
}

fn lock(notifications: &Mutex<Vec<ReceivedNotification>>) -> MutexGuard<'_, Vec<ReceivedNotification>> {
    notifications.lock().unwrap_or_else(PoisonError::into_inner)
}

fn receive(stream: TcpStream) -> Option<ReceivedNotification> {
    let mut reader = BufReader::new(stream);
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => value.clone_into(&mut key),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).ok()?;
    let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    reader.into_inner().write_all(answer).ok()?;
    Some((key, body))
}
