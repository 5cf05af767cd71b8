//! A client of the change feed.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::PATIENCE;

/// An event of a stream.
#[derive(Debug, Clone)]
pub struct SentEvent {
    pub name: String,
    pub id: Option<String>,
    pub data: Value,
}

impl SentEvent {
    /// The hash of the change.
    pub fn hash(&self) -> String {
        assert_eq!(self.name, "change", "{self:?}");
        self.data["change"]["hash"].as_str().expect("a hash").to_owned()
    }

    pub fn id(&self) -> &str {
        self.id.as_deref().expect("an id")
    }
}

/// A stream of server-sent events. Reads nothing until it is asked for an event.
pub struct FeedStream {
    body: Incoming,
    text: String,
    connection: JoinHandle<Result<(), hyper::Error>>,
}

impl FeedStream {
    /// Opens a stream. Returns the status if that is not 200.
    pub async fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, StatusCode> {
        let stream = TcpStream::connect(address).await.expect("connects");
        Self::over(stream, address, path, headers).await
    }

    /// Opens a stream over an established connection.
    pub async fn over(
        stream: TcpStream,
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, StatusCode> {
        Self::attempt(stream, address, path, headers).await.expect("answers")
    }

    /// Opens a stream at a server that may be killed meanwhile. `None` if it is.
    pub async fn open_while_it_lives(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        let opened = Self::attempt(stream, address, path, headers).await.ok()?;
        Some(opened.expect("a stream"))
    }

    async fn attempt(
        stream: TcpStream,
        address: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Result<Self, StatusCode>, hyper::Error> {
        let mut request = Request::get(path).header("host", address.to_string()).header("accept", "text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new()).expect("a request");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        if head.status != StatusCode::OK {
            return Ok(Err(head.status));
        }
        assert!(is_stream(&head.headers), "{:?}", head.headers);
        Ok(Ok(Self { body, text: String::new(), connection }))
    }

    /// The next event; `None` at the end of the stream. Comments are skipped.
    pub async fn next(&mut self) -> Option<SentEvent> {
        timeout(PATIENCE, self.receive()).await.expect("an event in time")
    }

    async fn receive(&mut self) -> Option<SentEvent> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = parse(event);
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            let Ok(frame) = self.body.frame().await? else { return None };
            self.text.push_str(std::str::from_utf8(frame.data_ref().expect("data")).expect("UTF-8"));
        }
    }

    /// The next event, which must be a change.
    pub async fn change(&mut self) -> SentEvent {
        let event = self.next().await.expect("an event");
        assert_eq!(event.name, "change", "{event:?}");
        event
    }

    /// The first event of a stream.
    pub async fn ready(&mut self) -> SentEvent {
        let event = self.next().await.expect("an event");
        assert_eq!(event.name, "ready", "{event:?}");
        event
    }

    /// Reads to the end of the stream. Returns the reason that the server gives.
    pub async fn ended(mut self) -> String {
        let mut last = None;
        while let Some(event) = self.next().await {
            last = Some(event);
        }
        let last = last.expect("an event");
        assert_eq!(last.name, "end", "{last:?}");
        last.data["reason"].as_str().expect("a reason").to_owned()
    }
}

impl Drop for FeedStream {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers["content-type"].as_bytes().starts_with(b"text/event-stream") && !headers.contains_key("content-encoding")
}

fn parse(text: &str) -> Option<SentEvent> {
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.next_back().map(str::to_owned)
    };
    let data = serde_json::from_str(&field("data")?).expect("JSON");
    Some(SentEvent { name: field("event").expect("a name"), id: field("id"), data })
}
