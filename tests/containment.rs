//! Harmful messages and files affect only their sender or document.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod support;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, Change, ExpandedChange, ROOT, sync};
use plan::{Author, Edit, PlanPatch};
use primitives::DocumentId;
use runtime::hub::Requester;
use support::{PlainPeer, TestServer};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message;

fn folder() -> Arc<TempDir> {
    Arc::new(TempDir::new().expect("a folder"))
}

fn carrying(change: &[u8]) -> Message {
    let message = sync::Message {
        heads: Vec::new(),
        need: Vec::new(),
        have: Vec::new(),
        changes: vec![change.to_vec()].into(),
        flags: None,
        version: sync::MessageVersion::V1,
    };
    Message::binary(message.encode())
}

/// Checks that an unrelated peer still receives the edits of others.
async fn goes_on(server: &TestServer, witness: &mut PlainPeer, name: &str) {
    let before = witness.doc.get_heads();
    server.edit(Edit::Describe(PlanPatch { name: Some(name.to_owned()), ..PlanPatch::default() })).await;
    while witness.doc.get_heads() == before {
        assert!(witness.turn().await, "closed: {:?}", witness.socket.closed_with);
    }
}

#[tokio::test]
async fn slow_sender_is_suspended_before_the_document() {
    let server = TestServer::start_in(folder(), |options| options.apply_budget = Duration::ZERO).await;
    let mut witness = PlainPeer::connect(&server, &server.document).await;
    let before = witness.doc.get_heads();
    let mut slow = PlainPeer::connect(&server, &server.document).await;
    slow.doc.put(ROOT, "name", "slow").unwrap();
    slow.push().await;
    let close = slow.socket.closed().await.expect("closed with a reason");
    assert_eq!(u16::from(close.code), 1013);
    assert!(close.reason.contains("took too long"), "{}", close.reason);
    assert_eq!(server.metric("happierwork_refusals_total{reason=\"too_slow\"}"), 1.0);
    // One slow sender does not affect others. (Edits of the server have no sender.)
    assert_eq!(server.http("GET", "/readyz", &[]).await.0, 200);
    let before = {
        goes_on(&server, &mut witness, "still written").await;
        assert_ne!(witness.doc.get_heads(), before);
        witness.doc.get_heads()
    };
    for _ in 0..2 {
        let mut slow = PlainPeer::connect(&server, &server.document).await;
        slow.doc.put(ROOT, "name", "slow").unwrap();
        slow.push().await;
        assert!(slow.socket.closed().await.expect("closed with a reason").reason.contains("took too long"));
    }

    // With several slow senders, the document itself may be slow.
    let (status, _, why) = server.http("GET", "/readyz", &[]).await;
    assert_eq!(status, 503);
    assert!(why.contains(server.document.as_str()) && why.contains("took too long"), "{why}");
    // The document is read-only.
    let (status, ..) = server.http("GET", "/api/documents/default", &[]).await;
    assert_eq!(status, 200);
    let newcomer = PlainPeer::connect(&server, &server.document).await;
    assert_eq!(before, newcomer.doc.clone().get_heads(), "the slow changes are not stored");
    let mut back = PlainPeer::connect_as(&server, &server.document, slow.doc).await;
    while back.turn().await {}
    assert_eq!(u16::from(back.socket.closed_with.expect("closed with a reason").code), 1013);
    let rename = Edit::Describe(PlanPatch { name: Some("mine".to_owned()), ..PlanPatch::default() });
    let refused = server
        .app
        .hub
        .edit(&Requester::server(), &server.document, rename, Author { name: "cfo".to_owned(), now: 0 })
        .await;
    assert!(refused.unwrap_err().to_string().contains("temporarily read-only"));
    assert_eq!(witness.doc.get_heads(), before);
}

#[tokio::test]
async fn harmful_change_closes_only_its_sender() {
    let server = TestServer::start().await;
    let mut witness = PlainPeer::connect(&server, &server.document).await;
    let mut forger = PlainPeer::connect(&server, &server.document).await;
    let nobody = ActorId::from([66; 16]);
    let last = forger.doc.get_changes(&[]).iter().map(Change::max_op).max().unwrap();
    let forged = Change::from(ExpandedChange {
        operations: vec![Op {
            action: OpType::Put(1.into()),
            obj: ObjectId::Root,
            key: Key::Map("name".into()),
            pred: vec![OpId(7, nobody.clone())].into(),
            insert: false,
        }],
        actor_id: nobody,
        hash: None,
        seq: 1,
        start_op: NonZeroU64::new(last + 1).unwrap(),
        time: 0,
        message: None,
        deps: forger.doc.get_heads(),
        extra_bytes: Vec::new(),
        author: None,
    });
    forger.socket.send(carrying(forged.raw_bytes())).await;
    let close = forger.socket.closed().await.expect("closed with a reason");
    assert_eq!(u16::from(close.code), 1008, "{}", close.reason);
    assert!(server.metric("happierwork_reloads_total") >= 1.0);
    goes_on(&server, &mut witness, "after the forgery").await;
    let heads = witness.doc.get_heads();
    let folder = Arc::clone(&server.folder);
    assert!(server.stop().await);

    let again = TestServer::start_in(folder, |_| {}).await;
    let mut reader = PlainPeer::connect(&again, &again.document).await;
    assert_eq!(reader.doc.get_heads(), heads, "unchanged after a restart");
}

#[tokio::test]
async fn repeated_offender_is_suspended() {
    let server = TestServer::start().await;
    let mut doc = AutoCommit::new().with_actor(ActorId::from([66; 16]));
    for value in 0..2 {
        doc.put(ROOT, "k", value).unwrap();
        doc.commit();
    }
    // A second change of an actor without its first one, which trips an assertion of the library.
    let mut orphan = doc.get_last_local_change().unwrap().decode();
    orphan.deps.clear();
    let orphan = Change::from(orphan);
    for _ in 0..4 {
        let mut peer = PlainPeer::connect(&server, &server.document).await;
        peer.socket.send(carrying(orphan.raw_bytes())).await;
        assert_eq!(u16::from(peer.socket.closed().await.expect("closed with a reason").code), 1008);
    }
    assert!(server.metric("happierwork_reloads_put_off_total") >= 1.0);
    let mut witness = PlainPeer::connect(&server, &server.document).await;
    goes_on(&server, &mut witness, "after all that").await;
}

#[tokio::test]
async fn damaged_file_affects_only_its_document() {
    let folder = folder();
    let id = DocumentId::from_random([9; 16]);
    let mut doc = AutoCommit::new();
    doc.put(ROOT, "name", "damaged").unwrap();
    let whole = doc.save();
    let mut damaged = [&whole[..], &whole].concat();
    damaged[whole.len() / 2] ^= 1;
    std::fs::create_dir(folder.path().join("documents")).unwrap();
    let file = folder.path().join("documents").join(format!("{id}.automerge"));
    std::fs::write(&file, &damaged).unwrap();

    let server = TestServer::start_in(folder, |_| {}).await;
    let (status, _, why) = server.http("GET", &format!("/api/documents/{id}"), &[]).await;
    assert_eq!(status, 503, "{why}");
    assert!(why.contains("cannot open the document") && !why.contains(".automerge"), "{why}");
    let mut socket = server.connect(&format!("/sync/{id}")).await;
    socket.send(carrying(&whole)).await;
    let close = socket.closed().await.expect("closed with a reason");
    assert_eq!(u16::from(close.code), 1013, "{}", close.reason);
    let (status, _, why) = server.http("GET", "/readyz", &[]).await;
    assert_eq!(status, 503);
    assert!(why.contains(id.as_str()) && !why.contains(".automerge"), "{why}");
    let mut witness = PlainPeer::connect(&server, &server.document).await;
    goes_on(&server, &mut witness, "the others serve").await;
    let mut legacy = server.legacy().await;
    legacy.send(support::add("served")).await;
    assert_eq!(legacy.json().await["status"], "Data processed");
    assert_eq!(std::fs::read(&file).unwrap(), damaged, "the file is unchanged");
}

#[tokio::test]
async fn many_heads_have_a_short_etag_and_are_merged() {
    let server = TestServer::start().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    let base = peer.doc.clone();
    for (heads, merged) in [(200, false), (300, true)] {
        for _ in 0..heads {
            let mut fork = base.clone().with_actor(ActorId::from(rand::random::<[u8; 16]>()));
            fork.empty_change(CommitOptions::default());
            peer.doc.merge(&mut fork).unwrap();
        }
        peer.until_acknowledged().await;
        let (status, headers, body) = server.http("GET", "/api/documents/default/positions", &[]).await;
        assert_eq!(status, 200);
        assert!(headers["etag"].len() < 64, "{:?}", headers["etag"]);
        let list: serde_json::Value = serde_json::from_str(&body).unwrap();
        let heads = list["heads"].as_array().unwrap().len();
        assert_eq!(heads == 1, merged, "{heads}");
    }
    goes_on(&server, &mut peer, "after the merge").await;
}

#[tokio::test]
async fn file_with_too_many_actors_is_not_opened() {
    let folder = folder();
    let id = DocumentId::from_random([7; 16]);
    let mut file = Vec::new();
    let mut deps = Vec::new();
    // The library's clocks for this file would take half a gigabyte.
    for actor in 0..45_000_u64 {
        let change = Change::from(ExpandedChange {
            operations: Vec::new(),
            actor_id: ActorId::from(actor.to_be_bytes()),
            hash: None,
            seq: 1,
            start_op: NonZeroU64::MIN,
            time: 0,
            message: None,
            deps,
            extra_bytes: Vec::new(),
            author: None,
        });
        file.extend_from_slice(change.raw_bytes());
        deps = vec![change.hash()];
    }
    std::fs::create_dir(folder.path().join("documents")).unwrap();
    std::fs::write(folder.path().join(format!("documents/{id}.automerge")), &file).unwrap();
    let server = TestServer::start_in(folder, |_| {}).await;
    let (status, listed) = server.get_json("/api/documents").await;
    assert_eq!((status, listed.as_array().unwrap().len()), (200, 2));
    assert!(listed[1]["error"].as_str().unwrap().contains("too many actors"), "{listed}");
    let (status, _, why) = server.http("GET", &format!("/api/documents/{id}"), &[]).await;
    assert!(status == 503 && why.contains("export.automerge"), "{why}");
    let (status, _, exported) = server.http("GET", &format!("/api/documents/{id}/export.automerge"), &[]).await;
    assert!(status == 200 && exported == String::from_utf8_lossy(&file), "{}", exported.len());
    let (status, _, why) = server.http("GET", "/readyz", &[]).await;
    assert!(status == 503 && why.contains(id.as_str()), "{why}");
    let mut witness = PlainPeer::connect(&server, &server.document).await;
    goes_on(&server, &mut witness, "beside it").await;
}
