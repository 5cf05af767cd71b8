//! Any one call of the disk fails, in every way in which calls fail, while people work.
//!
//! A session is short and mixed: a row by the API, one by a legacy client, one by a peer who syncs, and a second document
//! with a row. It is done once on a disk that works, which tells how many calls there are, and then once for each of them and
//! each way to fail.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use automerge::Automerge;
use futures_util::{StreamExt, stream};
use primitives::DocumentId;
use serde_json::{Value, json};
use store::faults::{DiskFault, FaultyDisk};
use store::{FileStore, StateFile, Store};
use tokio::time::{sleep, timeout};

use super::support::promises::{Promises, Rows};
use super::support::{PATIENCE, PlainPeer, Socket, TestServer, add};
use super::{STATE, disk, server};

const POSITIONS: &str = "/api/documents/default/positions";
/// Sessions at a time: most of what one takes is waiting.
const TOGETHER: usize = 8;

/// What those are told whose change could not be stored.
const FULL: &str = "the server's disk is full; the change was not stored";
const CANNOT_WRITE: &str = "the server cannot write at the moment; the change was not stored";
const CANNOT_READ: &str = "the document is temporarily unreadable; nothing was stored, try again later";
const CANNOT_OPEN: &str = "the server cannot open the document; its operator finds the reason in the log";

struct Session {
    case: String,
    fault: Option<DiskFault>,
    disk: FaultyDisk,
    server: TestServer,
    legacy: Socket,
    witness: PlainPeer,
    writer: PlainPeer,
    promises: Promises,
    /// Designations of rows that were refused.
    refused: BTreeSet<String>,
    /// The second document, and its row.
    second: Option<(DocumentId, Option<String>)>,
}

impl Session {
    async fn begin(fault: Option<DiskFault>, skip: usize) -> Self {
        let disk = disk();
        let server = server(&disk).await;
        let legacy = server.legacy().await;
        let witness = PlainPeer::connect(&server, &server.document).await;
        let writer = PlainPeer::connect(&server, &server.document).await;
        if let Some(fault) = fault {
            disk.inject(fault, skip);
        }
        Self {
            case: format!("{fault:?} after {skip} calls"),
            fault,
            disk,
            server,
            legacy,
            witness,
            writer,
            promises: Promises::default(),
            refused: BTreeSet::new(),
            second: None,
        }
    }

    fn is_full(&self) -> bool {
        matches!(self.fault, Some(DiskFault::FullOnce | DiskFault::FullFromThen))
    }

    /// Everything that can be done, each once.
    async fn work(&mut self, attempt: &str) {
        self.add_by_api(attempt).await;
        self.add_by_legacy(attempt).await;
        self.add_by_sync(attempt).await;
        self.make_second_document(attempt).await;
    }

    async fn add_by_api(&mut self, attempt: &str) -> bool {
        let id = format!("api-{attempt}");
        let (status, answer) = self.server.post(POSITIONS, &position(&id)).await;
        let stored = self.is_stored(status, &answer);
        self.note(stored, id).await;
        stored
    }

    async fn add_by_legacy(&mut self, attempt: &str) {
        let name = format!("legacy-{attempt}");
        self.legacy.send(add(&name)).await;
        let mut error = None;
        loop {
            let frame = self.legacy_frame().await;
            if frame["status"] == "Data processed" {
                break;
            }
            error = error.or(frame["error"].as_str().map(str::to_owned));
        }
        if let Some(error) = &error {
            let message =
                error.strip_prefix("Failed to add data: ").unwrap_or_else(|| panic!("{}: {error}", self.case));
            self.is_documented(message);
        }
        self.note(error.is_none(), name).await;
    }

    async fn add_by_sync(&mut self, attempt: &str) {
        let id = format!("sync-{attempt}");
        self.writer.add(&id, &id, "Finance", 7);
        if self.push().await {
            self.note(true, id).await;
        }
        // Who was refused still has the row, and brings it again.
    }

    /// Whether the server has taken all that the writer has. If not, it has said why.
    async fn push(&mut self) -> bool {
        let writer = &mut self.writer;
        writer.push().await;
        while writer.state.their_heads.as_ref() != Some(&writer.doc.get_heads()) {
            if writer.turn().await {
                continue;
            }
            self.is_told(&self.writer);
            return false;
        }
        true
    }

    async fn make_second_document(&mut self, attempt: &str) {
        if self.second.is_none() {
            let (status, answer) = self.server.post("/api/documents", &json!({ "name": "Growth 2028" })).await;
            if self.is_stored(status, &answer) {
                self.second = Some((answer["id"].as_str().expect("an id").parse().expect("an id"), None));
            }
            self.is_durable();
        }
        if let Some((document, row @ None)) = &mut self.second {
            let id = format!("second-{attempt}");
            let (status, answer) =
                self.server.post(&format!("/api/documents/{document}/positions"), &position(&id)).await;
            let stored = status == 201;
            if stored {
                *row = Some(id);
            }
            assert_eq!(self.is_stored(status, &answer), stored);
            self.is_durable();
        }
    }

    /// What a write over HTTP was answered: made, or why not, as documented.
    fn is_stored(&self, status: u16, answer: &Value) -> bool {
        if status == 201 {
            return true;
        }
        let detail = answer["detail"].as_str().unwrap_or_default();
        self.is_documented(detail);
        let expected = match detail {
            FULL => (507, "storage"),
            CANNOT_WRITE | CANNOT_READ => (503, "storage"),
            _ => (503, "unavailable"),
        };
        assert_eq!((status, answer["type"].as_str().unwrap_or_default()), expected, "{}: {answer}", self.case);
        false
    }

    /// A peer that was closed was told why.
    fn is_told(&self, peer: &PlainPeer) {
        let close = peer.socket.closed_with.as_ref().unwrap_or_else(|| panic!("{}: closed without a word", self.case));
        assert_eq!(u16::from(close.code), 1013, "{}: {close:?}", self.case);
        self.is_documented(&close.reason);
    }

    /// A refusal has a reason, and says it in words that are documented.
    fn is_documented(&self, message: &str) {
        assert!(!self.disk.failed_calls().is_empty(), "{}: refused for no reason: {message}", self.case);
        if self.is_full() {
            return assert_eq!(message, FULL, "{}", self.case);
        }
        let is_known = [CANNOT_WRITE, CANNOT_READ, CANNOT_OPEN].contains(&message) || message.ends_with(CANNOT_OPEN);
        assert!(is_known, "{}: {message}", self.case);
    }

    /// A row of the default document was stored, and is shown to everybody; or refused, and then to nobody. All that
    /// was shown so far is durable.
    async fn note(&mut self, stored: bool, designation: String) {
        if stored {
            while !self.promises.shown.contains(&designation) {
                self.legacy_frame().await;
            }
            while !Rows::of(self.witness.doc.document()).designations.contains(&designation) {
                if !self.witness.turn().await {
                    // It has said something while the document could not be read.
                    self.is_told(&self.witness);
                    self.witness = reconnected(&self.server, &mut self.witness).await;
                }
            }
            let shown = self.witness.state.their_heads.iter().flatten();
            self.promises.changes.extend(shown);
        } else {
            self.refused.insert(designation);
        }
        self.is_durable();
    }

    /// The next frame that the legacy client sees.
    async fn legacy_frame(&mut self) -> Value {
        let frame = self.legacy.json().await;
        self.promises.shown.extend(frame["entry"]["designation"].as_str().map(str::to_owned));
        frame
    }

    /// All that was acknowledged or shown so far is there after a power cut that keeps nothing that was not synced.
    fn is_durable(&self) {
        let after = self.disk.crash(|_| 0);
        let load = |path: &Path| Automerge::load(&after.content(path).unwrap_or_default()).expect("whole changes");
        self.promises.are_kept_in(&load(Path::new(STATE)), &self.case);
        if let Some((id, Some(row))) = &self.second {
            let rows = Rows::of(&load(&self.documents().join(format!("{id}.automerge")))).ids;
            assert!(rows.contains(row), "{}: {row} is lost", self.case);
        }
    }

    /// The same, as the next server finds it; the default document is returned.
    async fn next_server_finds_it(&self) -> Automerge {
        let after = self.disk.crash(|_| 0);
        let state = StateFile::open_on(Arc::new(after), Path::new(STATE)).expect("opens after a power cut");
        let store =
            FileStore::open(state, self.server.document.clone(), self.documents()).expect("opens after a power cut");
        let load = async |id| {
            let loaded = store.load(id).await.expect("opens after a power cut");
            let loaded = loaded.unwrap_or_else(|| panic!("{}: document {id} is lost", self.case));
            assert_eq!(loaded.repair, None, "{}: what is durable is whole", self.case);
            Automerge::load(&loaded.bytes).expect("whole changes")
        };
        let plan = load(&self.server.document).await;
        self.promises.are_kept_in(&plan, &self.case);
        if let Some((id, row)) = &self.second {
            let rows = Rows::of(&load(id).await).ids;
            assert!(row.iter().all(|row| rows.contains(row)), "{}: {row:?} is lost", self.case);
        }
        plan
    }

    fn documents(&self) -> PathBuf {
        self.server.folder.path().join("documents")
    }

    async fn is_ready(&self) -> bool {
        let (status, _, why) = self.server.http("GET", "/readyz", &[]).await;
        assert!(status == 200 || status == 503, "{}: {status} {why}", self.case);
        status == 200
    }

    async fn until_ready(&self) {
        let ready = async {
            // Nobody has to do anything: a document that could not be written looks after itself once a second.
            while !self.is_ready().await {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, ready).await.unwrap_or_else(|_| panic!("{}: never ready again", self.case));
    }

    /// Works, makes the disk well, and goes on as if nothing had been.
    async fn go_through(mut self) {
        self.work("before").await;
        let lasts = matches!(self.fault, Some(DiskFault::FullFromThen | DiskFault::FailFromThen));
        let is_ready = self.is_ready().await;
        assert!(
            !is_ready || !lasts || self.disk.failed_calls().is_empty(),
            "{}: ready, and nothing can be written",
            self.case
        );

        self.disk.heal();
        self.until_ready().await;
        // Ready means that a change would be stored now.
        assert!(self.add_by_api("after").await, "{}: ready, and refused", self.case);
        self.add_by_legacy("after").await;
        assert!(!self.refused.contains("legacy-after"), "{}", self.case);
        self.writer = reconnected(&self.server, &mut self.writer).await;
        assert!(self.push().await, "{}", self.case);
        self.note(true, "sync-before".to_owned()).await;
        // What could not be opened is not tried again at once.
        let second = async {
            while !matches!(self.second, Some((_, Some(_)))) {
                self.make_second_document("after").await;
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, second).await.expect("in time");
        let shown = self.server.positions().await;
        let witnessed = Rows::of(self.witness.doc.document()).ids;
        let Self { case, refused, .. } = &self;
        let plan = self.next_server_finds_it().await;
        let rows = Rows::of(&plan);
        assert_eq!(shown.into_iter().collect::<BTreeSet<_>>(), rows.ids, "{case}: what is shown is what is stored");
        assert_eq!(witnessed, rows.ids, "{case}: the witness has what is stored");
        for others in [&rows.designations, &self.promises.shown] {
            assert_eq!(refused.intersection(others).next(), None, "{case}: refused, and there all the same");
        }
    }
}

/// The same peer on a new connection, with what it has.
async fn reconnected(server: &TestServer, peer: &mut PlainPeer) -> PlainPeer {
    PlainPeer::connect_as(server, &server.document, std::mem::take(&mut peer.doc)).await
}

fn position(id: &str) -> Value {
    json!({ "id": id, "designation": id, "department": "HR", "budget": 7, "location": "Pune" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_failing_call_loses_nothing_and_service_resumes() {
    let mut rehearsal = Session::begin(None, 0).await;
    let calls = rehearsal.disk.calls().len();
    rehearsal.work("before").await;
    assert!(rehearsal.is_ready().await);
    let calls = rehearsal.disk.calls().split_off(calls);
    let sessions = DiskFault::ALL.into_iter().flat_map(|fault| {
        let struck = calls.iter().filter(|op| fault.affects(**op)).count();
        (0..struck).map(move |skip| (fault, skip))
    });
    let sessions: Vec<_> = sessions.collect();
    assert!(sessions.len() > 100, "{calls:?}");
    let run = async |fault, skip| {
        let session = Session::begin(Some(fault), skip).await;
        let case = session.case.clone();
        timeout(PATIENCE, session.go_through()).await.unwrap_or_else(|_| panic!("{case}: it does not come to an end"));
    };
    let mut running =
        stream::iter(sessions).map(|(fault, skip)| tokio::spawn(run(fault, skip))).buffer_unordered(TOGETHER);
    while let Some(ended) = running.next().await {
        ended.expect("every promise was kept");
    }
}
