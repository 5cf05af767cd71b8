//! A real server in this process, on port 0 and in a folder of its own, and small clients to talk to it.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its part, and deals with the world")]

pub mod process;
pub mod promises;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use auth::Role;
use automerge::sync::{self, SyncDoc};
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use futures_util::{SinkExt, StreamExt};
use happierwork::legacy;
use happierwork::server::{App, Dashboard, Limits, Options, SocketTimes, Started, start_on};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper_util::rt::TokioIo;
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Author, Edit, NewPosition};
use primitives::DocumentId;
use runtime::hub::{APPLY_BUDGET, Caller};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use store::disk::{Disk, RealDisk};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

/// Longer than anything here takes; a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct TestServer {
    pub address: SocketAddr,
    pub document: DocumentId,
    pub app: Arc<App>,
    pub folder: Arc<TempDir>,
    /// What clients speak TLS with, if it is spoken.
    pub tls: Option<Arc<ClientConfig>>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<bool>,
}

/// Options for a server in `folder`.
pub fn options(folder: &Path) -> Options {
    Options {
        listen: vec![([127, 0, 0, 1], 0).into()],
        tls: None,
        state: folder.join("state.automerge"),
        documents: folder.join("documents"),
        allowed_origins: Vec::new(),
        hosts: Vec::new(),
        auth: None,
        who_may_create: Some(Role::Editor),
        max_message: 16 << 20,
        idle_after: Duration::from_secs(300),
        max_pending: 1_000,
        apply_budget: APPLY_BUDGET,
        limits: Limits::default(),
        dashboard: Dashboard::none(),
        keep_deleted: Duration::from_secs(86_400),
        times: SocketTimes::default(),
        grace: Duration::from_secs(10),
    }
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_in(Arc::new(TempDir::new().expect("a folder")), |_| {}).await
    }

    /// In a folder that may have been used before.
    pub async fn start_in(folder: Arc<TempDir>, adjust: impl FnOnce(&mut Options)) -> Self {
        Self::start_on(Arc::new(RealDisk::default()), folder, adjust).await
    }

    pub async fn start_on(disk: Arc<dyn Disk>, folder: Arc<TempDir>, adjust: impl FnOnce(&mut Options)) -> Self {
        let mut options = options(folder.path());
        adjust(&mut options);
        let Started { server, addresses, document, .. } = start_on(disk, options).await.expect("the server starts");
        let app = Arc::clone(server.app());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Self { address: addresses[0], document, app, folder, tls: None, stop: Some(stop), running }
    }

    /// Stops it as a signal would. True: in time.
    pub async fn stop(mut self) -> bool {
        let _ = self.stop.take().expect("not stopped yet").send(());
        self.running.await.expect("the server does not panic")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state.automerge")
    }

    pub fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Asks over HTTP, on a connection of its own: status, headers and body.
    pub async fn http(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        self.ask(method, path, headers, String::new()).await
    }

    /// The same, for an answer that must be JSON.
    pub async fn get_json(&self, path: &str) -> (u16, Value) {
        let (status, _, answer) = self.http("GET", path, &[]).await;
        (status, serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error} in {answer}")))
    }

    /// Posts JSON: status, and the answer, which must be JSON.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let headers = [("content-type", "application/json")];
        let (status, _, answer) = self.ask("POST", path, &headers, body.to_string()).await;
        (status, json(&answer))
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> (u16, HeaderMap, String) {
        let stream = TcpStream::connect(self.address).await.expect("connects");
        match &self.tls {
            None => http_over(stream, self.address, method, path, headers, body).await,
            Some(config) => {
                let stream = encrypted(stream, config).await.expect("speaks TLS");
                http_over(stream, self.address, method, path, headers, body).await
            }
        }
    }

    /// A socket at this path.
    pub async fn connect(&self, path: &str) -> Socket {
        self.connect_with(path, &[]).await
    }

    pub async fn connect_with(&self, path: &str, headers: &[(&str, &str)]) -> Socket {
        connect_to(&self.url(path), headers, self.tls.clone()).await
    }

    /// A socket from another address of this machine, such as 127.0.0.2.
    pub async fn connect_from(&self, source: &str, path: &str, headers: &[(&str, &str)]) -> Socket {
        let tcp = self.tcp_from(source).await;
        let mut request = ClientRequestBuilder::new(self.url(path).parse().expect("a URL"));
        for (name, value) in headers {
            request = request.with_header(*name, *value);
        }
        let stream = tokio_tungstenite::client_async(request, MaybeTlsStream::Plain(tcp));
        let (stream, _) = timeout(PATIENCE, stream).await.expect("in time").expect("connects");
        Socket::new(stream)
    }

    /// A socket that was asked for under another host name.
    pub async fn connect_as(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Socket {
        let tcp = TcpStream::connect(self.address).await.expect("connects");
        let mut request = ClientRequestBuilder::new(format!("ws://{host}{path}").parse().expect("a URL"));
        for (name, value) in headers {
            request = request.with_header(*name, *value);
        }
        let stream = tokio_tungstenite::client_async(request, MaybeTlsStream::Plain(tcp));
        let (stream, _) = timeout(PATIENCE, stream).await.expect("in time").expect("connects");
        Socket::new(stream)
    }

    /// A connection from another address of this machine, on which nothing was said yet.
    pub async fn tcp_from(&self, source: &str) -> TcpStream {
        let tcp = tokio::net::TcpSocket::new_v4().expect("a socket");
        tcp.bind(SocketAddr::new(source.parse().expect("an address"), 0)).expect("bound");
        tcp.connect(self.address).await.expect("connects")
    }

    /// A legacy client that has read its greeting.
    pub async fn legacy(&self) -> Socket {
        let mut socket = self.connect("/ws/dashboard/").await;
        assert_eq!(socket.json().await["type"], "login_update");
        socket
    }

    /// The same, but its operating system takes little that is not read.
    pub async fn legacy_with_small_buffers(&self) -> Socket {
        let mut socket = self.connect_with_small_buffers("/ws/dashboard/").await;
        assert_eq!(socket.json().await["type"], "login_update");
        socket
    }

    /// A socket whose side of the connection buffers little.
    pub async fn connect_with_small_buffers(&self, path: &str) -> Socket {
        let tcp = tokio::net::TcpSocket::new_v4().expect("a socket");
        tcp.set_recv_buffer_size(128 << 10).expect("set");
        let tcp = tcp.connect(self.address).await.expect("connects");
        let stream = tokio_tungstenite::client_async(self.url(path), MaybeTlsStream::Plain(tcp));
        let (stream, _) = timeout(PATIENCE, stream).await.expect("in time").expect("connects");
        Socket::new(stream)
    }

    /// Puts the rows of a legacy data.json into the document. Those without an id get `row 0`, `row 1` …
    pub async fn import(&self, json: &[u8]) {
        let mut ids = 0;
        let mut new_id = || {
            ids += 1;
            format!("row {}", ids - 1)
        };
        let rows = legacy::import(json, &plan::Plan::default().scale(), 1_750_000_000_000, &mut new_id)
            .expect("a legacy file with only sound rows");
        let positions = rows.into_iter().map(|row| NewPosition {
            created_at: Some(row.created_at_ms),
            updated: Some((row.updated_by, row.updated_at_ms)),
            ..NewPosition::new(row.id, row.designation)
                .with(DEPARTMENT, row.department)
                .with(BUDGET, row.budget)
                .with(LOCATION, row.location)
        });
        self.edit(Edit::AddAll(positions.collect())).await;
    }

    /// Makes an edit as the API would, by somebody called `editor`.
    pub async fn edit(&self, edit: Edit) {
        let author = Author { name: "editor".to_owned(), now: 1_750_000_000_000 };
        self.app.hub.edit(&Caller::server(), &self.document, edit, author).await.expect("stored");
    }

    /// The value of one line of `/metrics`, such as `happierwork_documents_open`.
    pub fn metric(&self, line: &str) -> f64 {
        let text = self.app.hub.metrics().render();
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("no line {line} in\n{text}"))
    }

    /// Waits until a line of `/metrics` has a value that is as wanted.
    pub async fn until_metric(&self, line: &str, wanted: impl Fn(f64) -> bool) {
        let seen = async {
            while !wanted(self.metric(line)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{line} stays at {}", self.metric(line)));
    }

    /// Waits until large messages take about so many bytes: at least that, or nothing.
    pub async fn until_held(&self, bytes: u64) {
        let memory = self.app.hub.memory();
        let held = async {
            while if bytes == 0 { memory.held() > 0 } else { memory.held() < bytes } {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, held).await.expect("in time");
    }

    /// The positions as the server shows them now, by id.
    pub async fn positions(&self) -> Vec<String> {
        let view = self.app.hub.view(&Caller::server(), &self.document).await.expect("opens").expect("exists");
        let view = plan::read_view(&view);
        view.rows().map(|row| row.position.id.to_string()).collect()
    }
}

/// Posts JSON to a server elsewhere: status, and the answer, which must be JSON.
pub async fn post_to(address: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    let headers = [("content-type", "application/json")];
    let (status, _, answer) = http_to(address, "POST", path, &headers, body.to_string()).await;
    (status, json(&answer))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// Speaks TLS on a connection, to whoever can prove to be at its address.
pub async fn encrypted(
    stream: TcpStream,
    config: &Arc<ClientConfig>,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::from(stream.peer_addr()?.ip());
    let handshake = tokio_rustls::TlsConnector::from(Arc::clone(config)).connect(name, stream);
    timeout(PATIENCE, handshake).await.expect("in time")
}

/// Asks a server elsewhere over HTTP, on a connection of its own: status, headers and body.
pub async fn http_to(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> (u16, HeaderMap, String) {
    let stream = TcpStream::connect(address).await.expect("connects");
    http_over(stream, address, method, path, headers, body).await
}

/// Asks over a connection that stands.
pub async fn http_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> (u16, HeaderMap, String) {
    let mut request = hyper::Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", address.to_string());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(http_body_util::Full::new(bytes::Bytes::from(body))).expect("a request");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("speaks HTTP");
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.expect("answers").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (head.status.as_u16(), head.headers, String::from_utf8_lossy(&body).into_owned())
}

/// A socket to a server elsewhere.
pub async fn socket_to(address: SocketAddr, path: &str) -> Socket {
    connect_to(&format!("ws://{address}{path}"), &[], None).await
}

/// A socket at this URL, over TLS if that says so.
pub async fn connect_to(url: &str, headers: &[(&str, &str)], tls: Option<Arc<ClientConfig>>) -> Socket {
    let mut request = ClientRequestBuilder::new(url.parse().expect("a URL"));
    for (name, value) in headers {
        request = request.with_header(*name, *value);
    }
    let connecting = connect_async_tls_with_config(request, None, false, tls.map(Connector::Rustls));
    let (stream, _) = timeout(PATIENCE, connecting).await.expect("in time").expect("connects");
    Socket::new(stream)
}

/// A WebSocket.
pub struct Socket {
    /// What the other side closed with, once it has.
    pub closed_with: Option<CloseFrame>,
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    read: VecDeque<Message>,
}

impl Socket {
    pub fn new(stream: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self { closed_with: None, stream, read: VecDeque::new() }
    }

    pub async fn send(&mut self, message: impl Into<Message>) {
        timeout(PATIENCE, self.stream.send(message.into())).await.expect("in time").expect("sent");
    }

    /// Sends without minding that the other side may have closed.
    pub async fn try_send(&mut self, message: impl Into<Message>) {
        let _ = timeout(PATIENCE, self.stream.send(message.into())).await;
    }

    /// The next text or binary frame; None after the close.
    pub async fn next(&mut self) -> Option<Message> {
        if let Some(message) = self.read.pop_front() {
            return Some(message);
        }
        // Pings do not count as something.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let next = tokio::time::timeout_at(deadline, self.stream.next()).await.expect("something comes in time");
            match next {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => return Some(message),
                Some(Ok(Message::Close(frame))) => {
                    self.closed_with = frame;
                    return None;
                }
                Some(Err(_)) | None => return None,
                Some(Ok(Message::Frame(_))) => unreachable!("never read"),
            }
        }
    }

    /// The next frame of any kind, pings too; None when the connection is over.
    pub async fn next_raw(&mut self) -> Option<Message> {
        timeout(PATIENCE, self.stream.next()).await.expect("something comes in time")?.ok()
    }

    /// The next text frame, as JSON.
    pub async fn json(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("a text frame, not {other:?}"),
        }
    }

    /// Reads to the end: how it was closed, if that was said.
    pub async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match timeout(PATIENCE, self.stream.next()).await.expect("an end in time") {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub async fn close(mut self) {
        let _ = self.stream.close(None).await;
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    /// Drops the connection without a word.
    pub fn abort(self) {
        drop(self);
    }
}

/// A plain Automerge peer: the library, and a socket at `/sync/{id}`.
pub struct PlainPeer {
    pub doc: AutoCommit,
    pub state: sync::State,
    pub socket: Socket,
}

impl PlainPeer {
    /// Connects, and has the whole document when this returns.
    pub async fn connect(server: &TestServer, id: &DocumentId) -> Self {
        let doc = AutoCommit::new().with_actor(ActorId::from(rand::random::<[u8; 16]>()));
        let mut peer = Self::connect_as(server, id, doc).await;
        while peer.state.their_heads.as_ref() != Some(&peer.doc.get_heads()) {
            peer.turn().await;
        }
        peer
    }

    /// Connects with what it has.
    pub async fn connect_as(server: &TestServer, id: &DocumentId, doc: AutoCommit) -> Self {
        let socket = server.connect(&format!("/sync/{id}")).await;
        let mut peer = Self { doc, state: sync::State::new(), socket };
        peer.push().await;
        peer
    }

    /// On a socket on which nothing was said yet, with nothing.
    pub fn over(socket: Socket) -> Self {
        let doc = AutoCommit::new().with_actor(ActorId::from(rand::random::<[u8; 16]>()));
        Self { doc, state: sync::State::new(), socket }
    }

    pub fn receive(&mut self, message: &[u8]) {
        let message = sync::Message::decode(message).expect("a sync message");
        self.doc.sync().receive_sync_message(&mut self.state, message).expect("applies");
    }

    /// Sends what there is to say.
    pub async fn push(&mut self) {
        if let Some(message) = self.doc.sync().generate_sync_message(&mut self.state) {
            self.socket.try_send(message.encode()).await;
        }
    }

    /// Takes one message and answers it. False: the socket is closed.
    pub async fn turn(&mut self) -> bool {
        let Some(Message::Binary(bytes)) = self.socket.next().await else { return false };
        self.receive(&bytes);
        self.push().await;
        true
    }

    /// Takes messages until the server has said that it has all that is here.
    pub async fn until_acknowledged(&mut self) {
        self.push().await;
        while self.state.their_heads.as_ref() != Some(&self.doc.get_heads()) {
            assert!(self.turn().await, "closed before it was acknowledged: {:?}", self.socket.closed_with);
        }
    }
}

impl PlainPeer {
    /// The map of positions.
    pub fn positions(&self) -> ObjId {
        self.doc.get(ROOT, "positions").unwrap().expect("a plan").1
    }

    /// A row, by its id.
    pub fn row(&self, id: &str) -> Option<ObjId> {
        self.doc.get(self.positions(), id).unwrap().map(|(_, row)| row)
    }

    /// The ids of all rows.
    pub fn ids(&self) -> Vec<String> {
        self.doc.keys(self.positions()).collect()
    }

    /// A text field of a row, however it was written.
    pub fn text(&self, id: &str, field: &str) -> Option<String> {
        match self.doc.get(self.row(id)?, field).unwrap()? {
            (automerge::Value::Object(ObjType::Text), text) => self.doc.text(text).ok(),
            (value, _) => value.into_string().ok(),
        }
    }

    /// Makes a row, as a JavaScript client does: texts are Text objects. Nothing is sent yet.
    pub fn add(&mut self, id: &str, designation: &str, department: &str, budget: i64) {
        let row = self.doc.put_object(self.positions(), id, ObjType::Map).unwrap();
        for (field, text) in [("designation", designation), ("department", department), ("location", "Pune")] {
            self.put_text(&row, field, text);
        }
        self.put_text(&row, "updatedBy", "ceo");
        self.doc.put(&row, "budget", budget).unwrap();
        for field in ["createdAt", "updatedAt"] {
            self.doc.put(&row, field, ScalarValue::Timestamp(1_750_000_000_000)).unwrap();
        }
    }

    /// Writes a text as a new Text object.
    pub fn put_text(&mut self, object: &ObjId, field: &str, text: &str) {
        let object = self.doc.put_object(object, field, ObjType::Text).unwrap();
        self.doc.splice_text(&object, 0, 0, text).unwrap();
    }

    /// Takes messages until this row is here.
    pub async fn until_row(&mut self, id: &str) {
        while self.row(id).is_none() {
            assert!(self.turn().await, "closed before the row came: {:?}", self.socket.closed_with);
        }
    }
}

/// A frame of the Angular client: JSON in a JSON string.
pub fn wrapped(inner: &Value) -> String {
    Value::from(inner.to_string()).to_string()
}

/// The `add` frame of the Angular client.
pub fn add(designation: &str) -> String {
    wrapped(&serde_json::json!(["add", designation, "Engineering", "50000", "Ahmedabad"]))
}
