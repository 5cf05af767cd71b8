//! `document`: lists, deletes and restores documents while no server runs.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

use primitives::{DocumentId, iso_ms, strict_json};
use runtime::clock::now_ms;
use runtime::document::Document;
use runtime::hub::{AccessRecord, Deletion};
use store::disk::RealDisk;
use store::{FileStore, StateFile, Store, StoredAccess};

use super::fail;
use super::output::{OutputError, print};
use crate::cli::config::{DocumentArgs, DocumentCommand, DocumentFiles};

/// Takes the locks of a server, so it fails while one is running.
pub(super) fn run(args: &DocumentArgs) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(try_run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

async fn try_run(args: &DocumentArgs) -> Result<(), String> {
    match &args.command {
        DocumentCommand::List(files) => Documents::open(files).await?.list().await,
        DocumentCommand::Delete { id, now, files } => {
            let documents = Documents::open(files).await?;
            documents.delete(id, *now).await?;
            let rest = if *now {
                "its content is removed"
            } else {
                "`document restore` can bring it back until --keep-deleted"
            };
            print(format_args!("{id} deleted; {rest}")).map_err(done)
        }
        DocumentCommand::Restore { id, files } => {
            Documents::open(files).await?.restore(id).await?;
            print(format_args!("{id} restored")).map_err(done)
        }
    }
}

/// Reports a failed print after a successful change, so that the user does not repeat the change.
fn done(error: OutputError) -> String {
    format!("the change was made, but {error}")
}

struct Documents {
    store: FileStore,
    default: Option<DocumentId>,
    records: HashMap<DocumentId, AccessRecord>,
}

impl Documents {
    async fn open(files: &DocumentFiles) -> Result<Self, String> {
        let state = StateFile::open_with_embedded_id(Arc::new(RealDisk::default()), &files.state)
            .map_err(|error| error.to_string())?;
        let default = state.document().and_then(Document::carried_id);
        // The store requires a default document. Without one, a random id stands in and is never stored.
        let id = default.clone().unwrap_or_else(|| DocumentId::from_random(rand::random()));
        let store = FileStore::open(state, id, &files.documents).map_err(|error| error.to_string())?;
        let mut records = HashMap::new();
        for StoredAccess { document: id, record, .. } in store.load_access().await.map_err(|error| error.to_string())? {
            let record = strict_json::from_slice(&record).map_err(|error| format!("{id}.access.json: {error}"))?;
            records.insert(id, record);
        }
        Ok(Self { store, default, records })
    }

    async fn stored(&self) -> Result<Vec<DocumentId>, String> {
        let mut ids = self.store.list().await.map_err(|error| error.to_string())?;
        ids.sort_by_key(|id| (self.default.as_ref() != Some(id), id.clone()));
        Ok(ids)
    }

    async fn list(&self) -> Result<(), String> {
        let none = AccessRecord::default();
        let stored = self.stored().await?;
        let mut gone: Vec<&DocumentId> = self.records.keys().filter(|id| !stored.contains(id)).collect();
        gone.sort();
        for id in stored.iter().chain(gone) {
            let record = self.records.get(id).unwrap_or(&none);
            let owner = record.owner.as_deref().unwrap_or("-");
            let state = match &record.deleted {
                Some(deletion) => describe(deletion),
                None if self.default.as_ref() == Some(id) => "default".to_owned(),
                None => String::new(),
            };
            print(format!("{id}  {owner:<20}  {state}").trim_end()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn delete(&self, id: &DocumentId, now: bool) -> Result<(), String> {
        if self.default.as_ref() == Some(id) {
            return Err("the default document cannot be deleted; to start over, move its file away".to_owned());
        }
        let mut record = self.records.get(id).cloned().unwrap_or_default();
        if record.deleted.is_none() && !self.stored().await?.contains(id) {
            return Err(format!("there is no document {id}; list the documents with `happierwork document list`"));
        }
        let deletion = record.deleted.get_or_insert(Deletion { by: None, at: now_ms(), removed: false }).clone();
        // Recorded first: even if the removal fails, clients cannot bring the document back.
        self.save(id, &record).await?;
        if now && !deletion.removed {
            self.store.remove(id).await.map_err(|error| error.to_string())?;
            record.deleted = Some(Deletion { removed: true, ..deletion });
            self.save(id, &record).await?;
        }
        Ok(())
    }

    async fn restore(&self, id: &DocumentId) -> Result<(), String> {
        let mut record = self.records.get(id).cloned().unwrap_or_default();
        match record.deleted.take() {
            None => Err(format!("{id} is not deleted")),
            Some(Deletion { removed: true, .. }) => Err(format!(
                "the content of {id} is gone from the disk; restore its file from a backup under another id"
            )),
            Some(_) => self.save(id, &record).await,
        }
    }

    async fn save(&self, id: &DocumentId, record: &AccessRecord) -> Result<(), String> {
        let bytes = serde_json::to_vec_pretty(record).map_err(|error| error.to_string())?;
        // The files are locked, so the record is the one that was read.
        self.store.change_access(id, 0, bytes).await.map_err(|error| error.to_string())?;
        Ok(())
    }
}

fn describe(Deletion { by, at, removed }: &Deletion) -> String {
    let when = iso_ms(*at).unwrap_or_default();
    let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let rest = if *removed { ", its content is gone" } else { "" };
    format!("deleted {when}{by}{rest}")
}
