//! Who may do what with which document: one place for all surfaces.
//!
//! A token says what its user may do with which documents. Beside that, a document has a record of its owner, who made
//! it, and of others whom the owner has let in. The larger right counts; but what was made to read only never writes. What somebody may not even read is
//! answered as if it did not exist.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use auth::Role;
use plan::Edit;
use primitives::{DocumentId, strict_json};
use serde::{Deserialize, Serialize};
use store::{AccessChanged, Store, StoreError, StoredAccess};
use tokio::sync::Mutex as AsyncMutex;

use super::caller::Caller;

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
    /// Nobody would be left whom the record calls an owner, and neither would be who asked for that.
    #[error("nobody would own the document any more: make somebody else an owner of it first")]
    LastOwner,
    /// There are enough.
    #[error("a document may have at most {MAX_USERS} users beside those whose token names it")]
    TooManyUsers,
    /// What legacy clients see, and what a server without documents shows.
    #[error("the default document cannot be deleted")]
    Default,
}

/// Users that one document's record names. It is written anew with each of them.
pub const MAX_USERS: usize = 1_000;

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
    /// Who made it, unless somebody has given them another role since; None if that is not known.
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

    fn has_owner(&self) -> bool {
        self.owner.is_some() || self.users.values().any(|role| *role == Role::Owner)
    }

    /// Gives a user a role, also who made the document.
    fn set(&mut self, user: &Arc<str>, role: Option<Role>) -> Result<(), Denied> {
        let made_it = self.owner.as_ref() == Some(user);
        if made_it && role == Some(Role::Owner) {
            return Ok(());
        }
        if made_it {
            self.owner = None;
        }
        match role {
            Some(_) if self.users.len() >= MAX_USERS && !self.users.contains_key(user) => {
                return Err(Denied::TooManyUsers);
            }
            Some(role) => self.users.insert(Arc::clone(user), role),
            None => self.users.remove(user),
        };
        Ok(())
    }
}

/// An access record, and its version in the store.
#[derive(Clone, Default)]
struct Versioned {
    version: u64,
    record: Arc<AccessRecord>,
}

fn parse(record: &[u8]) -> Result<AccessRecord, serde_json::Error> {
    strict_json::from_slice(record)
}

/// Who may do what with all documents of a server.
pub(super) struct Access {
    store: Arc<dyn Store>,
    default: Option<DocumentId>,
    /// None: nobody but the operator makes documents.
    may_create: Option<Role>,
    records: RwLock<HashMap<DocumentId, Versioned>>,
    /// Documents that exist, as far as that is known without a look at the disk.
    existing: RwLock<HashSet<DocumentId>>,
    /// Of each record that is being changed: held while it is read, changed, and written.
    changing: Mutex<HashMap<DocumentId, Weak<AsyncMutex<()>>>>,
}

impl Access {
    pub(super) fn new(store: Arc<dyn Store>, default: Option<DocumentId>, may_create: Option<Role>) -> Self {
        let (records, existing, changing) = (RwLock::default(), RwLock::default(), Mutex::default());
        Self { store, default, may_create, records, existing, changing }
    }

    /// Reads all records, and which documents there are.
    pub(super) async fn load(&self) -> Result<(), AccessError> {
        let mut records = HashMap::new();
        for StoredAccess { document: id, version, record } in self.store.load_access().await? {
            let record = parse(&record).map_err(|source| AccessError::Record { id: id.clone(), source })?;
            records.insert(id, Versioned { version, record: Arc::new(record) });
        }
        *self.records.write().unwrap_or_else(PoisonError::into_inner) = records;
        let existing = self.store.list().await?.into_iter().collect();
        *self.existing.write().unwrap_or_else(PoisonError::into_inner) = existing;
        Ok(())
    }

    /// Notes that a document exists.
    pub(super) fn note_existing(&self, id: &DocumentId) {
        let is_known = self.existing.read().unwrap_or_else(PoisonError::into_inner).contains(id);
        if !is_known {
            self.existing.write().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        }
    }

    /// Whether a document that exists is not for this caller, who may make one that does not. Told without a look at the
    /// document. (One that somebody has put into the folder of a running server is only known once it was opened.)
    pub(super) fn is_anothers(&self, caller: &Caller, id: &DocumentId) -> bool {
        self.right(caller, id) < Right::Read
            && self.existing.read().unwrap_or_else(PoisonError::into_inner).contains(id)
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
        self.right_by(caller, id, self.record(id).as_deref())
    }

    /// The same, if this is the document's record.
    fn right_by(&self, caller: &Caller, id: &DocumentId, record: Option<&AccessRecord>) -> Right {
        if caller.is_over() || record.is_some_and(|record| record.deleted.is_some()) {
            return Right::None;
        }
        let Some(grant) = caller.grant() else { return Right::Own };
        let by_token = grant.role_for(id, self.default.as_ref()).map_or(Right::None, Right::from);
        let by_record = record.map_or(Right::None, |record| record.right_of(&grant.user));
        let most = if grant.role == Role::Viewer { Right::Read } else { Right::Own };
        by_token.max(by_record.min(most))
    }

    /// The same for a document that does not exist: users who may create it have all rights, and others may wait for it.
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
            (Some(grant), Some(role)) => grant.role >= role && !caller.is_over(),
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
        self.versioned(id).map(|versioned| versioned.record)
    }

    fn versioned(&self, id: &DocumentId) -> Option<Versioned> {
        self.records.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Takes over a record that another process has stored. Returns whether it differs from the one known here.
    ///
    /// # Errors
    /// When it cannot be read: then nothing may be allowed by the one known here either.
    pub(super) fn take(&self, id: &DocumentId, version: u64, record: &[u8]) -> Result<bool, StoreError> {
        let record = parse(record).map_err(|error| StoreError::Read {
            id: id.clone(),
            source: io::Error::new(io::ErrorKind::InvalidData, format!("its access record: {error}")),
        })?;
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        let known = records.entry(id.clone()).or_default();
        if version <= known.version {
            return Ok(false);
        }
        known.version = version;
        let differs = *known.record != record;
        if differs {
            known.record = Arc::new(record);
        }
        Ok(differs)
    }

    /// Reads the record of a document again from the store. Returns whether it differs from the one known here.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn refresh(&self, id: &DocumentId) -> Result<bool, StoreError> {
        match self.store.load_access_of(id).await? {
            Some(StoredAccess { version, record, .. }) => self.take(id, version, &record),
            None => Ok(false),
        }
    }

    /// Changes the record of a document, durably. If another process has changed it meanwhile, the change is made to what that one
    /// has stored.
    pub(super) async fn change<T>(
        &self,
        id: &DocumentId,
        mut change: impl FnMut(&mut AccessRecord) -> T + Send,
    ) -> Result<T, StoreError> {
        let turn = self.turn(id);
        let _turn = turn.lock().await;
        loop {
            let (record, result) = self.changed(id, &mut change);
            if self.store_record(id, record).await? {
                return Ok(result);
            }
            self.refresh(id).await?;
        }
    }

    /// Changes the record of a document, durably, unless another process has changed it meanwhile. Returns whether it was changed.
    pub(super) async fn try_to_change(
        &self,
        id: &DocumentId,
        mut change: impl FnMut(&mut AccessRecord) + Send,
    ) -> Result<bool, StoreError> {
        let turn = self.turn(id);
        let _turn = turn.lock().await;
        let (record, ()) = self.changed(id, &mut change);
        let stored = self.store_record(id, record).await?;
        if !stored {
            self.refresh(id).await?;
        }
        Ok(stored)
    }

    /// The record after a change; `None` if that leaves it as it is.
    fn changed<T>(
        &self,
        id: &DocumentId,
        change: &mut impl FnMut(&mut AccessRecord) -> T,
    ) -> (Option<Versioned>, T) {
        let Versioned { version, record: before } = self.versioned(id).unwrap_or_default();
        let mut record = AccessRecord::clone(&before);
        let result = change(&mut record);
        let changed = (record != *before).then(|| Versioned { version, record: Arc::new(record) });
        (changed, result)
    }

    /// Stores a record in place of the version that it was made from. Returns whether that was still the stored version.
    async fn store_record(&self, id: &DocumentId, record: Option<Versioned>) -> Result<bool, StoreError> {
        let Some(Versioned { version, record }) = record else { return Ok(true) };
        // Writing names and numbers to a vector cannot fail.
        let bytes = serde_json::to_vec_pretty(&*record).unwrap_or_default();
        match self.store.change_access(id, version, bytes).await? {
            AccessChanged::Stored(version) => {
                let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
                records.insert(id.clone(), Versioned { version, record });
                Ok(true)
            }
            AccessChanged::Behind => Ok(false),
        }
    }

    /// Lets a user do something with a document; None: only what their token says. Whoever asks for it has to be an owner, also
    /// at the moment at which it is done, and somebody has to be one afterwards.
    pub(super) async fn set_role(
        &self,
        caller: &Caller,
        id: &DocumentId,
        user: &Arc<str>,
        role: Option<Role>,
    ) -> Result<Result<(), Denied>, StoreError> {
        let set = |record: &mut AccessRecord| {
            if self.right_by(caller, id, Some(record)) < Right::Own {
                return Err(Denied::NotOwner);
            }
            let mut changed = record.clone();
            changed.set(user, role)?;
            if !changed.has_owner() && self.right_by(caller, id, Some(&changed)) < Right::Own {
                return Err(Denied::LastOwner);
            }
            *record = changed;
            Ok(())
        };
        self.change(id, set).await
    }

    fn turn(&self, id: &DocumentId) -> Arc<AsyncMutex<()>> {
        let mut turns = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(id).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(id.clone(), Arc::downgrade(&turn));
        turn
    }

    /// Documents that were deleted before this moment.
    pub(super) fn deleted_before(&self, moment: i64) -> Vec<DocumentId> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let deleted = records
            .iter()
            .filter(|(_, Versioned { record, .. })| record.deleted.as_ref().is_some_and(|it| it.at < moment && !it.removed));
        deleted.map(|(id, _)| id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use store::MemoryStore;

    use super::*;

    fn record(owner: &str, users: &[(&str, Role)]) -> AccessRecord {
        let users = users.iter().map(|(user, role)| (Arc::from(*user), *role)).collect();
        AccessRecord { owner: Some(owner.into()), users, deleted: None }
    }

    #[test]
    fn who_made_a_document_is_given_another_role_like_anybody_else() {
        let made = record("ceo", &[("cfo", Role::Owner)]);
        for (role, right) in [(Some(Role::Viewer), Right::Read), (None, Right::None), (Some(Role::Owner), Right::Own)] {
            let mut changed = made.clone();
            assert_eq!(changed.set(&"ceo".into(), role), Ok(()));
            assert_eq!(changed.right_of(&"ceo".into()), right);
            assert_eq!(changed.owner.is_some(), right == Right::Own);
            assert!(changed.has_owner());
        }
    }

    #[test]
    fn a_record_names_a_thousand_users_and_no_more() {
        let mut record = record("ceo", &[]);
        for user in 0..MAX_USERS {
            assert_eq!(record.set(&user.to_string().into(), Some(Role::Viewer)), Ok(()));
        }
        let full = record.clone();
        assert_eq!(record.set(&"one more".into(), Some(Role::Viewer)), Err(Denied::TooManyUsers));
        assert_eq!(record.set(&"ceo".into(), Some(Role::Owner)), Ok(()));
        assert_eq!(record, full);
        assert_eq!(record.set(&"7".into(), Some(Role::Editor)), Ok(()), "who is in it gets another role");
        assert_eq!(record.set(&"7".into(), None), Ok(()));
        assert_eq!(record.set(&"one more".into(), Some(Role::Viewer)), Ok(()));
    }

    #[tokio::test]
    async fn changes_of_one_record_are_serialized() {
        let access = Access::new(Arc::new(MemoryStore::default()), None, None);
        let [slow, other] = [7, 8].map(|seed| DocumentId::from_random([seed; 16]));
        let set = |record: &mut AccessRecord| record.set(&"cfo".into(), Some(Role::Editor));
        let turn = access.turn(&slow).lock_owned().await;
        let mut waits = Box::pin(access.change(&slow, set));
        assert!((&mut waits).now_or_never().is_none());
        assert!(access.change(&other, set).now_or_never().expect("it does not wait").is_ok());
        drop(turn);
        assert!(waits.await.is_ok());
        assert_eq!(access.record(&slow), access.record(&other));
        let _turn = access.turn(&other);
        assert_eq!(
            access.changing.lock().expect("no panic").len(),
            1,
            "what is not being changed leaves nothing behind"
        );
    }
}
