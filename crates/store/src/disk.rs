//! What the file store asks of an operating system, as a seam at which tests put a disk that fails.

use std::any::Any;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{FileMode, lock_file};

/// Files and folders.
pub trait Disk: Send + Sync + 'static {
    /// Opens a regular file that exists, to read and write.
    ///
    /// # Errors
    /// When it is not there, is something else, or may not be written.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>>;

    /// Creates a file that must not exist, with the permissions of the file `like`, if there is one.
    ///
    /// # Errors
    /// When it exists or cannot be made.
    fn create(&self, path: &Path, like: Option<&Path>) -> io::Result<Arc<dyn LogFile>>;

    /// Puts a file in the place of another, at once. Durable after [`sync_dir`](Self::sync_dir).
    ///
    /// # Errors
    /// When the disk refuses. It may still have happened.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// When it is not there, or may not be removed.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder, unless it is there. The folder that it is in must exist.
    ///
    /// # Errors
    /// When the disk refuses.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// When the disk refuses.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The files in a folder, with their lengths.
    ///
    /// # Errors
    /// When there is no such folder, or it cannot be read.
    fn files(&self, dir: &Path) -> io::Result<Vec<(String, u64)>>;

    /// What a path leads to now; symbolic links are followed. Opens nothing.
    ///
    /// # Errors
    /// When there is nothing, or that cannot be found out.
    fn look(&self, path: &Path) -> io::Result<Seen>;

    /// The permissions of new files.
    fn mode(&self) -> FileMode {
        FileMode::PRIVATE
    }

    /// Where a path leads, if it is a symbolic link; else the path itself. Replacing a link by a file would leave its
    /// target behind.
    ///
    /// # Errors
    /// When the link leads nowhere.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf>;

    /// Locks the lock file at `path` for this process, until the guard is dropped.
    ///
    /// # Errors
    /// When somebody else has it, or the file cannot be made.
    fn lock(&self, path: &Path) -> Result<LockGuard, LockError>;

    /// Checks that nobody has locked the lock file at `path`, which need not be there.
    ///
    /// # Errors
    /// When somebody has, or that cannot be found out.
    fn is_free(&self, path: &Path) -> Result<(), LockError>;
}

/// Which file (or folder) something is, whatever names lead to it: two hard links are one file, and so is a file that is mounted
/// in two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file of this number on this device. No two files that are there (or open) at the same time have both in common.
    #[must_use]
    pub const fn new(device: u64, inode: u64) -> Self {
        Self { device, inode }
    }
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Which file it is.
    pub file: FileId,
    /// Its length in bytes.
    pub len: u64,
}

impl From<fs::Metadata> for Seen {
    fn from(metadata: fs::Metadata) -> Self {
        Self { file: FileId::new(metadata.dev(), metadata.ino()), len: metadata.len() }
    }
}

/// An open file.
pub trait LogFile: Send + Sync {
    /// Which file it is.
    ///
    /// # Errors
    /// When the disk fails.
    fn id(&self) -> io::Result<FileId>;

    /// Locks the file itself, until this handle is dropped: nobody else gets it, under whatever name they have opened it. (A lock
    /// file beside it is found by its name only.)
    ///
    /// # Errors
    /// When somebody else has it, through another handle of this process, too.
    fn lock(&self) -> Result<(), LockError>;

    /// How long it is.
    ///
    /// # Errors
    /// When the disk fails.
    fn len(&self) -> io::Result<u64>;

    /// Whether nothing is in it.
    ///
    /// # Errors
    /// When the disk fails.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Exactly these bytes of it.
    ///
    /// # Errors
    /// When the disk fails, or they are not there.
    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>>;

    /// Writes all bytes, from `offset` on.
    ///
    /// # Errors
    /// When the disk fails. Some of them may have been written.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes content and length durable (`fdatasync`).
    ///
    /// # Errors
    /// When the disk fails. What was written since the last success may or may not be durable, and a later success
    /// says nothing about it.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// When the disk fails.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// Holds a lock until it is dropped.
pub type LockGuard = Box<dyn Any + Send + Sync>;

/// Why a lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// Another process (or another store in this one) has it; its process id, if it could be read.
    Held(Option<u32>),
    /// The lock file could not be made or locked.
    Io(io::Error),
}

/// The disk of this computer.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk {
    mode: FileMode,
    keeps_owner: bool,
}

impl RealDisk {
    /// With these permissions for new files, whatever the umask of the process.
    #[must_use]
    pub const fn with_mode(mode: FileMode) -> Self {
        Self { mode, keeps_owner: false }
    }

    /// A disk for files with secrets: new files are private, whatever the permissions of the file that they replace, and
    /// belong to its owner, or else to the owner of their folder. So a command that root runs does not lock the server out.
    #[must_use]
    pub const fn for_secrets() -> Self {
        Self { mode: FileMode::PRIVATE, keeps_owner: true }
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        // Reading from a pipe or a terminal would never end.
        if !file.metadata()?.is_file() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok(Arc::new(RealFile(Mutex::new(file))))
    }

    fn create(&self, path: &Path, like: Option<&Path>) -> io::Result<Arc<dyn LogFile>> {
        let file = create_new(path, self.mode)?;
        if self.keeps_owner {
            keep_owner(&file, path, like)?;
            return Ok(Arc::new(RealFile(Mutex::new(file))));
        }
        // Salaries: a file that its owner closed to others must not be opened to them by a compaction.
        if let Some(metadata) = like.and_then(|like| fs::metadata(like).ok()) {
            file.set_permissions(metadata.permissions())?;
        }
        Ok(Arc::new(RealFile(Mutex::new(file))))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        make_folder(path, self.mode)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // Elsewhere a folder cannot be opened as a file, and names are durable without it.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn files(&self, dir: &Path) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // A file may have gone since the folder was read; names that are not Unicode are not ours.
            if let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata())
                && metadata.is_file()
            {
                files.push((name, metadata.len()));
            }
        }
        Ok(files)
    }

    fn look(&self, path: &Path) -> io::Result<Seen> {
        fs::metadata(path).map(Seen::from)
    }

    fn mode(&self) -> FileMode {
        self.mode
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => fs::canonicalize(path),
            _ => Ok(path.to_owned()),
        }
    }

    fn lock(&self, path: &Path) -> Result<LockGuard, LockError> {
        let mut file = lock_file::open(path, self.mode.file()).map_err(LockError::Io)?;
        if self.keeps_owner {
            // Also a lock file that another user has made: the server must be able to lock it.
            give_to_folder_owner(&file, path);
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(lock_file::holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        lock_file::note_holder(&mut file, path).map_err(LockError::Io)?;
        // The file stays when the lock goes: removing it could take it from under the next holder.
        Ok(Box::new(file))
    }

    fn is_free(&self, path: &Path) -> Result<(), LockError> {
        let mut file = match lock_file::open_existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(LockError::Io)?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(lock_file::holder(&mut file))),
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
        }
    }
}

/// Makes a folder with the permissions that go with those of files, unless it is there.
///
/// # Errors
/// When it cannot be made, or something else is in its place.
pub fn make_folder(path: &Path, mode: FileMode) -> io::Result<()> {
    match DirBuilder::new().mode(FileMode::PRIVATE.folder()).create(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode.folder())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// A file and its cursor, which a compaction that reads must not move while an append writes.
struct RealFile(Mutex<File>);

/// The same for a folder and all that it is in.
///
/// # Errors
/// As for [`make_folder`].
pub fn make_folders(path: &Path, mode: FileMode) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    make_folders(folder_of(path), mode)?;
    make_folder(path, mode)
}

/// Creates a file that must not exist, to read and write, with these permissions.
///
/// # Errors
/// When it exists or cannot be made.
pub fn create_new(path: &Path, mode: FileMode) -> io::Result<File> {
    let private = FileMode::PRIVATE.file();
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(private).open(path)?;
    // Not by opening it: the umask would take some away.
    file.set_permissions(Permissions::from_mode(mode.file()))?;
    Ok(file)
}

/// Writes a small file that a crash may leave half written, with these permissions.
///
/// # Errors
/// When the disk refuses.
pub fn write_small(path: &Path, text: &str, mode: FileMode) -> io::Result<()> {
    let private = FileMode::PRIVATE.file();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(private).open(path)?;
    file.set_permissions(Permissions::from_mode(mode.file()))?;
    file.write_all(text.as_bytes())
}

impl LogFile for RealFile {
    fn id(&self) -> io::Result<FileId> {
        Ok(Seen::from(self.0.lock().metadata()?).file)
    }

    fn lock(&self) -> Result<(), LockError> {
        match self.0.lock().try_lock() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(None)),
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
        }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().metadata()?.len())
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?];
        let mut file = self.0.lock();
        file.seek(SeekFrom::Start(range.start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.0.lock();
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.lock().sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.lock().set_len(len)
    }
}

/// Gives a new file to the owner of the file `like`, whose place it takes; or else, if permitted, to that of its folder.
fn keep_owner(file: &File, path: &Path, like: Option<&Path>) -> io::Result<()> {
    let old = match like.map(fs::metadata) {
        Some(Ok(old)) => old,
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {
            give_to_folder_owner(file, path);
            return Ok(());
        }
    };
    let (owner, group) = (old.uid(), old.gid());
    give(file, owner, group).map_err(|error| {
        let message = format!(
            "the file belongs to user {owner}, and its replacement cannot be given to that user ({error}); \
             run this command as that user"
        );
        io::Error::new(error.kind(), message)
    })
}

/// Gives a file to the owner of its folder, if permitted.
pub fn give_to_folder_owner(file: &File, path: &Path) {
    if let Ok(folder) = fs::metadata(folder_of(path)) {
        let _ = give(file, folder.uid(), folder.gid());
    }
}

/// Changes the owner and the group, unless the owner is right already. Durable: `fdatasync` does not cover an owner.
fn give(file: &File, owner: u32, group: u32) -> io::Result<()> {
    if file.metadata()?.uid() == owner {
        return Ok(());
    }
    fchown(file, Some(owner), Some(group))?;
    file.sync_all()
}

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A name beside a file: its own with something after it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
