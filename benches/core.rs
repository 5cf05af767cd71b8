//! Micro-benchmarks of the core, without sockets and disk: `cargo bench --bench core`.
//!
//! Where the library has an operation for the same task, both are measured.
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be set up must stop")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use automerge::sync::{self, SyncDoc};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, ROOT, ReadDoc};
use bytes::Bytes;
use divan::{Bencher, black_box};
use futures_util::FutureExt;
use happierwork::legacy;
use happierwork::legacy::{RENDERINGS, frames};
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Author, Budget, Edit, Form, NewPosition, Plan, PlanPatch, PositionPatch, View, read_view};
use primitives::DocumentId;
use runtime::document::{AuthoredEdit, Document, Item};
use sync_engine::{Incoming, MessageLimits, PeerKey};

/// Number of changes in the history.
const HISTORIES: [usize; 3] = [100, 10_000, 100_000];
const VIEWERS: u64 = 1_000;

fn main() {
    divan::main();
}

fn id() -> DocumentId {
    DocumentId::from_random([7; 16])
}

fn author() -> Author {
    Author { name: "cfo".to_owned(), now: 1_700_000_000_000 }
}

/// A snapshot of a plan with this number of positions and changes. Made once.
fn snapshot(positions: usize, changes: usize) -> Vec<u8> {
    /// By positions and changes.
    type Snapshots = HashMap<(usize, usize), Vec<u8>>;
    static MADE: OnceLock<Mutex<Snapshots>> = OnceLock::new();
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap();
    made.entry((positions, changes)).or_insert_with(|| make_snapshot(positions, changes)).clone()
}

fn make_snapshot(positions: usize, changes: usize) -> Vec<u8> {
    let rows = (0..positions).map(|index| NewPosition {
        created_at: Some(1_600_000_000_000 + i64::try_from(index).unwrap()),
        ..NewPosition::new(format!("position-{index:05}"), format!("Engineer {index}"))
            .with(DEPARTMENT, "UI")
            .with(BUDGET, Budget::Int(45_000))
            .with(LOCATION, "Pune")
    });
    let mut document = load(&[]);
    let plan = PlanPatch { name: Some("Growth".to_owned()), ..PlanPatch::default() };
    let create = Edit::Create { id: id(), plan, positions: rows.collect() };
    let applied =
        document.engine.apply(vec![Item::Edit { edit: AuthoredEdit { edit: create, author: author() }, by: None }]);
    let mut doc = Automerge::load(&applied.chunks).unwrap().with_actor(ActorId::from([8u8; 16]));
    for change in 1..changes {
        edit(&mut doc, change % positions, i64::try_from(change).unwrap());
    }
    doc.save()
}

/// One change that sets one field of one position.
fn edit(doc: &mut Automerge, position: usize, budget: i64) {
    let (_, map) = doc.get(ROOT, "positions").unwrap().unwrap();
    let (_, row) = doc.get(&map, format!("position-{position:05}")).unwrap().unwrap();
    let mut transaction = doc.transaction();
    transaction.put(&row, "budget", budget).unwrap();
    transaction.commit_with(CommitOptions::default().with_time(1_700_000_000));
}

fn load(log: &[u8]) -> Document {
    Document::load(id(), log, ActorId::from([9u8; 16]), RENDERINGS, MessageLimits::default()).unwrap()
}

/// A document in use: a writer and viewers are in sync, and have exchanged a few edits.
struct Case {
    document: Document,
    writer: Peer,
    /// Represents all viewers, which have the same state and send the same messages.
    viewer: Peer,
    viewers: u64,
    edits: usize,
    positions: usize,
}

/// A stock peer.
struct Peer {
    doc: Automerge,
    state: sync::State,
}

impl Peer {
    fn say(&mut self) -> Option<Bytes> {
        self.doc.generate_sync_message(&mut self.state).map(|message| Bytes::from(message.encode()))
    }

    fn hear(&mut self, message: &Bytes) {
        self.doc.receive_sync_message(&mut self.state, sync::Message::decode(message).unwrap()).unwrap();
    }
}

const WRITER: PeerKey = PeerKey(0);

impl Case {
    fn new(positions: usize, changes: usize, viewers: u64) -> Self {
        let log = snapshot(positions, changes);
        let peer = |actor| Peer {
            doc: Automerge::load(&log).unwrap().with_actor(ActorId::from([actor; 16])),
            state: sync::State::new(),
        };
        let mut case = Self { document: load(&log), writer: peer(10), viewer: peer(11), viewers, edits: 0, positions };
        for key in 0..=viewers {
            case.document.engine.join(PeerKey(key), Vec::new());
        }
        for _ in 0..4 {
            let (written, seen) = (case.writer.say(), case.viewer.say());
            case.exchange(written, seen);
        }
        for _ in 0..10 {
            case.edit_and_acknowledge();
        }
        case
    }

    fn edit_and_acknowledge(&mut self) {
        let edit = self.edit();
        self.exchange(Some(edit), None);
        let acknowledgement = self.viewer.say();
        self.exchange(None, acknowledgement);
    }

    /// The writer's message with its next edit.
    fn edit(&mut self) -> Bytes {
        self.edits += 1;
        edit(&mut self.writer.doc, self.positions / 2, i64::try_from(self.edits).unwrap());
        self.writer.say().unwrap()
    }

    fn exchange(&mut self, written: Option<Bytes>, seen: Option<Bytes>) {
        let written = written.map(|bytes| sync(WRITER, &bytes));
        let seen = seen.into_iter().flat_map(|bytes| (1..=self.viewers).map(move |key| sync(PeerKey(key), &bytes)));
        let mut applied = self.document.engine.apply(written.into_iter().chain(seen).collect());
        let published = self.document.publish(&mut applied, |_| true);
        for delivery in published.deliveries {
            match delivery.peer.0 {
                0 => self.writer.hear(&delivery.message),
                1 => self.viewer.hear(&delivery.message),
                _ => {}
            }
        }
    }
}

fn sync(peer: PeerKey, bytes: &Bytes) -> Item {
    Item::Sync { peer, bytes: bytes.clone() }
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn publish_one_edit_to_1000_peers(bencher: Bencher, changes: usize) {
    bencher
        .with_inputs(|| {
            let mut case = Case::new(100, changes, VIEWERS);
            let edit = case.edit();
            let applied = case.document.engine.apply(vec![sync(WRITER, &edit)]);
            (case, applied)
        })
        .bench_local_refs(|(case, applied)| {
            let published = case.document.publish(applied, |_| true);
            assert_eq!(published.deliveries.len(), usize::try_from(VIEWERS).unwrap() + 1);
            published
        });
}

/// A case after publishing one edit, and a viewer's answer.
fn published(changes: usize, viewers: u64) -> (Case, Bytes) {
    let mut case = Case::new(100, changes, viewers);
    let edit = case.edit();
    case.exchange(Some(edit), None);
    let acknowledgement = case.viewer.say().unwrap();
    (case, acknowledgement)
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn receive_1000_acknowledgements(bencher: Bencher, changes: usize) {
    bencher.with_inputs(|| published(changes, VIEWERS)).bench_local_refs(|(case, acknowledgement)| {
        // In batches, as they arrive in practice.
        let peers: Vec<u64> = (1..=VIEWERS).collect();
        for batch in peers.chunks(25) {
            let items = batch.iter().map(|peer| sync(PeerKey(*peer), acknowledgement)).collect();
            let mut applied = case.document.engine.apply(items);
            assert!(case.document.publish(&mut applied, |_| true).deliveries.is_empty());
        }
    });
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn receive_1_new_acknowledgement(bencher: Bencher, changes: usize) {
    bencher.with_inputs(|| published(changes, 1)).bench_local_refs(|(case, acknowledgement)| {
        let mut applied = case.document.engine.apply(vec![sync(PeerKey(1), acknowledgement)]);
        case.document.publish(&mut applied, |_| true)
    });
}

/// The library's own operation, also right after an edit.
#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn library_receives_1_acknowledgement(bencher: Bencher, changes: usize) {
    bencher
        .with_inputs(|| {
            let mut case = Case::new(100, changes, 1);
            let mut ours = sync::State::new();
            for _ in 0..3 {
                if let Some(said) = case.writer.doc.generate_sync_message(&mut ours) {
                    case.viewer.hear(&Bytes::from(said.encode()));
                }
                if let Some(said) = case.viewer.say() {
                    let said = sync::Message::decode(&said).unwrap();
                    case.writer.doc.receive_sync_message(&mut ours, said).unwrap();
                }
            }
            case.edit();
            let said = case.writer.doc.generate_sync_message(&mut ours).unwrap();
            case.viewer.hear(&Bytes::from(said.encode()));
            let answer = sync::Message::decode(&case.viewer.say().unwrap()).unwrap();
            (case, ours, answer)
        })
        .bench_local_refs(|(case, ours, answer)| {
            case.writer.doc.receive_sync_message(ours, answer.clone()).unwrap();
        });
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn one_edit_apply_and_publish_to_one_viewer(bencher: Bencher, changes: usize) {
    bencher
        .with_inputs(|| {
            let mut case = Case::new(100, changes, 1);
            let edit = case.edit();
            (case, edit)
        })
        .bench_local_refs(|(case, edit)| {
            let mut applied = case.document.engine.apply(vec![sync(WRITER, edit)]);
            case.document.publish(&mut applied, |_| true)
        });
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn library_applies_one_change(bencher: Bencher, changes: usize) {
    bencher
        .with_inputs(|| {
            let mut case = Case::new(100, changes, 1);
            case.edit();
            let change = case.writer.doc.get_last_local_change().unwrap();
            (case, change)
        })
        .bench_local_refs(|(case, change)| case.viewer.doc.apply_changes([change.clone()]).unwrap());
}

#[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
fn one_edit_by_the_server(bencher: Bencher, changes: usize) {
    let patch = PositionPatch::set(BUDGET, Budget::Int(1));
    bencher.with_inputs(|| Case::new(100, changes, 1)).bench_local_refs(|case| {
        let edit = Edit::Patch { id: "position-00007".to_owned(), patch: patch.clone() };
        let mut applied =
            case.document.engine.apply(vec![Item::Edit { edit: AuthoredEdit { edit, author: author() }, by: None }]);
        case.document.publish(&mut applied, |_| true)
    });
}

#[divan::bench(args = [100, 5_000], sample_count = 20, sample_size = 1)]
fn view_patch_of_one_row(bencher: Bencher, positions: usize) {
    bencher
        .with_inputs(|| {
            let mut case = Case::new(positions, 100, 0);
            let view = Arc::new(RwLock::new(View::new(&case.writer.doc, RENDERINGS)));
            for _ in 0..10 {
                case.edit_and_acknowledge();
                View::update(&view, &case.writer.doc, &[case.writer.doc.get_last_local_change().unwrap()]);
            }
            case.edit();
            let change = case.writer.doc.get_last_local_change().unwrap();
            (view, case.writer.doc, change)
        })
        .bench_local_refs(|(view, doc, change)| View::update(view, doc, std::slice::from_ref(change)));
}

#[divan::bench(args = [100, 5_000], sample_count = 50)]
fn view_joined_for_an_export(bencher: Bencher, positions: usize) {
    let mut document = load(&snapshot(positions, 100));
    let view = document.view();
    bencher.bench_local(|| {
        let mut out = Vec::new();
        read_view(&view).join(Form::Json, b",", &mut out);
        out
    });
}

#[divan::bench(args = [100, 10_000, 100_000], sample_count = 10, sample_size = 1)]
fn load_a_document(bencher: Bencher, changes: usize) {
    let log = snapshot(100, changes);
    bencher.bench_local(|| load(&log));
}

#[divan::bench(args = [100, 10_000, 100_000], sample_count = 10, sample_size = 1)]
fn save_a_document(bencher: Bencher, changes: usize) {
    let document = load(&snapshot(100, changes));
    bencher.bench_local(|| document.engine.save());
}

/// The history. The cost of a page must not depend on the length of the history.
mod history {
    use plan::history::{History, Query};

    use super::*;

    fn doc(positions: usize, changes: usize) -> Automerge {
        Automerge::load(&snapshot(positions, changes)).unwrap()
    }

    #[divan::bench(args = HISTORIES, sample_count = 5, sample_size = 1)]
    fn made(bencher: Bencher, changes: usize) {
        let doc = doc(100, changes);
        bencher.bench_local(|| History::of(&doc).unwrap());
    }

    #[divan::bench(args = HISTORIES, sample_count = 20)]
    fn page_of_50_changes(bencher: Bencher, changes: usize) {
        page(bencher, changes, &Query { limit: 50, ..Query::default() });
    }

    #[divan::bench(args = HISTORIES, sample_count = 20)]
    fn page_of_50_changes_of_one_field_of_one_position(bencher: Bencher, changes: usize) {
        let position = Some("position-00007".to_owned());
        let field = Some("budget".to_owned());
        page(bencher, changes, &Query { position, field, limit: 50, before: None });
    }

    fn page(bencher: Bencher, changes: usize, query: &Query) {
        let doc = doc(100, changes);
        let history = History::of(&doc).unwrap();
        bencher.bench_local(|| history.page(&doc, query).unwrap());
    }

    #[divan::bench(args = HISTORIES, sample_count = 20, sample_size = 1)]
    fn one_change_is_noted(bencher: Bencher, changes: usize) {
        let whole = doc(100, changes);
        let made = whole.get_changes(&[]);
        let (last, before) = made.split_last().unwrap();
        bencher
            .with_inputs(|| {
                let mut history = History::default();
                history.add(&whole, before).unwrap();
                history
            })
            .bench_local_refs(|history| history.add(&whole, [last]).unwrap());
    }

    /// Work that delays the writers of a document while a client reads an earlier state or the history is built.
    #[divan::bench(args = [(100, 100), (100, 10_000), (100, 100_000), (5_000, 20_000)], sample_count = 10, sample_size = 1)]
    fn document_copied(bencher: Bencher, (positions, changes): (usize, usize)) {
        let mut document = load(&snapshot(positions, changes));
        bencher.bench_local(|| document.copy());
    }

    #[divan::bench(args = [(100, 100), (100, 10_000), (100, 100_000), (5_000, 20_000)], sample_count = 5, sample_size = 1)]
    fn positions_as_they_were(bencher: Bencher, (positions, changes): (usize, usize)) {
        let mut document = load(&snapshot(positions, changes));
        let middle = doc(positions, changes).get_changes_meta(&[])[changes / 2].hash;
        let past = document.past(vec![middle]).unwrap();
        bencher.bench_local(|| past.positions());
    }
}

#[divan::bench]
fn repo_codec_encodes_a_sync_message(bencher: Bencher) {
    let message = Case::new(100, 100, 0).edit();
    bencher.bench_local(|| sync_frame(black_box(&message)));
}

/// Throughput of decoding and checking incoming bytes.
mod decoders {
    use divan::counter::BytesCount;

    use super::*;

    const LEGACY_FRAME: &str = "\"[\\\"add\\\",\\\"Designer\\\",\\\"Product\\\",\\\"45,000\\\",\\\"Pune\\\"]\"";

    #[divan::bench]
    fn repo_frame_with_an_acknowledgement(bencher: Bencher) {
        let frame = sync_frame(&published(100, 1).1);
        bencher.counter(BytesCount::new(frame.len())).bench_local(|| repo_protocol::decode(black_box(&frame)).unwrap());
    }

    #[divan::bench]
    fn legacy_frame(bencher: Bencher) {
        let plan = Plan::default();
        let decode = || frames::decode(black_box(LEGACY_FRAME), &plan.scale()).map_err(drop).unwrap();
        bencher.counter(BytesCount::new(LEGACY_FRAME.len())).bench_local(decode);
    }

    #[divan::bench]
    fn sync_message_with_one_change(bencher: Bencher) {
        sync_message(bencher, Case::new(100, 100, 0).edit());
    }

    /// With 5,000 positions. Must be within the limits of a message.
    #[divan::bench(args = [0, 100_000], sample_count = 10, sample_size = 1)]
    fn sync_message_with_a_document_of_so_many_changes(bencher: Bencher, changes: usize) {
        let message = sync::Message {
            heads: Vec::new(),
            need: Vec::new(),
            have: Vec::new(),
            changes: vec![snapshot(5_000, changes)].into(),
            flags: None,
            version: sync::MessageVersion::V2,
        };
        sync_message(bencher, message.encode().into());
    }

    fn sync_message(bencher: Bencher, message: Bytes) {
        let decode = || Incoming::decode(black_box(&message), &MessageLimits::default()).unwrap();
        bencher.counter(BytesCount::new(message.len())).bench_local(decode);
    }

    #[divan::bench(args = [100, 100_000], sample_count = 10, sample_size = 1)]
    fn file_of_a_document_of_so_many_changes(bencher: Bencher, changes: usize) {
        let log = snapshot(100, changes);
        bencher.counter(BytesCount::new(log.len())).bench_local(|| load(&log));
    }

    #[divan::bench]
    fn old_data_file(bencher: Bencher) {
        let file = include_bytes!("../tests/fixtures/legacy/positions.json");
        let plan = Plan::default();
        let import = || legacy::import(black_box(file), &plan.scale(), 0, &mut || "id".to_owned()).unwrap();
        bencher.counter(BytesCount::new(file.len())).bench_local(import);
    }
}

/// Cost of authentication.
mod auth {
    use std::time::Duration;

    use ::auth::{
        Account, AccountName, AuthFolder, AuthOptions, Authority, Documents, Grant, HashedPassword, NewKey, Role,
    };
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    /// An authority with a thousand accounts, some revoked tokens, and optionally an identity provider.
    fn authority(kind: NewKey, provider: Option<Value>) -> (TempDir, Authority, String) {
        let home = TempDir::new().unwrap();
        let folder = AuthFolder::create(home.path().join("auth")).unwrap();
        folder.change_keys(|keys| keys.make(kind, NOW).map(drop)).unwrap();
        let account = Account::new(HashedPassword::new("correct horse").unwrap(), Role::Editor, Documents::All);
        let add = |accounts: &mut ::auth::Accounts| {
            let mut names = (0..1_000).map(|number| AccountName::new(&format!("user-{number}@example.com")).unwrap());
            names.try_for_each(|name| accounts.add(name, account.clone()))
        };
        folder.change_accounts(add).unwrap();
        let keys = folder.keys().unwrap();
        let token = || keys.issue("user-500@example.com", (Role::Editor, Documents::All), NOW, 3_600).unwrap().0;
        let jwks = provider.map(|keys| {
            let path = home.path().join("jwks.json");
            std::fs::write(&path, json!({ "keys": [keys] }).to_string()).unwrap();
            path
        });
        let options = AuthOptions {
            folder: Some(folder.path().to_owned()),
            jwks,
            session: Duration::from_secs(3_600),
            ..AuthOptions::default()
        };
        let authority = Authority::open(&options).unwrap();
        for _ in 0..10 {
            authority.logout(&token(), NOW).now_or_never().unwrap().unwrap();
        }
        (home, authority, token())
    }

    fn verify(bencher: Bencher, authority: &Authority, token: &str) {
        bencher.bench_local(|| -> Grant { authority.verify(black_box(token), NOW).unwrap() });
    }

    #[divan::bench]
    fn verify_a_token_of_ours(bencher: Bencher) {
        let (_home, authority, token) = authority(NewKey::Ed25519, None);
        verify(bencher, &authority, &token);
    }

    #[divan::bench]
    fn verify_a_token_of_ours_by_a_secret(bencher: Bencher) {
        let (_home, authority, token) = authority(NewKey::Hs256, None);
        verify(bencher, &authority, &token);
    }

    fn provided(alg: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let head = json!({ "alg": alg, "kid": "1" });
        let claims = json!({ "sub": "jane@example.com", "role": "editor", "documents": "*", "exp": NOW + 60 });
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let message = format!("{}.{}", text(head.to_string().as_bytes()), text(claims.to_string().as_bytes()));
        format!("{message}.{}", text(&sign(message.as_bytes())))
    }

    #[divan::bench]
    fn verify_a_providers_token_es256(bencher: Bencher) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let key = json!({ "kty": "EC", "crv": "P-256", "kid": "1", "x": text(&point[1..33]), "y": text(&point[33..]) });
        let (_home, authority, _) = authority(NewKey::Ed25519, Some(key));
        let token = provided("ES256", |message| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec());
        verify(bencher, &authority, &token);
    }

    #[divan::bench]
    fn verify_a_providers_token_rs256(bencher: Bencher) {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
        let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
        let key = json!({ "kty": "RSA", "kid": "1", "n": text(n), "e": text(e) });
        let (_home, authority, _) = authority(NewKey::Ed25519, Some(key));
        let token = provided("RS256", |message| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        });
        verify(bencher, &authority, &token);
    }

    #[divan::bench]
    fn refuse_a_forged_token(bencher: Bencher) {
        let (_home, authority, token) = authority(NewKey::Ed25519, None);
        let (message, signature) = token.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { 'B' } else { 'A' };
        let forged = format!("{message}.{other}{}", &signature[1..]);
        bencher.bench_local(|| authority.verify(black_box(&forged), NOW).unwrap_err());
    }

    #[divan::bench]
    fn ask_again_about_a_connection(bencher: Bencher) {
        let (_home, authority, token) = authority(NewKey::Ed25519, None);
        let grant = authority.verify(&token, NOW).unwrap();
        bencher.bench_local(|| authority.recheck(black_box(&grant), NOW).unwrap());
    }

    #[divan::bench(sample_count = 20, sample_size = 1)]
    fn hash_a_password(bencher: Bencher) {
        bencher.bench_local(|| HashedPassword::new(black_box("correct horse")).unwrap());
    }
}

fn sync_frame(data: &Bytes) -> Bytes {
    let peer = |name: &str| repo_protocol::PeerId::new(name).unwrap();
    let (sender, target) = (peer("peer-0123456789abcdef"), peer("storage-server-happierwork"));
    Bytes::from(repo_protocol::Message::Sync { sender, target, document: id(), data: data.clone() }.encode())
}
