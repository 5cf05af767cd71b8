//! Authorization: the rights of users on documents, for all surfaces.
//!
//! A token grants its user a role on some documents. In addition, each document has an access record with its owner,
//! and with the users that the owner has given a role. The higher right counts, except that a token for viewers never
//! writes. A document that a user may not read is reported as missing. A scenario has the rights of its plan.

mod family;
mod refresh;
mod successors;
mod versioned;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::{Arc, Weak};

use auth::Role;
use parking_lot::{Mutex, RwLock};
use plan::Edit;
use primitives::{DocumentId, strict_json};
use serde::{Deserialize, Serialize};
use store::{AccessChanged, Store, StoreError, StoredAccess};
use tokio::sync::Mutex as AsyncMutex;

use self::family::Scenarios;
use self::versioned::Versioned;
use super::requester::Requester;

/// A right on a document. Higher rights include lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// No right: the document is reported as missing.
    None,
    /// May read.
    Read,
    /// May read and edit.
    Write,
    /// May also manage the roles of users, and delete the document.
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

/// Why a request is not permitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The document does not exist, or must be hidden from `requester`.
    #[error("there is no document {0} here")]
    Missing(DocumentId),
    /// The right to edit is missing.
    #[error("you need edit access to change this document; ask its owner")]
    ReadOnly,
    /// The right to create documents is missing.
    #[error("you may not create documents on this server; ask its operator")]
    Create,
    /// The operation is reserved for owners.
    #[error("only an owner of the document can do this")]
    NotOwner,
    /// The operation would leave the document without an owner.
    #[error("the document needs an owner; make another user an owner first")]
    LastOwner,
    /// The access record has the maximum number of users.
    #[error("a document can be shared with at most {MAX_USERS} users")]
    TooManyUsers,
    /// The roles of a scenario are those of its plan.
    #[error("the roles in a scenario are those in its plan {0}; change them there")]
    Scenario(DocumentId),
    /// The default document cannot be deleted: legacy clients are bound to it.
    #[error("the default document cannot be deleted")]
    Default,
}

/// How often one change of a record may find that another process has changed the record first.
const MAX_ATTEMPTS: u32 = 100;

/// Maximum number of users in one access record. The whole record is rewritten at each change.
pub const MAX_USERS: usize = 1_000;

/// Why the access records could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is invalid.
    #[error(
        "the access record {id}.access.json in the documents folder cannot be read: {source}; repair it or restore it from a backup"
    )]
    Record {
        /// The document of the record.
        id: DocumentId,
        /// The parse error.
        source: serde_json::Error,
    },
}

/// The access record of a document, stored next to it as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccessRecord {
    /// The user who created the document. `None` if unknown, or if the user was given another role since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Arc<str>>,
    /// The roles of other users, by user name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<Arc<str>, Role>,
    /// The plan that this document is a scenario of. Only the server sets it, when the document is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario_of: Option<DocumentId>,
    /// The document of which this one is the successor. Tokens for that document also grant this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub successor_of: Option<DocumentId>,
    /// Set when the document was deleted. A deleted document cannot be created again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Deletion>,
}

/// When and by whom a document was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The user who deleted it. `None` where users are unknown.
    pub by: Option<Arc<str>>,
    /// Time of the deletion, in milliseconds since 1970.
    pub at: i64,
    /// Whether the content was removed from the disk.
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

    /// Sets the role of a user, who may also be the creator. `None` removes it.
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

fn parse(record: &[u8]) -> Result<AccessRecord, serde_json::Error> {
    strict_json::from_slice(record)
}

fn parse_stored(id: &DocumentId, record: &[u8]) -> Result<AccessRecord, StoreError> {
    parse(record).map_err(|error| StoreError::Read {
        id: id.clone(),
        source: io::Error::new(io::ErrorKind::InvalidData, format!("its access record: {error}")),
    })
}

/// The access records of a server.
pub(super) struct Access {
    store: Arc<dyn Store>,
    default: Option<DocumentId>,
    /// Least role of users who may create documents. `None` denies it to all users.
    may_create: Option<Role>,
    records: RwLock<HashMap<DocumentId, Versioned>>,
    scenarios: Scenarios,
    /// Documents known to exist, without access to the disk.
    existing: RwLock<HashSet<DocumentId>>,
    /// Locks of the records that are being changed. A lock is held while its record is read, changed and written.
    record_locks: Mutex<HashMap<DocumentId, Weak<AsyncMutex<()>>>>,
}

impl Access {
    /// No records: they are loaded by [`load`](Self::load).
    pub(super) fn new(store: Arc<dyn Store>, default: Option<DocumentId>, may_create: Option<Role>) -> Self {
        let (records, scenarios) = (RwLock::default(), Scenarios::default());
        let (existing, record_locks) = (RwLock::default(), Mutex::default());
        Self { store, default, may_create, records, scenarios, existing, record_locks }
    }

    /// Loads all records, and the ids of the stored documents.
    pub(super) async fn load(&self) -> Result<(), AccessError> {
        let mut records = HashMap::new();
        for StoredAccess { document: id, version, record } in self.store.load_access().await? {
            let record = parse(&record).map_err(|source| AccessError::Record { id: id.clone(), source })?;
            self.scenarios.note(&id, &record);
            records.insert(id, Versioned::new(version, Arc::new(record)));
        }
        *self.records.write() = records;
        let existing = self.store.list().await?.into_iter().collect();
        *self.existing.write() = existing;
        Ok(())
    }

    /// Records that a document exists.
    pub(super) fn record_existing(&self, id: &DocumentId) {
        let is_known = self.existing.read().contains(id);
        if !is_known {
            self.existing.write().insert(id.clone());
        }
    }

    /// Whether a document exists that `requester` may not read, though they may create one that does not exist. Does
    /// not look at the disk: a file that was put into the folder of a running server is only known once it was
    /// opened.
    pub(super) fn exists_for_others(&self, requester: &Requester, id: &DocumentId) -> bool {
        self.right(requester, id) < Right::Read && self.existing.read().contains(id)
    }

    /// Checks whether `requester` may make this edit.
    pub(super) fn check_edit(&self, requester: &Requester, id: &DocumentId, edit: &Edit) -> Result<(), Denied> {
        if matches!(edit, Edit::Create { .. }) {
            let mailbox_permit = self.may_create(requester) && !self.is_deleted(id);
            return if mailbox_permit { Ok(()) } else { Err(Denied::Create) };
        }
        match self.right(requester, id) {
            Right::None => Err(Denied::Missing(id.clone())),
            Right::Read => Err(Denied::ReadOnly),
            Right::Write | Right::Own => Ok(()),
        }
    }

    /// The right of `requester` on a document that exists.
    pub(super) fn right(&self, requester: &Requester, id: &DocumentId) -> Right {
        self.right_by(requester, id, self.record(id).as_deref())
    }

    /// The right of `requester`, given the document's record.
    fn right_by(&self, requester: &Requester, id: &DocumentId, record: Option<&AccessRecord>) -> Right {
        if requester.is_revoked() || record.is_some_and(|record| record.deleted.is_some()) {
            return Right::None;
        }
        match record.and_then(|record| record.scenario_of.as_ref()) {
            Some(plan) => self.own_right(requester, plan, self.record(plan).as_deref()),
            None => self.own_right(requester, id, record),
        }
    }

    /// The right of `requester` on a document that is no scenario.
    fn own_right(&self, requester: &Requester, id: &DocumentId, record: Option<&AccessRecord>) -> Right {
        if record.is_some_and(|record| record.deleted.is_some()) {
            return Right::None;
        }
        if let Some(includes) = requester.peering_includes(id, self.default.as_ref()) {
            return if includes { Right::Write } else { Right::None };
        }
        let Some(grant) = requester.grant() else { return Right::Own };
        let by_token = self.right_by_token(&grant, id, record);
        let by_record = record.map_or(Right::None, |record| record.right_of(&grant.user));
        let most = if grant.role == Role::Viewer { Right::Read } else { Right::Own };
        by_token.max(by_record.min(most))
    }

    /// The right of `requester` on a document that does not exist: those who may create it may write, others may wait.
    pub(super) fn right_before(&self, requester: &Requester, id: &DocumentId) -> Right {
        let right = self.right(requester, id);
        if self.is_deleted(id) || (requester.is_peering() && right == Right::None) {
            Right::None
        } else if self.may_create(requester) {
            right.max(Right::Write)
        } else {
            right.min(Right::Read)
        }
    }

    /// Whether `requester` may create documents.
    pub(super) fn may_create(&self, requester: &Requester) -> bool {
        match (requester.grant(), self.may_create) {
            (None, may_create) => may_create.is_some() || !requester.is_peering(),
            (Some(grant), Some(role)) => grant.role >= role && !requester.is_revoked(),
            (Some(_), None) => false,
        }
    }

    /// Checks whether `requester` may manage roles and delete the document.
    pub(super) fn check_owner(&self, requester: &Requester, id: &DocumentId) -> Result<(), Denied> {
        match self.right(requester, id) {
            Right::None => Err(Denied::Missing(id.clone())),
            Right::Read | Right::Write => Err(Denied::NotOwner),
            Right::Own => Ok(()),
        }
    }

    /// Checks whether the document may be deleted at all.
    pub(super) fn check_deletable(&self, id: &DocumentId) -> Result<(), Denied> {
        if self.default.as_ref() == Some(id) { Err(Denied::Default) } else { Ok(()) }
    }

    /// Whether the document was deleted, by itself or with its plan.
    pub(super) fn is_deleted(&self, id: &DocumentId) -> bool {
        let is_deleted = |id: &DocumentId| self.record(id).is_some_and(|record| record.deleted.is_some());
        is_deleted(id) || self.scenario_of(id).is_some_and(|plan| is_deleted(&plan))
    }

    /// The record of a document.
    pub(super) fn record(&self, id: &DocumentId) -> Option<Arc<AccessRecord>> {
        self.versioned(id).map(|versioned| versioned.record)
    }

    fn versioned(&self, id: &DocumentId) -> Option<Versioned> {
        self.records.read().get(id).cloned()
    }

    /// Changes the record of a document durably. If another process has changed it meanwhile, the change is applied to that
    /// process's record.
    pub(super) async fn change<T>(
        &self,
        id: &DocumentId,
        mut change: impl FnMut(&mut AccessRecord) -> T + Send,
    ) -> Result<T, StoreError> {
        let lock = self.record_lock(id);
        let _guard = lock.lock().await;
        for _ in 0..MAX_ATTEMPTS {
            // The record in memory may be outdated, so the change is applied to the latest stored record.
            self.refresh(id).await?;
            let (record, result) = self.changed(id, &mut change);
            if self.store_record(id, record).await? {
                return Ok(result);
            }
        }
        Err(StoreError::Contended { id: id.clone() })
    }

    /// Changes the record of a document durably, unless another process has changed it meanwhile. Returns whether it was changed.
    pub(super) async fn try_change(
        &self,
        id: &DocumentId,
        mut change: impl FnMut(&mut AccessRecord) + Send,
    ) -> Result<bool, StoreError> {
        let lock = self.record_lock(id);
        let _guard = lock.lock().await;
        let (record, ()) = self.changed(id, &mut change);
        let stored = self.store_record(id, record).await?;
        if !stored {
            self.refresh(id).await?;
        }
        Ok(stored)
    }

    /// The record after a change; `None` if the change has no effect.
    fn changed<T>(&self, id: &DocumentId, change: &mut impl FnMut(&mut AccessRecord) -> T) -> (Option<Versioned>, T) {
        let Versioned { version, record: before, .. } = self.versioned(id).unwrap_or_default();
        let mut record = AccessRecord::clone(&before);
        let result = change(&mut record);
        let changed = (record != *before).then(|| Versioned::new(version, Arc::new(record)));
        (changed, result)
    }

    /// Stores a record in place of the version that it was made from. Returns whether that was still the stored version.
    async fn store_record(&self, id: &DocumentId, record: Option<Versioned>) -> Result<bool, StoreError> {
        let Some(Versioned { version, record, .. }) = record else { return Ok(true) };
        let known_before = self.versioned(id).unwrap_or_default().version;
        // Writing names and numbers to a vector cannot fail.
        let bytes = serde_json::to_vec_pretty(&*record).unwrap_or_default();
        self.scenarios.note(id, &record);
        match self.store.change_access(id, version, bytes).await? {
            AccessChanged::Stored(version) => {
                let mut records = self.records.write();
                let known = records.entry(id.clone()).or_default();
                // Otherwise the stored record was read meanwhile.
                if known.version == known_before {
                    known.replace(version, record);
                }
                Ok(true)
            }
            AccessChanged::Behind => Ok(false),
        }
    }

    /// Sets the role of a user on a document. `None` removes it, and leaves the rights of the user's token. Checks under the
    /// record's lock that `requester` is an owner, and that an owner remains.
    pub(super) async fn set_role(
        &self,
        requester: &Requester,
        id: &DocumentId,
        user: &Arc<str>,
        role: Option<Role>,
    ) -> Result<Result<(), Denied>, StoreError> {
        let set = |record: &mut AccessRecord| {
            if self.right_by(requester, id, Some(record)) < Right::Own {
                return Err(Denied::NotOwner);
            }
            let mut changed = record.clone();
            changed.set(user, role)?;
            if !changed.has_owner() && self.right_by(requester, id, Some(&changed)) < Right::Own {
                return Err(Denied::LastOwner);
            }
            *record = changed;
            Ok(())
        };
        self.change(id, set).await
    }

    fn record_lock(&self, id: &DocumentId) -> Arc<AsyncMutex<()>> {
        let mut locks = self.record_locks.lock();
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(id).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        locks.insert(id.clone(), Arc::downgrade(&lock));
        lock
    }

    /// Documents that were deleted before `moment` (milliseconds since 1970), and whose content was not removed yet.
    pub(super) fn deleted_before(&self, moment: i64) -> Vec<DocumentId> {
        let records = self.records.read();
        let is_due = |record: &AccessRecord| record.deleted.as_ref().is_some_and(|it| it.at < moment);
        let is_removed = |record: &AccessRecord| record.deleted.as_ref().is_some_and(|it| it.removed);
        let deleted = records.iter().filter(|(_, Versioned { record, .. })| {
            // The scenarios of a deleted plan have no deletion of their own, so that the plan can be restored with them.
            let plan = record.scenario_of.as_ref().and_then(|plan| records.get(plan));
            !is_removed(record) && (is_due(record) || plan.is_some_and(|plan| is_due(&plan.record)))
        });
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
        AccessRecord { owner: Some(owner.into()), users, ..AccessRecord::default() }
    }

    #[test]
    fn creator_can_be_given_another_role() {
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
    fn access_record_holds_at_most_a_thousand_users() {
        let mut record = record("ceo", &[]);
        for user in 0..MAX_USERS {
            assert_eq!(record.set(&user.to_string().into(), Some(Role::Viewer)), Ok(()));
        }
        let full = record.clone();
        assert_eq!(record.set(&"one more".into(), Some(Role::Viewer)), Err(Denied::TooManyUsers));
        assert_eq!(record.set(&"ceo".into(), Some(Role::Owner)), Ok(()));
        assert_eq!(record, full);
        assert_eq!(record.set(&"7".into(), Some(Role::Editor)), Ok(()), "a listed user can get another role");
        assert_eq!(record.set(&"7".into(), None), Ok(()));
        assert_eq!(record.set(&"one more".into(), Some(Role::Viewer)), Ok(()));
    }

    #[tokio::test]
    async fn changes_of_one_record_are_serialized() {
        let access = Access::new(Arc::new(MemoryStore::default()), None, None);
        let [slow, other] = [7, 8].map(|seed| DocumentId::from_random([seed; 16]));
        let set = |record: &mut AccessRecord| record.set(&"cfo".into(), Some(Role::Editor));
        let lock = access.record_lock(&slow).lock_owned().await;
        let mut waits = Box::pin(access.change(&slow, set));
        assert!((&mut waits).now_or_never().is_none());
        assert!(access.change(&other, set).now_or_never().expect("it does not wait").is_ok());
        drop(lock);
        assert!(waits.await.is_ok());
        assert_eq!(access.record(&slow), access.record(&other));
        let _guard = access.record_lock(&other);
        assert_eq!(access.record_locks.lock().len(), 1, "unused locks are removed");
    }
}
