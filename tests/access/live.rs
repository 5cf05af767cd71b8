//! Keys are retired and accounts disabled while clients work.

use std::sync::Arc;
use std::time::Duration;

use auth::{Documents, Grant, Role};
use automerge::ROOT;
use automerge::transaction::Transactable;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use plan::{Author, Budget, Edit, PlanPatch};
use repo_protocol::{self, Message, PeerMetadata};
use runtime::hub::{Requester, Unavailable, outbox};
use serde_json::{Value, json};
use store::faults::{FaultyDisk, Op, PausedCall};
use sync_engine::Surface;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_util::sync::CancellationToken;

use super::support::{self, PATIENCE, Socket, TestServer, http_to};
use crate::support::repo_peer::{PeerDocument, RepoPeer, new_id};
use crate::support::users::Users;

async fn joined(server: &TestServer, token: &str, name: &str) -> RepoPeer {
    let socket = server.connect(&format!("/sync?token={token}")).await;
    RepoPeer::join_over(socket, name, PeerMetadata::default()).await
}

async fn closed(socket: &mut Socket) -> u16 {
    while socket.next().await.is_some() {}
    socket.closed_with.take().map_or(0, |close| close.code.into())
}

/// Edits continuously until stopped. Returns the number of acknowledged edits.
fn works(mut peer: RepoPeer, mut replica: PeerDocument, stop: tokio::sync::watch::Receiver<bool>) -> JoinHandle<u32> {
    tokio::spawn(async move {
        let mut edits = 0;
        while !*stop.borrow() {
            replica.doc.put(ROOT, "note", edits).unwrap();
            replica.doc.commit();
            peer.until_agreed(&mut replica).await;
            edits += 1;
        }
        edits
    })
}

async fn server_on(users: &Users, disk: &FaultyDisk) -> TestServer {
    TestServer::start_on(Arc::new(disk.clone()), Arc::new(TempDir::new().unwrap()), |options| {
        options.state = "home/state.automerge".into();
        users.known()(options);
    })
    .await
}

/// Starts an edit by the server, which is queued when this returns. Resolves to whether it succeeded.
fn begin(server: &TestServer, patch: PlanPatch) -> BoxFuture<'_, bool> {
    let author = Author { name: "server".to_owned(), now: 1_750_000_000_000 };
    let caller = Requester::server();
    let mut made =
        async move { server.app.hub.edit(&caller, &server.document, Edit::Describe(patch), author).await.is_ok() }
            .boxed();
    assert!((&mut made).now_or_never().is_none());
    made
}

/// From now on the document waits for the disk, until the returned call is dropped.
async fn stick<'a>(server: &'a TestServer, disk: &FaultyDisk) -> (PausedCall, BoxFuture<'a, bool>) {
    let mut held = disk.pause(Op::Sync);
    let first = begin(server, PlanPatch { name: Some("first".to_owned()), ..PlanPatch::default() });
    timeout(PATIENCE, held.reached()).await.unwrap();
    (held, first)
}

/// Pending edits by the server: at least as many as may be queued for a document.
fn jam(server: &TestServer) -> Vec<BoxFuture<'_, bool>> {
    let budget = |edit| PlanPatch { total_budget: Some(Budget::Int(edit)), ..PlanPatch::default() };
    (0..1_100).map(|edit| begin(server, budget(edit))).collect()
}

/// Waits until the server has read everything that was sent to it.
async fn until_heard(socket: &mut Socket) {
    socket.send(Frame::Ping("heard".into())).await;
    while socket.next_raw().await.unwrap() != Frame::Pong("heard".into()) {}
}

async fn login(server: &TestServer, email: &str, password: &str) -> (u16, Value) {
    server.post("/accounts/api/login/", &json!({ "email": email, "password": password })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retired_key_ends_only_its_own_sessions() {
    let users = Users::new();
    let server = users.server().await;
    let kid = users.run(&["key", "list"]).split_whitespace().find(|word| word.len() > 8).unwrap().to_owned();
    let old = users.token("cfo", "editor", "*");
    users.run(&["key", "new"]);
    let new = users.token("ceo", "editor", "*");
    let kids = users.run(&["key", "list"]);
    assert!(kids.contains(&kid), "{kids}");

    // The running server detects the new key by itself.
    let mut other = loop {
        let mut socket = server.connect(&format!("/sync/default?token={new}")).await;
        if socket.next().await.is_some() {
            break socket;
        }
    };
    let mut worker = joined(&server, &new, "ceo").await;
    let mut replica = PeerDocument::empty(&server.document);
    worker.until_agreed(&mut replica).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let working = works(worker, replica, stopped);
    let mut concerned = joined(&server, &old, "cfo").await;
    let mut rows = server.connect(&format!("/ws/dashboard/?token={old}")).await;

    let retire = {
        let users = users.clone();
        move || users.run(&["key", "retire", &kid])
    };
    spawn_blocking(retire).await.unwrap();
    assert_eq!(closed(&mut concerned.socket).await, 4401);
    assert_eq!(closed(&mut rows).await, 4401);
    let mut again = server.connect(&format!("/sync/default?token={old}")).await;
    assert_eq!(closed(&mut again).await, 4401);
    stop.send(true).unwrap();
    assert!(working.await.unwrap() > 0, "a user of the other key is unaffected");
    other.send(Frame::Ping("there".into())).await;
    while other.next_raw().await.unwrap() != Frame::Pong("there".into()) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn account_changes_apply_to_open_connections() {
    let users = Users::new();
    for (name, role) in [("cfo@example.com", "editor"), ("ceo@example.com", "owner")] {
        users.run_with(&["user", "add", name, "--role", role, "--documents", "*"], "a long password");
    }
    let server = users.server().await;
    let (status, session) = login(&server, "cfo@example.com", "a long password").await;
    assert_eq!((status, &session["message"]), (200, &json!("Login successful")), "{session}");
    let cfo = session["token"].as_str().unwrap().to_owned();
    let (_, session) = login(&server, "CEO@example.com ", "a long password").await;
    let ceo = session["token"].as_str().unwrap().to_owned();
    let mut owner = joined(&server, &ceo, "ceo").await;

    let mut peer = joined(&server, &cfo, "cfo").await;
    let mut replica = PeerDocument::empty(&server.document);
    peer.until_agreed(&mut replica).await;
    let set = {
        let users = users.clone();
        move || users.run(&["user", "set", "cfo@example.com", "--role", "viewer"])
    };
    spawn_blocking(set).await.unwrap();
    while !replica.state.is_peer_read_only() {
        peer.turn(&mut replica).await;
    }
    let disable = {
        let users = users.clone();
        move || users.run(&["user", "disable", "cfo@example.com"])
    };
    spawn_blocking(disable).await.unwrap();
    let mut told = None;
    while let Some(message) = peer.next().await {
        if let Message::Error { message, .. } = message {
            told = Some(message);
        }
    }
    assert!(told.unwrap().contains("token"));
    assert_eq!(peer.socket.closed_with.take().map(|close| u16::from(close.code)), Some(4401));
    assert_eq!(login(&server, "cfo@example.com", "a long password").await.0, 401);

    let mut theirs = PeerDocument::empty(&server.document);
    owner.until_agreed(&mut theirs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stuck_document_rechecks_rights_of_queued_changes() {
    let users = Users::new();
    for name in ["cfo", "intern"] {
        users.run_with(&["user", "add", name, "--role", "editor", "--documents", "*"], "a long password");
    }
    let disk = FaultyDisk::new(&["home"]);
    let server = server_on(&users, &disk).await;
    let token = async |name| login(&server, name, "a long password").await.1["token"].as_str().unwrap().to_owned();
    let (cfo, intern) = (token("cfo").await, token("intern").await);
    let other_document = {
        let mut maker = joined(&server, &cfo, "maker").await;
        let mut replica = PeerDocument::empty(&new_id());
        replica.doc.put(ROOT, "name", "another").unwrap();
        maker.until_agreed(&mut replica).await;
        replica.id
    };
    let mut elsewhere = joined(&server, &users.token("auditor", "viewer", "default"), "elsewhere").await;
    let mut intern = joined(&server, &intern, "intern").await;
    let mut peer = joined(&server, &cfo, "cfo").await;
    let (mut replica, mut another) = (PeerDocument::empty(&server.document), PeerDocument::empty(&other_document));
    peer.until_agreed(&mut replica).await;
    let mut rows = server.connect(&format!("/ws/dashboard/?token={cfo}")).await;
    while rows.json().await["type"] != "login_update" {}
    let mut copy = joined(&server, &cfo, "copy").await;
    copy.until_agreed(&mut another).await;

    let (held, first) = stick(&server, &disk).await;
    // Both changes are queued before the rights change.
    replica.doc.put(ROOT, "name", "stolen").unwrap();
    replica.doc.commit();
    peer.push(&mut replica).await;
    until_heard(&mut peer.socket).await;
    rows.send(support::add("stolen")).await;
    let waiting = jam(&server);

    let set = users.clone();
    spawn_blocking(move || set.run(&["user", "set", "cfo", "--role", "viewer"])).await.unwrap();
    while !another.state.is_peer_read_only() {
        timeout(PATIENCE, copy.turn(&mut another)).await.expect("the new role reaches documents that are not stuck");
    }
    let disable = users.clone();
    spawn_blocking(move || disable.run(&["user", "disable", "intern"])).await.unwrap();
    assert_eq!(timeout(PATIENCE, closed(&mut intern.socket)).await.expect("the next account is handled, too"), 4401);
    // Ephemeral messages do not wait, nor do their senders.
    for count in 0..100 {
        let (sender, document) = (elsewhere.id.clone(), server.document.clone());
        let (target, session, data) = (elsewhere.server.clone(), "s".to_owned(), vec![1].into());
        let message = repo_protocol::Ephemeral { sender, target, count, session, document, data };
        elsewhere.send(&Message::Ephemeral(message)).await;
    }
    timeout(PATIENCE, until_heard(&mut elsewhere.socket)).await.expect("heard");

    drop(held);
    assert!(first.await);
    for edit in waiting {
        assert!(edit.await, "edits of others succeed");
    }
    while !replica.state.is_peer_read_only() {
        timeout(PATIENCE, peer.turn(&mut replica)).await.expect("the role arrives in the end");
    }
    let told = loop {
        let frame = timeout(PATIENCE, rows.json()).await.unwrap();
        if frame.get("error").is_some() {
            break frame;
        }
    };
    assert!(told["error"].as_str().unwrap().contains("edit access"), "{told}");
    let bearer = format!("Bearer {cfo}");
    let (_, _, plan) = server.http("GET", "/api/documents/default", &[("authorization", bearer.as_str())]).await;
    assert!(plan.contains("\"first\"") && plan.contains("1099") && !plan.contains("stolen"), "{plan}");
    assert!(server.positions().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stuck_document_rechecks_rights_of_viewers() {
    let disk = FaultyDisk::new(&["home"]);
    let server = server_on(&Users::new(), &disk).await;
    let grant = |documents| Grant {
        user: "cfo".into(),
        role: Role::Viewer,
        documents,
        expires: i64::MAX,
        key: "1".into(),
        id: None,
        session: true,
        generation: 0,
        issued: 0,
    };
    let (held, first) = stick(&server, &disk).await;

    let callers = [(); 3].map(|()| Requester::authenticated(Surface::Legacy, grant(Documents::All)));
    let outboxes = [(); 3].map(|()| outbox(CancellationToken::new()));
    let mut watch: Vec<_> = callers
        .iter()
        .zip(&outboxes)
        .map(|(caller, (sender, _))| {
            let key = server.app.hub.new_connection();
            server.app.hub.watch(caller, &server.document, key, sender.clone()).boxed()
        })
        .collect();
    assert!(watch.iter_mut().all(|watch| watch.now_or_never().is_none()));
    // None of them is a watcher yet.
    server.app.hub.recheck_all();
    callers[0].update_grant(grant(Documents::none()));
    callers[1].revoke();
    drop(held);
    assert!(first.await);
    let [renewed, over, stays] = join_all(watch).await.try_into().expect("three");
    assert!(matches!(renewed, Err(Unavailable::Denied(_))), "{renewed:?}");
    assert!(matches!(over, Err(Unavailable::Denied(_))), "{over:?}");
    assert!(stays.is_ok());
}

#[tokio::test]
async fn rights_are_rechecked_after_a_slow_body() {
    let users = Users::new();
    for name in ["cfo", "intern"] {
        users.run_with(&["user", "add", name, "--role", "editor", "--documents", "*"], "a long password");
    }
    let server = server_on(&users, &FaultyDisk::new(&["home"])).await;
    let mut slow = Vec::new();
    for (name, status) in [("cfo", 403), ("intern", 401)] {
        let token = login(&server, name, "a long password").await.1["token"].as_str().unwrap().to_owned();
        for (method, path) in [("PATCH", "/api/documents/default"), ("POST", "/data/add/")] {
            let body = json!({ "name": "stolen", "designation": "stolen", "budget": 7 }).to_string();
            let body = if method == "PATCH" { json!({ "name": "stolen" }).to_string() } else { body };
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\
                 Content-Type: application/json\r\nConnection: close\r\n\r\n{{",
                server.address,
                body.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            slow.push((stream, body[1..].to_owned(), token.clone(), status));
        }
    }
    for command in [&["user", "set", "cfo", "--role", "viewer"][..], &["user", "disable", "intern"]] {
        let (users, command) = (users.clone(), command.to_vec());
        spawn_blocking(move || users.run(&command)).await.unwrap();
    }
    for (mut stream, rest, token, status) in slow {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        loop {
            let asked = http_to(server.address, "PATCH", "/api/documents/default", &headers, "{}".to_owned());
            if timeout(PATIENCE, asked).await.unwrap().0 == status {
                break;
            }
        }
        stream.write_all(rest.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    assert!(server.positions().await.is_empty());
}

#[tokio::test]
async fn logout_ends_the_session() {
    let users = Users::new();
    users.run_with(&["user", "add", "cfo", "--role", "editor", "--documents", "*"], "a long password");
    let server = users.server().await;
    let body = json!({ "email": "cfo", "password": "a long password" }).to_string();
    let headers = [("content-type", "application/json")];
    let (status, answer, _) = http_to(server.address, "POST", "/accounts/api/login/", &headers, body).await;
    assert_eq!(status, 200);
    let cookie = answer["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=3"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "browsers do not return it without TLS: {cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let own = format!("http://{}", server.address);
    let headers = [("cookie", cookie.as_str()), ("origin", own.as_str())];
    let (_, _, session) = server.http("GET", "/api/session", &headers).await;
    let session: Value = serde_json::from_str(&session).unwrap();
    assert_eq!((&session["required"], &session["user"]["name"]), (&json!(true), &json!("cfo")));
    let mut rows = server.connect_with("/ws/dashboard/", &headers).await;
    assert_eq!(rows.json().await["type"], "login_update");

    let (status, ..) = http_to(server.address, "POST", "/accounts/api/logout/", &headers, String::new()).await;
    assert_eq!(status, 200);
    assert_eq!(closed(&mut rows).await, 4401);
    let folder = std::sync::Arc::clone(&server.folder);
    let (status, ..) = server.http("GET", "/data/", &headers).await;
    assert_eq!(status, 401);
    assert!(server.stop().await);
    let server = TestServer::start_in(folder, users.known()).await;
    let (status, ..) = server.http("GET", "/data/", &[("cookie", cookie.as_str())]).await;
    assert_eq!(status, 401, "also after a restart");
}

#[tokio::test]
async fn wrong_passwords_get_equal_answers_and_are_throttled() {
    let users = Users::new();
    users.run_with(&["user", "add", "cfo", "--role", "editor", "--documents", "*"], "a long password");
    let server = users.server().await;
    let wrong = login(&server, "cfo", "another password").await;
    assert_eq!(wrong, (401, json!({ "error": "Invalid credentials" })));
    assert_eq!(login(&server, "nobody", "another password").await, wrong);
    assert_eq!(login(&server, "cfo", "").await, wrong);
    let mut waits = None;
    for _ in 0..20 {
        let (status, answer) = login(&server, "cfo", "another password").await;
        if status == 429 {
            waits = Some(answer["error"].as_str().unwrap().to_owned());
            break;
        }
    }
    let waits = waits.expect("attempts are throttled");
    assert!(waits.starts_with("Too many attempts; try again in ") && waits.ends_with(" s"), "{waits}");
    assert_eq!(login(&server, "cfo", "a long password").await.0, 429, "also with the right one");
    assert_eq!(login(&server, "", "x").await, (400, json!({ "error": "Email is required" })));
}

#[tokio::test]
async fn expired_token_closes_the_connection() {
    let users = Users::new();
    let server = users.server().await;
    let now = runtime::clock::now();
    // Expiry has a tolerance for clock differences.
    let token = users.sign(&json!({
        "iss": "happierwork", "sub": "cfo", "role": "editor", "documents": "*", "iat": now, "exp": now - 4,
    }));
    let mut peer = joined(&server, &token, "cfo").await;
    assert_eq!(tokio::time::timeout(Duration::from_secs(15), closed(&mut peer.socket)).await, Ok(4401));
}
