//! Clients of four kinds that write to any server, and switch to the next one when it fails.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use automerge::sync::{self, SyncDoc};
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ChangeHash, ObjType, ROOT, ReadDoc};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use primitives::DocumentId;
use repo_protocol::{PROTOCOL_VERSION, PeerId, PeerMetadata};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::servers::Addresses;
use crate::support::add;
use crate::support::promises::Promises;

/// Time after which a client stops waiting for an answer, and switches to the next server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause of a client before it connects again.
const RETRY: Duration = Duration::from_millis(50);
/// Longest pause between two edits of a client, in milliseconds.
const PACE: u64 = 40;
/// Characters of an incompressible text: some hundred edits fill a log until it is compacted.
const LONG: usize = 2_000;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Write,
    /// Clients stay connected, and only read.
    Read,
    Stop,
}

/// State that all clients share.
struct Shared {
    addresses: Addresses,
    mode: watch::Receiver<Mode>,
    promises: Mutex<Promises>,
}

/// Number of recent events of a client that are reported when it does not agree in time.
const EVENTS: usize = 30;

/// A syncing client's document, and its recent events.
#[derive(Default)]
struct Copy {
    heads: Mutex<Vec<ChangeHash>>,
    events: Mutex<VecDeque<(Instant, String)>>,
}

impl Copy {
    fn note(&self, event: String) {
        let mut events = self.events.lock();
        if events.len() == EVENTS {
            events.pop_front();
        }
        events.push_back((Instant::now(), event));
    }
}

pub struct Clients {
    tasks: JoinSet<()>,
    mode: watch::Sender<Mode>,
    shared: Arc<Shared>,
    copies: Vec<(String, Arc<Copy>)>,
}

impl Clients {
    /// A client of each kind.
    pub fn start(addresses: &Addresses, document: &DocumentId) -> Self {
        let (mode, receiver) = watch::channel(Mode::Read);
        let shared = Shared { addresses: Arc::clone(addresses), mode: receiver, promises: Mutex::default() };
        let mut clients = Self { tasks: JoinSet::new(), mode, shared: Arc::new(shared), copies: Vec::new() };
        for (next, protocol) in [Protocol::Plain, Protocol::Repo].into_iter().enumerate() {
            let (name, copy) = (format!("{protocol:?}").to_lowercase(), Arc::<Copy>::default());
            clients.copies.push((name.clone(), Arc::clone(&copy)));
            let client = Client::new(&clients.shared, name, next);
            clients.tasks.spawn(client.syncs(protocol, document.clone(), copy));
        }
        let client = Client::new(&clients.shared, "legacy".to_owned(), 2);
        clients.tasks.spawn(client.uses_the_legacy_socket());
        let client = Client::new(&clients.shared, "api".to_owned(), 0);
        clients.tasks.spawn(client.calls_the_api());
        clients
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// The name of a client whose copy is not at these heads.
    pub fn differing(&self, heads: &[ChangeHash]) -> Option<&str> {
        let copies = self.copies.iter();
        copies.filter(|(_, copy)| copy.heads.lock()[..] != *heads).map(|(name, _)| &name[..]).next()
    }

    /// Recent events of the syncing clients, with their age.
    pub fn events(&self) -> Vec<String> {
        let told = |(name, copy): &(String, Arc<Copy>)| {
            let events = copy.events.lock();
            events.iter().map(|(at, event)| format!("{name}, {:?} ago: {event}", at.elapsed())).collect::<Vec<_>>()
        };
        self.copies.iter().flat_map(told).collect()
    }

    /// The acknowledgements so far.
    pub fn promises(&self) -> Promises {
        self.shared.promises.lock().clone()
    }

    pub async fn stop(mut self) {
        self.set(Mode::Stop);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Protocol {
    /// Automerge's sync protocol over `/sync/{id}`.
    Plain,
    /// automerge-repo's protocol over `/sync`.
    Repo,
}

struct Client {
    shared: Arc<Shared>,
    mode: watch::Receiver<Mode>,
    name: String,
    /// The next server to use.
    next: usize,
    /// Edits so far.
    count: u32,
}

impl Client {
    fn new(shared: &Arc<Shared>, name: String, next: usize) -> Self {
        Self { shared: Arc::clone(shared), mode: shared.mode.clone(), name, next, count: 0 }
    }

    fn is(&self, mode: Mode) -> bool {
        *self.mode.borrow() == mode
    }

    fn address(&mut self) -> SocketAddr {
        let addresses = self.shared.addresses.lock();
        self.next += 1;
        addresses[self.next % addresses.len()]
    }

    /// The name of the next row.
    fn row(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.name, self.count)
    }

    /// Connects to the next server that accepts. Returns `None` if the client is stopped.
    async fn connect(&mut self, path: &str) -> Option<Socket> {
        while !self.is(Mode::Stop) {
            let url = format!("ws://{}{path}", self.address());
            if let Ok(Ok((socket, _))) = timeout(ANSWER_TIMEOUT, connect_async(url)).await {
                return Some(socket);
            }
            sleep(RETRY).await;
        }
        None
    }

    /// Waits until the next edit is due. Does not end while the client only reads.
    async fn pace(&mut self) {
        let mode = *self.mode.borrow();
        if mode == Mode::Write {
            sleep(Duration::from_millis(rand::random_range(1..PACE))).await;
        } else if self.mode.changed().await.is_err() {
            std::future::pending().await
        }
    }

    async fn syncs(mut self, protocol: Protocol, document: DocumentId, copy: Arc<Copy>) {
        let path = match protocol {
            Protocol::Plain => format!("/sync/{document}"),
            Protocol::Repo => "/sync".to_owned(),
        };
        let mut doc = AutoCommit::new();
        while let Some(mut socket) = self.connect(&path).await {
            let mut session = Session { protocol, document: document.clone(), server: None, me: self.name.clone() };
            let mut state = sync::State::new();
            copy.note(format!("connected to {:?}", socket_address(&socket)));
            if let Protocol::Repo = protocol
                && send(&mut socket, session.join()).await.is_err()
            {
                continue;
            }
            loop {
                // One message, like automerge-repo: the library repeats a request to start over as long as nothing is received.
                if let Some(message) =
                    session.is_ready().then(|| doc.sync().generate_sync_message(&mut state)).flatten()
                {
                    copy.note(format!("sends {} changes, needs {}", message.changes.len(), message.need.len()));
                    if send(&mut socket, session.wrap(message.encode())).await.is_err() {
                        break;
                    }
                }
                *copy.heads.lock() = doc.get_heads();
                tokio::select! {
                    message = socket.next() => {
                        let Some(Ok(message)) = message else { break };
                        let Message::Binary(data) = message else {
                            copy.note(format!("receives {message:?}"));
                            continue;
                        };
                        let Some(data) = session.unwrap(data, &copy) else { continue };
                        let message = sync::Message::decode(&data).unwrap();
                        copy.note(format!("receives {} changes; {} needed", message.changes.len(), message.need.len()));
                        self.shared.promises.lock().changes.extend(&message.heads);
                        doc.sync().receive_sync_message(&mut state, message).unwrap();
                    }
                    () = self.pace() => {
                        if self.is(Mode::Write) && session.is_ready() {
                            add_row(&mut doc, &self.row());
                        }
                    }
                }
                if self.is(Mode::Stop) {
                    return;
                }
            }
            sleep(RETRY).await;
        }
    }

    async fn uses_the_legacy_socket(mut self) {
        while let Some(mut socket) = self.connect("/ws/dashboard/").await {
            // The row that is not acknowledged yet.
            let mut pending: Option<String> = None;
            loop {
                tokio::select! {
                    message = socket.next() => {
                        let Some(Ok(message)) = message else { break };
                        let Message::Text(text) = message else { continue };
                        let frame: Value = serde_json::from_str(&text).unwrap();
                        if let Some(shown) = frame["entry"]["designation"].as_str() {
                            self.shared.promises.lock().shown.insert(shown.to_owned());
                            pending.take_if(|pending| pending == shown);
                        } else if frame.get("error").is_some() {
                            pending = None;
                        }
                    }
                    () = sleep(ANSWER_TIMEOUT), if pending.is_some() => break,
                    () = self.pace() => {
                        if self.is(Mode::Write) && pending.is_none() {
                            let row = self.row();
                            if send(&mut socket, Message::text(add(&row))).await.is_err() {
                                break;
                            }
                            pending = Some(row);
                        }
                    }
                }
                if self.is(Mode::Stop) {
                    return;
                }
            }
            sleep(RETRY).await;
        }
    }

    async fn calls_the_api(mut self) {
        while !self.is(Mode::Stop) {
            self.pace().await;
            if !self.is(Mode::Write) {
                continue;
            }
            let (row, address) = (self.row(), self.address());
            let body = json!({ "id": row, "designation": row, "department": "HR", "budget": 7, "location": "Pune" });
            match timeout(
                ANSWER_TIMEOUT,
                request(address, "POST", "/api/documents/default/positions", body.to_string()),
            )
            .await
            {
                Ok(Some((201, _))) => {
                    self.shared.promises.lock().rows.insert(row);
                }
                Ok(Some((503, _)) | None) | Err(_) => sleep(RETRY).await,
                Ok(Some((status, body))) => panic!("{row}: {status} {}", String::from_utf8_lossy(&body)),
            }
        }
    }
}

/// The protocol around sync messages.
struct Session {
    protocol: Protocol,
    document: DocumentId,
    server: Option<PeerId>,
    me: String,
}

impl Session {
    fn peer(&self) -> PeerId {
        PeerId::new(&self.me).unwrap()
    }

    fn join(&self) -> Message {
        let versions = vec![PROTOCOL_VERSION.to_owned()];
        let join = repo_protocol::Message::Join { sender: self.peer(), metadata: PeerMetadata::default(), versions };
        Message::binary(join.encode())
    }

    /// Whether the server accepts sync messages.
    fn is_ready(&self) -> bool {
        matches!(self.protocol, Protocol::Plain) || self.server.is_some()
    }

    fn wrap(&self, data: Vec<u8>) -> Message {
        let Some(target) = self.server.clone() else { return Message::binary(data) };
        let (sender, document) = (self.peer(), self.document.clone());
        Message::binary(repo_protocol::Message::Sync { sender, target, document, data: data.into() }.encode())
    }

    /// The sync message in a frame.
    fn unwrap(&mut self, frame: Bytes, copy: &Copy) -> Option<Bytes> {
        if let Protocol::Plain = self.protocol {
            return Some(frame);
        }
        match repo_protocol::decode(&frame).unwrap() {
            repo_protocol::Message::Peer { sender, .. } => {
                self.server = Some(sender);
                None
            }
            repo_protocol::Message::Sync { data, .. } => Some(data),
            other => {
                copy.note(format!("receives {other:?}"));
                None
            }
        }
    }
}

/// Adds a row, once the document has arrived.
fn add_row(doc: &mut AutoCommit, name: &str) {
    let Ok(Some((_, positions))) = doc.get(ROOT, "positions") else { return };
    let row = doc.put_object(positions, name, ObjType::Map).unwrap();
    let text: String = (0..rand::random_range(0..LONG)).map(|_| char::from(rand::random_range(33..127u8))).collect();
    doc.put(&row, "designation", text).unwrap();
    doc.commit();
}

fn socket_address(socket: &Socket) -> Option<SocketAddr> {
    match socket.get_ref() {
        MaybeTlsStream::Plain(stream) => stream.peer_addr().ok(),
        _ => None,
    }
}

async fn send(socket: &mut Socket, message: Message) -> Result<(), ()> {
    timeout(ANSWER_TIMEOUT, socket.send(message)).await.map_err(|_| ())?.map_err(|_| ())
}

/// Sends a request over a connection of its own. `None` if there was no answer.
pub async fn request(address: SocketAddr, method: &str, path: &str, body: String) -> Option<(u16, Bytes)> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut http, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", address.to_string());
    let request = request.header("content-type", "application/json").body(Full::new(Bytes::from(body))).unwrap();
    let response = http.send_request(request).await.ok()?;
    let status = response.status().as_u16();
    Some((status, response.into_body().collect().await.ok()?.to_bytes()))
}
