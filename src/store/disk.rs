//! What the file store asks of an operating system, as a seam at which tests put a disk that fails.

use std::any::Any;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// An open file.
pub trait LogFile: Send + Sync {
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
pub struct RealDisk;

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
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
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
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
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

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => fs::canonicalize(path),
            _ => Ok(path.to_owned()),
        }
    }

    fn lock(&self, path: &Path) -> Result<LockGuard, LockError> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        // Only a courtesy to whoever finds it locked: on a full disk the lock holds without it.
        let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = noted {
            tracing::debug!(%error, file = %path.display(), "could not note the process id in the lock file");
        }
        // The file stays when the lock goes: removing it could take it from under the next holder.
        Ok(Box::new(file))
    }

    fn is_free(&self, path: &Path) -> Result<(), LockError> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(LockError::Io)?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => Err(LockError::Io(error)),
        }
    }
}

/// The process that has noted itself in a lock file.
fn holder(file: &mut File) -> Option<u32> {
    let mut pid = String::new();
    file.read_to_string(&mut pid).ok()?;
    pid.trim().parse().ok()
}

/// A file and its cursor, which a compaction that reads must not move while an append writes.
struct RealFile(Mutex<File>);

impl RealFile {
    fn file(&self) -> MutexGuard<'_, File> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file().metadata()?.len())
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?];
        let mut file = self.file();
        file.seek(SeekFrom::Start(range.start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file();
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file().sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file().set_len(len)
    }
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
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
