//! Malformed and hostile frames: errors name the problem, and cost little.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[test]
fn errors_name_the_problem() {
    let error_of = |frame: &Bytes| decode(frame).unwrap_err().to_string();
    assert_eq!(error_of(&Bytes::new()), "the frame is cut off: it ends in the middle of a CBOR value");
    assert_eq!(error_of(&Bytes::from_static(b"[\"add\"]")), "\"the frame\" must be a map, but it is bytes");
    assert_eq!(error_of(&Bytes::from_static(&[0xa0])), "\"type\" is missing");
    assert_eq!(
        error_of(&sync_with("type", |e| {
            e.u8(1).unwrap();
        })),
        "\"type\" must be text, but it is a number"
    );
    assert_eq!(
        error_of(&sync_with("senderId", |e| {
            e.null().unwrap();
        })),
        "\"senderId\" is missing"
    );
    assert_eq!(
        error_of(&sync_with("targetId", |e| {
            e.str("").unwrap();
        })),
        "\"targetId\" is malformed: a peer id must have 1 to 512 bytes, this one has 0"
    );
    assert_eq!(
        error_of(&sync_with("data", |e| {
            e.bytes(&[]).unwrap();
        })),
        "\"data\" is empty"
    );
    assert_eq!(
        error_of(&sync_with("data", |e| {
            e.str("no").unwrap();
        })),
        "\"data\" must be bytes, but it is text"
    );
    assert_eq!(
        error_of(&sync_with("data", |e| {
            e.tag(minicbor::data::Tag::new(1)).unwrap().bytes(&[1]).unwrap();
        })),
        "\"data\" must be bytes, but it is a tagged value"
    );
    assert_eq!(
        error_of(&sync_with("documentId", |e| {
            e.str("nonsense").unwrap();
        })),
        "\"documentId\" is malformed: the document id is not valid base58check (is a character missing or mistyped?)"
    );
    assert_eq!(
        error_of(&sync_with("senderId", |e| {
            e.str(&"x".repeat(513)).unwrap();
        })),
        "\"senderId\" is longer than 512 bytes"
    );
    let mut longer = golden()["leave"].to_vec();
    longer.push(0);
    assert!(matches!(decode(&longer.into()), Err(DecodeError::TrailingBytes { .. })));
}

#[test]
fn truncated_frames_are_errors() {
    for (name, frame) in golden() {
        for length in 0..frame.len() {
            assert_eq!(decode(&frame.slice(..length)), Err(DecodeError::Truncated), "{name} cut to {length}");
        }
    }
}

#[test]
fn nesting_and_length_bombs_are_rejected() {
    // An unknown key whose value nests 100,000 lists, maps or tags.
    for opening in [&[0x81][..], &[0x9f], &[0xa1, 0x00], &[0xbf, 0x00], &[0xc1], &[0xa1]] {
        let mut bytes = vec![0xa1, 0x61, b'x'];
        bytes.extend(opening.repeat(100_000));
        assert_eq!(decode(&bytes.into()), Err(DecodeError::TooDeep { limit: 16 }), "{opening:?}");
    }
    // Headers that claim 2^64 - 1 bytes or entries.
    for major in [0x5b, 0x7b, 0x9b, 0xbb] {
        let huge: Vec<u8> = [major].into_iter().chain([0xff; 8]).collect();
        assert!(decode(&huge.clone().into()).is_err());
        for key in ["data", "senderId", "novelty"] {
            let mut bytes = frame(|e| {
                e.map(1).unwrap().str(key).unwrap();
            })
            .to_vec();
            bytes.extend(&huge);
            assert!(decode(&bytes.into()).is_err(), "{major:x} {key}");
        }
    }
    // More entries than accepted.
    let many = frame(|e| {
        e.map(4).unwrap().str("type").unwrap().str("remote-subscription-change").unwrap();
        e.str("senderId").unwrap().str("a").unwrap().str("targetId").unwrap().str("b").unwrap();
        e.str("add").unwrap().array(10_001).unwrap();
        (0..10_001).for_each(|_| {
            e.str("s").unwrap();
        });
    });
    assert_eq!(decode(&many), Err(DecodeError::TooMany { key: "add", limit: 10_000 }));
    // The same in nested lists.
    let many = |stores: usize, heads: usize| {
        frame(|e| {
            e.map(5).unwrap().str("type").unwrap().str("remote-heads-changed").unwrap();
            e.str("senderId").unwrap().str("a").unwrap().str("targetId").unwrap().str("b").unwrap();
            e.str("documentId").unwrap().str("4NMNnkMhL8jXrdJ9jamS58PAVdXu").unwrap();
            e.str("newHeads").unwrap().map(stores as u64).unwrap();
            for store in 0..stores {
                e.str(&format!("s{store}")).unwrap().map(2).unwrap();
                e.str("timestamp").unwrap().u32(1).unwrap().str("heads").unwrap().array(heads as u64).unwrap();
                (0..heads).for_each(|_| {
                    e.str("").unwrap();
                });
            }
        })
    };
    assert!(decode(&many(100, 100)).is_ok());
    assert_eq!(decode(&many(101, 100)), Err(DecodeError::TooMany { key: "heads", limit: 10_000 }));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes.into());
    }

    #[test]
    fn damaged_frames_never_panic(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let frames: Vec<Bytes> = golden().into_values().collect();
        let mut bytes = which.get(&frames).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(&bytes.into());
    }
}

/// A `sync` with 100 bytes of data, and `padding` bytes under `key`.
fn padded(key: &str, padding: usize) -> Bytes {
    frame(|e| {
        e.map(6).unwrap().str("type").unwrap().str("sync").unwrap();
        e.str("senderId").unwrap().str("a").unwrap().str("targetId").unwrap().str("b").unwrap();
        e.str("documentId").unwrap().str(DOCUMENT).unwrap();
        e.str(key).unwrap().bytes(&vec![0; padding]).unwrap();
        e.str("data").unwrap().bytes(&[1; 100]).unwrap();
    })
}

#[test]
fn small_data_does_not_hold_its_frame() {
    for key in ["novelty", "data"] {
        let frame = padded(key, 10_000);
        let data = data_of(&frame);
        assert_eq!(data, [1; 100].as_slice());
        assert!(frame.try_into_mut().is_ok(), "the data is a copy: {key}");
    }
}

#[test]
fn large_unknown_keys_are_rejected() {
    assert!(decode(&padded("novelty", 16_000)).is_ok());
    let refused = decode(&padded("novelty", 20_000));
    assert!(matches!(refused, Err(DecodeError::UnknownKeys { limit: 16_384, .. })), "{refused:?}");
    let unknown = frame(|e| {
        e.map(2).unwrap().str("type").unwrap().str("later").unwrap();
        e.str("novelty").unwrap().bytes(&[0; 20_000]).unwrap();
    });
    assert!(matches!(decode(&unknown), Ok(Message::Unknown { .. })), "a message of a later version is ignored");
}
