//! Clients that write as fast as they are answered, and note what they are told, until the server is gone.

use std::net::SocketAddr;

use automerge::sync::{self, SyncDoc};
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjType, ROOT, ReadDoc};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::support::promises::Promises;

/// Characters of a text that does not compress: some twenty edits with it, and a log is compacted.
const LONG: usize = 16_000;

pub struct Writers {
    tasks: JoinSet<Promises>,
}

impl Writers {
    /// Two on the API, two who sync, two on the legacy socket.
    pub async fn start(address: SocketAddr, round: u32) -> Self {
        let mut tasks = JoinSet::new();
        for number in 0..2 {
            tasks.spawn(calls(address, format!("{round}-{number}")));
            tasks.spawn(syncs(address, format!("{round}-{number}")));
            tasks.spawn(looks(address, format!("{round}-{number}")));
        }
        Self { tasks }
    }

    /// What they were told. The server is gone, so they end.
    pub async fn stop(mut self) -> Promises {
        let mut promises = Promises::default();
        while let Some(told) = self.tasks.join_next().await {
            promises.add(told.unwrap());
        }
        promises
    }
}

async fn calls(address: SocketAddr, name: String) -> Promises {
    let mut promises = Promises::default();
    let Ok(stream) = TcpStream::connect(address).await else { return promises };
    let Ok((mut http, connection)) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await else {
        return promises;
    };
    tokio::spawn(connection);
    for count in 0.. {
        let id = format!("api-{name}-{count}");
        let body = json!({ "id": id, "designation": id, "department": "HR", "budget": count, "location": "Pune" });
        let request = Request::post("/api/documents/default/positions")
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
            // It is shutting down.
            break;
        }
        assert_eq!(status, 201);
        promises.rows.insert(id);
    }
    promises
}

async fn syncs(address: SocketAddr, name: String) -> Promises {
    let mut promises = Promises::default();
    let Ok((mut socket, _)) = connect_async(format!("ws://{address}/sync/default")).await else { return promises };
    let (mut doc, mut state) = (AutoCommit::new(), sync::State::new());
    let mut count = 0;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(data) = message else { continue };
        let message = sync::Message::decode(&data).unwrap();
        promises.changes.extend(&message.heads);
        doc.sync().receive_sync_message(&mut state, message).unwrap();
        if let Ok(Some((_, positions))) = doc.get(ROOT, "positions") {
            let row = doc.put_object(positions, format!("sync-{name}-{count}"), ObjType::Map).unwrap();
            let text: String = (0..LONG).map(|_| char::from(rand::random_range(33..127u8))).collect();
            doc.put(&row, "designation", text).unwrap();
            doc.commit();
            count += 1;
        }
        if let Some(message) = doc.sync().generate_sync_message(&mut state)
            && socket.send(Message::binary(message.encode())).await.is_err()
        {
            break;
        }
    }
    promises
}

async fn looks(address: SocketAddr, name: String) -> Promises {
    let mut promises = Promises::default();
    let Ok((mut socket, _)) = connect_async(format!("ws://{address}/")).await else { return promises };
    let add = |count: u32| Message::text(super::support::add(&format!("legacy-{name}-{count}")));
    let mut count = 0;
    if socket.send(add(count)).await.is_err() {
        return promises;
    }
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let Ok(frame) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
        let Some(designation) = frame["entry"]["designation"].as_str() else { continue };
        promises.shown.insert(designation.to_owned());
        if designation == format!("legacy-{name}-{count}") {
            count += 1;
            if socket.send(add(count)).await.is_err() {
                break;
            }
        }
    }
    promises
}
