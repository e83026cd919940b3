//! HTTP servers on 127.0.0.1 that answer by a script and record their requests.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `POST /path?query`.
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What is answered: status, headers and body.
pub(crate) type Answer = (u16, Vec<(&'static str, &'static str)>, String);

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    asked: Vec<Asked>,
}

/// A server that answers by a script, one answer a question.
pub(crate) struct Scripted {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

impl Scripted {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Script { answers: answers.into_iter().collect(), asked: Vec::new() };
        let script = Arc::new(Mutex::new(script));
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        // It ends with the tests.
        thread::spawn(move || runtime.block_on(async { axum::serve(listener, routes).await }));
        Self { address, script }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns everything that was asked; a script that was not read to its end is an error.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let script = self.script.lock().unwrap();
        assert_eq!(script.answers.len(), 0, "answers that were not asked for");
        script.asked.clone()
    }

    /// Returns what was asked until now; the script may go on.
    pub(crate) fn asked_so_far(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|a| a.line).collect()
    }
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut script = script.lock().unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    script.asked.push(Asked { line: format!("{method} {uri}"), headers, body });
    let Some((status, headers, body)) = script.answers.pop_front() else {
        return (StatusCode::IM_A_TEAPOT, "the script is at its end").into_response();
    };
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// A JSON answer without further headers.
pub(crate) fn json(status: u16, body: serde_json::Value) -> Answer {
    (status, vec![("content-type", "application/json")], body.to_string())
}
