//! The folder of `--auth`: keys.json, users.json and revoked.jsonl, readable by their owner only.
//!
//! The server and the commands may change the files at the same time. A change takes the folder's lock, starts from the
//! current content, and replaces the file durably: readers see the old or the new file, also after a crash.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use primitives::strict_json;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::disk::{Disk, LockError, LockGuard, RealDisk, parent_folder, set_owner_from_folder};
use store::replace;

use super::revocations::{RevocationWrite, Revocations};
use super::{Accounts, AuthError, NewKey, OwnKeys};

const KEYS: &str = "keys.json";
const USERS: &str = "users.json";
const REVOKED: &str = "revoked.jsonl";
const LOCK: &str = "lock";

/// Largest accepted file of keys, in bytes.
pub(super) const MAX_KEYS: u64 = 1 << 20;
/// Largest accepted users.json, in bytes.
const MAX_USERS: u64 = 64 << 20;
/// Largest accepted revoked.jsonl, in bytes.
const MAX_REVOKED: u64 = 256 << 20;

/// Only the owner may read and write.
const PRIVATE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;
const DISK: RealDisk = RealDisk::for_secrets();

/// How long to wait for the lock. A change takes some milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between attempts to take the lock.
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// The folder of keys, accounts and revocations.
#[derive(Debug, Clone)]
pub struct AuthFolder {
    path: PathBuf,
}

/// The folder's lock, held until this is dropped.
#[derive(Debug)]
pub(super) struct FolderLock(#[expect(dead_code, reason = "held")] LockGuard);

/// Identity of a file's content without reading it: changes whenever the file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    /// `ctime`: changes with the permissions, too.
    changed: (i64, i64),
}

impl FileIdentity {
    /// Reads the identity of the file at this path; `None` if there is no file, or no access to it.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl AuthFolder {
    /// Opens an existing folder.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, AuthError> {
        let path = path.into();
        if path.is_dir() { Ok(Self { path }) } else { Err(AuthError::NoFolder(path)) }
    }

    /// A folder for reading. A missing folder counts as empty.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Opens a folder, or creates it.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, AuthError> {
        let path = path.into();
        let made = DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(&path);
        made.map_err(|source| AuthError::Write { path: path.clone(), source })?;
        Ok(Self { path })
    }

    /// Path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn keys_file(&self) -> PathBuf {
        self.path.join(KEYS)
    }

    pub(super) fn users_file(&self) -> PathBuf {
        self.path.join(USERS)
    }

    pub(super) fn revoked_file(&self) -> PathBuf {
        self.path.join(REVOKED)
    }

    /// Reads our own keys; none if there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read, is accessible to others, or is invalid.
    pub fn keys(&self) -> Result<OwnKeys, AuthError> {
        let path = self.keys_file();
        let keys: OwnKeys = read_json(&path, MAX_KEYS)?.unwrap_or_default();
        // Rejects unusable keys before the file is changed.
        keys.prepare().map_err(|reason| AuthError::Content { path, reason })?;
        Ok(keys)
    }

    /// Reads the accounts; none if there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read, is accessible to others, or is invalid.
    pub fn accounts(&self) -> Result<Accounts, AuthError> {
        Ok(read_json(&self.users_file(), MAX_USERS)?.unwrap_or_default())
    }

    /// Reads the revocations; none if there is no such file.
    pub(super) fn revocations(&self) -> Result<Revocations, AuthError> {
        let path = self.revoked_file();
        let bytes = read(&path, MAX_REVOKED)?.map(|(bytes, _)| bytes).unwrap_or_default();
        Revocations::read(&bytes).map_err(|reason| AuthError::Content { path, reason })
    }

    /// Changes the keys, starting from the file's current content.
    ///
    /// # Errors
    /// Errors of `change` itself, after which nothing is changed; or when the file cannot be read or written.
    pub fn change_keys<T>(&self, change: impl FnOnce(&mut OwnKeys) -> Result<T, AuthError>) -> Result<T, AuthError> {
        let lock = self.lock()?;
        let mut keys = self.keys()?;
        let result = change(&mut keys)?;
        self.write_json(&lock, &self.keys_file(), &keys)?;
        Ok(result)
    }

    /// Returns the keys, and creates the first one at `now` (Unix seconds) if there is none. Also returns the id of a created key.
    ///
    /// # Errors
    /// As for [`change_keys`](Self::change_keys).
    pub fn with_a_key(&self, now: i64) -> Result<(OwnKeys, Option<String>), AuthError> {
        let keys = self.keys()?;
        if keys.newest().is_some() {
            return Ok((keys, None));
        }
        self.change_keys(|keys| {
            // Another process may have created one meanwhile.
            let created = match keys.newest() {
                None => Some(keys.make(NewKey::Ed25519, now)?.id().to_string()),
                Some(_) => None,
            };
            Ok((keys.clone(), created))
        })
    }

    /// Changes the accounts, starting from the file's current content.
    ///
    /// # Errors
    /// As for [`change_keys`](Self::change_keys).
    pub fn change_accounts<T>(
        &self,
        change: impl FnOnce(&mut Accounts) -> Result<T, AuthError>,
    ) -> Result<T, AuthError> {
        let lock = self.lock()?;
        let mut accounts = self.accounts()?;
        let result = change(&mut accounts)?;
        self.write_json(&lock, &self.users_file(), &accounts)?;
        Ok(result)
    }

    /// Takes the folder's lock; waits for another holder for up to [`LOCK_TIMEOUT`].
    pub(super) fn lock(&self) -> Result<FolderLock, AuthError> {
        let path = self.path.join(LOCK);
        let mut waited = Duration::ZERO;
        loop {
            match DISK.lock(&path) {
                Ok(guard) => return Ok(FolderLock(guard)),
                Err(LockError::Io(source)) => return Err(AuthError::Write { path, source }),
                Err(LockError::Held(pid)) if waited >= LOCK_TIMEOUT => return Err(AuthError::Locked { path, pid }),
                Err(LockError::Held(_)) => {
                    std::thread::sleep(LOCK_RETRY);
                    waited += LOCK_RETRY;
                }
            }
        }
    }

    /// Stores revocations, durably. Never more than [`revocations`](Self::revocations) accepts: with a larger file, no server starts.
    pub(super) fn write_revoked(&self, _lock: &FolderLock, written: &RevocationWrite) -> Result<(), AuthError> {
        let path = self.revoked_file();
        let (present, new) = match written {
            RevocationWrite::Appended(line) => (fs::metadata(&path).map_or(0, |file| file.len()), line),
            RevocationWrite::Rewritten(all) => (0, all),
        };
        if present + new.len() as u64 > MAX_REVOKED {
            return Err(AuthError::Full { path, limit: MAX_REVOKED });
        }
        let done = match written {
            RevocationWrite::Appended(line) => append(&path, line),
            RevocationWrite::Rewritten(all) => replace(&DISK, &path, all),
        };
        done.map_err(|source| AuthError::Write { path, source })
    }

    fn write_json(&self, _lock: &FolderLock, path: &Path, value: &impl Serialize) -> Result<(), AuthError> {
        let failed = |source| AuthError::Write { path: path.to_owned(), source };
        let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
        bytes.push(b'\n');
        replace(&DISK, path, &bytes).map_err(failed)
    }
}

/// Reads a file and its permissions; `None` if there is no file.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<(Vec<u8>, u32)>, AuthError> {
    let failed = |source| AuthError::Read { path: path.to_owned(), source };
    // Opening a pipe or a terminal could block forever.
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(metadata) if !metadata.is_file() => return Err(failed(io::Error::other("it is not a file"))),
        other => other.map_err(failed)?,
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(AuthError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(Some((bytes, mode)))
}

/// Reads a file with secrets, and rejects it if others have access.
fn read_json<T: DeserializeOwned>(path: &Path, limit: u64) -> Result<Option<T>, AuthError> {
    let Some((bytes, mode)) = read(path, limit)? else { return Ok(None) };
    if mode & 0o077 != 0 {
        return Err(AuthError::Exposed { path: path.to_owned(), mode });
    }
    let content = |error: serde_json::Error| AuthError::Content { path: path.to_owned(), reason: error.to_string() };
    strict_json::from_slice(&bytes).map(Some).map_err(content)
}

fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).mode(PRIVATE).open(path)?;
    if is_new {
        set_owner_from_folder(&file, path);
    }
    file.write_all(line)?;
    file.sync_all()?;
    if is_new { sync_folder_of(path) } else { Ok(()) }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(parent_folder(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn file(content: &[u8]) -> (TempDir, PathBuf) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("keys.json");
        fs::write(&path, content).expect("written");
        (folder, path)
    }

    #[test]
    fn folder_lock_is_exclusive_until_dropped() {
        let (folder, _) = file(b"");
        let [one, two] = [(), ()].map(|()| AuthFolder::open(folder.path()).expect("there"));
        let lock = one.lock().expect("free");
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| two.lock().map(drop));
            drop(lock);
            waits.join().expect("no panic").expect("free again");
        });
    }

    #[test]
    fn identity_changes_with_content_and_permissions() {
        use std::os::unix::fs::PermissionsExt;

        let (_folder, path) = file(b"old");
        let identity = FileIdentity::of(&path);
        assert_eq!(FileIdentity::of(&path), identity);
        replace(&DISK, &path, b"new").expect("replaced");
        let replaced = FileIdentity::of(&path);
        assert_ne!(replaced, identity, "the new file has the same length");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        assert_ne!(FileIdentity::of(&path), replaced);
        assert_eq!(FileIdentity::of(&path.join("nowhere")), None);
    }

    #[test]
    fn revocations_never_exceed_what_is_read() {
        let home = TempDir::new().expect("a folder");
        let folder = AuthFolder::open(home.path()).expect("there");
        let lock = folder.lock().expect("free");
        // Sparse, so it takes no space on the disk.
        let file = File::create(folder.revoked_file()).expect("created");
        file.set_len(MAX_REVOKED - 10).expect("set");
        let append = |bytes: usize| folder.write_revoked(&lock, &RevocationWrite::Appended(vec![b'x'; bytes]));
        assert!(matches!(append(11), Err(AuthError::Full { limit: MAX_REVOKED, .. })));
        append(10).expect("just fits");
        assert!(matches!(append(1), Err(AuthError::Full { .. })));
        folder.write_revoked(&lock, &RevocationWrite::Rewritten(vec![b'x'; 20])).expect("a smaller file");
        append(1).expect("room again");
    }

    #[test]
    fn oversized_file_is_rejected() {
        let (_folder, path) = file(&[b'x'; 100]);
        assert_eq!(read(&path, 100).expect("read").expect("there").0.len(), 100);
        assert!(matches!(read(&path, 99), Err(AuthError::TooLarge { limit: 99, .. })));
    }
}
