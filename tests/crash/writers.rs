//! Clients that write as fast as the server answers, or faster, and record its acknowledgements until it is gone.

use std::net::SocketAddr;

use automerge::sync::{self, SyncDoc};
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjType, ROOT, ReadDoc};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use primitives::DocumentId;
use repo_protocol::{self, PROTOCOL_VERSION, PeerId, PeerMetadata};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::support::add;
use super::support::promises::Promises;

/// Characters of an incompressible text: some twenty edits fill a log until it is compacted.
const LONG: usize = 16_000;

/// The acknowledgements that a client received, and how its sockets ended.
#[derive(Default)]
pub struct Told {
    pub promises: Promises,
    pub ends: Vec<End>,
}

/// How a WebSocket ended.
#[derive(Debug)]
#[allow(dead_code, reason = "for debug output")]
pub struct End {
    of: String,
    /// The code of the server's close frame, if it came.
    pub close: Option<u16>,
    /// The error afterwards, or instead.
    error: Option<String>,
}

pub struct Writers {
    tasks: JoinSet<Told>,
}

impl Writers {
    /// Two clients each of the API, of sync, and of the legacy socket.
    pub async fn start(address: SocketAddr, round: u32) -> Self {
        let mut tasks = JoinSet::new();
        for number in 0..2 {
            tasks.spawn(calls(address, format!("{round}-{number}")));
            tasks.spawn(syncs(address, format!("{round}-{number}")));
            tasks.spawn(looks(address, format!("{round}-{number}")));
        }
        Self { tasks }
    }

    /// All kinds of clients: also one of automerge-repo's protocol, one of legacy REST, two that write without waiting for
    /// answers, and two that connect and disconnect.
    pub async fn start_all(address: SocketAddr, document: &DocumentId, round: u32) -> Self {
        let mut all = Self::start(address, round).await;
        all.tasks.spawn(joins(address, document.clone(), format!("{round}")));
        all.tasks.spawn(posts(address, format!("{round}")));
        for number in 0..2 {
            all.tasks.spawn(floods(address, format!("{round}-{number}")));
            all.tasks.spawn(comes_and_goes(address, format!("{round}-{number}")));
        }
        all
    }

    /// The acknowledgements of all clients. They end because the server is gone.
    pub async fn stop(mut self) -> Told {
        let mut all = Told::default();
        while let Some(told) = self.tasks.join_next().await {
            let Told { promises, ends } = told.unwrap();
            all.promises.add(promises);
            all.ends.extend(ends);
        }
        all
    }
}

/// A WebSocket that reads all messages of the server, also after a failed send.
struct Line {
    sink: Sending,
    stream: Receiving,
}

struct Receiving {
    stream: SplitStream<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    end: End,
}

struct Sending(SplitSink<WebSocketStream<MaybeTlsStream<TcpStream>>, Message>);

impl Line {
    /// `None` if the server is gone.
    async fn open(address: SocketAddr, path: &str, of: String) -> Option<Self> {
        let (socket, _) = connect_async(format!("ws://{address}{path}")).await.ok()?;
        let (sink, stream) = socket.split();
        Some(Self { sink: Sending(sink), stream: Receiving { stream, end: End { of, close: None, error: None } } })
    }
}

impl Receiving {
    /// The server's next message; `None` after the last one.
    async fn next(&mut self) -> Option<Message> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Close(frame))) => self.end.close = frame.map(|frame| frame.code.into()),
                Some(Ok(message)) => return Some(message),
                Some(Err(error)) => {
                    self.end.error = Some(error.to_string());
                    return None;
                }
                None => return None,
            }
        }
    }
}

impl Sending {
    /// `false` if nothing can be sent any more.
    async fn send(&mut self, message: Message) -> bool {
        self.0.send(message).await.is_ok()
    }
}

async fn calls(address: SocketAddr, name: String) -> Told {
    let mut told = Told::default();
    let made = |count| {
        let id = format!("api-{name}-{count}");
        let row = json!({ "id": id, "designation": id, "department": "HR", "budget": count, "location": "Pune" });
        (id, row)
    };
    told.promises.rows.extend(http(address, "/api/documents/default/positions", made).await);
    told
}

async fn posts(address: SocketAddr, name: String) -> Told {
    let mut told = Told::default();
    let made = |count| {
        let designation = format!("rest-{name}-{count}");
        let row = json!({ "designation": designation, "budget": 7 });
        (designation, row)
    };
    told.promises.shown.extend(http(address, "/data/add/", made).await);
    told
}

/// Adds rows over one HTTP connection. Returns the names of the acknowledged ones.
pub async fn http(address: SocketAddr, path: &str, row: impl Fn(u32) -> (String, Value)) -> Vec<String> {
    let mut made = Vec::new();
    let Ok(stream) = TcpStream::connect(address).await else { return made };
    let Ok((mut http, connection)) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await else {
        return made;
    };
    tokio::spawn(connection);
    for count in 0.. {
        let (name, body) = row(count);
        let request = Request::post(path)
            .header("host", address.to_string())
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let Ok(response) = http.send_request(request).await else { break };
        let status = response.status();
        if response.into_body().collect().await.is_err() {
            break;
        }
        if status.as_u16() == 503 {
            // The server is shutting down.
            break;
        }
        assert_eq!(status, 201);
        made.push(name);
    }
    made
}

/// A replica that adds a row after each message that it receives.
struct Replica {
    doc: AutoCommit,
    state: sync::State,
    name: String,
    count: u32,
}

impl Replica {
    fn new(name: String) -> Self {
        Self { doc: AutoCommit::new(), state: sync::State::new(), name, count: 0 }
    }

    fn receive(&mut self, data: &[u8], promises: &mut Promises) {
        let message = sync::Message::decode(data).unwrap();
        promises.changes.extend(&message.heads);
        self.doc.sync().receive_sync_message(&mut self.state, message).unwrap();
        if let Ok(Some((_, positions))) = self.doc.get(ROOT, "positions") {
            let row = self.doc.put_object(positions, format!("{}-{}", self.name, self.count), ObjType::Map).unwrap();
            let text: String = (0..LONG).map(|_| char::from(rand::random_range(33..127u8))).collect();
            self.doc.put(&row, "designation", text).unwrap();
            self.doc.commit();
            self.count += 1;
        }
    }

    fn generate(&mut self) -> Option<Bytes> {
        Some(self.doc.sync().generate_sync_message(&mut self.state)?.encode().into())
    }
}

async fn syncs(address: SocketAddr, name: String) -> Told {
    let mut told = Told::default();
    let Some(Line { mut sink, mut stream }) = Line::open(address, "/sync/default", format!("sync {name}")).await else {
        return told;
    };
    let mut replica = Replica::new(format!("sync-{name}"));
    while let Some(message) = stream.next().await {
        let Message::Binary(data) = message else { continue };
        replica.receive(&data, &mut told.promises);
        if let Some(data) = replica.generate() {
            sink.send(Message::Binary(data)).await;
        }
    }
    told.ends.push(stream.end);
    told
}

async fn joins(address: SocketAddr, document: DocumentId, name: String) -> Told {
    let mut told = Told::default();
    let Some(Line { mut sink, mut stream }) = Line::open(address, "/sync", format!("repo {name}")).await else {
        return told;
    };
    let me = PeerId::new(&format!("repo-{name}")).unwrap();
    let versions = vec![PROTOCOL_VERSION.to_owned()];
    let join = repo_protocol::Message::Join { sender: me.clone(), metadata: PeerMetadata::default(), versions };
    sink.send(Message::binary(join.encode())).await;
    let mut replica = Replica::new(format!("repo-{name}"));
    let mut server = None;
    while let Some(message) = stream.next().await {
        let Message::Binary(data) = message else { continue };
        match repo_protocol::decode(&data).unwrap() {
            repo_protocol::Message::Peer { sender, .. } => server = Some(sender),
            repo_protocol::Message::Sync { data, .. } => replica.receive(&data, &mut told.promises),
            _ => continue,
        }
        if let (Some(server), Some(data)) = (&server, replica.generate()) {
            let (sender, target) = (me.clone(), server.clone());
            let message = repo_protocol::Message::Sync { sender, target, document: document.clone(), data };
            sink.send(Message::binary(message.encode())).await;
        }
    }
    told.ends.push(stream.end);
    told
}

/// The designation of a row in a frame to a legacy client.
fn shown(message: &Message) -> Option<String> {
    let Message::Text(text) = message else { return None };
    let frame: Value = serde_json::from_str(text).ok()?;
    frame["entry"]["designation"].as_str().map(str::to_owned)
}

async fn looks(address: SocketAddr, name: String) -> Told {
    let mut told = Told::default();
    let Some(Line { mut sink, mut stream }) = Line::open(address, "/", format!("legacy {name}")).await else {
        return told;
    };
    let mut count = 0;
    sink.send(Message::text(add(&format!("legacy-{name}-{count}")))).await;
    while let Some(message) = stream.next().await {
        let Some(designation) = shown(&message) else { continue };
        if designation == format!("legacy-{name}-{count}") {
            count += 1;
            sink.send(Message::text(add(&format!("legacy-{name}-{count}")))).await;
        }
        told.promises.shown.insert(designation);
    }
    told.ends.push(stream.end);
    told
}

/// Sends without waiting for answers, and reads them.
async fn floods(address: SocketAddr, name: String) -> Told {
    let mut told = Told::default();
    let of = format!("flood {name}");
    let Some(Line { mut sink, mut stream }) = Line::open(address, "/ws/dashboard/", of).await else { return told };
    // A separate task, as it would starve the other half.
    let sends = tokio::spawn(async move {
        for count in 0.. {
            if !sink.send(Message::text(add(&format!("flood-{name}-{count}")))).await {
                break;
            }
        }
    });
    while let Some(message) = stream.next().await {
        told.promises.shown.extend(shown(&message));
    }
    sends.await.unwrap();
    told.ends.push(stream.end);
    told
}

/// Fetches the document, disconnects abruptly, and reconnects.
async fn comes_and_goes(address: SocketAddr, name: String) -> Told {
    let mut told = Told::default();
    for count in 0.. {
        let of = format!("visitor {name}-{count}");
        let Some(Line { mut stream, .. }) = Line::open(address, "/sync/default", of).await else { break };
        let Some(Message::Binary(data)) = stream.next().await else {
            told.ends.push(stream.end);
            break;
        };
        told.promises.changes.extend(sync::Message::decode(&data).unwrap().heads);
    }
    told
}
