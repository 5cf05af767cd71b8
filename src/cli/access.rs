//! Access records for commands: read, changed and written with compare-and-set.

use backup::read_record;
use primitives::{DocumentId, iso_ms};
use runtime::hub::{AccessRecord, Deletion};
use store::{AccessChanged, Store};

use super::storage::MAX_ATTEMPTS;

/// The version and the access record of a document; 0 and an empty record if it has none.
///
/// # Errors
/// When it cannot be read.
pub(super) async fn load_access(store: &dyn Store, id: &DocumentId) -> Result<(u64, AccessRecord), String> {
    match store.load_access_of(id).await.map_err(|error| error.to_string())? {
        Some(stored) => Ok((stored.version, read_record(&stored)?)),
        None => Ok((0, AccessRecord::default())),
    }
}

/// Changes the access record of a document. Starts again if another process changes it meanwhile.
///
/// # Errors
/// The error of `change`, or when the record cannot be read or written.
pub(super) async fn change_access(
    store: &dyn Store,
    id: &DocumentId,
    change: impl Fn(&mut AccessRecord) -> Result<(), String>,
) -> Result<(), String> {
    for _ in 0..MAX_ATTEMPTS {
        let (version, mut record) = load_access(store, id).await?;
        change(&mut record)?;
        let bytes = serde_json::to_vec_pretty(&record).map_err(|error| error.to_string())?;
        match store.change_access(id, version, bytes).await.map_err(|error| error.to_string())? {
            AccessChanged::Stored(_) => return Ok(()),
            AccessChanged::Behind => {}
        }
    }
    Err(format!("the access record of document {id} is changed all the time; try again"))
}

/// The time and the user of a deletion, as text; `None` if the document was not deleted.
pub(super) fn deleted(record: &AccessRecord) -> Option<String> {
    let Deletion { by, at, removed } = record.deleted.as_ref()?;
    let when = iso_ms(*at).unwrap_or_default();
    let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let rest = if *removed { ", its content is gone" } else { "" };
    Some(format!("deleted {when}{by}{rest}"))
}
