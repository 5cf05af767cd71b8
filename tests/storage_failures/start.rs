//! Any one disk call fails while the server starts.

use std::path::Path;
use std::sync::Arc;

use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ObjType, ROOT};
use happierwork::server::{StartError, start_on};
use store::OpenError;
use store::faults::{DiskFault, FaultyDisk};
use tempfile::TempDir;

use super::support::options;
use super::{STATE, disk};

/// The file that the server finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// A document without its own id.
    Foreign,
    /// A plan whose last change is incomplete.
    Torn,
}

/// A document: a snapshot, and a change after it.
fn document(found: Found) -> [Vec<u8>; 2] {
    let mut doc = AutoCommit::new().with_actor(ActorId::from([7u8; 16]));
    doc.put(ROOT, "name", "Growth 2027").unwrap();
    if found == Found::Torn {
        // Without an id and positions, the file could be the rest of a damaged plan, and the server would not cut off
        // its end.
        doc.put(ROOT, "documentId", "4NMNnkMhL8jXrdJ9jamS58PAVdXu").unwrap();
        let positions = doc.put_object(ROOT, "positions", ObjType::Map).unwrap();
        doc.put_object(positions, "a row", ObjType::Map).unwrap();
    }
    let snapshot = doc.save();
    doc.put(ROOT, "name", "Growth 2028").unwrap();
    [snapshot, doc.save_incremental()]
}

fn with(found: Found) -> FaultyDisk {
    let (disk, [snapshot, change]) = (disk(), document(found));
    match found {
        Found::Nothing => {}
        Found::Foreign => disk.put(STATE, &[snapshot, change].concat()),
        Found::Torn => disk.put(STATE, &[&snapshot[..], &change[..change.len() - 3]].concat()),
    }
    disk
}

async fn start(disk: &FaultyDisk) -> Result<(), StartError> {
    let folder = TempDir::new().expect("a folder");
    let mut options = options(folder.path());
    options.state = STATE.into();
    let started = start_on(Arc::new(disk.clone()), options).await?;
    // The server was never run, so no client is connected.
    started.server.app().hub.stop().await;
    Ok(())
}

/// The document is there, and every byte that was cut off is kept somewhere.
fn is_whole(disk: &FaultyDisk, found: Found, case: &str) {
    let [snapshot, change] = document(found);
    let state = disk.content(STATE).unwrap_or_default();
    let kept = match found {
        Found::Nothing => return,
        Found::Foreign => &[&snapshot[..], &change].concat(),
        Found::Torn => &snapshot,
    };
    assert!(state.starts_with(kept), "{case}");
    let torn = &change[..change.len() - 3];
    let is_kept = |path: &Path| disk.content(path).is_some_and(|bytes| bytes.ends_with(torn));
    assert!(found != Found::Torn || disk.paths().iter().any(|path| is_kept(path)), "{case}: the torn end is lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_failing_call_at_startup_is_reported_and_harmless() {
    for found in [Found::Nothing, Found::Foreign, Found::Torn] {
        for fault in DiskFault::ALL {
            for skip in 0.. {
                let (disk, case) = (with(found), format!("{found:?}, {fault:?} after {skip} calls"));
                disk.inject(fault, skip);
                let started = start(&disk).await;
                is_whole(&disk, found, &case);
                is_whole(&disk.crash(|_| 0), found, &case);
                match started {
                    Ok(()) => {}
                    Err(
                        StartError::Open(OpenError::Io { .. }) | StartError::Write { .. } | StartError::Unavailable(_),
                    ) => {
                        assert!(!disk.failed_calls().is_empty(), "{case}");
                    }
                    Err(error) => panic!("{case}: {error}"),
                }
                let struck = !disk.failed_calls().is_empty();
                disk.heal();
                for disk in [disk.crash(|_| 0), disk] {
                    start(&disk).await.unwrap_or_else(|error| panic!("{case}, then: {error}"));
                    is_whole(&disk, found, &case);
                }
                if !struck {
                    assert!(skip > 0, "{case}: no call failed");
                    break;
                }
            }
        }
    }
}
