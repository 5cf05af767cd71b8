//! Who may do what with which document: one place for all surfaces.
//!
//! A token says what its user may do with which documents. Beside that, a document has a record of its owner, who made
//! it, and of others whom the owner has let in. The larger right counts; but what was made to read only never writes. What somebody may not even read is
//! answered as if it did not exist.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::caller::Caller;
use crate::auth::{DocumentName, Documents, Role};
use crate::document::Edit;
use crate::format::DocumentId;
use crate::store::{Store, StoreError};

/// What somebody may do with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Nothing: for them it does not exist.
    None,
    /// Read it.
    Read,
    /// Change it.
    Write,
    /// Say who else may, and delete it.
    Own,
}

impl From<Role> for Right {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Read,
            Role::Editor => Self::Write,
            Role::Owner => Self::Own,
        }
    }
}

/// Why somebody may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// For this caller the document does not exist.
    #[error("there is no document {0} here")]
    Missing(DocumentId),
    /// Reading is all.
    #[error("you may read this document, and not change it; its owner can allow it")]
    ReadOnly,
    /// No new documents.
    #[error("you may not make documents on this server; its operator can allow it")]
    Create,
    /// What is left to owners.
    #[error("only an owner of the document may do this")]
    NotOwner,
    /// What legacy clients see, and what a server without documents shows.
    #[error("the default document cannot be deleted")]
    Default,
}

/// Why it is not known who may do what.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record.
    #[error(
        "{id}.access.json in the folder of the documents, which says who may do what with that document, cannot be read: {source}; mend it or restore it from a backup"
    )]
    Record {
        /// Of which document.
        id: DocumentId,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// What is kept beside a document of who may do what with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessRecord {
    /// Who made it; None if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Arc<str>>,
    /// Others, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<Arc<str>, Role>,
    /// It is deleted: nobody brings it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Deletion>,
}

/// How a document was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// By whom; None if nobody was asked.
    pub by: Option<Arc<str>>,
    /// When; milliseconds since 1970.
    pub at: i64,
    /// Its content is gone from the disk as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}

impl AccessRecord {
    fn right_of(&self, user: &Arc<str>) -> Right {
        if self.owner.as_ref() == Some(user) {
            return Right::Own;
        }
        self.users.get(user).map_or(Right::None, |role| Right::from(*role))
    }
}

/// Who may do what with all documents of a server.
pub(super) struct Access {
    store: Arc<dyn Store>,
    default: Option<DocumentId>,
    /// None: nobody but the operator makes documents.
    may_create: Option<Role>,
    records: RwLock<HashMap<DocumentId, Arc<AccessRecord>>>,
    /// Held while a record is read, changed, and written.
    changing: Mutex<()>,
}

impl Access {
    pub(super) fn new(store: Arc<dyn Store>, default: Option<DocumentId>, may_create: Option<Role>) -> Self {
        Self { store, default, may_create, records: RwLock::default(), changing: Mutex::default() }
    }

    /// Reads all records.
    pub(super) async fn load(&self) -> Result<(), AccessError> {
        let mut records = HashMap::new();
        for (id, bytes) in self.store.load_access().await? {
            let record =
                serde_json::from_slice(&bytes).map_err(|source| AccessError::Record { id: id.clone(), source })?;
            records.insert(id, Arc::new(record));
        }
        *self.records.write().unwrap_or_else(PoisonError::into_inner) = records;
        Ok(())
    }

    /// Whether somebody may make this edit.
    pub(super) fn check_edit(&self, caller: &Caller, id: &DocumentId, edit: &Edit) -> Result<(), Denied> {
        if matches!(edit, Edit::Create { .. }) {
            let allowed = self.may_create(caller) && !self.is_deleted(id);
            return if allowed { Ok(()) } else { Err(Denied::Create) };
        }
        match self.right(caller, id) {
            Right::None => Err(Denied::Missing(id.clone())),
            Right::Read => Err(Denied::ReadOnly),
            Right::Write | Right::Own => Ok(()),
        }
    }

    /// What somebody may do with a document that exists.
    pub(super) fn right(&self, caller: &Caller, id: &DocumentId) -> Right {
        let record = self.record(id);
        if record.as_ref().is_some_and(|record| record.deleted.is_some()) {
            return Right::None;
        }
        let Some(grant) = caller.grant() else { return Right::Own };
        let by_token = if self.names(&grant.documents, id) { Right::from(grant.role) } else { Right::None };
        let by_record = record.map_or(Right::None, |record| record.right_of(&grant.user));
        let most = if grant.role == Role::Viewer { Right::Read } else { Right::Own };
        by_token.max(by_record.min(most))
    }

    /// The same for a document that does not exist: whoever may make it may do everything with it, and others may wait for it.
    pub(super) fn right_before(&self, caller: &Caller, id: &DocumentId) -> Right {
        let right = self.right(caller, id);
        if self.is_deleted(id) {
            Right::None
        } else if self.may_create(caller) {
            right.max(Right::Write)
        } else {
            right.min(Right::Read)
        }
    }

    pub(super) fn may_create(&self, caller: &Caller) -> bool {
        match (caller.grant(), self.may_create) {
            (None, _) => true,
            (Some(grant), Some(role)) => grant.role >= role,
            (Some(_), None) => false,
        }
    }

    /// Whether somebody may say who else may, and delete.
    pub(super) fn check_owner(&self, caller: &Caller, id: &DocumentId) -> Result<(), Denied> {
        match self.right(caller, id) {
            Right::None => Err(Denied::Missing(id.clone())),
            Right::Read | Right::Write => Err(Denied::NotOwner),
            Right::Own => Ok(()),
        }
    }

    /// Whether a document may be deleted at all.
    pub(super) fn check_deletable(&self, id: &DocumentId) -> Result<(), Denied> {
        if self.default.as_ref() == Some(id) { Err(Denied::Default) } else { Ok(()) }
    }

    pub(super) fn is_deleted(&self, id: &DocumentId) -> bool {
        self.record(id).is_some_and(|record| record.deleted.is_some())
    }

    pub(super) fn record(&self, id: &DocumentId) -> Option<Arc<AccessRecord>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Changes the record of a document, durably.
    pub(super) async fn change<T>(
        &self,
        id: &DocumentId,
        change: impl FnOnce(&mut AccessRecord) -> T + Send,
    ) -> Result<T, StoreError> {
        let _turn = self.changing.lock().await;
        let before = self.record(id).unwrap_or_default();
        let mut record = AccessRecord::clone(&before);
        let result = change(&mut record);
        if record != *before {
            // Writing names and numbers to a vector cannot fail.
            let bytes = serde_json::to_vec_pretty(&record).unwrap_or_default();
            self.store.save_access(id, bytes).await?;
            self.records.write().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), Arc::new(record));
        }
        Ok(result)
    }

    /// Documents that were deleted before this moment.
    pub(super) fn deleted_before(&self, moment: i64) -> Vec<DocumentId> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let deleted = records
            .iter()
            .filter(|(_, record)| record.deleted.as_ref().is_some_and(|it| it.at < moment && !it.removed));
        deleted.map(|(id, _)| id.clone()).collect()
    }

    fn names(&self, documents: &Documents, id: &DocumentId) -> bool {
        match documents {
            Documents::All => true,
            Documents::Named(names) => {
                names.contains(&DocumentName::Id(id.clone()))
                    || (self.default.as_ref() == Some(id) && names.contains(&DocumentName::Default))
            }
        }
    }
}
