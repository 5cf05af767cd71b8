//! `document`: deletes and restores documents and chooses the default one: in files while no server runs, in a database at any time.

use std::process::ExitCode;

use backup::{OpenedStore, StoreKind};
use primitives::DocumentId;
use runtime::clock::now_ms;
use runtime::hub::Deletion;

use super::access::{change_access, load_access};
use super::document_list::list;
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
    match &args.command {
        DocumentCommand::List { json, storage } => list(storage, *json).await,
        DocumentCommand::Delete { id, now, storage } => {
            let documents = Documents::open(storage).await?;
            let deleted = documents.delete(id, *now).await;
            documents.opened.close().await;
            let rest = if *now {
                "its content is removed"
            } else {
                "`document restore` can bring it back until --keep-deleted"
            };
            deleted.and_then(|()| print(format_args!("{id} deleted; {rest}")).map_err(done))
        }
        DocumentCommand::Default { id, storage } => {
            let documents = Documents::open(storage).await?;
            let changed = documents.make_default(id).await;
            documents.opened.close().await;
            changed.and_then(|()| print(format_args!("{id} is the default document")).map_err(done))
        }
        DocumentCommand::Restore { id, storage } => {
            let documents = Documents::open(storage).await?;
            let restored = documents.restore(id).await;
            documents.opened.close().await;
            restored.and_then(|()| print(format_args!("{id} restored")).map_err(done))
        }
    }
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
        let stored = store.list().await.map_err(|error| error.to_string())?;
        if record.deleted.is_none() && !stored.contains(id) {
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

    async fn make_default(&self, id: &DocumentId) -> Result<(), String> {
        let store = &*self.opened.store;
        let (_, record) = load_access(store, id).await?;
        if record.deleted.is_some() {
            return Err(format!("{id} is deleted; restore it first with `happierwork document restore`"));
        }
        if let Some(plan) = record.scenario_of {
            return Err(format!("{id} is a scenario of {plan}; only a plan can be the default document"));
        }
        let loaded = store.load(id).await.map_err(|error| error.to_string())?;
        if loaded.is_none() {
            return Err(format!("there is no document {id}; list the documents with `happierwork document list`"));
        }
        store.close(id).await;
        self.opened.make_default(id).await.map_err(|error| error.to_string())
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
