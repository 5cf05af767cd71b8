//! Replicas against other servers: another implementation, and ones that misbehave.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{Automerge, ObjType, ROOT, ReadDoc};
use bytes::Bytes;
use client::{Problem, Replica, Status, new_document_id};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use repo_protocol::{self, Message, PeerId, PeerMetadata};
use samod::{AcceptorHandle, BackoffConfig, DialError, Dialer, Repo, Transport, Url};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, connect_async};

use crate::support::TestServer;
use crate::support::ports::free_port;
use crate::support::replica::{add, options, rows, set_budget, synced, until};

type Socket = WebSocketStream<TcpStream>;

/// A WebSocket in the form that samod expects: a stream and a sink of bytes.
fn transport<S>(socket: S) -> Transport
where
    S: Stream<Item = Result<Frame, Error>> + Sink<Frame, Error = Error> + Send + Unpin + 'static,
{
    let (sink, source) = socket.split();
    let incoming = source.filter_map(|frame| async move {
        match frame {
            Ok(Frame::Binary(bytes)) => Some(Ok(bytes.to_vec())),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }
    });
    let outgoing = sink.with(|bytes: Vec<u8>| async move { Ok::<_, Error>(Frame::Binary(bytes.into())) });
    Transport::new(Box::pin(incoming), Box::pin(outgoing))
}

struct ToUs(String);

impl Dialer for ToUs {
    type Error = Infallible;

    fn url(&self) -> Url {
        Url::parse(&self.0).unwrap()
    }

    fn connect(&self) -> futures_util::future::BoxFuture<'static, Result<Transport, DialError<Infallible>>> {
        let url = self.0.clone();
        Box::pin(async move {
            let (socket, _): (WebSocketStream<MaybeTlsStream<TcpStream>>, _) =
                connect_async(url).await.map_err(DialError::transient)?;
            Ok(transport(socket))
        })
    }
}

/// A server that runs samod.
async fn samod_server(repo: &Repo) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let acceptor: AcceptorHandle = repo.make_acceptor(Url::parse(&url).unwrap()).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let socket = accept_async(stream).await.unwrap();
            acceptor.accept(transport(socket)).unwrap();
        }
    });
    url
}

/// A plan as another program would write it.
fn foreign_plan() -> Automerge {
    let mut doc = Automerge::new();
    let mut tx = doc.transaction();
    let positions = tx.put_object(ROOT, "positions", ObjType::Map).unwrap();
    let row = tx.put_object(&positions, "theirs", ObjType::Map).unwrap();
    tx.put(&row, "designation", "Written by samod").unwrap();
    tx.commit();
    doc
}

/// The ids of the rows, and the heads, of a document in samod.
fn seen(doc: &Automerge) -> (Vec<String>, Vec<automerge::ChangeHash>) {
    let (_, map) = doc.get(ROOT, "positions").unwrap().unwrap();
    (doc.keys(&map).collect(), doc.get_heads())
}

#[tokio::test]
async fn replica_syncs_with_a_samod_server() {
    let home = tempfile::tempdir().unwrap();
    let repo = Repo::build_tokio().load().await;
    let url = samod_server(&repo).await;
    let handle = repo.create(foreign_plan()).await.unwrap();
    let id = handle.document_id().to_string().parse().unwrap();
    let replica = Replica::open(options(home.path(), &id, "ceo").online(&url)).await.unwrap();
    synced(&replica).await;
    assert_eq!(rows(&replica), 1);

    replica.disconnect().await.unwrap();
    replica.edit(add("ours", 5)).await.unwrap();
    handle.with_document(|doc| {
        let mut tx = doc.transaction();
        let (_, positions) = tx.get(ROOT, "positions").unwrap().unwrap();
        tx.put_object(positions, "later", ObjType::Map).unwrap();
        tx.commit();
    });
    replica.connect(&url).await.unwrap();
    until(&replica, |replica| rows(replica) == 3).await;
    synced(&replica).await;
    assert_eq!(handle.with_document(|doc| seen(doc).1), replica.heads());
}

#[tokio::test]
async fn new_plan_is_created_at_a_samod_server() {
    let home = tempfile::tempdir().unwrap();
    let repo = Repo::build_tokio().load().await;
    let url = samod_server(&repo).await;
    let id = new_document_id();
    let replica = Replica::create(options(home.path(), &id, "ceo"), Default::default(), vec![]).await.unwrap();
    replica.edit(add("ours", 5)).await.unwrap();
    replica.connect(&url).await.unwrap();
    synced(&replica).await;
    let handle = repo.find(id.as_str().parse().unwrap()).await.unwrap().expect("samod has it");
    assert_eq!(handle.with_document(|doc| seen(doc)), (vec!["ours".to_owned()], replica.heads()));
}

#[tokio::test]
async fn samod_client_and_replica_sync_through_the_server() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    server.edit(add("ui", 30)).await;
    let replica =
        Replica::open(options(home.path(), &server.document, "ceo").online(server.url("/sync"))).await.unwrap();
    synced(&replica).await;
    let repo = Repo::build_tokio().load().await;
    let dialled = repo.dial(BackoffConfig::default(), Arc::new(ToUs(server.url("/sync")))).unwrap();
    dialled.established().await.unwrap();
    let handle = repo.find(server.document.as_str().parse().unwrap()).await.unwrap().expect("our server has it");

    replica.edit(set_budget("ui", 31)).await.unwrap();
    handle.with_document(|doc| {
        let mut tx = doc.transaction();
        let (_, positions) = tx.get(ROOT, "positions").unwrap().unwrap();
        let row = tx.put_object(positions, "samod", ObjType::Map).unwrap();
        tx.put(row, "designation", "Written by samod").unwrap();
        tx.commit();
    });
    until(&replica, |replica| rows(replica) == 2).await;
    synced(&replica).await;
    let mut changes = handle.changes();
    let same = async {
        while handle.with_document(|doc| doc.get_heads()) != replica.heads() {
            changes.next().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), same).await.unwrap();
}

/// A server that runs `serve` on every connection.
async fn fake_server<F>(serve: impl Fn(usize, Socket) -> F + Send + Sync + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(number, accept_async(stream).await.unwrap()));
        }
    });
    url
}

fn frame(message: &Message) -> Frame {
    Frame::Binary(message.encode().into())
}

fn name() -> PeerId {
    PeerId::new("fake").unwrap()
}

async fn receive(socket: &mut Socket) -> Option<Message> {
    loop {
        match socket.next().await?.ok()? {
            Frame::Binary(bytes) => return Some(repo_protocol::decode(&bytes).unwrap()),
            Frame::Close(_) => return None,
            _ => {}
        }
    }
}

/// The handshake; returns the replica's name.
async fn shake_hands(socket: &mut Socket) -> PeerId {
    let Some(Message::Join { sender, metadata, .. }) = receive(socket).await else { panic!("a join comes first") };
    assert!(metadata.storage_id.is_some() && !metadata.is_ephemeral);
    let peer = Message::Peer {
        sender: name(),
        target: sender.clone(),
        metadata: PeerMetadata::default(),
        version: "1".to_owned(),
    };
    socket.send(frame(&peer)).await.unwrap();
    sender
}

async fn close(mut socket: Socket, code: u16, reason: &str) {
    let _ = socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await;
    while let Some(Ok(_)) = socket.next().await {}
}

/// The problem that a new, empty replica reports about a server.
async fn problem_with(url: &str) -> Problem {
    let home = tempfile::tempdir().unwrap();
    let mut options = options(home.path(), &new_document_id(), "ceo").online(url);
    options.ping = Duration::from_millis(50);
    let replica = Replica::open(options).await.unwrap();
    let failed = replica.wait_for(|status| matches!(status, Status::Offline { last_error: Some(_), .. }));
    let failed = tokio::time::timeout(Duration::from_secs(20), failed).await.unwrap().unwrap();
    let Status::Offline { last_error: Some(problem), retry_at: Some(_), .. } = failed else { panic!("{failed:?}") };
    replica.close().await.unwrap();
    problem
}

#[tokio::test]
async fn problems_are_reported() {
    let nobody = free_port();
    assert!(matches!(problem_with(&format!("ws://127.0.0.1:{nobody}/")).await, Problem::Unreachable(_)));

    let url = fake_server(|_, mut socket| async move {
        receive(&mut socket).await;
        let words =
            Message::Error { sender: Some(name()), target: None, document: None, message: "not for you".to_owned() };
        socket.send(frame(&words)).await.unwrap();
        close(socket, 4403, "no").await;
    })
    .await;
    let refused = Problem::Refused { code: Some(4403), message: "not for you".to_owned() };
    assert_eq!(problem_with(&url).await, refused);

    let url = fake_server(|_, mut socket| async move {
        shake_hands(&mut socket).await;
        close(socket, 1013, "too many").await;
    })
    .await;
    assert_eq!(problem_with(&url).await, Problem::Busy("too many".to_owned()));

    let url = fake_server(|_, mut socket| async move {
        shake_hands(&mut socket).await;
        let words = Message::Error { sender: Some(name()), target: None, document: None, message: "odd".to_owned() };
        socket.send(frame(&words)).await.unwrap();
        // The server sends the error and does not close.
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(problem_with(&url).await, Problem::Refused { code: None, message: "odd".to_owned() });

    let url = fake_server(|_, mut socket| async move {
        shake_hands(&mut socket).await;
        // The server does not even answer pings.
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(problem_with(&url).await, Problem::Silent);

    let url = fake_server(|_, mut socket| async move {
        let target = shake_hands(&mut socket).await;
        let Some(Message::Request { document, .. }) = receive(&mut socket).await else { panic!("a request") };
        let data = Bytes::from_static(b"not a sync message");
        socket.send(frame(&Message::Sync { sender: name(), target, document, data })).await.unwrap();
        while receive(&mut socket).await.is_some() {}
    })
    .await;
    assert!(matches!(problem_with(&url).await, Problem::BadServer(_)));
}

#[tokio::test]
async fn silent_server_never_counts_as_synced() {
    let home = tempfile::tempdir().unwrap();
    let (told, mut heard) = mpsc::unbounded_channel();
    let url = fake_server(move |_, mut socket| {
        let told = told.clone();
        async move {
            shake_hands(&mut socket).await;
            while let Some(message) = receive(&mut socket).await {
                let _ = told.send(message);
            }
        }
    })
    .await;
    let id = new_document_id();
    let replica = Replica::create(options(home.path(), &id, "ceo").online(url), Default::default(), vec![]);
    let replica = replica.await.unwrap();
    assert!(matches!(heard.recv().await, Some(Message::Sync { .. })));
    replica.edit(add("a", 1)).await.unwrap();
    assert!(matches!(heard.recv().await, Some(Message::Sync { .. })));
    assert_eq!(replica.status(), Status::Syncing);
    assert!(tokio::time::timeout(Duration::from_millis(100), replica.wait_until_synced()).await.is_err());
    // Offline is a farewell, not a slammed door.
    replica.disconnect().await.unwrap();
    assert!(matches!(heard.recv().await, Some(Message::Leave { .. })));
}

#[tokio::test]
async fn replica_reconnects_until_the_server_recovers() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    server.edit(add("a", 1)).await;
    let through = Arc::new(server.url("/sync"));
    let ends = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ends);
    // Three connections fail, each in another way. The fourth is forwarded to the server.
    let url = fake_server(move |number, mut socket| {
        let (through, ends) = (Arc::clone(&through), Arc::clone(&ends));
        async move {
            ends.lock().unwrap().push(number);
            match number {
                0 => drop(socket),
                1 => {
                    shake_hands(&mut socket).await;
                    drop(socket);
                }
                2 => {
                    shake_hands(&mut socket).await;
                    close(socket, 1001, "restarting").await;
                }
                _ => {
                    let (server, _) = connect_async(&*through).await.unwrap();
                    let (to_server, from_server) = server.split();
                    let (to_replica, from_replica) = socket.split();
                    tokio::select! {
                        _ = from_server.forward(to_replica) => {}
                        _ = from_replica.forward(to_server) => {}
                    }
                }
            }
        }
    })
    .await;
    let replica = Replica::open(options(home.path(), &server.document, "ceo").online(url)).await.unwrap();
    synced(&replica).await;
    assert_eq!(rows(&replica), 1);
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2, 3]);
}
