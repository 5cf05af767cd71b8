//! The token that a replica sends to its server, and to no one else.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]
mod support;

use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use client::{BadUrl, ConnectError, Endpoint, Problem, Replica, Status, Token, new_document_id};
use futures_util::{SinkExt, StreamExt};
use repo_protocol::{self, Message, PROTOCOL_VERSION, PeerId, PeerMetadata};
use support::TestServer;
use support::replica::{options, synced};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

const PATIENCE: Duration = Duration::from_secs(20);
/// A string that cannot occur in logs by accident.
const SECRET: &str = "eyJ0b2tlbiI6InNlY3JldCJ9.c2lnbmF0dXJl";

/// A server that accepts only `Bearer good`. Reports the `Authorization` header of every connection.
async fn gatekeeper() -> (String, mpsc::UnboundedReceiver<Option<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/sync", listener.local_addr().unwrap());
    let (told, shown) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(receive(stream, told.clone()));
        }
    });
    (url, shown)
}

async fn receive(stream: TcpStream, told: mpsc::UnboundedSender<Option<String>>) {
    let mut shown = None;
    #[expect(clippy::result_large_err, reason = "the library defines this type")]
    let look = |request: &Request, response: Response| {
        shown = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        Ok(response)
    };
    let mut socket = accept_hdr_async(stream, look).await.unwrap();
    let welcome = shown.as_deref() == Some("Bearer good");
    told.send(shown).unwrap();
    if welcome {
        greet(&mut socket).await;
        while socket.next().await.is_some() {}
    } else {
        let _ = socket.close(Some(CloseFrame { code: 4401.into(), reason: "who are you?".into() })).await;
        while let Some(Ok(_)) = socket.next().await {}
    }
}

async fn greet(socket: &mut WebSocketStream<TcpStream>) {
    let join = socket.next().await.unwrap().unwrap().into_data();
    let Message::Join { sender: target, .. } = repo_protocol::decode(&join).unwrap() else { panic!("no join") };
    let sender = PeerId::new("gatekeeper").unwrap();
    let (metadata, version) = (PeerMetadata::default(), PROTOCOL_VERSION.to_owned());
    let peer = Message::Peer { sender, target, metadata, version };
    socket.send(Frame::Binary(peer.encode().into())).await.unwrap();
}

async fn next(shown: &mut mpsc::UnboundedReceiver<Option<String>>) -> Option<String> {
    timeout(PATIENCE, shown.recv()).await.expect("a connection in time").unwrap()
}

async fn refused(replica: &Replica) {
    let wanted = |status: &Status| {
        matches!(status, Status::Offline { last_error: Some(Problem::Refused { code: Some(4401), .. }), .. })
    };
    timeout(PATIENCE, replica.wait_for(wanted)).await.expect("in time").unwrap();
}

#[tokio::test]
async fn replaced_token_reconnects_immediately() {
    let home = tempfile::tempdir().unwrap();
    let (url, mut shown) = gatekeeper().await;
    let token = Token::new("old").unwrap();
    let options = options(home.path(), &new_document_id(), "ceo").online(Endpoint::new(&url).token(token.clone()));
    let replica = Replica::open(options).await.unwrap();
    assert_eq!(next(&mut shown).await.as_deref(), Some("Bearer old"));
    refused(&replica).await;
    // Without the new token, the replica would reconnect after 15 s at the earliest.
    token.replace("good").unwrap();
    let next = timeout(Duration::from_secs(10), next(&mut shown)).await.expect("at once");
    assert_eq!(next.as_deref(), Some("Bearer good"));
    timeout(PATIENCE, replica.wait_for(Status::is_online)).await.expect("in time").unwrap();

    // A new token does not close an accepted connection.
    token.replace("another").unwrap();
    replica.connect(Endpoint::new(&url).token(token.clone())).await.unwrap();
    assert!(replica.status().is_online() && shown.try_recv().is_err());
    replica.close().await.unwrap();
}

#[tokio::test]
async fn different_endpoint_opens_a_new_connection() {
    let home = tempfile::tempdir().unwrap();
    let (url, mut shown) = gatekeeper().await;
    let replica = Replica::open(options(home.path(), &new_document_id(), "ceo").online(&url)).await.unwrap();
    assert_eq!(next(&mut shown).await, None);
    refused(&replica).await;
    replica.connect(Endpoint::new(&url).token(Token::new("good").unwrap())).await.unwrap();
    assert_eq!(next(&mut shown).await.as_deref(), Some("Bearer good"));
}

#[tokio::test]
async fn token_is_not_sent_unencrypted() {
    let home = tempfile::tempdir().unwrap();
    let replica = Replica::open(options(home.path(), &new_document_id(), "ceo")).await.unwrap();
    let endpoint = Endpoint::new("ws://plan.example.com/sync").token(Token::new(SECRET).unwrap());
    let error = replica.connect(endpoint).await.unwrap_err();
    assert!(matches!(error, ConnectError::Url(BadUrl::TokenInTheClear(_))), "{error:?}");
    assert!(error.to_string().contains("wss://") && !error.to_string().contains(SECRET), "{error}");
}

#[tokio::test]
async fn http_refusal_is_reported_with_its_message() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/sync", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let answers = [
            ("401 Unauthorized", "text/plain", "Log in first.\nMore\n"),
            ("502 Bad Gateway", "text/html", "<html>\n"),
            ("200 OK", "text/plain", ""),
        ];
        for (status, kind, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1_024];
            let _ = stream.read(&mut head).await.unwrap();
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            // Kept open: the client does not wait for its end.
            tokio::spawn(async move { while stream.read(&mut head).await.is_ok_and(|count| count > 0) {} });
        }
    });
    let replica = Replica::open(options(home.path(), &new_document_id(), "ceo")).await.unwrap();
    for expected in [
        Problem::Refused { code: None, message: "it answers 401 Unauthorized: Log in first.".to_owned() },
        Problem::Handshake("it answers 502 Bad Gateway".to_owned()),
        Problem::Handshake("it answers 200 OK".to_owned()),
    ] {
        replica.connect(&url).await.unwrap();
        let failed = replica.wait_for(|status| matches!(status, Status::Offline { last_error: Some(_), .. }));
        let status = timeout(PATIENCE, failed).await.expect("in time").unwrap();
        let Status::Offline { last_error, .. } = status else { panic!("{status:?}") };
        assert_eq!(last_error, Some(expected));
    }
}

#[tokio::test]
async fn dropped_handshake_differs_from_a_foreign_protocol() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/sync", listener.local_addr().unwrap());
    let another_handshake = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                             sec-websocket-accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    tokio::spawn(async move {
        for answer in ["", "220 mail.example.com\r\n", another_handshake] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1_024]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let replica = Replica::open(options(home.path(), &new_document_id(), "ceo")).await.unwrap();
    for wanted in [
        |problem: &Problem| matches!(problem, Problem::Unreachable(_)),
        |problem: &Problem| matches!(problem, Problem::Handshake(words) if words.contains("HTTP")),
        |problem: &Problem| matches!(problem, Problem::Handshake(words) if words.contains("invalid")),
    ] {
        replica.connect(&url).await.unwrap();
        let failed = replica.wait_for(|status| matches!(status, Status::Offline { last_error: Some(_), .. }));
        let status = timeout(PATIENCE, failed).await.expect("in time").unwrap();
        assert!(matches!(&status, Status::Offline { last_error: Some(problem), .. } if wanted(problem)), "{status:?}");
    }
}

/// Collects all log lines of all libraries at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn logs_contain_no_token_at_any_level() {
    static LOG: OnceLock<Log> = OnceLock::new();
    let log = LOG.get_or_init(Log::default).clone();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();

    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    let token = Token::new(SECRET).unwrap();
    let endpoint = Endpoint::new(server.url("/sync")).token(token.clone());
    let options = options(home.path(), &server.document, "ceo").online(endpoint.clone());
    let shown = format!("{endpoint:?} {options:?} {token:?}");
    let replica = Replica::open(options).await.unwrap();
    synced(&replica).await;
    let shown = format!("{shown} {replica:?} {:?}", replica.status());
    replica.close().await.unwrap();
    assert!(!shown.contains(SECRET), "{shown}");
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("TRACE tungstenite"), "the log lacks the lines of libraries: {log}");
    assert!(!log.contains(SECRET), "{log}");
}
