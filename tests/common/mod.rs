//! A real server in a temporary folder, on a free port, and the smallest client that can talk HTTP with it.
#![allow(dead_code, reason = "every test uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a test deals with the world, and one that cannot run fails")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use auth::Role;
use bytes::Bytes;
use happierwork::server::{self, Dashboard, Limits, Options, SocketTimes, Started};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use primitives::DocumentId;
use runtime::hub::APPLY_BUDGET;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server that runs until it is stopped or dropped.
pub struct TestServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its default document.
    pub document: DocumentId,
    /// Where it keeps its files.
    pub folder: TempDir,
    stop: DropGuard,
    running: JoinHandle<bool>,
}

/// Options for a server that keeps everything in this folder and listens on a free port.
pub fn options(folder: &Path) -> Options {
    Options {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        tls: None,
        state: folder.join("state.automerge"),
        documents: folder.join("documents"),
        allowed_origins: Vec::new(),
        hosts: Vec::new(),
        auth: None,
        who_may_create: Some(Role::Editor),
        max_message: 16 << 20,
        idle_after: Duration::from_secs(60),
        max_pending: 100,
        apply_budget: APPLY_BUDGET,
        limits: Limits::default(),
        dashboard: Dashboard::none(),
        keep_deleted: Duration::from_secs(86_400),
        times: SocketTimes::default(),
        grace: Duration::from_secs(5),
        additional: Some(happierwork::legacy::surface),
    }
}

impl TestServer {
    /// A server with an empty plan.
    pub async fn start() -> Self {
        Self::start_in(TempDir::new().unwrap()).await
    }

    /// A server with what is in this folder.
    pub async fn start_in(folder: TempDir) -> Self {
        let options = options(folder.path());
        Self::start_with(folder, options).await
    }

    /// A server with these options.
    pub async fn start_with(folder: TempDir, options: Options) -> Self {
        let Started { server, addresses, document, .. } = server::start(options).await.unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(server.run(stop.clone().cancelled_owned()));
        Self { address: addresses[0], document, folder, stop: stop.drop_guard(), running }
    }

    /// Stops it, and gives back what it leaves.
    pub async fn stop(self) -> TempDir {
        let Self { folder, stop, running, .. } = self;
        drop(stop);
        assert!(running.await.unwrap(), "the server did not stop in time");
        folder
    }

    /// Asks for something on a connection of its own.
    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// Reads.
    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], "").await
    }

    /// Sends JSON.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.call(method, path, &[("content-type", "application/json")], body.to_string()).await
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// A header's value; empty without the header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The body as JSON, of an answer with this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The field that a problem with this status names.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], status);
        for key in ["type", "title", "detail"] {
            assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {problem}");
        }
        problem["field"].as_str().unwrap_or_default().to_owned()
    }
}
