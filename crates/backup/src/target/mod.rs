//! Where backups are kept: a folder, or a bucket of S3 or of a compatible service.
//!
//! Both hold files by path. A file appears whole or not at all, is durable once it is written, and never changes.

mod folder;
#[cfg(feature = "s3")]
mod s3;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use store::FileMode;

use folder::Folder;

/// Prefix of the name of a bucket.
const S3: &str = "s3://";

/// Names the place of backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupLocation {
    /// A folder.
    Folder(PathBuf),
    /// A bucket.
    S3 {
        /// Name of the bucket.
        bucket: String,
        /// Path in the bucket, without slashes at its ends. May be empty.
        prefix: String,
    },
}

/// Why a text names no place of backups. Contains no part of the text, which may hold a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackupLocation {
    /// Nothing is named.
    #[error("give a folder, or s3://BUCKET/PREFIX")]
    Empty,
    /// The name of the bucket is missing, or contains credentials.
    #[error(
        "give a bucket as s3://BUCKET/PREFIX, without a user, a port or a query; \
         the environment holds endpoint and credentials (AWS_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
    )]
    Bucket,
    /// Another service.
    #[error("only folders and s3:// are known")]
    Scheme,
}

impl FromStr for BackupLocation {
    type Err = InvalidBackupLocation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(InvalidBackupLocation::Empty);
        }
        let Some(rest) = text.strip_prefix(S3) else {
            return if text.contains("://") {
                Err(InvalidBackupLocation::Scheme)
            } else {
                Ok(Self::Folder(text.into()))
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(is_name);
        let prefix = prefix.trim_end_matches('/');
        if !is_part(bucket) || !(prefix.is_empty() || prefix.split('/').all(is_part)) {
            return Err(InvalidBackupLocation::Bucket);
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl fmt::Display for BackupLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "{S3}{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "{S3}{bucket}/{prefix}"),
        }
    }
}

/// A file was not read or written.
#[derive(Debug, thiserror::Error)]
#[error("{location}: {reason}")]
pub struct TargetError {
    /// The place of the backups, and the path if there is one.
    location: String,
    reason: String,
}

/// A file at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its path below the target, with slashes.
    pub path: String,
    /// Its length in bytes.
    pub len: u64,
    /// When it was written, in seconds since 1970, by the clock of the target.
    pub written_at: i64,
}

/// The opened place of backups.
pub struct BackupTarget {
    location: BackupLocation,
    kind: Kind,
    /// What another program does before each listing.
    #[cfg(test)]
    before_list: Option<Box<dyn Fn() + Send + Sync>>,
}

enum Kind {
    Folder(Folder),
    #[cfg(feature = "s3")]
    S3(s3::Bucket),
}

impl BackupTarget {
    /// Opens a place of backups. Creates nothing, and connects to nothing.
    ///
    /// # Errors
    /// When the environment is not valid for a bucket, or the program was built without buckets.
    pub fn open(location: &BackupLocation, mode: FileMode) -> Result<Self, TargetError> {
        let kind = match location {
            BackupLocation::Folder(path) => Kind::Folder(Folder::new(path.clone(), mode)),
            #[cfg(feature = "s3")]
            BackupLocation::S3 { bucket, prefix } => {
                let opened = s3::Bucket::open(bucket, prefix);
                Kind::S3(opened.map_err(|reason| TargetError { location: location.to_string(), reason })?)
            }
            #[cfg(not(feature = "s3"))]
            BackupLocation::S3 { .. } => {
                let reason = "this program was built without support for S3".to_owned();
                return Err(TargetError { location: location.to_string(), reason });
            }
        };
        Ok(Self {
            location: location.clone(),
            kind,
            #[cfg(test)]
            before_list: None,
        })
    }

    /// Calls this before each listing.
    #[cfg(test)]
    pub(crate) fn before_list(&mut self, call: impl Fn() + Send + Sync + 'static) {
        self.before_list = Some(Box::new(call));
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &BackupLocation {
        &self.location
    }

    /// Durably writes a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), TargetError> {
        let done = match &self.kind {
            Kind::Folder(folder) => folder.put(path, bytes).await,
            #[cfg(feature = "s3")]
            Kind::S3(bucket) => bucket.put(path, bytes).await,
        };
        done.map_err(|reason| self.error(path, reason))
    }

    /// Reads a file. `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, TargetError> {
        let read = match &self.kind {
            Kind::Folder(folder) => folder.get(path).await,
            #[cfg(feature = "s3")]
            Kind::S3(bucket) => bucket.get(path).await,
        };
        read.map_err(|reason| self.error(path, reason))
    }

    /// All files below a path, sorted.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn list(&self, below: &str) -> Result<Vec<StoredFile>, TargetError> {
        #[cfg(test)]
        self.before_list.iter().for_each(|call| call());
        let listed = match &self.kind {
            Kind::Folder(folder) => folder.list(below).await,
            #[cfg(feature = "s3")]
            Kind::S3(bucket) => bucket.list(below).await,
        };
        let mut files = listed.map_err(|reason| self.error(below, reason))?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// Removes a file. Succeeds if there is none.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn delete(&self, path: &str) -> Result<(), TargetError> {
        let done = match &self.kind {
            Kind::Folder(folder) => folder.delete(path).await,
            #[cfg(feature = "s3")]
            Kind::S3(bucket) => bucket.delete(path).await,
        };
        done.map_err(|reason| self.error(path, reason))
    }

    /// An error about a file here.
    pub(crate) fn error(&self, path: &str, reason: impl fmt::Display) -> TargetError {
        let separator = if path.is_empty() { "" } else { "/" };
        TargetError { location: format!("{}{separator}{path}", self.location), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_folders_or_buckets() {
        let bucket = |bucket: &str, prefix: &str| BackupLocation::S3 { bucket: bucket.into(), prefix: prefix.into() };
        assert_eq!("/srv/backup".parse(), Ok(BackupLocation::Folder("/srv/backup".into())));
        assert_eq!("s3://plans".parse(), Ok(bucket("plans", "")));
        assert_eq!("s3://plans/hq/1/".parse(), Ok(bucket("plans", "hq/1")));
        assert_eq!(bucket("plans", "hq/1").to_string(), "s3://plans/hq/1");
        for text in ["s3://", "s3:///a", "s3://a//b", "s3://a/../b", "s3://me:secret@a/b", "s3://a?x"] {
            assert_eq!(text.parse::<BackupLocation>(), Err(InvalidBackupLocation::Bucket), "{text}");
        }
        assert_eq!("gs://plans".parse::<BackupLocation>(), Err(InvalidBackupLocation::Scheme));
        assert_eq!("".parse::<BackupLocation>(), Err(InvalidBackupLocation::Empty));
    }

    #[tokio::test]
    async fn folder_holds_files_by_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let location = BackupLocation::Folder(folder.path().join("new/backups"));
        let target = BackupTarget::open(&location, FileMode::PRIVATE).expect("opens");
        assert_eq!(target.list("").await.expect("lists"), []);
        assert_eq!(target.get("a/b").await.expect("reads"), None);
        target.put("a/b", b"one".to_vec()).await.expect("writes");
        target.put("a/c/d", b"more".to_vec()).await.expect("writes");
        assert_eq!(target.get("a/b").await.expect("reads"), Some(b"one".to_vec()));
        let paths = |files: Vec<StoredFile>| files.into_iter().map(|file| (file.path, file.len)).collect::<Vec<_>>();
        assert_eq!(paths(target.list("").await.expect("lists")), [("a/b".to_owned(), 3), ("a/c/d".to_owned(), 4)]);
        assert_eq!(paths(target.list("a/c").await.expect("lists")), [("a/c/d".to_owned(), 4)]);
        target.delete("a/c/d").await.expect("removes");
        target.delete("a/c/d").await.expect("is gone");
        assert!(!folder.path().join("new/backups/a/c").exists(), "empty folders are removed");
        assert!(folder.path().join("new/backups/a").exists());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn removed_folders_are_no_obstacle_to_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let location = BackupLocation::Folder(folder.path().join("backups"));
        let target = std::sync::Arc::new(BackupTarget::open(&location, FileMode::PRIVATE).expect("opens"));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..4 {
            let target = std::sync::Arc::clone(&target);
            tasks.spawn(async move {
                let path = format!("running/{number}");
                for _ in 0..200 {
                    target.put(&path, Vec::new()).await.expect("writes");
                    target.delete(&path).await.expect("removes");
                }
            });
        }
        tasks.join_all().await;
    }
}
