//! The files of webhooks, in the folder `webhooks` in the folder of the documents.
//!
//! `webhooks.json` has the webhooks. The server and commands may change it at the same time: a change takes the folder's lock, and
//! replaces the file. `<id>.json` has the progress of a webhook, which only its task writes.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use primitives::strict_json;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::disk::{Disk, LockError, LockGuard, RealDisk};
use store::replace;

use super::definition::{InvalidWebhook, MAX_WEBHOOKS, Webhook};
use super::progress::Progress;

/// Name of the folder.
const FOLDER: &str = "webhooks";
const WEBHOOKS: &str = "webhooks.json";
const LOCK: &str = "lock";
const PRIVATE_FOLDER: u32 = 0o700;
const DISK: RealDisk = RealDisk::for_secrets();
/// How long to wait for the lock. A change takes some milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// The folder.
#[derive(Debug, Clone)]
pub struct WebhookFolder {
    path: PathBuf,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// A file has invalid content.
    #[error("{path} is not valid: {source}; repair it or restore it from a backup")]
    Content {
        /// The file.
        path: PathBuf,
        /// The error.
        source: serde_json::Error,
    },
    /// Another process holds the lock.
    #[error("{0} is locked by another process; try again")]
    Locked(PathBuf),
    /// There is no webhook with this id.
    #[error("there is no webhook {0}")]
    Unknown(String),
    /// A webhook cannot be added.
    #[error(transparent)]
    Invalid(#[from] InvalidWebhook),
}

/// The content of `webhooks.json`.
#[derive(Default, Serialize, Deserialize)]
struct Webhooks {
    webhooks: Vec<Webhook>,
}

impl WebhookFolder {
    /// The folder of a server with this folder of documents. It need not exist.
    #[must_use]
    pub fn of_documents(documents: &Path) -> Self {
        Self { path: documents.join(FOLDER) }
    }

    /// The file that changes when webhooks are added or removed.
    #[must_use]
    pub fn webhooks_file(&self) -> PathBuf {
        self.path.join(WEBHOOKS)
    }

    /// All webhooks, in the order in which they were added.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn webhooks(&self) -> Result<Vec<Webhook>, FolderError> {
        Ok(read::<Webhooks>(&self.webhooks_file())?.unwrap_or_default().webhooks)
    }

    /// Adds a webhook.
    ///
    /// # Errors
    /// When there are too many, or the file cannot be written.
    pub fn add(&self, webhook: Webhook) -> Result<(), FolderError> {
        self.change(|webhooks| {
            if webhooks.len() >= MAX_WEBHOOKS {
                return Err(InvalidWebhook::TooMany.into());
            }
            webhooks.push(webhook);
            Ok(())
        })
    }

    /// Removes a webhook and its progress.
    ///
    /// # Errors
    /// When there is no such webhook, or the file cannot be written.
    pub fn remove(&self, id: &str) -> Result<(), FolderError> {
        self.change(|webhooks| {
            let before = webhooks.len();
            webhooks.retain(|webhook| webhook.id != id);
            if webhooks.len() == before { Err(FolderError::Unknown(id.to_owned())) } else { Ok(()) }
        })?;
        // A task that is about to write it again does no harm: nothing reads the progress of an unknown webhook.
        let _ = fs::remove_file(self.progress_file(id));
        Ok(())
    }

    /// Enables a webhook that was switched off.
    ///
    /// # Errors
    /// When there is no such webhook, or the file cannot be written.
    pub fn enable(&self, id: &str) -> Result<(), FolderError> {
        self.change(|webhooks| {
            let webhook = webhooks.iter_mut().find(|webhook| webhook.id == id);
            webhook.ok_or_else(|| FolderError::Unknown(id.to_owned()))?.enabled += 1;
            Ok(())
        })
    }

    /// The webhook with this id.
    ///
    /// # Errors
    /// When there is no such webhook, or the file cannot be read.
    pub fn webhook(&self, id: &str) -> Result<Webhook, FolderError> {
        let webhook = self.webhooks()?.into_iter().find(|webhook| webhook.id == id);
        webhook.ok_or_else(|| FolderError::Unknown(id.to_owned()))
    }

    /// The progress of a webhook.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn progress(&self, id: &str) -> Result<Progress, FolderError> {
        Ok(read(&self.progress_file(id))?.unwrap_or_default())
    }

    /// Stores the progress of a webhook durably.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_progress(&self, id: &str, progress: &Progress) -> Result<(), FolderError> {
        write(&self.progress_file(id), progress)
    }

    fn progress_file(&self, id: &str) -> PathBuf {
        // Ids of this server are letters and digits. A person may have edited the file.
        let name: String = id.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect();
        self.path.join(format!("{name}.progress.json"))
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Webhook>) -> Result<(), FolderError>) -> Result<(), FolderError> {
        let made = DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(&self.path);
        made.map_err(|source| FolderError::Io { path: self.path.clone(), source })?;
        let _lock = self.lock()?;
        let mut webhooks = self.webhooks()?;
        change(&mut webhooks)?;
        write(&self.webhooks_file(), &Webhooks { webhooks })
    }

    fn lock(&self) -> Result<LockGuard, FolderError> {
        let path = self.path.join(LOCK);
        let mut waited = Duration::ZERO;
        loop {
            match DISK.lock(&path) {
                Ok(guard) => return Ok(guard),
                Err(LockError::Io(source)) => return Err(FolderError::Io { path, source }),
                Err(LockError::Held(_)) if waited >= LOCK_TIMEOUT => return Err(FolderError::Locked(path)),
                Err(LockError::Held(_)) => {
                    std::thread::sleep(LOCK_RETRY);
                    waited += LOCK_RETRY;
                }
            }
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FolderError> {
    match fs::read(path) {
        Ok(bytes) => {
            let content = strict_json::from_slice(&bytes);
            content.map(Some).map_err(|source| FolderError::Content { path: path.to_owned(), source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FolderError::Io { path: path.to_owned(), source }),
    }
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), FolderError> {
    let failed = |source| FolderError::Io { path: path.to_owned(), source };
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    bytes.push(b'\n');
    replace(&DISK, path, &bytes).map_err(failed)
}

#[cfg(test)]
mod tests {
    use auth::Documents;
    use tempfile::TempDir;

    use super::super::definition::NewWebhook;
    use super::*;

    fn webhook() -> Webhook {
        let url = "https://example.com/".to_owned();
        let new = NewWebhook { url, documents: Documents::All, debounce: 0, allow_private: false, added_by: None };
        new.create(0).unwrap()
    }

    #[test]
    fn webhooks_are_added_enabled_and_removed() {
        let parent = TempDir::new().unwrap();
        let folder = WebhookFolder::of_documents(&parent.path().join("documents"));
        assert!(folder.webhooks().unwrap().is_empty(), "no folder is no webhook");
        let (one, other) = (webhook(), webhook());
        folder.add(one.clone()).unwrap();
        folder.add(other.clone()).unwrap();
        folder.enable(&one.id).unwrap();
        assert_eq!(folder.webhook(&one.id).unwrap().enabled, 1);
        folder.save_progress(&one.id, &Progress { failed: 3, ..Progress::default() }).unwrap();
        assert_eq!(folder.progress(&one.id).unwrap().failed, 3);
        folder.remove(&one.id).unwrap();
        assert_eq!((folder.webhooks().unwrap(), folder.progress(&one.id).unwrap()), (vec![other], Progress::default()));
        for done in [folder.remove(&one.id), folder.enable(&one.id), folder.webhook(&one.id).map(drop)] {
            assert!(matches!(done, Err(FolderError::Unknown(_))), "{done:?}");
        }
        for _ in 1..MAX_WEBHOOKS {
            folder.add(webhook()).unwrap();
        }
        assert!(matches!(folder.add(webhook()), Err(FolderError::Invalid(InvalidWebhook::TooMany))));
    }

    #[test]
    fn invalid_file_is_an_error_and_secrets_are_private() {
        use std::os::unix::fs::PermissionsExt;

        let parent = TempDir::new().unwrap();
        let folder = WebhookFolder::of_documents(parent.path());
        folder.add(webhook()).unwrap();
        let mode = fs::metadata(folder.webhooks_file()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        fs::write(folder.webhooks_file(), "{}").unwrap();
        assert!(matches!(folder.add(webhook()), Err(FolderError::Content { .. })));
        assert_eq!(fs::read(folder.webhooks_file()).unwrap(), b"{}", "it is not replaced");
    }
}
