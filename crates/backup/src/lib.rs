//! Copies of whole stores: backups, restores and migrations.
//!
//! [`Contents`] reads the documents of files, of a database or of a backup. [`Copying`] copies them to a store, and writes only the
//! parts that it lacks. [`back_up`] stores them as files at a [`BackupTarget`].
//!
//! | file | holds |
//! |---|---|
//! | `location`, `opened_store` | where a store is; an opened store |
//! | `contents`, `access` | reads documents with their authors and rights |
//! | `repo_folder` | reads the folder of a stock automerge-repo server |
//! | `difference`, `write`, `copying` | copies them to a store |
//! | `target` | where backups are: a folder or a bucket |
//! | `name`, `manifest`, `pieces` | the format of a backup |
//! | `create`, `marker` | makes a backup |
//! | `retention`, `cleanup` | removes old ones |
//! | `saved` | reads one |
//! | `failure` | why one document is not copied |
//!
//! # Format
//!
//! ```text
//! backups/2026-11-30T164000.123Z-1f2e3d4c/  a backup
//!     manifest.json                         written last: without it, the backup does not count
//!     manifest.json.sha256                  its hash
//!     builds-on/<another backup>            the backup whose files it reuses
//!     state.automerge                       new bytes of the default document
//!     documents/<id>.automerge              new bytes of another document, its authors and its rights
//!     documents/<id>.authors.jsonl
//!     documents/<id>.access.json
//!     auth/users.json                       accounts
//!     auth/revoked.jsonl
//! running/<random>                          exists while a backup is being made
//! ```
//!
//! Logs grow at their end, so a backup stores the bytes that were added since the last one, and the manifest lists the parts of each
//! file. Joined, they are the file as a server writes it: the folder of a full backup is a store that a server can open.
//!
//! ```
//! use backup::{BackupLocation, BackupOptions, BackupTarget, Contents, SavedBackup, back_up, list_backups};
//! use std::sync::Arc;
//! use store::FileMode;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let (state, documents) = (folder.path().join("state.automerge"), folder.path().join("documents"));
//! # std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../state.automerge"), &state)?;
//! # let location = BackupLocation::Folder(folder.path().join("backup"));
//! let target = Arc::new(BackupTarget::open(&location, FileMode::PRIVATE)?);
//! let store = Contents::open_files_in_use(&state, &documents)?;
//! let first = back_up(&store, None, &target, BackupOptions::default()).await?;
//! assert!(first.failed.is_empty());
//!
//! let again = back_up(&store, None, &target, BackupOptions::default()).await?;
//! assert_eq!(again.stored, 0, "nothing has changed");
//! assert_eq!(list_backups(&target).await?.len(), 2);
//!
//! let backup = SavedBackup::open(target, Some(&again.name)).await?;
//! let id = backup.default_document().expect("a default document").clone();
//! assert_eq!(backup.read(&id).await?.content.expect("content").bytes, std::fs::read(&state)?);
//! # Ok(())
//! # }
//! ```

mod access;
mod cleanup;
mod contents;
mod copying;
mod create;
mod difference;
mod failure;
mod location;
mod manifest;
mod marker;
mod name;
mod opened_store;
mod pieces;
mod repo_folder;
mod retention;
mod saved;
mod target;
mod write;

pub use access::read_record;
pub use cleanup::Cleanup;
pub use contents::{Content, Contents, DocumentCopy, Positions};
pub use copying::{CopiedDocument, CopyError, Copying, open_target};
pub use create::{BackupError, BackupOptions, BackupReport, back_up, back_up_with_progress};
pub use difference::{Difference, Existing};
pub use failure::{DocumentFailure, Failure};
pub use location::{InvalidStoreLocation, StoreLocation};
pub use manifest::{AccountsEntry, DocumentEntry, FileEntry, Manifest, ManifestError, Outdated, Piece, sha256};
pub use marker::running_backups;
pub use name::{BackupName, InvalidBackupName};
pub use opened_store::{OpenedStore, StorageError, StoreKind, database_options};
pub use repo_folder::RepoFolder;
pub use retention::Retention;
pub use saved::{SavedBackup, SavedError, list_backups};
pub use target::{BackupLocation, BackupTarget, InvalidBackupLocation, StoredFile, TargetError};
