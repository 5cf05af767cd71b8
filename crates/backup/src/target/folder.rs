//! Backups in a folder.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use offload::run_blocking;
use store::FileMode;
use store::disk::{Disk, RealDisk, create_folder, parent_folder};
use store::replace;

use super::StoredFile;

/// Attempts to write a file into a folder that other programs remove.
const MAX_TRIES: u32 = 100;

/// A folder of backups. Files are written under a temporary name, and renamed once they are durable.
pub(super) struct Folder {
    path: PathBuf,
    mode: FileMode,
}

impl Folder {
    pub(super) fn new(path: PathBuf, mode: FileMode) -> Self {
        Self { path, mode }
    }

    pub(super) async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), String> {
        let (path, mode) = (self.path.join(path), self.mode);
        let write = move || {
            let disk = RealDisk::with_mode(mode);
            let mut tries = 0;
            loop {
                let written =
                    create_folders(&disk, parent_folder(&path), mode).and_then(|()| replace(&disk, &path, &bytes));
                tries += 1;
                match written {
                    // Another program has just removed the folder, because it was empty.
                    Err(error)
                        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists)
                            && tries < MAX_TRIES => {}
                    written => return written,
                }
            }
        };
        run_blocking(write).await.map_err(|error: io::Error| error.to_string())
    }

    pub(super) async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        let path = self.path.join(path);
        match run_blocking(move || fs::read(path)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(super) async fn list(&self, below: &str) -> Result<Vec<StoredFile>, String> {
        let (root, below) = (self.path.clone(), below.to_owned());
        let list = move || {
            let mut files = Vec::new();
            list_into(&root.join(&below), &below, &mut files)?;
            Ok(files)
        };
        run_blocking(list).await.map_err(|error: io::Error| error.to_string())
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), String> {
        let (root, path) = (self.path.clone(), self.path.join(path));
        let delete = move || {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // Folders that still hold files stay.
            let parents = path.ancestors().skip(1).take_while(|folder| *folder != root);
            parents.map(fs::remove_dir).take_while(Result::is_ok).for_each(drop);
            Ok(())
        };
        run_blocking(delete).await.map_err(|error: io::Error| error.to_string())
    }
}

/// Durably creates a folder and its missing parents.
fn create_folders(disk: &RealDisk, folder: &Path, mode: FileMode) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = parent_folder(folder);
    create_folders(disk, parent, mode)?;
    create_folder(folder, mode)?;
    disk.sync_dir(parent)
}

/// Adds the files in a folder and in those below it. A missing folder has none.
fn list_into(folder: &Path, path: &str, files: &mut Vec<StoredFile>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // Backups have no names that are not Unicode.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        let metadata = match entry.metadata() {
            // It was removed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        if metadata.is_dir() {
            list_into(&entry.path(), &path, files)?;
        } else if metadata.is_file() {
            let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let written_at = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            files.push(StoredFile { path, len: metadata.len(), written_at });
        }
    }
    Ok(())
}
