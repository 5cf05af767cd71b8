//! The file system calls of the file store, as a trait: tests replace the disk by one that fails.

use std::any::Any;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{FileMode, lock_file};

/// File system operations on paths.
pub trait Disk: Send + Sync + 'static {
    /// Opens an existing regular file for reading and writing.
    ///
    /// # Errors
    /// When the file does not exist, is not a regular file, or is not writable.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates a file that must not exist yet, with the permissions of the file `template`, if that exists.
    ///
    /// # Errors
    /// When the file exists, or cannot be created.
    fn create(&self, path: &Path, template: Option<&Path>) -> io::Result<Arc<dyn DiskFile>>;

    /// Atomically renames `from` to `to`, which is replaced. Durable after [`sync_dir`](Self::sync_dir).
    ///
    /// # Errors
    /// When the disk fails. The rename may have taken effect nevertheless.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// When the file does not exist, or may not be removed.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a folder, unless it exists. Its parent folder must exist.
    ///
    /// # Errors
    /// When the disk fails.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in a folder durable (`fsync`).
    ///
    /// # Errors
    /// When the disk fails.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Lists the names of the regular files in a folder.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be read.
    fn list_files(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Returns the identity and length of the file or folder at a path, following symbolic links, without opening it.
    ///
    /// # Errors
    /// When nothing is at the path, or the disk fails.
    fn stat(&self, path: &Path) -> io::Result<FileStat>;

    /// Permissions of new files.
    fn mode(&self) -> FileMode {
        FileMode::PRIVATE
    }

    /// Returns the target of a symbolic link, or else the path itself. A rename over a link would replace the link and not its
    /// target.
    ///
    /// # Errors
    /// When the link is dangling.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf>;

    /// Creates the lock file at `path` if necessary, and locks it until the guard is dropped.
    ///
    /// # Errors
    /// When the file is locked already, or cannot be created.
    fn lock(&self, path: &Path) -> Result<LockGuard, LockError>;

    /// Checks that the lock file at `path` is not locked. It need not exist.
    ///
    /// # Errors
    /// When it is locked, or the disk fails.
    fn check_unlocked(&self, path: &Path) -> Result<(), LockError>;
}

/// Identity of a file or folder, independent of its path: two hard links, or two mounts of one file, have the same identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file with this inode number on this device. Two files that exist (or are open) at the same time differ in one of
    /// them.
    #[must_use]
    pub const fn new(device: u64, inode: u64) -> Self {
        Self { device, inode }
    }
}

/// Identity and length of the file or folder at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Identity of the file.
    pub file: FileId,
    /// Length in bytes.
    pub len: u64,
}

impl From<fs::Metadata> for FileStat {
    fn from(metadata: fs::Metadata) -> Self {
        Self { file: FileId::new(metadata.dev(), metadata.ino()), len: metadata.len() }
    }
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Identity of the file.
    ///
    /// # Errors
    /// When the disk fails.
    fn id(&self) -> io::Result<FileId>;

    /// Locks the file itself until this handle is dropped. Unlike a lock file, this also covers other names of the file, such as
    /// hard links.
    ///
    /// # Errors
    /// When another handle of this or another process holds the lock, or the disk fails.
    fn lock(&self) -> Result<(), LockError>;

    /// Length in bytes.
    ///
    /// # Errors
    /// When the disk fails.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no content.
    ///
    /// # Errors
    /// When the disk fails.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads exactly this range of bytes.
    ///
    /// # Errors
    /// When the disk fails, or the file is shorter.
    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>>;

    /// Writes all `bytes` at `offset`.
    ///
    /// # Errors
    /// When the disk fails. A part of the bytes may have been written.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes content and length durable (`fdatasync`).
    ///
    /// # Errors
    /// When the disk fails. Bytes written since the last successful sync may or may not be durable, and a later success
    /// does not make them durable.
    fn sync(&self) -> io::Result<()>;

    /// Truncates the file to `len` bytes.
    ///
    /// # Errors
    /// When the disk fails.
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// Holds a lock file's lock until it is dropped.
pub type LockGuard = Box<dyn Any + Send + Sync>;

/// Why a file could not be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another process, or another store in this process, holds the lock. Contains the holder's process id, if known.
    Held(Option<u32>),
    /// The file could not be created, opened or locked.
    Io(io::Error),
}

/// The file system of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk {
    mode: FileMode,
    copies_owner: bool,
}

impl RealDisk {
    /// New files get these permissions, regardless of the umask of the process.
    #[must_use]
    pub const fn with_mode(mode: FileMode) -> Self {
        Self { mode, copies_owner: false }
    }

    /// For files with secrets. New files are private, regardless of the permissions of the file that they replace. They belong to
    /// the owner of that file, or else of their folder, so that a command run by root leaves files that the server can read.
    #[must_use]
    pub const fn for_secrets() -> Self {
        Self { mode: FileMode::PRIVATE, copies_owner: true }
    }
}

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        // A read from a pipe or a terminal would block.
        if !file.metadata()?.is_file() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok(Arc::new(RealFile(Mutex::new(file))))
    }

    fn create(&self, path: &Path, template: Option<&Path>) -> io::Result<Arc<dyn DiskFile>> {
        let file = create_new_file(path, self.mode)?;
        if self.copies_owner {
            copy_owner(&file, path, template)?;
            return Ok(Arc::new(RealFile(Mutex::new(file))));
        }
        // The files hold salaries: a compaction must not widen the permissions that the owner has set.
        if let Some(metadata) = template.and_then(|template| fs::metadata(template).ok()) {
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
        create_folder(path, self.mode)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // Other systems cannot open a folder as a file, and make names durable without it.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn list_files(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // The folder itself knows the types: a `stat` of each of thousands of files takes long. The store creates no names that are
            // not Unicode.
            if let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type())
                && kind.is_file()
            {
                files.push(name);
            }
        }
        Ok(files)
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        fs::metadata(path).map(FileStat::from)
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
        if self.copies_owner {
            // Also for an existing lock file of another user: the server must be able to lock it.
            set_owner_from_folder(&file, path);
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(lock_file::read_holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        lock_file::write_holder(&mut file, path).map_err(LockError::Io)?;
        // The file remains when the lock is released: removing it could invalidate the lock of the next holder.
        Ok(Box::new(file))
    }

    fn check_unlocked(&self, path: &Path) -> Result<(), LockError> {
        let mut file = match lock_file::open_existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(LockError::Io)?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(lock_file::read_holder(&mut file))),
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
        }
    }
}

/// Creates a folder with the permissions that match `mode`, unless it exists.
///
/// # Errors
/// When it cannot be created, or the path is not a folder.
pub fn create_folder(path: &Path, mode: FileMode) -> io::Result<()> {
    match DirBuilder::new().mode(FileMode::PRIVATE.folder()).create(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode.folder())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Like [`create_folder`], and also creates missing parent folders.
///
/// # Errors
/// As for [`create_folder`].
pub fn create_folders(path: &Path, mode: FileMode) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    create_folders(parent_folder(path), mode)?;
    create_folder(path, mode)
}

/// Creates a file that must not exist yet with these permissions, and opens it for reading and writing.
///
/// # Errors
/// When the file exists, or cannot be created.
pub fn create_new_file(path: &Path, mode: FileMode) -> io::Result<File> {
    let private = FileMode::PRIVATE.file();
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(private).open(path)?;
    // Set separately: the umask would restrict the mode given to `open`.
    file.set_permissions(Permissions::from_mode(mode.file()))?;
    Ok(file)
}

/// Writes a file with these permissions, not atomically: a crash may leave a part of it.
///
/// # Errors
/// When the disk fails.
pub fn write_file(path: &Path, text: &str, mode: FileMode) -> io::Result<()> {
    let private = FileMode::PRIVATE.file();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(private).open(path)?;
    file.set_permissions(Permissions::from_mode(mode.file()))?;
    file.write_all(text.as_bytes())
}

/// An open file. The mutex keeps a compaction's reads from moving the cursor while an append writes.
struct RealFile(Mutex<File>);

impl DiskFile for RealFile {
    fn id(&self) -> io::Result<FileId> {
        Ok(FileStat::from(self.0.lock().metadata()?).file)
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

/// Gives a new file the owner of the file `template` that it replaces. Without such a file, it gets the owner of its folder, if
/// permitted.
fn copy_owner(file: &File, path: &Path, template: Option<&Path>) -> io::Result<()> {
    let old = match template.map(fs::metadata) {
        Some(Ok(old)) => old,
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {
            set_owner_from_folder(file, path);
            return Ok(());
        }
    };
    let (owner, group) = (old.uid(), old.gid());
    set_owner(file, owner, group).map_err(|error| {
        let message = format!(
            "the file belongs to user {owner}, and its replacement cannot get that owner ({error}); \
             run this command as that user"
        );
        io::Error::new(error.kind(), message)
    })
}

/// Gives a file the owner of its folder, if permitted.
pub fn set_owner_from_folder(file: &File, path: &Path) {
    if let Ok(folder) = fs::metadata(parent_folder(path)) {
        let _ = set_owner(file, folder.uid(), folder.gid());
    }
}

/// Changes owner and group, unless the owner is the same. Syncs all metadata, as `fdatasync` does not cover the owner.
fn set_owner(file: &File, owner: u32, group: u32) -> io::Result<()> {
    if file.metadata()?.uid() == owner {
        return Ok(());
    }
    fchown(file, Some(owner), Some(group))?;
    file.sync_all()
}

/// The folder that contains a file; `.` for a bare file name.
pub fn parent_folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// The path with `suffix` appended to its file name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
