//! Attribution of changes to users, on the whole server.

use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ROOT};
use runtime::hub::Requester;
use serde_json::{Value, json};
use sync_engine::Surface;

use super::support::{PlainPeer, TestServer, add};
use crate::support::users::Users;

/// The lines beside the default document.
fn lines(server: &TestServer) -> Vec<Value> {
    let path = server.folder.path().join(format!("documents/{}.authors.jsonl", server.document));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn plain(server: &TestServer, token: &str, actor: &[u8]) -> PlainPeer {
    let mut peer = PlainPeer::over(server.connect(&format!("/sync/default?token={token}")).await);
    peer.doc = AutoCommit::new().with_actor(ActorId::from(actor));
    peer.push().await;
    while peer.state.their_heads.as_ref() != Some(&peer.doc.get_heads()) {
        assert!(peer.turn().await, "{:?}", peer.socket.closed_with);
    }
    peer
}

#[tokio::test]
async fn change_is_attributed_before_it_is_acknowledged() {
    let users = Users::new();
    let server = users.server().await;
    let mut ceo = plain(&server, &users.token("ceo", "editor", "*"), b"ceo's device").await;
    ceo.doc.put(ROOT, "updatedBy", "cfo").unwrap();
    ceo.doc.commit();
    ceo.until_acknowledged().await;
    let noted = lines(&server);
    let hash = ceo.doc.get_heads()[0].to_string();
    let line = noted.last().unwrap();
    assert_eq!(
        (&line["user"], &line["surface"], &line["changes"]),
        (&json!("ceo"), &json!("plain"), &json!([hash])),
        "{noted:?}"
    );

    let mut legacy = server.connect(&format!("/ws/dashboard/?token={}", users.token("cfo", "editor", "default"))).await;
    legacy.send(add("Analyst")).await;
    while legacy.json().await.get("entry").is_none() {}
    let line = lines(&server).pop().unwrap();
    assert_eq!((&line["user"], &line["surface"]), (&json!("cfo"), &json!("legacy")));
    assert_eq!(line["serverActors"].as_array().unwrap().len(), 1, "the server wrote it, under one of its own actors");
    // The row names the user, too.
    let row = server.app.hub.view(&Requester::anonymous(Surface::Api), &server.document).await.unwrap().unwrap();
    let rows: Vec<_> = plan::read_view(&row).rows().map(|row| row.position.updated_by.clone()).collect();
    assert_eq!(rows, [Some("cfo".to_owned())]);
}

#[tokio::test]
async fn actor_of_another_user_is_rejected_after_restart() {
    let users = Users::new();
    let server = users.server().await;
    let (ceo, cfo) = (users.token("ceo", "editor", "*"), users.token("cfo", "editor", "*"));
    let mut honest = plain(&server, &ceo, b"ceo's device").await;
    honest.doc.put(ROOT, "name", "honest").unwrap();
    honest.doc.commit();
    honest.until_acknowledged().await;
    let copy = honest.doc.save();
    let folder = std::sync::Arc::clone(&server.folder);
    let mut server = server;
    for _ in 0..2 {
        let mut forger = PlainPeer::over(server.connect(&format!("/sync/default?token={cfo}")).await);
        forger.doc = AutoCommit::load(&copy).unwrap().with_actor(ActorId::from(&b"ceo's device"[..]));
        forger.doc.put(ROOT, "name", "forged").unwrap();
        forger.doc.commit();
        forger.push().await;
        while forger.turn().await {}
        let close = forger.socket.closed_with.take().unwrap();
        assert_eq!(u16::from(close.code), 1008);
        assert!(close.reason.contains("another user"), "{}", close.reason);
        assert!(server.stop().await);
        server = TestServer::start_in(std::sync::Arc::clone(&folder), users.known()).await;
    }
    // The victim can continue to write.
    let mut honest = PlainPeer { socket: server.connect(&format!("/sync/default?token={ceo}")).await, ..honest };
    honest.state = Default::default();
    honest.doc.put(ROOT, "name", "still honest").unwrap();
    honest.doc.commit();
    honest.until_acknowledged().await;
}

#[tokio::test]
async fn open_server_records_no_attribution() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.doc.put(ROOT, "name", "mine").unwrap();
    peer.doc.commit();
    peer.until_acknowledged().await;
    assert!(lines(&server).is_empty());
}

#[tokio::test]
async fn history_shows_the_real_user_of_a_forged_author() {
    let users = Users::new();
    let server = users.server().await;
    let token = users.token("intern", "editor", "default");
    let mut intern = plain(&server, &token, b"intern's device").await;
    intern.add("row", "Chief Clown", "HR", 12);
    let row = intern.row("row").unwrap();
    intern.put_text(&row, "updatedBy", "ceo");
    intern.doc.commit_with(automerge::transaction::CommitOptions::default().with_message("ceo: a raise"));
    intern.until_acknowledged().await;
    let bearer = format!("Bearer {token}");
    let path = "/api/documents/default/history?position=row";
    let (status, _, history) = server.http("GET", path, &[("authorization", bearer.as_str())]).await;
    assert_eq!(status, 200, "{history}");
    let history: Value = serde_json::from_str(&history).unwrap();
    let changes = history["changes"].as_array().unwrap();
    assert!(!changes.is_empty());
    for change in changes {
        assert_eq!((&change["user"], &change["surface"]), (&json!("intern"), &json!("plain")), "{change}");
    }
    let asked = |hashes: Vec<String>| format!("/api/documents/default/attribution?changes={}", hashes.join(","));
    let hashes: Vec<String> = changes.iter().map(|change| change["hash"].as_str().unwrap().to_owned()).collect();
    let unknown = "ab".repeat(32);
    let path = asked([&[unknown][..], &hashes].concat());
    let (status, _, told) = server.http("GET", &path, &[("authorization", bearer.as_str())]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    let told = told["changes"].as_array().unwrap();
    assert_eq!((status, told.len()), (200, changes.len()), "{told:?}");
    for (told, change) in told.iter().zip(changes) {
        for field in ["hash", "user", "surface", "received"] {
            assert_eq!(told[field], change[field], "{told}");
        }
    }
    let none = server.document.to_string();
    for (path, field) in [
        (asked(vec!["ab".repeat(32); 101]), "changes"),
        (asked(vec![none]), "changes"),
        ("/api/documents/default/attribution".to_owned(), ""),
    ] {
        let (status, _, problem) = server.http("GET", &path, &[("authorization", bearer.as_str())]).await;
        let problem: Value = serde_json::from_str(&problem).unwrap();
        assert_eq!((status, problem["field"].as_str().unwrap_or_default()), (400, field), "{problem}");
    }

    let claimed = history.to_string();
    assert!(claimed.contains("\"new\":\"ceo\""), "the claimed author is shown as well: {claimed}");
}
