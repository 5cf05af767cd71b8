//! Rights of users and changes of them; accepted places for tokens.

use std::io::ErrorKind;
use std::sync::Arc;

use automerge::transaction::Transactable;
use automerge::{ChangeHash, ROOT, sync};
use bytes::Bytes;
use primitives::DocumentId;
use repo_protocol::{Ephemeral, Message, PeerMetadata, RemoteHeads, StorageId};
use serde_json::{Value, json};
use store::faults::{FaultyDisk, Op};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::support::{PATIENCE, PlainPeer, Socket, TestServer, http_to};
use crate::support::repo_peer::{PeerDocument, RepoPeer, join, new_id, receive, with_storage};
use crate::support::users::Users;

async fn call(server: &TestServer, token: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let (status, _, answer) = http_to(server.address, method, path, &headers, body.to_owned()).await;
    (status, answer)
}

async fn joined(server: &TestServer, token: &str, name: &str) -> RepoPeer {
    let socket = server.connect(&format!("/sync?token={token}")).await;
    RepoPeer::join_over(socket, name, PeerMetadata::default()).await
}

async fn code(socket: &mut Socket) -> u16 {
    let close = match socket.closed_with.take() {
        Some(close) => Some(close),
        None => socket.closed().await,
    };
    close.map_or(0, |close| close.code.into())
}

/// A document that the user of this token has created over the sync socket.
async fn made_by(server: &TestServer, token: &str) -> (RepoPeer, PeerDocument) {
    let mut peer = joined(server, token, &format!("maker-{}", rand::random::<u32>())).await;
    let mut replica = PeerDocument::empty(&new_id());
    replica.doc.put(ROOT, "name", "theirs").unwrap();
    replica.doc.commit();
    peer.until_agreed(&mut replica).await;
    (peer, replica)
}

#[tokio::test]
async fn clients_learn_their_rights_and_changes_of_them() {
    let users = Users::new();
    let server = users.server().await;
    let tokens = ["viewer", "editor", "owner"].map(|role| users.token(role, role, "default"));
    for (token, access) in tokens.iter().zip(["read", "write", "own"]) {
        let (_, one) = call(&server, token, "GET", "/api/documents/default", "").await;
        let (_, all) = call(&server, token, "GET", "/api/documents", "").await;
        let (one, all): (Value, Value) = (serde_json::from_str(&one).unwrap(), serde_json::from_str(&all).unwrap());
        assert_eq!((&one["access"], &all[0]["access"]), (&json!(access), &json!(access)));
        let (_, export) = call(&server, token, "GET", "/api/documents/default/export.json", "").await;
        let export: Value = serde_json::from_str(&export).unwrap();
        assert!(export["document"]["name"].is_string() && export["document"].get("access").is_none(), "{export}");
    }
    let [_, editor, owner] = &tokens;
    let bearer = format!("Bearer {editor}");
    let ask = |method: &'static str, condition: &'static str, tag: String, body: &'static str| {
        let headers =
            [("authorization", bearer.clone()), ("content-type", "application/json".to_owned()), (condition, tag)];
        let address = server.address;
        async move {
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            let (status, headers, body) =
                http_to(address, method, "/api/documents/default", &headers, body.to_owned()).await;
            (status, headers["etag"].to_str().unwrap().to_owned(), body)
        }
    };
    let (status, tag, _) = ask("GET", "if-none-match", "\"other\"".to_owned(), "").await;
    assert_eq!(status, 200);
    assert_eq!(ask("GET", "if-none-match", tag.clone(), "").await.0, 304);
    // The document is unchanged, and their rights are not.
    let let_in = call(&server, owner, "PUT", "/api/documents/default/access/editor", r#"{"role":"owner"}"#).await;
    assert_eq!(let_in.0, 204);
    let (status, now, body) = ask("GET", "if-none-match", tag.clone(), "").await;
    assert_eq!((status, &serde_json::from_str::<Value>(&body).unwrap()["access"]), (200, &json!("own")));
    assert_ne!(now, tag);
    // Their precondition on the document still holds.
    assert_eq!(ask("PATCH", "if-match", tag, r#"{"totalBudget":7}"#).await.0, 200);
}

#[tokio::test]
async fn owner_grants_and_revokes_access_live() {
    let users = Users::new();
    let server = users.server().await;
    // These tokens name no documents: the users' rights come from the access records.
    let (ceo, cfo) = (users.token("ceo", "editor", "default"), users.token("cfo", "editor", "default"));
    let (_maker, replica) = made_by(&server, &ceo).await;
    let path = format!("/api/documents/{}", replica.id);
    assert_eq!(call(&server, &cfo, "GET", &path, "").await.0, 404);
    assert_eq!(call(&server, &cfo, "PUT", &format!("{path}/access/cfo"), r#"{"role":"owner"}"#).await.0, 404);

    assert_eq!(call(&server, &ceo, "PUT", &format!("{path}/access/cfo"), r#"{"role":"viewer"}"#).await.0, 204);
    let mut guest = joined(&server, &cfo, "guest").await;
    let mut copy = PeerDocument::empty(&replica.id);
    let first = copy.generate().unwrap();
    let request = guest.request(&copy.id, first);
    guest.send(&request).await;
    while copy.doc.get_heads().is_empty() {
        guest.turn(&mut copy).await;
    }
    while !copy.state.is_peer_read_only() {
        guest.turn(&mut copy).await;
    }

    // Upgrade: the change made in the meantime is accepted.
    copy.doc.put(ROOT, "name", "ours").unwrap();
    copy.doc.commit();
    assert_eq!(call(&server, &ceo, "PUT", &format!("{path}/access/cfo"), r#"{"role":"editor"}"#).await.0, 204);
    while copy.state.is_peer_read_only() {
        guest.turn(&mut copy).await;
    }
    guest.until_agreed(&mut copy).await;
    let (_, access) = call(&server, &ceo, "GET", &format!("{path}/access"), "").await;
    let access: Value = serde_json::from_str(&access).unwrap();
    assert_eq!(access, json!({ "owner": "ceo", "users": { "cfo": "editor" } }));

    // Revocation: the document becomes unavailable for them.
    assert_eq!(call(&server, &ceo, "DELETE", &format!("{path}/access/cfo"), "").await.0, 204);
    loop {
        match guest.next().await {
            Some(Message::DocUnavailable { document, .. }) if document == replica.id => break,
            Some(Message::Sync { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(call(&server, &cfo, "GET", &path, "").await.0, 404);
    // All rights survive a restart.
    let folder = Arc::clone(&server.folder);
    assert!(server.stop().await);
    let server = TestServer::start_in(folder, users.known()).await;
    assert_eq!(call(&server, &ceo, "GET", &path, "").await.0, 200);
    assert_eq!(call(&server, &cfo, "GET", &path, "").await.0, 404);
}

#[tokio::test]
async fn last_owner_keeps_the_role() {
    let users = Users::new();
    let server = users.server().await;
    let (ceo, cfo) = (users.token("ceo", "editor", "default"), users.token("cfo", "editor", "default"));
    let operator = users.token("operator", "owner", "*");
    let (mut maker, mut replica) = made_by(&server, &ceo).await;
    let path = format!("/api/documents/{}", replica.id);
    let access = format!("{path}/access");
    let set = async |by: &str, user: &str, role: &str| {
        let body = json!({ "role": role }).to_string();
        call(&server, by, "PUT", &format!("{access}/{user}"), &body).await
    };
    for role in ["viewer", "editor"] {
        let (status, body) = set(&ceo, "ceo", role).await;
        assert!(status == 409 && body.contains("last-owner") && body.contains("another user"), "{status} {body}");
    }
    assert_eq!(call(&server, &ceo, "DELETE", &format!("{access}/ceo"), "").await.0, 409);
    assert_eq!(set(&ceo, "ceo", "owner").await.0, 204, "nothing changes");

    // With a second owner, the creator can be downgraded.
    assert_eq!(set(&ceo, "cfo", "owner").await.0, 204);
    assert_eq!(set(&cfo, "ceo", "viewer").await.0, 204);
    while !replica.state.is_peer_read_only() {
        maker.turn(&mut replica).await;
    }
    let (_, record) = call(&server, &cfo, "GET", &access, "").await;
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record, json!({ "owner": null, "users": { "ceo": "viewer", "cfo": "owner" } }));
    assert_eq!(set(&ceo, "ceo", "owner").await.0, 403);
    assert_eq!(call(&server, &cfo, "DELETE", &format!("{access}/cfo"), "").await.0, 409);
    assert_eq!(call(&server, &cfo, "DELETE", &format!("{access}/ceo"), "").await.0, 204);
    assert_eq!(call(&server, &ceo, "GET", &path, "").await.0, 404);
    // A token that grants ownership of all documents still does.
    assert_eq!(call(&server, &operator, "DELETE", &format!("{access}/cfo"), "").await.0, 204);
    assert_eq!(call(&server, &cfo, "GET", &path, "").await.0, 404);
    assert_eq!(set(&operator, "ceo", "owner").await.0, 204);
    assert_eq!(call(&server, &ceo, "GET", &access, "").await.0, 200);
}

#[tokio::test]
async fn waiting_for_a_document_grants_no_access_to_it() {
    let users = Users::new();
    let server = users.server().await;
    let (ceo, cfo) = (users.token("ceo", "editor", "default"), users.token("cfo", "editor", "default"));
    let id: DocumentId = new_id();
    let mut waiting = joined(&server, &cfo, "waiting").await;
    let mut nothing = PeerDocument::empty(&id);
    let request = waiting.request(&id, nothing.generate().unwrap());
    waiting.send(&request).await;
    assert!(matches!(waiting.next().await, Some(Message::DocUnavailable { .. })), "it does not exist");
    let mut maker = joined(&server, &ceo, "maker").await;
    let mut replica = PeerDocument::empty(&id);
    replica.doc.put(ROOT, "name", "mine").unwrap();
    replica.doc.commit();
    maker.until_agreed(&mut replica).await;
    let told = waiting.next().await;
    assert!(matches!(told, Some(Message::DocUnavailable { .. })), "it stays unavailable for them: {told:?}");
    // Their changes are not accepted.
    nothing.doc.put(ROOT, "name", "stolen").unwrap();
    nothing.doc.commit();
    nothing.state = Default::default();
    loop {
        waiting.push(&mut nothing).await;
        match waiting.next().await {
            // As if the document did not exist, until they send changes.
            Some(Message::Sync { data, .. }) => assert!(nothing.receive(&data).heads.is_empty()),
            Some(Message::DocUnavailable { .. }) => break,
            other => panic!("{other:?}"),
        }
    }
    let (_, name) = call(&server, &ceo, "GET", &format!("/api/documents/{id}"), "").await;
    assert!(name.contains("\"mine\""), "{name}");
}

#[tokio::test]
async fn peer_id_of_another_user_is_rejected() {
    let users = Users::new();
    let server = users.server().await;
    let (ceo, intern) = (users.token("ceo", "editor", "*"), users.token("intern", "viewer", "*"));
    // Both are served, in either order.
    let mut squatter = joined(&server, &intern, "ceo's laptop").await;
    let mut ceo_peer = joined(&server, &ceo, "ceo's laptop").await;
    let (mut theirs, mut replica) = (PeerDocument::empty(&server.document), PeerDocument::empty(&server.document));
    squatter.until_agreed(&mut theirs).await;
    ceo_peer.until_agreed(&mut replica).await;
    replica.doc.put(ROOT, "name", "by the ceo").unwrap();
    replica.doc.commit();
    ceo_peer.until_agreed(&mut replica).await;
    while theirs.doc.get_heads() != replica.doc.get_heads() {
        squatter.turn(&mut theirs).await;
    }
    // The CEO's half-open socket is replaced; sockets of other users are not.
    let mut again = joined(&server, &ceo, "ceo's laptop").await;
    while ceo_peer.next().await.is_some() {}
    assert_eq!(code(&mut ceo_peer.socket).await, 4409, "the older connection of the same user is closed");
    let mut replica = PeerDocument { state: Default::default(), ..replica };
    again.until_agreed(&mut replica).await;
    replica.doc.put(ROOT, "name", "by the ceo again").unwrap();
    replica.doc.commit();
    again.until_agreed(&mut replica).await;
    while theirs.doc.get_heads() != replica.doc.get_heads() {
        squatter.turn(&mut theirs).await;
    }
}

/// Receivers identify ephemeral messages by their sender and session.
#[tokio::test]
async fn ephemeral_messages_cannot_forge_their_sender() {
    let users = Users::new();
    let server = users.server().await;
    let (ceo, intern) = (users.token("ceo", "editor", "*"), users.token("intern", "viewer", "*"));
    let mut ceo_peer = joined(&server, &ceo, "ceo's laptop").await;
    let mut watcher = joined(&server, &ceo, "watcher").await;
    let mut squatter = joined(&server, &intern, "ceo's laptop").await;
    for peer in [&mut ceo_peer, &mut watcher, &mut squatter] {
        peer.until_agreed(&mut PeerDocument::empty(&server.document)).await;
    }
    let said = |peer: &RepoPeer, count: u64, data: &'static str| {
        Message::Ephemeral(Ephemeral {
            sender: peer.id.clone(),
            target: peer.server.clone(),
            count,
            session: "session".to_owned(),
            document: server.document.clone(),
            data: data.into(),
        })
    };
    let mut heard = Vec::new();
    for (by_ceo, count, data) in [(true, 1, "here"), (false, u64::from(u32::MAX), "mute"), (true, 2, "still here")] {
        let peer = if by_ceo { &mut ceo_peer } else { &mut squatter };
        let message = said(peer, count, data);
        peer.send(&message).await;
        match watcher.next().await {
            Some(Message::Ephemeral(message)) => {
                assert_eq!(message.data, data);
                heard.push(message.sender);
            }
            other => panic!("an ephemeral message, not {other:?}"),
        }
    }
    assert_eq!((&heard[0], &heard[2]), (&ceo_peer.id, &ceo_peer.id));
    assert_ne!(heard[1], ceo_peer.id, "the squatter has a different sender id");
    // No client can use the server's peer id.
    let mut socket = server.connect(&format!("/sync?token={intern}")).await;
    socket.send(Frame::binary(join(ceo_peer.server.as_str(), PeerMetadata::default()).encode())).await;
    let told = receive(&mut socket).await;
    assert!(matches!(&told, Some(Message::Error { message, .. }) if message.contains("server's own")), "{told:?}");
    assert_eq!(code(&mut socket).await, 1008);
}

#[tokio::test]
async fn token_is_accepted_only_in_documented_places() {
    let users = Users::new();
    let server = users.server().await;
    let token = users.token("ceo", "viewer", "*");
    let bearer = format!("Bearer {token}");
    let cookie = format!("a=b; happierwork_session={token}");
    let own = format!("http://{}", server.address);
    let list = "/api/documents";
    for (path, headers, status) in [
        (list.to_owned(), vec![("authorization", bearer.as_str())], 200),
        (list.to_owned(), vec![("authorization", &*bearer.replace("Bearer", "bearer"))], 200),
        (format!("{list}?token={token}"), vec![], 200),
        (list.to_owned(), vec![("cookie", &*cookie)], 200),
        (list.to_owned(), vec![("cookie", &*cookie), ("origin", &*own)], 200),
        // A page of another server on this machine may send requests, but not with this user's cookie.
        (list.to_owned(), vec![("cookie", &*cookie), ("origin", "http://localhost:3000")], 401),
        (list.to_owned(), vec![], 401),
        (list.to_owned(), vec![("authorization", token.as_str())], 401),
        (list.to_owned(), vec![("authorization", &*format!("Basic {token}"))], 401),
        (list.to_owned(), vec![("x-token", token.as_str())], 401),
        (format!("{list}?access_token={token}"), vec![], 400),
        (format!("{list}?Token={token}"), vec![], 400),
        // A valid token does not replace an invalid one before it.
        (format!("{list}?token={token}"), vec![("authorization", "Bearer x")], 401),
        (list.to_owned(), vec![("cookie", &*cookie), ("authorization", "Bearer x")], 401),
    ] {
        let (found, answer_headers, body) = server.http("GET", &path, &headers).await;
        assert_eq!(found, status, "{path} {headers:?}: {body}");
        assert!(!body.contains(&token));
        if status == 401 {
            assert_eq!(answer_headers["www-authenticate"], "Bearer");
            assert!(body.contains("valid token"), "{body}");
        }
    }
}

#[tokio::test]
async fn cookie_is_rejected_from_other_origins() {
    let users = Users::new();
    let server = users.server().await;
    let cookie = format!("happierwork_session={}", users.token("ceo", "owner", "*"));
    let own = format!("http://{}", server.address);
    let write = async |origin: Option<&str>| {
        let mut headers = vec![("cookie", cookie.as_str()), ("content-type", "application/json")];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let body = r#"{"totalBudget":1}"#.to_owned();
        http_to(server.address, "PATCH", "/api/documents/default", &headers, body).await.0
    };
    assert_eq!(write(Some(&own)).await, 200);
    assert_eq!(write(None).await, 401, "browsers send the origin of a request");
    assert_eq!(write(Some("http://localhost:3000")).await, 401);
    assert_eq!(write(Some("https://evil.example")).await, 403);
    for (origin, expected) in [
        (Some(own.as_str()), None),
        (None, Some(4401)),
        (Some("http://localhost:3000"), Some(4401)),
        (Some("https://evil.example"), Some(4403)),
    ] {
        for path in ["/sync", "/sync/default", "/ws/dashboard/", "/"] {
            let mut headers = vec![("cookie", cookie.as_str())];
            headers.extend(origin.map(|origin| ("origin", origin)));
            let mut socket = server.connect_with(path, &headers).await;
            match expected {
                Some(expected) => assert_eq!(code(&mut socket).await, expected, "{path} {origin:?}"),
                None => {
                    socket.send(Frame::Ping("there".into())).await;
                    while socket.next_raw().await.unwrap() != Frame::Pong("there".into()) {}
                }
            }
        }
    }
}

#[tokio::test]
async fn logout_is_rejected_from_other_local_origins() {
    let users = Users::new();
    let server = users.server().await;
    let token = users.token("ceo", "owner", "*");
    let (cookie, own) = (format!("happierwork_session={token}"), format!("http://{}", server.address));
    let logout = async |origin: Option<&str>| {
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let (status, headers, _) = server.http("POST", "/accounts/api/logout/", &headers).await;
        (status, headers.get_all("set-cookie").iter().count())
    };
    assert_eq!(logout(Some("http://localhost:3000")).await, (403, 0));
    let headers = [("cookie", cookie.as_str()), ("origin", own.as_str())];
    assert_eq!(server.http("GET", "/api/documents", &headers).await.0, 200, "still logged in");
    // A page elsewhere can end the session of its own token, but not of the cookie.
    let other = format!("Bearer {}", users.token("cfo", "viewer", "*"));
    let headers = [("authorization", other.as_str()), ("origin", "http://localhost:3000")];
    let (status, headers, _) = server.http("POST", "/accounts/api/logout/", &headers).await;
    assert_eq!((status, headers.get("set-cookie")), (200, None));
    assert_eq!(logout(Some(&own)).await, (200, 2));
    assert_eq!(logout(None).await, (200, 2), "a program");
}

#[tokio::test]
async fn browser_sends_its_token_as_a_subprotocol() {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    let users = Users::new();
    let server = users.server().await;
    let token = users.token("ceo", "viewer", "*");
    for (protocols, picked, lets_in) in [
        (format!("happierwork.bearer, {token}"), Some("happierwork.bearer"), true),
        (format!("happierwork.bearer,{token}, other"), Some("happierwork.bearer"), true),
        ("happierwork.bearer, nonsense".to_owned(), Some("happierwork.bearer"), false),
        ("happierwork.bearer".to_owned(), Some("happierwork.bearer"), false),
    ] {
        let mut request = server.url("/sync/default").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
        let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
        let found = response.headers().get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
        assert_eq!(found, picked, "{protocols}");
        use futures_util::StreamExt;
        let first = socket.next().await.unwrap().unwrap();
        assert_eq!(first.is_binary(), lets_in, "{first:?}");
    }
}

#[tokio::test]
async fn viewer_writes_are_rejected_on_every_surface() {
    let users = Users::new();
    let server = users.server().await;
    let token = users.token("intern", "viewer", "*");
    let mut peer = PlainPeer::over(server.connect(&format!("/sync/default?token={token}")).await);
    while !peer.state.is_peer_read_only() {
        assert!(peer.turn().await);
    }
    let (status, body) = call(&server, &token, "PATCH", "/api/documents/default", r#"{"totalBudget":1}"#).await;
    assert!(status == 403 && body.contains("you need edit access"), "{status} {body}");
    let (status, body) = call(&server, &token, "POST", "/api/documents", r#"{"name":"x"}"#).await;
    assert!(status == 403 && body.contains("may not create documents"), "{status} {body}");
}

#[tokio::test]
async fn unreadable_document_looks_missing_without_access() {
    let users = Users::new();
    let folder = Arc::new(TempDir::new().unwrap());
    let (broken, missing) = (new_id(), new_id());
    std::fs::create_dir(folder.path().join("documents")).unwrap();
    std::fs::write(folder.path().join(format!("documents/{broken}.automerge")), "no document").unwrap();
    let server = TestServer::start_in(folder, users.known()).await;
    let mut mine = PeerDocument::empty(&missing).doc;
    mine.put(ROOT, "name", "mine").unwrap();
    mine.commit();
    let mut answers = Vec::new();
    for id in [&broken, &missing] {
        let token = users.token("intern", "viewer", "default");
        let mut socket = server.connect(&format!("/sync/{id}?token={token}")).await;
        let greeting = socket.next().await;
        let mut replica = PeerDocument { doc: mine.clone(), ..PeerDocument::empty(id) };
        let mut said = vec![format!("{greeting:?}")];
        while let Some(message) = replica.generate() {
            socket.send(Frame::binary(message)).await;
            let answer = socket.next().await;
            said.push(format!("{answer:?}"));
            match answer {
                Some(Frame::Binary(data)) => replica.receive(&data),
                _ => break,
            };
        }
        let close = socket.closed_with.take().unwrap();
        said.push(format!("{} {}", u16::from(close.code), close.reason.replace(id.as_str(), "…")));
        let mut peer = joined(&server, &token, "intern").await;
        let request = peer.request(id, PeerDocument::empty(id).generate().unwrap());
        peer.send(&request).await;
        let told = peer.next().await;
        said.push(format!("{told:?}").replace(id.as_str(), "…").replace(peer.server.as_str(), "server"));
        answers.push(said);
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].iter().any(|said| said.starts_with("4403 there is no document")), "{answers:?}");
    // No one has tried to open it. The first user who may read it learns why it cannot be opened.
    let (status, body) =
        call(&server, &users.token("ceo", "viewer", "*"), "GET", &format!("/api/documents/{broken}"), "").await;
    assert_eq!(status, 503, "{body}");
}

/// A user who may create documents gets the same answer for a document without access as for a missing one, and the
/// document is not opened.
#[tokio::test]
async fn inaccessible_document_looks_missing_and_stays_closed() {
    let users = Users::new();
    let folder = Arc::new(TempDir::new().unwrap());
    let broken = new_id();
    std::fs::create_dir(folder.path().join("documents")).unwrap();
    std::fs::write(folder.path().join(format!("documents/{broken}.automerge")), "no document").unwrap();
    let server = TestServer::start_in(folder, users.known()).await;
    let ceo = users.token("ceo", "editor", "default");
    let (_maker, theirs) = made_by(&server, &ceo).await;
    let token = users.token("cfo", "editor", "default");
    let mut changed = PeerDocument::empty(&theirs.id);
    changed.doc.put(ROOT, "name", "mine").unwrap();
    changed.doc.commit();
    changed.state.their_heads = Some(Vec::new());
    changed.state.their_have = Some(vec![Default::default()]);
    changed.state.their_need = Some(Vec::new());
    let whole = changed.generate().unwrap();
    let mut torn = whole.to_vec();
    torn.truncate(whole.len() - 7);
    let mut corrupt = whole.to_vec();
    // The first byte of the checksum.
    let chunk = whole.windows(4).position(|bytes| bytes == [0x85, 0x6f, 0x4a, 0x83]).unwrap();
    corrupt[chunk + 4] ^= 1;
    let nothing = PeerDocument::empty(&theirs.id).generate().unwrap();
    for message in [nothing, torn.into(), corrupt.into(), "nonsense".into()] {
        for asks in [true, false] {
            let mut answers = Vec::new();
            for id in [&theirs.id, &broken, &new_id()] {
                let mut peer = joined(&server, &token, "cfo").await;
                let message = if asks { peer.request(id, message.clone()) } else { peer.sync(id, message.clone()) };
                peer.send(&message).await;
                let mut told = vec![peer.next().await];
                // All answers about this document arrive before those about another one.
                let known = peer.request(&server.document, PeerDocument::empty(&server.document).generate().unwrap());
                peer.send(&known).await;
                while !matches!(told.last(), Some(Some(Message::Sync { document, .. })) if *document == server.document)
                {
                    assert!(told.last().is_some_and(Option::is_some), "{:?}", peer.socket.closed_with);
                    told.push(peer.next().await);
                }
                told.pop();
                let said = format!("{told:?}").replace(id.as_str(), "…").replace(peer.server.as_str(), "server");
                answers.push(said);
            }
            assert_eq!(answers[0], answers[2], "{message:?} {asks}");
            assert_eq!(answers[1], answers[2], "{message:?} {asks}");
        }
    }
    let (status, _, body) = server.http("GET", "/readyz", &[]).await;
    assert_eq!(status, 200, "no document was opened: {body}");
}

#[tokio::test]
async fn failed_creation_grants_no_ownership() {
    let users = Users::new();
    let disk = FaultyDisk::new(&["home"]);
    let server = TestServer::start_on(Arc::new(disk.clone()), Arc::new(TempDir::new().unwrap()), |options| {
        options.state = "home/state.automerge".into();
        users.known()(options);
    })
    .await;
    let (ceo, cfo) = (users.token("ceo", "editor", "default"), users.token("cfo", "editor", "default"));
    let (mut replica, id) = (PeerDocument::empty(&new_id()), new_id());
    replica.id = id.clone();
    replica.doc.put(ROOT, "name", "first").unwrap();
    replica.doc.commit();
    // The access record is written before the content.
    disk.fail(Op::Write, 1, ErrorKind::StorageFull);
    let mut first = joined(&server, &ceo, "first").await;
    first.push(&mut replica).await;
    loop {
        match first.next().await {
            Some(Message::Sync { data, .. }) => {
                replica.receive(&data);
                first.push(&mut replica).await;
            }
            Some(Message::Error { document, .. }) => break assert_eq!(document, Some(id.clone())),
            other => panic!("the document is refused, not {other:?}"),
        }
    }
    assert_eq!(disk.failed_calls(), [Op::Write]);

    let mut other = PeerDocument::empty(&id);
    other.doc.put(ROOT, "name", "second").unwrap();
    other.doc.commit();
    let mut maker = joined(&server, &cfo, "maker").await;
    maker.until_agreed(&mut other).await;
    let (status, record) = call(&server, &cfo, "GET", &format!("/api/documents/{id}/access"), "").await;
    assert_eq!(status, 200, "{record}");
    assert_eq!(serde_json::from_str::<Value>(&record).unwrap()["owner"], "cfo");
    assert_eq!(call(&server, &ceo, "GET", &format!("/api/documents/{id}"), "").await.0, 404);
}

#[tokio::test]
async fn user_cannot_announce_the_storage_of_another() {
    let users = Users::new();
    let server = users.server().await;
    let (ceo, intern) = (users.token("ceo", "viewer", "*"), users.token("intern", "viewer", "*"));
    let mut watcher = joined(&server, &ceo, "watcher").await;
    let socket = server.connect(&format!("/sync?token={intern}")).await;
    let mut teller = RepoPeer::join_over(socket, "teller", with_storage("intern's laptop")).await;
    for peer in [&mut watcher, &mut teller] {
        peer.until_agreed(&mut PeerDocument::empty(&server.document)).await;
    }
    let storages = ["cfo's laptop", "intern's laptop"].map(|name| StorageId::new(name).unwrap());
    let (sender, target) = (watcher.id.clone(), watcher.server.clone());
    watcher
        .send(&Message::RemoteSubscriptionChange { sender, target, add: storages.to_vec(), remove: Vec::new() })
        .await;
    // Heads that are known already arrive at once.
    let known = watcher.next().await;
    assert!(matches!(known, Some(Message::RemoteHeadsChanged { .. })), "{known:?}");
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let timestamp = runtime::clock::now_ms() as f64;
    let news = |storage: &StorageId| (storage.clone(), RemoteHeads { heads: vec!["x".to_owned()], timestamp });
    let (sender, target, document) = (teller.id.clone(), teller.server.clone(), server.document.clone());
    let heads = storages.iter().map(news).collect();
    teller.send(&Message::RemoteHeadsChanged { sender, target, document, heads }).await;
    let told = watcher.next().await;
    let Some(Message::RemoteHeadsChanged { heads, .. }) = told else { panic!("{told:?}") };
    assert_eq!(heads, [news(&storages[1])], "the other heads would have arrived first");
}

#[tokio::test]
async fn viewer_changes_are_not_decoded() {
    let users = Users::new();
    let server = users.server().await;
    let garbage = sync::Message {
        heads: vec![ChangeHash([7; 32])],
        need: Vec::new(),
        have: Vec::new(),
        // Large enough to be queued for decoding.
        changes: vec![vec![7; 64 << 10]].into(),
        flags: None,
        version: sync::MessageVersion::V1,
    };
    let garbage = Bytes::from(garbage.encode());
    let mut viewer = joined(&server, &users.token("intern", "viewer", "*"), "intern").await;
    let mut copy = PeerDocument::empty(&server.document);
    viewer.until_agreed(&mut copy).await;
    for sent in 1..=3 {
        let message = viewer.sync(&server.document, garbage.clone());
        viewer.send(&message).await;
        server.until_metric("happierwork_refusals_total{reason=\"denied\"}", |denied| denied >= f64::from(sent)).await;
    }
    assert!(server.metric("happierwork_refusals_total{reason=\"bad_sync_message\"}") < 1.0);

    let mut editor = joined(&server, &users.token("cfo", "editor", "*"), "cfo").await;
    let message = editor.sync(&server.document, garbage);
    editor.send(&message).await;
    assert!(editor.until_refused(&server.document).await.contains("corrupt"));
    assert!(server.metric("happierwork_refusals_total{reason=\"bad_sync_message\"}") > 0.0);
}

#[tokio::test]
async fn successor_keeps_the_roles_of_its_predecessor() {
    let users = Users::new();
    let server = TestServer::start_in(Arc::new(TempDir::new().unwrap()), users.known()).await;
    let owner = users.token("owner", "owner", "*");
    let (status, made) = call(&server, &owner, "POST", "/api/documents", r#"{"name":"Growth"}"#).await;
    assert_eq!(status, 201, "{made}");
    let id = |answer: &str| serde_json::from_str::<Value>(answer).unwrap();
    let old = id(&made)["id"].as_str().unwrap().to_owned();
    let editor = users.token("cfo", "editor", &old);
    let (granted, stranger) = (users.token("guest", "editor", "default"), users.token("other", "editor", "default"));
    let access = format!("/api/documents/{old}/access/guest");
    assert_eq!(call(&server, &owner, "PUT", &access, r#"{"role":"viewer"}"#).await.0, 204);
    let (status, made) = call(&server, &owner, "POST", &format!("/api/documents/{old}/successor"), "").await;
    assert_eq!(status, 201, "{made}");
    let new = id(&made)["document"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/documents/{new}");
    for (token, status, right) in
        [(&owner, 200, "own"), (&editor, 200, "write"), (&granted, 200, "read"), (&stranger, 404, "")]
    {
        let (answered, body) = call(&server, token, "GET", &path, "").await;
        assert_eq!(answered, status, "{right}: {body}");
        if status == 200 {
            assert_eq!(id(&body)["access"], right);
        }
    }
}

/// A file may be large: a user who may not import it cannot make the server receive it.
#[tokio::test]
async fn imports_are_refused_before_their_content_arrives() {
    let users = Users::new();
    let server = users.server().await;
    let viewer = users.token("viewer", "viewer", "*");
    for (path, key) in [
        ("/api/documents/import", ""),
        ("/api/documents/default/import", ""),
        ("/api/documents/import", "idempotency-key: one\r\n"),
        ("/api/documents/default/import", "idempotency-key: two\r\n"),
    ] {
        let mut stream = server.tcp_from("127.0.0.1").await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {viewer}\r\ncontent-type: text/csv\r\n{key}\
             content-length: 60000000\r\n\r\n",
            server.address
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("an answer").unwrap();
        assert_eq!(&answer, b"HTTP/1.1 403", "{path} {key}");
    }
}

#[tokio::test]
async fn large_import_with_a_key_is_charged_once() {
    let users = Users::new();
    let server = users.server().await;
    let editor = format!("Bearer {}", users.token("editor", "editor", "*"));
    let rows = format!("id,designation\r\na,{}\r\n", " ".repeat(24 << 20));
    let headers = [("authorization", &*editor), ("content-type", "text/csv"), ("idempotency-key", "large")];
    // The row is invalid, which shows only when the file is read: it fits into the user's share of memory.
    server.call("POST", "/api/documents/default/import", &headers, rows).await.problem(422);
}
