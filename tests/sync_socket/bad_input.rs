//! Unacceptable messages end the connection that sent them, with the reason. Documents and other clients are
//! unaffected.

use automerge::transaction::Transactable;
use automerge::{ROOT, ReadDoc};
use repo_protocol::{Message, PeerMetadata};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::support::{PlainPeer, Socket, TestServer};
use crate::support::repo_peer::{PeerDocument, RepoPeer, join, peer_id, receive};

/// Reads an `error` message and the close after it, which have the same text.
async fn refused(socket: &mut Socket, code: u16) -> String {
    let error = receive(socket).await;
    let Some(Message::Error { message, .. }) = error else { panic!("an error message, not {error:?}") };
    assert!(receive(socket).await.is_none());
    let close = socket.closed_with.clone().expect("a close frame");
    assert_eq!(u16::from(close.code), code, "{message}");
    assert!(message.starts_with(close.reason.as_str()), "{message} / {}", close.reason);
    message
}

/// A CBOR map of texts.
fn cbor(pairs: &[(&str, Option<&str>)]) -> Frame {
    let mut out = minicbor::Encoder::new(Vec::new());
    out.map(pairs.len() as u64).unwrap();
    for (key, value) in pairs {
        out.str(key).unwrap();
        match value {
            Some(text) => out.str(text).unwrap(),
            None => out.u8(7).unwrap(),
        };
    }
    Frame::binary(out.into_writer())
}

#[tokio::test]
async fn invalid_handshake_is_rejected_with_a_reason() {
    let server = TestServer::start().await;
    let sync = Message::Sync {
        sender: peer_id("me"),
        target: peer_id("server"),
        document: server.document.clone(),
        data: PeerDocument::empty(&server.document).generate().unwrap(),
    };
    let old =
        Message::Join { sender: peer_id("me"), metadata: PeerMetadata::default(), versions: vec!["2".to_owned()] };
    for (frame, reason) in [
        (Frame::text("{}"), "automerge-repo messages are binary frames of CBOR; this was a text frame"),
        (Frame::binary(vec![0xa1, 0x1c]), "not valid CBOR"),
        (Frame::binary(Vec::<u8>::new()), "the frame is cut off"),
        (Frame::binary(vec![0x80]), "map"),
        (Frame::binary(sync.encode()), "the first message must be a join, not sync"),
        (
            Frame::binary(Message::Leave { sender: peer_id("me") }.encode()),
            "the first message must be a join, not leave",
        ),
        (cbor(&[("type", Some("gossip"))]), "the first message must be a join, not gossip"),
        (Frame::binary(old.encode()), "unsupported protocol version: this server speaks 1, you offered \"2\""),
        (cbor(&[("type", Some("join"))]), "\"senderId\" is missing"),
        (cbor(&[("type", Some("join")), ("senderId", None)]), "\"senderId\" must be"),
        (cbor(&[("type", Some("join")), ("senderId", Some(""))]), "\"senderId\" is malformed"),
        (cbor(&[("senderId", Some("me"))]), "\"type\" is missing"),
    ] {
        let mut socket = server.connect("/sync").await;
        socket.send(frame).await;
        let message = refused(&mut socket, 1008).await;
        assert!(message.contains(reason), "{message:?} does not say {reason:?}");
    }
    // Without versions, version 1 is selected.
    let mut socket = server.connect("/sync").await;
    socket.send(cbor(&[("type", Some("join")), ("senderId", Some("me"))])).await;
    assert!(matches!(receive(&mut socket).await, Some(Message::Peer { .. })));
}

#[tokio::test]
async fn bad_message_closes_only_its_connection() {
    let server = TestServer::start().await;
    let mut witness = PlainPeer::connect(&server, &server.document).await;
    let heads = witness.doc.get_heads();

    // A change with one wrong byte, in a valid sync message.
    let mut peer = RepoPeer::join(&server, "me").await;
    let mut replica = PeerDocument::empty(&server.document);
    peer.until_agreed(&mut replica).await;
    replica.doc.put(ROOT, "name", "mine").unwrap();
    let good = replica.generate().expect("a message with the change").to_vec();
    let change = good.windows(4).position(|bytes| bytes == [0x85, 0x6f, 0x4a, 0x83]).expect("a chunk");
    let mut corrupt = good.clone();
    corrupt[change + 20] ^= 1;
    let mut misnamed = peer.sync(&server.document, good.clone().into()).encode();
    let at = misnamed.windows(4).rposition(|bytes| bytes == &server.document.as_str().as_bytes()[..4]).expect("the id");
    misnamed[at] ^= 1;

    // Errors about one document name that document.
    for (name, data) in [
        ("a corrupt change", corrupt),
        ("no sync message", vec![1, 2, 3]),
        ("half a sync message", good[..good.len() / 2].to_vec()),
    ] {
        let mut peer = RepoPeer::join(&server, "me").await;
        peer.send(&peer.sync(&server.document, data.into())).await;
        let message = peer.until_refused(&server.document).await;
        assert!(message.contains(server.document.as_str()), "{name}: {message}");
        assert!(matches!(peer.next().await, Some(Message::DocUnavailable { .. })), "{name}");
        peer.until_agreed(&mut {
            let mut other = PeerDocument::empty(&crate::support::repo_peer::new_id());
            other.doc.put(ROOT, "name", name).unwrap();
            other
        })
        .await;
    }
    for (name, frame, reason) in [
        ("a malformed document id", misnamed, "\"documentId\" is malformed"),
        ("another join", join("somebody else", PeerMetadata::default()).encode(), "has joined as me already"),
        ("not CBOR", vec![0xa1, 0xff], "CBOR"),
    ] {
        let mut peer = RepoPeer::join(&server, "me").await;
        peer.send(&peer.request(&server.document, PeerDocument::empty(&server.document).generate().unwrap())).await;
        peer.next_sync(&server.document).await;
        peer.socket.send(Frame::binary(frame)).await;
        let message = refused(&mut peer.socket, 1008).await;
        assert!(message.contains(reason), "{name}: {message:?} does not say {reason:?}");
    }

    let mut other = PlainPeer::connect(&server, &server.document).await;
    assert_eq!(other.doc.get_heads(), heads, "no change was applied");
    other.doc.put(ROOT, "name", "ours").unwrap();
    other.until_acknowledged().await;
    while witness.doc.get_heads() == heads {
        assert!(witness.turn().await, "an earlier client is still connected");
    }
}

#[tokio::test]
async fn invalid_sync_message_closes_a_plain_peer() {
    let server = TestServer::start().await;
    for (frame, reason) in [
        (Frame::text("hello"), "Automerge sync messages are binary frames; this was a text frame"),
        (Frame::binary(vec![1, 2, 3]), "sync message"),
    ] {
        let mut socket = server.connect(&format!("/sync/{}", server.document)).await;
        socket.send(frame).await;
        let close = socket.closed().await.expect("a close frame");
        assert_eq!(u16::from(close.code), 1008);
        assert!(close.reason.contains(reason), "{}", close.reason);
    }
}

#[tokio::test]
async fn message_over_the_limit_is_rejected() {
    const LIMIT: usize = 64 << 10;
    let folder = std::sync::Arc::new(tempfile::TempDir::new().unwrap());
    let server = TestServer::start_in(folder, |options| options.max_message = LIMIT).await;
    for path in ["/sync".to_owned(), format!("/sync/{}", server.document), "/ws/dashboard/".to_owned(), "/".to_owned()]
    {
        let mut socket = server.connect(&path).await;
        // At the root the first frame selects the protocol, so a small one comes first.
        if path == "/" {
            socket.send(Frame::binary(join("me", PeerMetadata::default()).encode())).await;
        }
        socket.try_send(Frame::binary(vec![0; LIMIT + 1])).await;
        let close = socket.closed().await.expect("a close frame");
        assert_eq!(u16::from(close.code), 1009, "{path}");
        assert_eq!(close.reason.as_str(), "messages may have at most 65536 bytes", "{path}");
    }
    assert_eq!(server.metric("happierwork_refusals_total{reason=\"too_large\"}"), 4.0);
    // A message of one byte less is read (and is invalid).
    let mut socket = server.connect("/sync").await;
    socket.send(Frame::binary(vec![0; LIMIT])).await;
    refused(&mut socket, 1008).await;
}

#[tokio::test]
async fn unknown_message_type_is_ignored_and_counted() {
    let server = TestServer::start().await;
    let mut peer = RepoPeer::join(&server, "me").await;
    let unknown = Message::Unknown { kind: "gossip".to_owned(), sender: Some(peer.id.clone()) };
    peer.send(&unknown).await;
    peer.send(&unknown).await;
    peer.until_agreed(&mut PeerDocument::empty(&server.document)).await;
    assert_eq!(server.metric("happierwork_refusals_total{reason=\"unknown_type\"}"), 2.0);
    assert_eq!(server.metric("happierwork_unknown_messages_total{type=\"gossip\"}"), 2.0);
}

#[tokio::test]
async fn message_with_forged_sender_is_dropped_and_counted() {
    let server = TestServer::start().await;
    let mut peer = RepoPeer::join(&server, "me").await;
    let mut replica = PeerDocument::empty(&server.document);
    peer.until_agreed(&mut replica).await;
    replica.doc.put(ROOT, "forged", true).unwrap();
    let data = replica.doc.save();
    // A message with the change, under the sender id of another peer.
    let mut forger =
        PeerDocument { doc: automerge::AutoCommit::load(&data).unwrap(), ..PeerDocument::empty(&server.document) };
    forger.state = replica.state.clone();
    let mut message = peer.sync(&server.document, forger.generate().expect("a message"));
    if let Message::Sync { sender, .. } = &mut message {
        *sender = peer_id("somebody else");
    }
    peer.send(&message).await;
    peer.send(&Message::Leave { sender: peer_id("somebody else") }).await;

    let mut ephemeral = PeerDocument::empty(&server.document);
    let request = peer.request(&server.document, ephemeral.generate().unwrap());
    peer.send(&request).await;
    ephemeral.receive(&peer.next_sync(&server.document).await);
    assert_eq!(server.metric("happierwork_refusals_total{reason=\"foreign_sender\"}"), 2.0);
    let other = PlainPeer::connect(&server, &server.document).await;
    assert!(other.doc.get(ROOT, "forged").unwrap().is_none(), "the change was not applied");
}
