//! Makes a backup.
//!
//! A backup that is interrupted has no manifest, so the earlier ones stay as they are. A file never changes once it is written. See
//! `cleanup` for the removal of files.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use auth::{AccountStore, AccountsCopy, AuthError};
use offload::{run_blocking, with_low_priority};
use primitives::DocumentId;
use runtime::clock::{now, now_ms};
use store::Position;

use crate::cleanup::{Cleanup, clean_up};
use crate::location::{DOCUMENTS, STATE};
use crate::manifest::{
    AccountsEntry, BACKUPS, CHECKSUM, DocumentEntry, FileEntry, MANIFEST, Manifest, ManifestError, Outdated, Piece,
    path_in,
};
use crate::marker::Marker;
use crate::pieces::{entry, plan};
use crate::saved::{BUILDS_ON, Finished, read_manifest};
use crate::{
    BackupName, BackupTarget, Contents, DocumentCopy, DocumentFailure, Failure, Retention, SavedError, StorageError,
    TargetError, read_record,
};

/// Longest time that a backup may take. Its marker protects its files for longer, see [`Marker`].
const MAX_DURATION: Duration = Duration::from_secs(12 * 3_600);

/// How to make a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackupOptions {
    /// Which earlier backups to keep.
    pub retention: Retention,
    /// Whether to store everything again, so that the backup's folder alone is a whole store.
    pub is_full: bool,
}

/// A finished backup.
#[derive(Debug)]
pub struct BackupReport {
    /// Its name.
    pub name: BackupName,
    /// Number of documents in it.
    pub documents: usize,
    /// Number of accounts in it; `None` if they were not named.
    pub accounts: Option<usize>,
    /// Bytes of all files in it.
    pub len: u64,
    /// Bytes of these files that it has stored. The rest was in earlier backups.
    pub stored: u64,
    /// The documents that could not be backed up, and why. The backup holds them as the last one did.
    pub failed: Vec<(DocumentId, String)>,
    /// What was removed after it. `None` if nothing was to be removed because the backup is not complete.
    pub removed: Option<Result<Cleanup, SavedError>>,
}

/// Why there is no backup. Earlier ones are not changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target fails.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The store fails.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The accounts cannot be read.
    #[error(transparent)]
    Accounts(Box<AuthError>),
    /// There is nothing to back up.
    #[error("there are no documents to back up: check --state and --documents, or --database")]
    Nothing,
    /// The target holds the backups of another store.
    #[error(
        "{location} holds backups of another store, with the default document {other}, and this one has {own}. \
         Give another place. If the store was replaced on purpose, move the old backups away"
    )]
    OtherStore {
        /// Where the backups are.
        location: String,
        /// The default document in them.
        other: DocumentId,
        /// That of the store.
        own: DocumentId,
    },
    /// A file was not stored as it was written.
    #[error("{0} does not hold what was written to it. The backup was given up")]
    NotVerified(String),
    /// It took so long that its files may have been removed as those of an interrupted backup.
    #[error("the backup was given up after {} hours", MAX_DURATION.as_secs() / 3_600)]
    TookTooLong,
    /// Its mark is gone, for example because the computer was suspended for a day.
    #[error(
        "the backup was given up: another backup took it for an interrupted one, and may have removed its files. \
         Run it again"
    )]
    MarkRemoved,
    /// The manifest cannot be encoded. Does not occur.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl From<AuthError> for BackupError {
    fn from(error: AuthError) -> Self {
        Self::Accounts(Box::new(error))
    }
}

/// Backs up all documents of a store, and its accounts if they are named. Reads the store only.
///
/// # Errors
/// When there is no new backup. A document that cannot be read is no error: see [`BackupReport::failed`].
pub async fn back_up(
    source: &Contents,
    accounts: Option<&AccountStore>,
    target: &BackupTarget,
    options: BackupOptions,
) -> Result<BackupReport, BackupError> {
    back_up_with_progress(source, accounts, target, options, &|_, _| {}).await
}

/// Like [`back_up`], and calls `progress` with the number of finished documents and that of all documents.
///
/// # Errors
/// As for [`back_up`].
pub async fn back_up_with_progress(
    source: &Contents,
    accounts: Option<&AccountStore>,
    target: &BackupTarget,
    options: BackupOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<BackupReport, BackupError> {
    let begun = Instant::now();
    // Before the list of files: see `cleanup`.
    let marker = Marker::set(target).await?;
    let made = make(source, accounts, target, options, (&marker, begun), progress).await;
    let report = match made {
        Ok(mut report) => {
            if report.failed.is_empty() {
                report.removed = Some(clean_up(target, options.retention, &marker, now()).await);
            }
            Ok(report)
        }
        Err(error) => Err(error),
    };
    marker.clear(target).await;
    report
}

async fn make(
    source: &Contents,
    accounts: Option<&AccountStore>,
    target: &BackupTarget,
    options: BackupOptions,
    (marker, begun): (&Marker, Instant),
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<BackupReport, BackupError> {
    let ids = source.documents().await?;
    if ids.is_empty() {
        return Err(BackupError::Nothing);
    }
    let files = target.list(BACKUPS).await?;
    let finished = Finished::among(&files).names;
    let name = match finished.last() {
        Some(last) => last.next(now_ms(), rand::random()),
        None => BackupName::new(now_ms(), rand::random()),
    };
    let base = last_backup(target, finished).await?;
    check_same_store(source, target, base.as_ref())?;
    let there = files.iter().map(|file| (file.path.as_str(), file.len)).collect();
    let mut backup = Backup {
        source,
        target,
        name: &name,
        base_documents: base
            .iter()
            .flat_map(|(_, manifest)| manifest.documents.iter().map(|entry| (&entry.id, entry)))
            .collect(),
        base_accounts: base.as_ref().and_then(|(_, manifest)| manifest.accounts.as_ref()),
        is_full: options.is_full,
        there,
        stored: 0,
    };
    // A store without its default document is damaged, and that document is still the default one.
    let default = source.default_document().or_else(|| base.as_ref()?.1.default_document.as_ref());
    let mut manifest = Manifest::new(default.cloned());
    let mut failed = Vec::new();
    let positions = source.positions(&ids).await?.logs;
    // Documents of the last backup that have disappeared count as damaged: they are not removed without a trace.
    let known = base.iter().flat_map(|(_, manifest)| manifest.documents.iter().map(|entry| entry.id.clone()));
    let all: BTreeSet<DocumentId> = ids.iter().cloned().chain(known).collect();
    let total = all.len();
    for (done, id) in all.into_iter().enumerate() {
        progress(done, total);
        match backup.document(&id, positions.get(&id)).await {
            Ok(entry) => manifest.documents.push(entry),
            Err(DocumentError::Local(reason)) => {
                manifest.documents.push(backup.outdated(&id, &reason, base.as_ref().map(|(name, _)| name)));
                failed.push((id, reason));
            }
            Err(DocumentError::Other(error)) => return Err(error),
        }
    }
    let mut account_count = None;
    if let Some(accounts) = accounts {
        let copy = AccountsCopy::read(accounts, now()).await?;
        account_count = Some(copy.account_count());
        manifest.accounts = Some(backup.accounts(&copy).await?);
    }
    let stored = backup.stored;
    if let (Some((base, _)), false) = (&base, options.is_full) {
        target.put(&path_in(&name, &format!("{BUILDS_ON}/{base}")), Vec::new()).await?;
    }
    let (bytes, checksum) = manifest.to_files()?;
    put_verified(target, &path_in(&name, CHECKSUM), checksum).await?;
    if begun.elapsed() > MAX_DURATION {
        return Err(BackupError::TookTooLong);
    }
    if !marker.is_set(target).await? {
        return Err(BackupError::MarkRemoved);
    }
    put_manifest(target, &name, bytes).await?;
    let (documents, len) = (manifest.documents.len(), manifest.files().map(|file| file.len).sum());
    Ok(BackupReport { name, documents, accounts: account_count, len, stored, failed, removed: None })
}

/// The newest backup whose manifest can be read.
async fn last_backup(
    target: &BackupTarget,
    names: BTreeSet<BackupName>,
) -> Result<Option<(BackupName, Manifest)>, TargetError> {
    for name in names.into_iter().rev() {
        match read_manifest(target, &name).await {
            Ok(manifest) => return Ok(Some((name, manifest))),
            Err(SavedError::Target(error)) => return Err(error),
            // The next backup then stores more than it needs to.
            Err(error) => tracing::error!(%error, "an earlier backup cannot be used"),
        }
    }
    Ok(None)
}

fn check_same_store(
    source: &Contents,
    target: &BackupTarget,
    base: Option<&(BackupName, Manifest)>,
) -> Result<(), BackupError> {
    let other = base.and_then(|(_, manifest)| manifest.default_document.as_ref());
    match (other, source.default_document()) {
        (Some(other), Some(own)) if other != own => Err(BackupError::OtherStore {
            location: target.location().to_string(),
            other: other.clone(),
            own: own.clone(),
        }),
        _ => Ok(()),
    }
}

/// Writes a file, and reads it back.
async fn put_verified(target: &BackupTarget, path: &str, bytes: Vec<u8>) -> Result<(), BackupError> {
    target.put(path, bytes.clone()).await?;
    match target.get(path).await? {
        Some(read) if read == bytes => Ok(()),
        _ => Err(BackupError::NotVerified(format!("{}/{path}", target.location()))),
    }
}

/// Writes the manifest, and reads it back, unless another backup was finished meanwhile and has removed this one.
async fn put_manifest(target: &BackupTarget, name: &BackupName, bytes: Vec<u8>) -> Result<(), BackupError> {
    let written = put_verified(target, &path_in(name, MANIFEST), bytes).await;
    if matches!(written, Err(BackupError::NotVerified(_))) {
        let files = target.list(BACKUPS).await?;
        let names = Finished::among(&files).names;
        if !names.contains(name) && names.last().is_some_and(|last| last > name) {
            return Ok(());
        }
    }
    written
}

/// Why a document is not in the backup.
enum DocumentError {
    /// The others may be.
    Local(String),
    /// The backup fails.
    Other(BackupError),
}

impl From<Failure> for DocumentError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Document(failure) => Self::Local(failure.to_string()),
            Failure::Storage(error) => Self::Other(error.into()),
            Failure::Target(error) => Self::Other(error.into()),
        }
    }
}

impl<T: Into<BackupError>> From<T> for DocumentError {
    fn from(error: T) -> Self {
        Self::Other(error.into())
    }
}

/// A backup that is being made.
struct Backup<'a> {
    source: &'a Contents,
    target: &'a BackupTarget,
    name: &'a BackupName,
    /// The documents in the last backup.
    base_documents: HashMap<&'a DocumentId, &'a DocumentEntry>,
    /// The accounts in it.
    base_accounts: Option<&'a AccountsEntry>,
    is_full: bool,
    /// The files at the target, with their lengths.
    there: HashSet<(&'a str, u64)>,
    stored: u64,
}

impl Backup<'_> {
    async fn document(&mut self, id: &DocumentId, position: Option<&Position>) -> Result<DocumentEntry, DocumentError> {
        let known = self.base_documents.get(id).copied();
        let base = known.filter(|entry| entry.outdated.is_none());
        let reusable = base.filter(|entry| !self.is_full && entry.files().all(|file| self.holds(&file.pieces)));
        if let (Some(entry), Some(position)) = (reusable, position)
            && entry.position.as_deref() == Some(position.to_string().as_str())
        {
            return Ok(entry.clone());
        }
        // The content was checked when it was backed up.
        let unchanged = match reusable.and_then(|entry| Some((entry, entry.content.as_ref()?))) {
            Some((entry, content)) => self.source.read_beside(id, &content.sha256).await?.map(|copy| (entry, copy)),
            None => None,
        };
        let (copy, heads, changes, content) = match unchanged {
            Some((entry, copy)) => (copy, entry.heads.clone(), entry.changes, entry.content.clone()),
            None => {
                let mut copy = self.source.read(id).await?;
                let name = self.content_name(id);
                let (mut heads, mut changes, mut content) = (Vec::new(), 0, None);
                if let Some(read) = copy.content.take() {
                    heads = read.document.get_heads().iter().map(ToString::to_string).collect();
                    changes = read.document.get_changes_meta(&[]).len();
                    content = Some(self.file(&name, read.bytes, base.and_then(|it| it.content.as_ref())).await?);
                } else if known.is_some_and(|entry| entry.content.is_some()) {
                    check_removed(&copy).map_err(Failure::from)?;
                }
                (copy, heads, changes, content)
            }
        };
        let authors = match copy.authors {
            authors if authors.is_empty() => None,
            authors => {
                let name = format!("{DOCUMENTS}/{id}.authors.jsonl");
                Some(self.file(&name, authors, base.and_then(|it| it.authors.as_ref())).await?)
            }
        };
        let access = match copy.access {
            None => None,
            Some(access) => {
                let name = format!("{DOCUMENTS}/{id}.access.json");
                Some(self.file(&name, access.record, base.and_then(|it| it.access.as_ref())).await?)
            }
        };
        let position = copy.position.map(|position| position.to_string());
        Ok(DocumentEntry { id: id.clone(), heads, changes, content, authors, access, position, outdated: None })
    }

    /// The entry of a document in the last backup, in place of the one that could not be made.
    fn outdated(&self, id: &DocumentId, reason: &str, base: Option<&BackupName>) -> DocumentEntry {
        let known = self.base_documents.get(id).copied().cloned();
        let since = match &known {
            Some(DocumentEntry { outdated: Some(outdated), .. }) => outdated.since.clone(),
            Some(_) => base.cloned(),
            None => None,
        };
        let outdated = Some(Outdated { since, reason: reason.to_owned() });
        DocumentEntry { outdated, ..known.unwrap_or_else(|| DocumentEntry::empty(id.clone())) }
    }

    async fn accounts(&mut self, copy: &AccountsCopy) -> Result<AccountsEntry, BackupError> {
        let base = self.base_accounts;
        let (users, revoked) = copy.to_files()?;
        let users = self.file("auth/users.json", users, base.map(|base| &base.users)).await?;
        let revoked = match revoked {
            revoked if revoked.is_empty() => None,
            revoked => {
                let base = base.and_then(|base| base.revoked.as_ref());
                Some(self.file("auth/revoked.jsonl", revoked, base).await?)
            }
        };
        Ok(AccountsEntry { users, revoked })
    }

    /// Stores the parts of a file that no earlier backup holds.
    async fn file(&mut self, name: &str, bytes: Vec<u8>, base: Option<&FileEntry>) -> Result<FileEntry, BackupError> {
        let path = path_in(self.name, name);
        let known = base.filter(|_| !self.is_full).map_or(&[][..], |base| &base.pieces);
        let held = known.iter().take_while(|piece| self.holds(std::slice::from_ref(piece))).count();
        let known = known[..held].to_vec();
        let work = move || {
            with_low_priority(move || {
                let plan = plan(&bytes, &known);
                (entry(&bytes, &plan, &path), path, bytes[plan.new.clone()].to_vec())
            })
        };
        let (file, path, new) = run_blocking(work).await;
        if !new.is_empty() {
            self.stored += new.len() as u64;
            put_verified(self.target, &path, new).await?;
        }
        Ok(file)
    }

    /// Whether the target holds these parts.
    fn holds(&self, pieces: &[Piece]) -> bool {
        pieces.iter().all(|piece| self.there.contains(&(piece.path.as_str(), piece.len)))
    }

    /// Name of the file with the content, as a server names it.
    fn content_name(&self, id: &DocumentId) -> String {
        if self.source.default_document() == Some(id) {
            return STATE.to_owned();
        }
        format!("{DOCUMENTS}/{id}.automerge")
    }
}

/// Refuses a document without content that was not deleted.
fn check_removed(copy: &DocumentCopy) -> Result<(), DocumentFailure> {
    let record = copy.access.as_ref().map(read_record).transpose().map_err(DocumentFailure::Access)?;
    match record.and_then(|record| record.deleted) {
        Some(_) => Ok(()),
        None => Err(DocumentFailure::Disappeared),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use store::FileMode;

    use super::*;
    use crate::{BackupLocation, list_backups};

    #[tokio::test]
    async fn backup_whose_mark_was_removed_does_not_count() {
        let folder = tempfile::tempdir().expect("a folder");
        let (state, documents) = (folder.path().join("state.automerge"), folder.path().join("documents"));
        fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../state.automerge"), &state).expect("copied");
        let place = folder.path().join("backup");
        let mut target = BackupTarget::open(&BackupLocation::Folder(place.clone()), FileMode::PRIVATE).expect("opens");
        let source = Contents::open_files_in_use(&state, &documents).expect("opens");
        target.before_list(move || drop(fs::remove_dir_all(place.join("running"))));
        let refused = back_up(&source, None, &target, BackupOptions::default()).await;
        assert!(matches!(refused, Err(BackupError::MarkRemoved)), "{refused:?}");
        assert_eq!(list_backups(&target).await.expect("lists"), []);
    }
}
