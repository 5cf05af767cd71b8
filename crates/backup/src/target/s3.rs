//! Backups in a bucket of S3, or of a service that is compatible with it. The environment configures endpoint, region and
//! credentials by the usual variables (`AWS_ENDPOINT`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`).

use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ClientConfigKey, Error, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};

use super::StoredFile;

/// Files above this size, in bytes, are written in parts.
const IN_ONE_PART: usize = 16 << 20;
/// Parts that are sent at the same time.
const PARTS_AT_ONCE: usize = 4;
/// Time limit of one request, whose body may be a large document over a slow connection.
const REQUEST_TIMEOUT: &str = "15m";

/// A bucket, or a path in it.
pub(super) struct Bucket {
    store: AmazonS3,
    prefix: String,
}

impl Bucket {
    pub(super) fn open(bucket: &str, prefix: &str) -> Result<Self, String> {
        let builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), REQUEST_TIMEOUT);
        let store = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { store, prefix: prefix.to_owned() })
    }

    pub(super) async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), String> {
        let at = self.path(path)?;
        if bytes.len() <= IN_ONE_PART {
            let stored = self.store.put(&at, PutPayload::from(bytes)).await;
            return stored.map(drop).map_err(|error| error.to_string());
        }
        let upload = self.store.put_multipart(&at).await.map_err(|error| error.to_string())?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, IN_ONE_PART);
        for part in bytes.chunks(IN_ONE_PART) {
            writer.wait_for_capacity(PARTS_AT_ONCE).await.map_err(|error| error.to_string())?;
            writer.write(part);
        }
        // A failed upload leaves parts, which the bucket's lifecycle rules remove.
        writer.finish().await.map(drop).map_err(|error| error.to_string())
    }

    pub(super) async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        let found = match self.store.get(&self.path(path)?).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(|error| error.to_string())?,
        };
        found.bytes().await.map(|bytes| Some(bytes.into())).map_err(|error| error.to_string())
    }

    pub(super) async fn list(&self, below: &str) -> Result<Vec<StoredFile>, String> {
        let at = self.path(below)?;
        let objects: Vec<_> =
            self.store.list(Some(&at)).try_collect().await.map_err(|error: Error| error.to_string())?;
        let skipped = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let file = |object: object_store::ObjectMeta| {
            let path = object.location.as_ref().get(skipped..)?.to_owned();
            Some(StoredFile { path, len: object.size, written_at: object.last_modified.timestamp() })
        };
        Ok(objects.into_iter().filter_map(file).collect())
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), String> {
        match self.store.delete(&self.path(path)?).await {
            Err(Error::NotFound { .. }) => Ok(()),
            deleted => deleted.map_err(|error| error.to_string()),
        }
    }

    fn path(&self, path: &str) -> Result<Path, String> {
        let separator = if self.prefix.is_empty() || path.is_empty() { "" } else { "/" };
        Path::parse(format!("{}{separator}{path}", self.prefix)).map_err(|error| error.to_string())
    }
}
