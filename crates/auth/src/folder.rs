//! The folder of `--auth`: keys.json, users.json, revoked.jsonl. Only their owner may read them.
//!
//! The server and the commands may change them at the same time. So a change is made under a lock, to what is in the file then, and
//! written beside it, and put in its place when it is durable: whoever reads sees the old file or the new one, also after a crash.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use primitives::strict_json;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::lock_file;

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
pub(super) struct FolderLock(#[expect(dead_code, reason = "held")] File);

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
        let failed = |source| AuthError::Write { path: path.clone(), source };
        let mut file = lock_file::open(&path, PRIVATE).map_err(failed)?;
        // Also one that was made by another user before: the server must be able to take it.
        belong_to_folder(&file, &path);
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if waited >= PATIENCE => {
                    return Err(AuthError::Locked { path, pid: lock_file::holder(&mut file) });
                }
                Err(TryLockError::WouldBlock) => {
                    std::thread::sleep(PAUSE);
                    waited += PAUSE;
                }
            }
        }
        lock_file::note_holder(&mut file, &path).map_err(failed)?;
        Ok(FolderLock(file))
    }

    /// Makes durable what was logged out.
    pub(super) fn write_revoked(&self, _lock: &FolderLock, written: &Written) -> Result<(), AuthError> {
        let path = self.revoked_file();
        let done = match written {
            Written::Appended(line) => append(&path, line),
            Written::Anew(all) => replace(&path, all, &mut |_| Ok(())),
        };
        done.map_err(|source| AuthError::Write { path, source })
    }

    fn write_json(&self, _lock: &FolderLock, path: &Path, value: &impl Serialize) -> Result<(), AuthError> {
        let failed = |source| AuthError::Write { path: path.to_owned(), source };
        let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
        bytes.push(b'\n');
        replace(path, &bytes, &mut |_| Ok(())).map_err(failed)
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

/// What is done, one after the other, when a file is replaced. After each of them the power may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Made,
    HalfWritten,
    Written,
    Synced,
    Renamed,
    FolderSynced,
}

/// Puts a new file in the place of another. `after` is told each step; what it says is what the step came to.
fn replace(path: &Path, bytes: &[u8], after: &mut dyn FnMut(Step) -> io::Result<()>) -> io::Result<()> {
    // A link would be replaced, and what it leads to left behind.
    let path = &if path.is_symlink() { fs::canonicalize(path)? } else { path.to_owned() };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    // What a crash left. If it cannot be removed, to make the new one fails.
    let _ = fs::remove_file(&beside);
    let written = write_beside(&beside, path, bytes, after).and_then(|()| {
        fs::rename(&beside, path)?;
        after(Step::Renamed)
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    sync_folder_of(path)?;
    after(Step::FolderSynced)
}

fn write_beside(
    beside: &Path,
    path: &Path,
    bytes: &[u8],
    after: &mut dyn FnMut(Step) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(beside)?;
    after(Step::Made)?;
    take_over(&file, path)?;
    let (one, other) = bytes.split_at(bytes.len() / 2);
    file.write_all(one)?;
    after(Step::HalfWritten)?;
    file.write_all(other)?;
    after(Step::Written)?;
    file.sync_all()?;
    after(Step::Synced)
}

/// Gives a file to whom the one belongs whose place it takes: only its owner may read it, and a command may be run by another user
/// (root) than the server.
fn take_over(file: &File, path: &Path) -> io::Result<()> {
    let old = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            belong_to_folder(file, path);
            return Ok(());
        }
        other => other?,
    };
    let (owner, group) = (old.uid(), old.gid());
    give(file, owner, group).map_err(|error| {
        let why = format!(
            "it is user {owner}'s, and what takes its place cannot be given to them ({error}); run this as that user"
        );
        io::Error::new(error.kind(), why)
    })
}

/// Gives a file that takes nobody's place to whom its folder belongs, as far as that is permitted.
fn belong_to_folder(file: &File, path: &Path) {
    if let Ok(folder) = fs::metadata(folder_of(path)) {
        let _ = give(file, folder.uid(), folder.gid());
    }
}

/// The owner counts, as nobody else may read it. The group is given along.
fn give(file: &File, owner: u32, group: u32) -> io::Result<()> {
    if file.metadata()?.uid() == owner {
        return Ok(());
    }
    fchown(file, Some(owner), Some(group))
}

fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).mode(PRIVATE).open(path)?;
    if is_new {
        belong_to_folder(&file, path);
    }
    file.write_all(line)?;
    file.sync_all()?;
    if is_new { sync_folder_of(path) } else { Ok(()) }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use tempfile::TempDir;

    use super::*;

    const STEPS: [Step; 6] =
        [Step::Made, Step::HalfWritten, Step::Written, Step::Synced, Step::Renamed, Step::FolderSynced];

    fn file(content: &[u8]) -> (TempDir, PathBuf) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("keys.json");
        fs::write(&path, content).expect("written");
        (folder, path)
    }

    #[test]
    fn what_takes_a_files_place_is_durable_before_and_its_name_after() {
        let (_folder, path) = file(b"old");
        let mut steps = Vec::new();
        replace(&path, b"new", &mut |step| {
            steps.push(step);
            Ok(())
        })
        .expect("replaced");
        assert_eq!(steps, STEPS);
        assert_eq!(fs::read(path).expect("there"), b"new");
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_old_file_or_the_new_one_and_the_next_change_goes_through() {
        for (number, crash) in STEPS.into_iter().enumerate() {
            let (folder, path) = file(b"old");
            // Nothing of what comes behind the step is done: no clearing up, either.
            let crashed = catch_unwind(AssertUnwindSafe(|| {
                replace(&path, b"new", &mut |step| if step == crash { panic!("the power failed") } else { Ok(()) })
            }));
            assert!(crashed.is_err());
            let expected = if number < 4 { b"old" } else { b"new" };
            assert_eq!(fs::read(&path).expect("there"), expected, "{crash:?}");
            replace(&path, b"later", &mut |_| Ok(())).expect("replaced");
            assert_eq!(fs::read(&path).expect("there"), b"later", "{crash:?}");
            assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left behind: {crash:?}");
        }
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_file_and_nothing_beside_it() {
        for fails in &STEPS[..4] {
            let (folder, path) = file(b"old");
            let full = |step: Step| if step == *fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) };
            let error = replace(&path, b"new", &mut { full }).expect_err("no room");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert_eq!(fs::read(&path).expect("there"), b"old", "{fails:?}");
            assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "{fails:?}");
        }
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
        replace(&path, b"new", &mut |_| Ok(())).expect("replaced");
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
