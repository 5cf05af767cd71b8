//! Any one disk call fails, in every way in which calls can fail, while clients work.
//!
//! A session is short and mixed: a row over the API, one of a legacy client, one of a syncing peer, and a second document
//! with a row. The first session, on a working disk, counts the calls. Then one session runs for each call and each way to
//! fail.

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
/// Concurrent sessions: a session mostly waits.
const TOGETHER: usize = 8;

/// Error messages for changes that could not be stored.
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
    /// Designations of refused rows.
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

    /// Makes each kind of edit once.
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
        // A peer whose row was refused still has it, and sends it again.
    }

    /// Whether the server has accepted all of the writer's changes. If not, it must have said why.
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

    /// Whether a write over HTTP succeeded. If not, the answer must be as documented.
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

    /// A closed peer must have received the reason.
    fn is_told(&self, peer: &PlainPeer) {
        let close = peer.socket.closed_with.as_ref().unwrap_or_else(|| panic!("{}: closed without a word", self.case));
        assert_eq!(u16::from(close.code), 1013, "{}: {close:?}", self.case);
        self.is_documented(&close.reason);
    }

    /// A refusal must have a cause and a documented message.
    fn is_documented(&self, message: &str) {
        assert!(!self.disk.failed_calls().is_empty(), "{}: refused for no reason: {message}", self.case);
        if self.is_full() {
            return assert_eq!(message, FULL, "{}", self.case);
        }
        let is_known = [CANNOT_WRITE, CANNOT_READ, CANNOT_OPEN].contains(&message) || message.ends_with(CANNOT_OPEN);
        assert!(is_known, "{}: {message}", self.case);
    }

    /// Checks a row of the default document: a stored row is shown to all clients, a refused one to none. Everything shown so
    /// far must be durable.
    async fn note(&mut self, stored: bool, designation: String) {
        if stored {
            while !self.promises.shown.contains(&designation) {
                self.legacy_frame().await;
            }
            while !Rows::of(self.witness.doc.document()).designations.contains(&designation) {
                if !self.witness.turn().await {
                    // The client has sent something while the document could not be read.
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

    /// The next frame to the legacy client.
    async fn legacy_frame(&mut self) -> Value {
        let frame = self.legacy.json().await;
        self.promises.shown.extend(frame["entry"]["designation"].as_str().map(str::to_owned));
        frame
    }

    /// After a power cut that drops all unsynced data, everything acknowledged or shown must be there.
    fn is_durable(&self) {
        let after = self.disk.crash(|_| 0);
        let load = |path: &Path| Automerge::load(&after.content(path).unwrap_or_default()).expect("whole changes");
        self.promises.are_kept_in(&load(Path::new(STATE)), &self.case);
        if let Some((id, Some(row))) = &self.second {
            let rows = Rows::of(&load(&self.documents().join(format!("{id}.automerge")))).ids;
            assert!(rows.contains(row), "{}: {row} is lost", self.case);
        }
    }

    /// The same check by the next server's start. Returns the default document.
    async fn next_server_finds_it(&self) -> Automerge {
        let after = self.disk.crash(|_| 0);
        let state = StateFile::open_on(Arc::new(after), Path::new(STATE)).expect("opens after a power cut");
        let store =
            FileStore::open(state, self.server.document.clone(), self.documents()).expect("opens after a power cut");
        let load = async |id| {
            let loaded = store.load(id).await.expect("opens after a power cut");
            let loaded = loaded.unwrap_or_else(|| panic!("{}: document {id} is lost", self.case));
            assert_eq!(loaded.repair, None, "{}: the durable file is whole", self.case);
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
            // No action is needed: the server retries an unwritable document once a second.
            while !self.is_ready().await {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, ready).await.unwrap_or_else(|_| panic!("{}: never ready again", self.case));
    }

    /// Works, repairs the disk, and continues as if nothing had failed.
    async fn go_through(mut self) {
        self.work("before").await;
        let lasts = matches!(self.fault, Some(DiskFault::FullFromThen | DiskFault::FailFromThen));
        let is_ready = self.is_ready().await;
        assert!(!is_ready || !lasts || self.disk.failed_calls().is_empty(), "{}: ready, but not writable", self.case);

        self.disk.heal();
        self.until_ready().await;
        // A ready server must store the next change.
        assert!(self.add_by_api("after").await, "{}: ready, but it refuses a change", self.case);
        self.add_by_legacy("after").await;
        assert!(!self.refused.contains("legacy-after"), "{}", self.case);
        self.writer = reconnected(&self.server, &mut self.writer).await;
        assert!(self.push().await, "{}", self.case);
        self.note(true, "sync-before".to_owned()).await;
        // A failed open is not retried at once.
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
        assert_eq!(
            shown.into_iter().collect::<BTreeSet<_>>(),
            rows.ids,
            "{case}: the view differs from the stored rows"
        );
        assert_eq!(witnessed, rows.ids, "{case}: the witness differs from the stored rows");
        for others in [&rows.designations, &self.promises.shown] {
            assert_eq!(refused.intersection(others).next(), None, "{case}: a refused row is stored");
        }
    }
}

/// The same peer on a new connection, with its document.
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
        timeout(PATIENCE, session.go_through()).await.unwrap_or_else(|_| panic!("{case}: the session does not end"));
    };
    let mut running =
        stream::iter(sessions).map(|(fault, skip)| tokio::spawn(run(fault, skip))).buffer_unordered(TOGETHER);
    while let Some(ended) = running.next().await {
        ended.expect("every promise was kept");
    }
}
