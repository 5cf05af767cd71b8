//! Golden frames of the JavaScript code, frames of samod, and all other encodings.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

mod hostile;

const DOCUMENT: &str = "4NMNnkMhL8jXrdJ9jamS58PAVdXu";
const STORE: &str = "3c2d8a53-6f4e-4b8a-9d0c-0b1f6b1f2a77";

fn golden() -> BTreeMap<String, Bytes> {
    let hex: BTreeMap<String, String> =
        serde_json::from_str(include_str!("../../../tests/fixtures/repo/frames.json")).expect("JSON");
    hex.into_iter().map(|(name, hex)| (name, unhex(&hex))).collect()
}

fn unhex(hex: &str) -> Bytes {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn peer(name: &str) -> PeerId {
    PeerId::new(name).expect("a valid name")
}

fn store(name: &str) -> StorageId {
    StorageId::new(name).expect("a valid name")
}

fn document() -> DocumentId {
    DOCUMENT.parse().expect("a valid id")
}

/// Builds a frame by hand, in any encoding.
fn frame(build: impl FnOnce(&mut minicbor::Encoder<Vec<u8>>)) -> Bytes {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    build(&mut encoder);
    encoder.into_writer().into()
}

/// A `sync` whose value of `key` is written by `value`, after a valid `data`.
fn sync_with(key: &str, value: impl FnOnce(&mut minicbor::Encoder<Vec<u8>>)) -> Bytes {
    frame(|e| {
        e.map(6).unwrap().str("type").unwrap().str("sync").unwrap();
        e.str("senderId").unwrap().str("a").unwrap().str("targetId").unwrap().str("b").unwrap();
        e.str("documentId").unwrap().str(DOCUMENT).unwrap().str("data").unwrap().bytes(&[1]).unwrap();
        e.str(key).unwrap();
        value(e);
    })
}

fn data_of(frame: &Bytes) -> Bytes {
    match decode(frame) {
        Ok(Message::Sync { data, .. }) => data,
        other => panic!("{other:?}"),
    }
}

#[test]
fn javascript_frames_are_decoded() {
    let (client, server) = (peer("client-é"), peer("server"));
    let data = Bytes::from_static(&[0x42, 0, 0, 1, 0]);
    let stored = PeerMetadata { storage_id: Some(store(STORE)), is_ephemeral: false };
    let join = |metadata| Message::Join { sender: client.clone(), metadata, versions: vec!["1".into()] };
    let sync = |data: &Bytes| Message::Sync {
        sender: client.clone(),
        target: server.clone(),
        document: document(),
        data: data.clone(),
    };
    let ephemeral = |count| {
        Message::Ephemeral(Ephemeral {
            sender: client.clone(),
            target: server.clone(),
            count,
            session: "x8f2kq".into(),
            document: document(),
            data: data.clone(),
        })
    };
    let subscription = |add: &[&str], remove: &[&str]| Message::RemoteSubscriptionChange {
        sender: client.clone(),
        target: server.clone(),
        add: add.iter().map(|name| store(name)).collect(),
        remove: remove.iter().map(|name| store(name)).collect(),
    };
    let expected = BTreeMap::from([
        ("join", join(stored.clone())),
        ("joinEphemeral", join(PeerMetadata { storage_id: None, is_ephemeral: true })),
        ("joinBare", join(PeerMetadata::default())),
        ("joinUndefined", join(PeerMetadata::default())),
        (
            "peer",
            Message::Peer { sender: server.clone(), target: client.clone(), metadata: stored, version: "1".into() },
        ),
        (
            "error",
            Message::Error {
                sender: Some(server.clone()),
                target: Some(client.clone()),
                document: None,
                message: "unsupported protocol version".into(),
            },
        ),
        ("sync", sync(&data)),
        ("syncBuffer", sync(&data)),
        ("syncLong", sync(&vec![7; 300].into())),
        (
            "request",
            Message::Request {
                sender: client.clone(),
                target: server.clone(),
                document: document(),
                data: data.clone(),
            },
        ),
        (
            "docUnavailable",
            Message::DocUnavailable {
                sender: client.clone(),
                target: server.clone(),
                document: document(),
                message: None,
            },
        ),
        ("ephemeral", ephemeral(3)),
        ("ephemeralLarge", ephemeral(6_000_000_000)),
        ("subscribe", subscription(&[STORE], &[])),
        ("unsubscribe", subscription(&[], &[STORE])),
        (
            "heads",
            Message::RemoteHeadsChanged {
                sender: client.clone(),
                target: server.clone(),
                document: document(),
                heads: vec![(
                    store(STORE),
                    RemoteHeads {
                        heads: vec!["2Pkd8ZCv3yRy1tbH2RMYkEM4L5dnuNvLUKKbzXYwfZcYkGwuBN".into()],
                        timestamp: 1_764_000_000_123.0,
                    },
                )],
            },
        ),
        ("leave", Message::Leave { sender: client.clone() }),
        ("unknown", Message::Unknown { kind: "sparkle".into(), sender: Some(client.clone()) }),
    ]);
    let golden = golden();
    assert_eq!(golden.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, message) in expected {
        assert_eq!(decode(&golden[name]).as_ref(), Ok(&message), "{name}");
    }
}

#[test]
fn encoding_differs_from_cbor_x_by_the_map_headers_only() {
    // cbor-x writes every map with a 16-bit header; ours are short.
    for name in ["join", "peer", "sync", "request", "docUnavailable", "ephemeral", "ephemeralLarge", "heads", "leave"] {
        let theirs = &golden()[name];
        let mut short = Vec::new();
        let mut rest = &theirs[..];
        while let [first, tail @ ..] = rest {
            match (first, tail) {
                (0xb9, [0, count, tail @ ..]) => {
                    short.push(0xa0 | count);
                    rest = tail;
                }
                _ => {
                    short.push(*first);
                    rest = tail;
                }
            }
        }
        assert_eq!(decode(theirs).expect(name).encode(), short, "{name}");
    }
}

#[test]
fn large_data_is_not_copied() {
    let frame = frame(|e| {
        e.map(5).unwrap().str("type").unwrap().str("sync").unwrap();
        e.str("senderId").unwrap().str("a").unwrap().str("targetId").unwrap().str("b").unwrap();
        e.str("documentId").unwrap().str(DOCUMENT).unwrap().str("data").unwrap().bytes(&[1; 10_000]).unwrap();
    });
    let data = data_of(&frame);
    assert!(frame.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn samod_frames_are_decoded() {
    let join = frame(|e| {
        e.map(4).unwrap().str("type").unwrap().str("join").unwrap().str("senderId").unwrap().str("s").unwrap();
        e.str("supportedProtocolVersions").unwrap().array(1).unwrap().str("1").unwrap();
        e.str("peerMetadata").unwrap().map(1).unwrap().str("isEphemeral").unwrap().bool(true).unwrap();
    });
    let metadata = PeerMetadata { storage_id: None, is_ephemeral: true };
    assert_eq!(decode(&join), Ok(Message::Join { sender: peer("s"), metadata, versions: vec!["1".into()] }));

    let error = frame(|e| {
        e.map(2).unwrap().str("type").unwrap().str("error").unwrap().str("message").unwrap().str("no").unwrap();
    });
    assert_eq!(decode(&error), Ok(Message::Error { sender: None, target: None, document: None, message: "no".into() }));

    let heads = frame(|e| {
        e.map(5).unwrap().str("type").unwrap().str("remote-heads-changed").unwrap();
        e.str("senderId").unwrap().str("s").unwrap().str("targetId").unwrap().str("t").unwrap();
        e.str("documentId").unwrap().str(DOCUMENT).unwrap().str("newHeads").unwrap().map(2).unwrap();
        for timestamp in [5, 1_764_000_000_123_u64] {
            e.str(STORE).unwrap().map(2).unwrap().str("heads").unwrap().array(0).unwrap();
            e.str("timestamp").unwrap().u64(timestamp).unwrap();
        }
    });
    let last = RemoteHeads { heads: vec![], timestamp: 1_764_000_000_123.0 };
    match decode(&heads) {
        Ok(Message::RemoteHeadsChanged { heads, .. }) => assert_eq!(heads, [(store(STORE), last)]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_encodings_of_values_are_accepted() {
    let tagged = sync_with("data", |e| {
        e.tag(minicbor::data::Tag::new(64)).unwrap().bytes(&[1, 2, 3]).unwrap();
    });
    let parts = sync_with("data", |e| {
        e.begin_bytes().unwrap().bytes(&[]).unwrap().bytes(&[1]).unwrap().bytes(&[2, 3]).unwrap().end().unwrap();
    });
    for frame in [tagged, parts] {
        assert_eq!(data_of(&frame), [1, 2, 3][..]);
    }
    let indefinite = frame(|e| {
        e.begin_map().unwrap().str("type").unwrap().begin_str().unwrap().str("le").unwrap().str("ave").unwrap();
        e.end().unwrap().str("senderId").unwrap().str("a").unwrap().end().unwrap();
    });
    assert_eq!(decode(&indefinite), Ok(Message::Leave { sender: peer("a") }));

    let counted = |number: &[u8]| {
        let mut bytes = frame(|e| {
            e.map(7).unwrap().str("type").unwrap().str("ephemeral").unwrap().str("senderId").unwrap().str("a").unwrap();
            e.str("targetId").unwrap().str("b").unwrap().str("sessionId").unwrap().str("s").unwrap();
            e.str("documentId").unwrap().str(DOCUMENT).unwrap().str("data").unwrap().bytes(&[1]).unwrap();
            e.str("count").unwrap();
        })
        .to_vec();
        bytes.extend_from_slice(number);
        match decode(&bytes.into()) {
            Ok(Message::Ephemeral(ephemeral)) => Ok(ephemeral.count),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    };
    assert_eq!(counted(&[0x07]), Ok(7));
    assert_eq!(counted(&[0x1b, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Ok((1 << 53) - 1));
    assert_eq!(counted(&[0xf9, 0x47, 0x00]), Ok(7), "a 16-bit float");
    assert_eq!(counted(&[0xf9, 0x7b, 0xff]), Ok(65504), "the largest 16-bit float");
    assert_eq!(counted(&[0xfa, 0x40, 0xe0, 0, 0]), Ok(7), "a 32-bit float");
    assert_eq!(counted(&[0xfb, 0x40, 0x1c, 0, 0, 0, 0, 0, 0]), Ok(7), "a 64-bit float");
    assert_eq!(counted(&[0x20]), Err("\"count\" must be a whole number from 0 to 2^53 - 1, but it is -1".into()));
    assert_eq!(counted(&[0xf9, 0x38, 0x00]).unwrap_err().split_once("but").unwrap().1, " it is 0.5");
    assert_eq!(counted(&[0xf9, 0x7e, 0x00]), Err("\"count\" must be a finite number, but it is NaN".into()));
    assert_eq!(counted(&[0x61, b'7']), Err("\"count\" must be a number, but it is text".into()));
    assert!(counted(&[0x1b, 0, 0x20, 0, 0, 0, 0, 0, 1]).is_err(), "beyond 2^53");
}

#[test]
fn last_repeated_key_wins_and_unknown_keys_are_skipped() {
    assert_eq!(
        data_of(&sync_with("data", |e| {
            e.bytes(&[9, 9]).unwrap();
        })),
        [9, 9][..]
    );
    assert_eq!(
        decode(&sync_with("data", |e| {
            e.undefined().unwrap();
        })),
        Err(DecodeError::Missing { key: "data" })
    );
    let odd = sync_with("novelty", |e| {
        e.begin_map().unwrap().u8(1).unwrap().tag(minicbor::data::Tag::new(0)).unwrap().str("x").unwrap();
        e.array(2).unwrap().null().unwrap().f32(1.5).unwrap().begin_array().unwrap().end().unwrap().end().unwrap();
    });
    assert_eq!(data_of(&odd), [1][..]);
}

#[test]
fn sync_head_and_data_decode_as_a_sync() {
    let (sender, target) = (peer("server"), peer("client-é"));
    for data in [&[1][..], &[7; 70_000]] {
        let message = Message::Sync {
            sender: sender.clone(),
            target: target.clone(),
            document: document(),
            data: Bytes::copy_from_slice(data),
        };
        let frame = [&sync_head(&sender, &target, &document(), data.len()), data].concat();
        assert_eq!(frame.len(), message.encode().len());
        assert_eq!(decode(&frame.into()), Ok(message));
    }
}

fn any_peer() -> impl Strategy<Value = PeerId> {
    "\\PC{1,40}".prop_map(|name| peer(&name))
}

fn any_store() -> impl Strategy<Value = StorageId> {
    "[a-z0-9-]{1,40}".prop_map(|name| store(&name))
}

fn any_message() -> impl Strategy<Value = Message> {
    let document = any::<[u8; 16]>().prop_map(DocumentId::from_random);
    let data = vec(any::<u8>(), 1..400).prop_map(Bytes::from);
    let metadata = (proptest::option::of(any_store()), any::<bool>())
        .prop_map(|(storage_id, is_ephemeral)| PeerMetadata { storage_id, is_ephemeral });
    let heads = proptest::collection::btree_map(any_store(), (vec("[a-zA-Z0-9]{0,50}", 0..3), 0.0..1e15), 0..4);
    let common = (any_peer(), any_peer(), document, data, metadata);
    let extra = (0..1_u64 << 53, "\\PC{0,30}", vec(any_store(), 0..4), vec("[0-9]{1,3}", 0..3), heads);
    (0..11, common, extra).prop_map(|(kind, (sender, target, document, data, metadata), extra)| {
        let (count, text, stores, versions, heads) = extra;
        match kind {
            0 => Message::Join { sender, metadata, versions },
            1 => Message::Peer { sender, target, metadata, version: text },
            2 => Message::Sync { sender, target, document, data },
            3 => Message::Request { sender, target, document, data },
            4 => {
                let message = Some(text).filter(|text| !text.is_empty());
                Message::DocUnavailable { sender, target, document, message }
            }
            5 => Message::Ephemeral(Ephemeral { sender, target, count, session: text, document, data }),
            6 => Message::RemoteSubscriptionChange { sender, target, remove: stores.clone(), add: stores },
            7 => {
                let heads = heads.into_iter().map(|(s, (heads, timestamp))| (s, RemoteHeads { heads, timestamp }));
                Message::RemoteHeadsChanged { sender, target, document, heads: heads.collect() }
            }
            8 => Message::Leave { sender },
            9 => Message::Error {
                sender: Some(sender),
                target: Some(target),
                document: count.is_multiple_of(2).then_some(document),
                message: text,
            },
            _ => Message::Unknown { kind: format!("x-{text}"), sender: Some(sender) },
        }
    })
}

proptest! {
    #[test]
    fn messages_survive_a_round_trip(message in any_message()) {
        prop_assert_eq!(decode(&message.encode().into()), Ok(message));
    }
}
