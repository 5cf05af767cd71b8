//! The folder of `--auth`: keys.json, users.json, revoked.jsonl. Only their owner may read them.
//!
//! The server and the commands may change them at the same time. So a change is made under a lock, to what is in the file then, and
//! written beside it, and put in its place when it is durable: whoever reads sees the old file or the new one, also after a crash.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use primitives::strict_json;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::disk::{Disk, LockError, LockGuard, RealDisk, folder_of, give_to_folder_owner};
use store::replace;

use super::revocations::{Revocations, Written};
use super::{Accounts, AuthError, OwnKeys};

const KEYS: &str = "keys.json";
const USERS: &str = "users.json";
const REVOKED: &str = "revoked.jsonl";
const LOCK: &str = "lock";

/// Bytes of a file of keys, at the most.
pub(super) const MAX_KEYS: u64 = 1 << 20;
/// Bytes of users.json, at the most.
const MAX_USERS: u64 = 64 << 20;
/// Bytes of revoked.jsonl, at the most.
const MAX_REVOKED: u64 = 256 << 20;

/// Only the owner may read and write.
const PRIVATE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;
const DISK: RealDisk = RealDisk::for_secrets();

/// How long it is waited for whoever has the lock. A change takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is tried.
const PAUSE: Duration = Duration::from_millis(10);

/// The folder.
#[derive(Debug, Clone)]
pub struct AuthFolder {
    path: PathBuf,
}

/// Nobody else changes the folder, until this is dropped.
#[derive(Debug)]
pub(super) struct FolderLock(#[expect(dead_code, reason = "held")] LockGuard);

/// Tells a file from itself after a change, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    /// Moves when the permissions do, too.
    changed: (i64, i64),
}

impl FileIdentity {
    /// Of the file at this path; `None` if there is none, or it cannot be seen.
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
    /// A folder that is there.
    ///
    /// # Errors
    /// When it is not.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, AuthError> {
        let path = path.into();
        if path.is_dir() { Ok(Self { path }) } else { Err(AuthError::NoFolder(path)) }
    }

    /// A folder that is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, AuthError> {
        let path = path.into();
        let made = DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(&path);
        made.map_err(|source| AuthError::Write { path: path.clone(), source })?;
        Ok(Self { path })
    }

    /// Where it is.
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

    /// Our own keys; none, if there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read, is open to others, or does not hold keys.
    pub fn keys(&self) -> Result<OwnKeys, AuthError> {
        let path = self.keys_file();
        let keys: OwnKeys = read_json(&path, MAX_KEYS)?.unwrap_or_default();
        // So that nobody changes what could not be used.
        keys.prepare().map_err(|reason| AuthError::Content { path, reason })?;
        Ok(keys)
    }

    /// The accounts; none, if there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read, is open to others, or does not hold accounts.
    pub fn accounts(&self) -> Result<Accounts, AuthError> {
        Ok(read_json(&self.users_file(), MAX_USERS)?.unwrap_or_default())
    }

    /// What was logged out.
    pub(super) fn revocations(&self) -> Result<Revocations, AuthError> {
        let path = self.revoked_file();
        let bytes = read(&path, MAX_REVOKED)?.map(|(bytes, _)| bytes).unwrap_or_default();
        Revocations::read(&bytes).map_err(|reason| AuthError::Content { path, reason })
    }

    /// Changes the keys; what others changed before is in them.
    ///
    /// # Errors
    /// Whatever the change itself says; then nothing was changed. Or when the file cannot be read or written.
    pub fn change_keys<T>(&self, change: impl FnOnce(&mut OwnKeys) -> Result<T, AuthError>) -> Result<T, AuthError> {
        let lock = self.lock()?;
        let mut keys = self.keys()?;
        let result = change(&mut keys)?;
        self.write_json(&lock, &self.keys_file(), &keys)?;
        Ok(result)
    }

    /// Changes the accounts; what others changed before is in them.
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

    /// Waits until nobody else changes the folder.
    pub(super) fn lock(&self) -> Result<FolderLock, AuthError> {
        let path = self.path.join(LOCK);
        let mut waited = Duration::ZERO;
        loop {
            match DISK.lock(&path) {
                Ok(guard) => return Ok(FolderLock(guard)),
                Err(LockError::Io(source)) => return Err(AuthError::Write { path, source }),
                Err(LockError::Held(pid)) if waited >= PATIENCE => return Err(AuthError::Locked { path, pid }),
                Err(LockError::Held(_)) => {
                    std::thread::sleep(PAUSE);
                    waited += PAUSE;
                }
            }
        }
    }

    /// Makes durable what was logged out.
    pub(super) fn write_revoked(&self, _lock: &FolderLock, written: &Written) -> Result<(), AuthError> {
        let path = self.revoked_file();
        let done = match written {
            Written::Appended(line) => append(&path, line),
            Written::Anew(all) => replace(&DISK, &path, all),
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

/// Reads a file with its permissions; `None` if there is none.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<(Vec<u8>, u32)>, AuthError> {
    let failed = |source| AuthError::Read { path: path.to_owned(), source };
    // To open a pipe, or a terminal, could take for ever.
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

/// Reads a file with secrets in it.
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
        give_to_folder_owner(&file, path);
    }
    file.write_all(line)?;
    file.sync_all()?;
    if is_new { sync_folder_of(path) } else { Ok(()) }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
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
    fn the_lock_is_one_for_all_and_is_given_back() {
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
    fn a_file_is_told_from_another_in_its_place_and_from_itself_with_other_permissions() {
        use std::os::unix::fs::PermissionsExt;

        let (_folder, path) = file(b"old");
        let identity = FileIdentity::of(&path);
        assert_eq!(FileIdentity::of(&path), identity);
        replace(&DISK, &path, b"new").expect("replaced");
        let replaced = FileIdentity::of(&path);
        assert_ne!(replaced, identity, "as long as the other");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        assert_ne!(FileIdentity::of(&path), replaced);
        assert_eq!(FileIdentity::of(&path.join("nowhere")), None);
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read_whole() {
        let (_folder, path) = file(&[b'x'; 100]);
        assert_eq!(read(&path, 100).expect("read").expect("there").0.len(), 100);
        assert!(matches!(read(&path, 99), Err(AuthError::TooLarge { limit: 99, .. })));
    }
}
