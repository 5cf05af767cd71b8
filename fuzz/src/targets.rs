//! One function per kind of bytes that come from elsewhere. It must neither panic nor hang, whatever the bytes; what it
//! accepts must be sound.
//!
//! Where random bytes get nowhere, as their checksum is wrong, the bytes are taken for a list of changes to something
//! that is valid, of which the checksum is set right afterwards.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use automerge::sync::{self, SyncDoc};
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, Automerge, ObjType, ROOT};
use bytes::Bytes;
use happierwork::document::{Document, Item, MessageLimits, Outcome, PeerKey};
use happierwork::exchange;
use happierwork::format::DocumentId;
use happierwork::server::renderings::RENDERINGS;
use happierwork::store::StateFile;
use happierwork::store::faults::FaultyDisk;
use happierwork::wire::{legacy, repo};
use sha2::{Digest, Sha256};

const STATE: &str = "/plan/state.automerge";
/// Magic, checksum.
const HEADER: usize = 8;

/// A frame of automerge-repo: what is read and written again is the same.
pub fn repo_frame(bytes: &[u8]) {
    if let Ok(message) = repo::decode(&Bytes::copy_from_slice(bytes)) {
        let again = repo::decode(&Bytes::from(message.encode())).expect("what we write we read");
        assert_eq!(format!("{message:?}"), format!("{again:?}"));
    }
}

/// A frame of a legacy client.
pub fn legacy_frame(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match legacy::decode(text) {
        Ok(request) => drop(format!("{request:?}")),
        Err(error) => assert!(!error.frames().is_empty(), "an error is told"),
    }
}

/// A sync message.
pub fn sync_message(bytes: &[u8]) {
    receive(bytes);
}

/// A valid sync message of which some bytes are others.
pub fn sync_mutations(bytes: &[u8]) {
    let [which, mutations @ ..] = bytes else { return };
    let valid = &MESSAGES[usize::from(*which) % MESSAGES.len()];
    let mut message = sync::Message::decode(valid).expect("valid");
    let entries: Vec<Vec<u8>> = message.changes.iter().map(|entry| mutated(entry, mutations)).collect();
    message.changes = entries.into();
    receive(&message.encode());
}

/// A document's file, as it is found when the server starts.
pub fn document_file(bytes: &[u8]) {
    let disk = FaultyDisk::new(&["/plan"]);
    disk.put(STATE, bytes);
    let open = || StateFile::open_on(Arc::new(disk.clone()), Path::new(STATE));
    let Ok(first) = open() else {
        assert_eq!(disk.content(STATE).as_deref(), Some(bytes), "what is not opened is left as it is");
        return;
    };
    let heads = first.document().map(Automerge::get_heads);
    drop(first);
    let second = open().expect("what was repaired is whole");
    assert!(second.repaired().is_none(), "a repair is done once");
    assert_eq!(second.document().map(Automerge::get_heads), heads);
}

/// A valid file of which some bytes are others.
pub fn document_mutations(bytes: &[u8]) {
    let [which, mutations @ ..] = bytes else { return };
    document_file(&mutated(&FILES[usize::from(*which) % FILES.len()], mutations));
}

/// The old server's data file.
pub fn import_json(bytes: &[u8]) {
    let mut count = 0;
    let mut new_id = || {
        count += 1;
        count.to_string()
    };
    if let Ok(rows) = exchange::import(bytes, 1_795_357_260_000, &mut new_id) {
        drop(format!("{rows:?}"));
    }
}

/// A document takes the message, or refuses it; what it takes is durable: the log that it gives loads.
fn receive(bytes: &[u8]) {
    let log = &FILES[0];
    let id = DocumentId::from_random([7; 16]);
    let actor = ActorId::from([1_u8; 16]);
    let mut document = Document::load(id, log, actor, RENDERINGS, MessageLimits::default()).expect("a valid document");
    document.join(PeerKey(1), Vec::new());
    document.join(PeerKey(2), Vec::new());
    let hello = sync::Message::decode(&MESSAGES[0]).expect("valid").encode();
    let item = |peer, bytes: &[u8]| Item::Sync { peer: PeerKey(peer), bytes: Bytes::copy_from_slice(bytes) };
    let mut applied = document.apply(vec![item(1, bytes), item(2, &hello)]);
    assert!(matches!(applied.outcomes[1], Outcome::Synced), "an honest peer is taken, whatever another sends");
    let stored = [log.as_slice(), &applied.chunks].concat();
    let _ = document.publish(&mut applied, |_| true);
    drop(document.view());
    let reloaded = Automerge::load(&stored).expect("what was appended can be read");
    assert_eq!(reloaded.get_heads(), document.heads());
    let saved = Automerge::load(&document.save()).expect("what was saved can be read");
    assert_eq!(saved.get_heads(), document.heads());
}

/// Changes chunks byte by byte: three bytes say where (two) and what; then the checksums are set right.
fn mutated(chunks: &[u8], mutations: &[u8]) -> Vec<u8> {
    let mut chunks = chunks.to_vec();
    for mutation in mutations.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([mutation[0], mutation[1]]));
        match mutation[2] % 4 {
            0 if at < chunks.len() => chunks[at] = mutation[3],
            1 if at < chunks.len() => chunks[at] ^= 1 << (mutation[3] % 8),
            2 if at < chunks.len() => drop(chunks.remove(at)),
            3 if at <= chunks.len() => chunks.insert(at, mutation[3]),
            _ => {}
        }
    }
    with_checksums(chunks)
}

/// Sets the checksum of every chunk that can be found.
fn with_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut start = 0;
    while let Some(end) = chunk_end(&bytes, start) {
        let checksum = Sha256::digest(&bytes[start + HEADER..end]);
        bytes[start + 4..start + HEADER].copy_from_slice(&checksum[..4]);
        start = end;
    }
    bytes
}

/// Where the chunk ends that begins at `start`.
fn chunk_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start.checked_add(HEADER + 1)?;
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        length |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
    }
    at.checked_add(length).filter(|end| *end <= bytes.len())
}

fn plan() -> AutoCommit {
    let mut doc = AutoCommit::new().with_actor(ActorId::from([2_u8; 16]));
    let positions = doc.put_object(ROOT, "positions", ObjType::Map).expect("a map");
    for row in 0..3_i64 {
        let position = doc.put_object(&positions, format!("p{row}"), ObjType::Map).expect("a map");
        let designation = doc.put_object(&position, "designation", ObjType::Text).expect("a map");
        doc.splice_text(&designation, 0, 0, "Designer").expect("a text");
        doc.put(&position, "budget", row * 10).expect("a map");
        doc.commit();
    }
    doc
}

/// A log of changes; a snapshot; a snapshot with changes after it.
static FILES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let mut doc = plan();
    let log = doc.get_changes(&[]).iter().flat_map(|change| change.raw_bytes().to_vec()).collect();
    let snapshot = doc.save();
    let heads = doc.get_heads();
    doc.put(ROOT, "note", "a note that is long enough to be worth compressing ".repeat(10)).expect("a map");
    doc.commit();
    let later: Vec<u8> = doc.get_changes(&heads).iter_mut().flat_map(|change| change.bytes().to_vec()).collect();
    [log, snapshot.clone(), [snapshot, later].concat()]
});

/// A greeting; what a peer with edits of its own sends, as changes and as a whole document.
static MESSAGES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let mut empty = AutoCommit::new();
    let hello = empty.sync().generate_sync_message(&mut sync::State::new()).expect("a greeting").encode();
    let with_edits = |v2: bool| {
        let mut doc = plan();
        let mut server = plan();
        for edit in 0..4_i64 {
            doc.put(ROOT, "value", edit).expect("a map");
            doc.commit();
        }
        let (mut ours, mut theirs) = (sync::State::new(), sync::State::new());
        let mut hello = server.sync().generate_sync_message(&mut theirs).expect("a greeting");
        if !v2 {
            hello.flags = None;
        }
        doc.sync().receive_sync_message(&mut ours, hello).expect("a greeting");
        doc.sync().generate_sync_message(&mut ours).expect("changes").encode()
    };
    [hello, with_edits(false), with_edits(true)]
});
