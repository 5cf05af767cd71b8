//! [`SqlStore`] as a [`Store`].

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use futures_util::stream::BoxStream;
use primitives::DocumentId;

use super::SqlStore;
use super::document::StoredDocument;
use super::engine::{Engine, NewsMode};
use crate::position::{AccessChanged, After, Appended, Batch, Control, News, Position};
use crate::{Health, Lengths, Loaded, PeerRecord, Store, StoreError, StoredAccess};

impl<E: Engine> Store for SqlStore<E> {
    fn load(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        let id = id.clone();
        async move {
            let stored = SqlStore::load(self, &id).await?;
            Ok(stored.map(|StoredDocument { bytes, snapshot_len, position, authors }| Loaded {
                bytes,
                authors,
                document: None,
                snapshot_len,
                repair: None,
                position,
            }))
        }
        .boxed()
    }

    fn raw(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let id = id.clone();
        async move { Ok(SqlStore::raw(self, &id).await?) }.boxed()
    }

    fn append(&self, id: &DocumentId, after: Position, batch: Batch) -> BoxFuture<'_, Result<Appended, StoreError>> {
        let id = id.clone();
        async move { Ok(SqlStore::append(self, &id, after, batch).await?) }.boxed()
    }

    fn after(&self, id: &DocumentId, at: Position) -> BoxFuture<'_, Result<After, StoreError>> {
        let id = id.clone();
        async move { Ok(SqlStore::after(self, &id, at).await?) }.boxed()
    }

    fn positions(&self, ids: Vec<DocumentId>) -> BoxFuture<'_, Result<Vec<(DocumentId, Position)>, StoreError>> {
        async move { Ok(SqlStore::positions(self, &ids).await?) }.boxed()
    }

    fn compact(&self, id: &DocumentId, at: Position, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move { Ok(SqlStore::compact(self, &id, at, snapshot).await?) }.boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DocumentId>, StoreError>> {
        async move { Ok(SqlStore::list(self).await?) }.boxed()
    }

    fn close(&self, id: &DocumentId) -> BoxFuture<'_, ()> {
        SqlStore::close(self, id);
        ready(()).boxed()
    }

    fn recover(&self, id: &DocumentId, full_copy: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        let id = id.clone();
        async move { Ok(SqlStore::recover(self, &id, full_copy).await?.1) }.boxed()
    }

    fn load_peers(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<PeerRecord>, StoreError>> {
        let id = id.clone();
        async move { Ok(SqlStore::load_peers(self, &id).await?) }.boxed()
    }

    fn save_peers(&self, id: &DocumentId, records: Vec<PeerRecord>) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move { Ok(SqlStore::save_peers(self, &id, records).await?) }.boxed()
    }

    fn load_authors(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        let id = id.clone();
        async move { Ok(SqlStore::load_authors(self, &id).await?) }.boxed()
    }

    fn load_access(&self) -> BoxFuture<'_, Result<Vec<StoredAccess>, StoreError>> {
        async move {
            let records = SqlStore::load_access(self).await?;
            Ok(records
                .into_iter()
                .map(|(document, version, record)| StoredAccess { document, version, record })
                .collect())
        }
        .boxed()
    }

    fn load_access_of(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<StoredAccess>, StoreError>> {
        let document = id.clone();
        async move {
            let stored = SqlStore::load_access_of(self, &document).await?;
            Ok(stored.map(|(version, record)| StoredAccess { document, version, record }))
        }
        .boxed()
    }

    fn change_access(
        &self,
        id: &DocumentId,
        expected: u64,
        record: Vec<u8>,
    ) -> BoxFuture<'_, Result<AccessChanged, StoreError>> {
        let id = id.clone();
        async move { Ok(SqlStore::change_access(self, &id, expected, record).await?) }.boxed()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_polling(&self) -> bool {
        SqlStore::news_mode(self) == NewsMode::Polling
    }

    fn control_since(&self, revision: u64) -> BoxFuture<'_, Result<(u64, Vec<Control>), StoreError>> {
        async move { Ok(SqlStore::control_since(self, revision).await?) }.boxed()
    }

    fn news(&self) -> Option<BoxStream<'static, News>> {
        Some(SqlStore::news(self))
    }

    fn tell(&self, message: Vec<u8>) {
        SqlStore::tell(self, News::Ephemeral(message));
    }

    fn remove(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), StoreError>> {
        let id = id.clone();
        async move { Ok(SqlStore::remove(self, &id).await?) }.boxed()
    }

    fn health(&self) -> Health {
        SqlStore::health(self)
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { Ok(SqlStore::probe(self).await?) }.boxed()
    }
}
