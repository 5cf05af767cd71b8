//! `document`: lists, deletes and restores documents: in files while no server runs, in a database at any time.

use std::collections::HashMap;
use std::process::ExitCode;

use backup::{OpenedStore, StoreKind, read_record};
use primitives::DocumentId;
use runtime::clock::now_ms;
use runtime::hub::{AccessRecord, Deletion};

use super::access::{change_access, deleted, load_access};
use super::fail;
use super::output::{OutputError, print};
use super::storage::{open_storage, runtime};
use crate::cli::config::{DocumentArgs, DocumentCommand, StorageArgs};

pub(super) fn run(args: &DocumentArgs) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(try_run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

async fn try_run(args: &DocumentArgs) -> Result<(), String> {
    let (DocumentCommand::List(storage)
    | DocumentCommand::Delete { storage, .. }
    | DocumentCommand::Restore { storage, .. }) = &args.command;
    let documents = Documents::open(storage).await?;
    let result = match &args.command {
        DocumentCommand::List(_) => documents.list().await,
        DocumentCommand::Delete { id, now, .. } => documents.delete(id, *now).await.and_then(|()| {
            let rest = if *now {
                "its content is removed"
            } else {
                "`document restore` can bring it back until --keep-deleted"
            };
            print(format_args!("{id} deleted; {rest}")).map_err(done)
        }),
        DocumentCommand::Restore { id, .. } => {
            documents.restore(id).await.and_then(|()| print(format_args!("{id} restored")).map_err(done))
        }
    };
    documents.opened.close().await;
    result
}

/// Reports a failed print after a successful change, so that the user does not repeat the change.
fn done(error: OutputError) -> String {
    format!("the change was made, but {error}")
}

struct Documents {
    opened: OpenedStore,
}

impl Documents {
    async fn open(storage: &StorageArgs) -> Result<Self, String> {
        Ok(Self { opened: open_storage(storage).await.map_err(|error| error.to_string())? })
    }

    async fn stored(&self) -> Result<Vec<DocumentId>, String> {
        let mut ids = self.opened.store.list().await.map_err(|error| error.to_string())?;
        ids.sort_by_key(|id| (self.opened.default.as_ref() != Some(id), id.clone()));
        Ok(ids)
    }

    async fn list(&self) -> Result<(), String> {
        let mut records: HashMap<DocumentId, AccessRecord> = HashMap::new();
        for stored in self.opened.store.load_access().await.map_err(|error| error.to_string())? {
            let record = read_record(&stored)?;
            records.insert(stored.document, record);
        }
        let none = AccessRecord::default();
        let stored = self.stored().await?;
        let mut gone: Vec<&DocumentId> = records.keys().filter(|id| !stored.contains(id)).collect();
        gone.sort();
        for id in stored.iter().chain(gone) {
            let record = records.get(id).unwrap_or(&none);
            let owner = record.owner.as_deref().unwrap_or("-");
            let state = match deleted(record) {
                Some(deleted) => deleted,
                None if self.opened.default.as_ref() == Some(id) => "default".to_owned(),
                None => String::new(),
            };
            print(format!("{id}  {owner:<20}  {state}").trim_end()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn delete(&self, id: &DocumentId, now: bool) -> Result<(), String> {
        let store = &*self.opened.store;
        if self.opened.default.as_ref() == Some(id) {
            let rest = match self.opened.kind {
                StoreKind::Files { .. } => "; to start over, move its file away",
                StoreKind::Database(_) => "; to start over, use an empty database",
            };
            return Err(format!("the default document cannot be deleted{rest}"));
        }
        let (_, record) = load_access(store, id).await?;
        if record.deleted.is_none() && !self.stored().await?.contains(id) {
            return Err(format!("there is no document {id}; list the documents with `happierwork document list`"));
        }
        // Recorded first: even if the removal fails, clients cannot bring the document back.
        change_access(store, id, |record| {
            record.deleted.get_or_insert(Deletion { by: None, at: now_ms(), removed: false });
            Ok(())
        })
        .await?;
        if now && !record.deleted.is_some_and(|deletion| deletion.removed) {
            store.remove(id).await.map_err(|error| error.to_string())?;
            change_access(store, id, |record| {
                // Another process has restored the document meanwhile, but its content is removed.
                let deletion = record.deleted.get_or_insert(Deletion { by: None, at: now_ms(), removed: false });
                deletion.removed = true;
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn restore(&self, id: &DocumentId) -> Result<(), String> {
        let gone = match self.opened.kind {
            StoreKind::Files { .. } => "is gone from the disk; restore its file from a backup under another id",
            StoreKind::Database(_) => "is gone from the database; import a backup of it into another document",
        };
        change_access(&*self.opened.store, id, |record| match record.deleted.take() {
            None => Err(format!("{id} is not deleted")),
            Some(Deletion { removed: true, .. }) => Err(format!("the content of {id} {gone}")),
            Some(_) => Ok(()),
        })
        .await
    }
}
