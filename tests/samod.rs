//! Clients built with samod, another implementation of automerge-repo's protocol.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod support;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{Automerge, ObjType, ROOT, ReadDoc};
use futures_util::{SinkExt, StreamExt};
use happierwork::server::PeerOptions;
use runtime::hub::Requester;
use samod::{AutomergeUrl, BackoffConfig, DialError, Dialer, DocHandle, Repo, Transport, Url};
use serde_json::json;
use support::{PATIENCE, PlainPeer, TestServer, add};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{accept_async, connect_async};

/// Dials `/sync`. (samod's own WebSocket transport would need OpenSSL.)
struct Sync(Url);

impl Dialer for Sync {
    type Error = io::Error;

    fn url(&self) -> Url {
        self.0.clone()
    }

    fn connect(&self) -> Pin<Box<dyn Future<Output = Result<Transport, DialError<io::Error>>> + Send>> {
        let url = self.0.to_string();
        Box::pin(async move {
            let (socket, _) = connect_async(url).await.map_err(DialError::transient)?;
            let (sink, stream) = socket.split();
            let sink = sink.with(async |bytes: Vec<u8>| Ok::<_, Error>(Message::binary(bytes)));
            let stream = stream.filter_map(async |message| match message {
                Ok(Message::Binary(bytes)) => Some(Ok(bytes.to_vec())),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            });
            Ok(Transport::new(Box::pin(stream), Box::pin(sink)))
        })
    }
}

/// A server built with samod. Returns its URL.
async fn samod_server(repo: &Repo) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let acceptor = repo.make_acceptor(url.parse().expect("a URL")).expect("it runs");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (sink, stream) = accept_async(stream).await.unwrap().split();
            let sink = sink.with(async |bytes: Vec<u8>| Ok::<_, Error>(Message::binary(bytes)));
            let stream = stream.filter_map(async |message| match message {
                Ok(Message::Binary(bytes)) => Some(Ok(bytes.to_vec())),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            });
            acceptor.accept(Transport::new(Box::pin(stream), Box::pin(sink))).unwrap();
        }
    });
    url
}

async fn connect(server: &TestServer) -> Repo {
    connect_at(server, "/sync").await
}

async fn connect_at(server: &TestServer, path: &str) -> Repo {
    let repo = Repo::build_tokio().load().await;
    let url = server.url(path).parse().expect("a URL");
    let dialer = repo.dial(BackoffConfig::default(), Arc::new(Sync(url))).expect("it runs");
    timeout(PATIENCE, dialer.established()).await.expect("in time").expect("connects");
    repo
}

/// Finds the server's document by the URL that the server prints.
async fn find(repo: &Repo, server: &TestServer) -> DocHandle {
    let url: AutomergeUrl = server.document.url().parse().expect("a URL");
    let found = timeout(PATIENCE, repo.find(url.document_id().clone())).await.expect("in time");
    found.expect("the repo runs").expect("the document exists")
}

fn ids(doc: &Automerge) -> Vec<String> {
    let positions = doc.get(ROOT, "positions").unwrap().expect("a plan").1;
    doc.keys(positions).collect()
}

/// Waits until the document satisfies `wanted`.
async fn until(handle: &DocHandle, wanted: impl Fn(&Automerge) -> bool) {
    let mut changes = Box::pin(handle.changes());
    let seen = async {
        while !handle.with_document(|doc| wanted(doc)) {
            // A change may have arrived before the stream existed.
            let _ = timeout(Duration::from_millis(100), changes.next()).await;
        }
    };
    timeout(PATIENCE, seen).await.expect("it arrives in time");
}

fn add_row(handle: &DocHandle, id: &str, designation: &str) {
    handle.with_document(|doc| {
        let positions = doc.get(ROOT, "positions").unwrap().expect("a plan").1;
        let mut transaction = doc.transaction();
        let row = transaction.put_object(&positions, id, ObjType::Map).unwrap();
        for (field, text) in
            [("designation", designation), ("department", "HR"), ("location", "Pune"), ("updatedBy", "samod")]
        {
            let object = transaction.put_object(&row, field, ObjType::Text).unwrap();
            transaction.splice_text(&object, 0, 0, text).unwrap();
        }
        transaction.put(&row, "budget", 12).unwrap();
        transaction.commit();
    });
}

const POSITIONS: &[u8] = include_bytes!("fixtures/legacy/positions.json");

#[tokio::test(flavor = "multi_thread")]
async fn samod_client_opens_the_document_by_url_and_adds() {
    let server = TestServer::start().await;
    server.import(POSITIONS).await;
    let mut plain = PlainPeer::connect(&server, &server.document).await;
    let mut legacy = server.legacy().await;

    let repo = connect(&server).await;
    let handle = find(&repo, &server).await;
    assert_eq!(handle.with_document(|doc| ids(doc)).len(), 60);

    add_row(&handle, "by-samod", "Designer");
    let frame = legacy.json().await;
    let entry = &frame["entry"];
    assert_eq!((&entry["id"], &entry["designation"]), (&json!("by-samod"), &json!("Designer")), "{frame}");
    assert_eq!((&entry["budget"], &entry["lastUpdated"][0]), (&json!("12"), &json!("samod")), "{frame}");
    plain.until_row("by-samod").await;
    assert_eq!(plain.text("by-samod", "designation").as_deref(), Some("Designer"));
    assert_eq!(server.positions().await.len(), 61);
    repo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samod_client_sends_its_token_in_the_url() {
    let users = support::users::Users::new();
    let server = users.server().await;
    server.import(POSITIONS).await;
    let repo = connect_at(&server, &format!("/sync?token={}", users.token("cfo", "editor", "default"))).await;
    let handle = find(&repo, &server).await;
    add_row(&handle, "by-samod", "Designer");
    let authors = server.folder.path().join(format!("documents/{}.authors.jsonl", server.document));
    let noted = async {
        while server.positions().await.len() < 61 {
            tokio::task::yield_now().await;
        }
        std::fs::read_to_string(authors).unwrap()
    };
    let noted = timeout(PATIENCE, noted).await.expect("it arrives in time");
    assert!(noted.contains(r#"{"user":"cfo","surface":"sync""#), "{noted}");
    repo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samod_client_receives_additions_of_others() {
    let server = TestServer::start().await;
    server.import(POSITIONS).await;
    let repo = connect(&server).await;
    let handle = find(&repo, &server).await;

    let mut legacy = server.legacy().await;
    legacy.send(add("by a legacy client")).await;
    until(&handle, |doc| ids(doc).len() == 61).await;
    let mut plain = PlainPeer::connect(&server, &server.document).await;
    plain.add("by-a-plain-peer", "CTO", "Product", 90);
    plain.until_acknowledged().await;
    until(&handle, |doc| ids(doc).len() == 62).await;

    let designations = handle.with_document(|doc| {
        let positions = doc.get(ROOT, "positions").unwrap().expect("a plan").1;
        let text = |id: String| {
            let row = doc.get(&positions, id).unwrap().expect("a row").1;
            doc.text(doc.get(row, "designation").unwrap().expect("a designation").1).expect("text")
        };
        ids(doc).into_iter().map(text).collect::<Vec<_>>()
    });
    for designation in ["by a legacy client", "CTO"] {
        assert!(designations.iter().any(|found| found == designation), "{designation}");
    }
    repo.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samod_clients_share_a_new_document_that_is_stored() {
    let server = TestServer::start().await;
    let (one, two) = (connect(&server).await, connect(&server).await);
    let mut doc = Automerge::new();
    doc.transact::<_, _, automerge::AutomergeError>(|transaction| transaction.put(ROOT, "title", "ours")).unwrap();
    let created = one.create(doc).await.expect("it runs");
    let id = created.document_id().clone();
    let found = async {
        loop {
            if let Some(handle) = two.find(id.clone()).await.expect("it runs") {
                return handle;
            }
            // The server does not have it yet: retry.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = timeout(PATIENCE, found).await.expect("in time");
    until(&found, |doc| doc.get(ROOT, "title").unwrap().is_some()).await;
    let id = id.to_string().parse().expect("an id");
    assert!(server.app.hub.list(&Requester::server()).await.unwrap().contains(&id), "the server has stored it");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_dials_a_samod_server_and_both_stay_in_step() {
    let repo = Repo::build_tokio().load().await;
    let url = samod_server(&repo).await;
    let folder = Arc::new(TempDir::new().unwrap());
    let server = TestServer::start_in(folder, |options| options.peers = vec![PeerOptions::new(url)]).await;
    server.import(POSITIONS).await;
    let url: AutomergeUrl = server.document.url().parse().expect("a URL");
    let found = async {
        loop {
            if let Some(handle) = repo.find(url.document_id().clone()).await.expect("it runs") {
                return handle;
            }
            // It has not arrived yet: retry.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let handle = timeout(PATIENCE, found).await.expect("in time");
    until(&handle, |doc| doc.get(ROOT, "positions").is_ok_and(|map| map.is_some()) && ids(doc).len() == 60).await;
    add_row(&handle, "by-samod", "Designer");
    let mut plain = PlainPeer::connect(&server, &server.document).await;
    plain.until_row("by-samod").await;
    plain.add("by-a-client", "Analyst", "HR", 3);
    plain.until_acknowledged().await;
    until(&handle, |doc| ids(doc).len() == 62).await;
}
