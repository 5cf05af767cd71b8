//! A plan in memory: the sync engine, and the projections that follow its published changes.
//!
//! | part | holds |
//! |---|---|
//! | [`Document::engine`] | the Automerge document and its peers |
//! | [`View`] | all positions, for readers; created for the first reader |
//! | [`History`] | which change set what; built on the first request |

mod plan_schema;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};

use automerge::{ActorId, Automerge, Change, ChangeHash};
use plan::history::{Entry, FollowError, Following, History, Page, PageError, Query, Since};
use plan::{Past, Renderings, SharedCopy, SharedView, View, ViewChange, document_id};
pub use plan_schema::{AuthoredEdit, PlanSchema};
use primitives::DocumentId;
use sync_engine::{
    Authors, Delivery, Engine, LoadError, Merge, MessageLimits, MustReload, PeerKey, Provenance, load_log,
};

/// See [`sync_engine::Item`].
pub type Item = sync_engine::Item<PlanSchema>;
/// See [`sync_engine::Prepared`].
pub type Prepared = sync_engine::Prepared<PlanSchema>;
/// See [`sync_engine::Applied`].
pub type Applied = sync_engine::Applied<PlanSchema>;
/// See [`sync_engine::Outcome`].
pub type Outcome = sync_engine::Outcome<PlanSchema>;
/// See [`sync_engine::EditRefused`].
pub type EditRefused = sync_engine::EditRefused<plan::EditError>;

/// A plan in memory.
pub struct Document {
    /// The Automerge document and its peers.
    pub engine: Engine<PlanSchema>,
    /// Created for the first reader, and kept up to date.
    view: Option<SharedView>,
    /// Set by [`Document::set_history`], and kept up to date.
    history: Option<Box<History>>,
    copy: SharedCopy,
    renderings: Renderings,
}

/// The messages to send after a batch.
#[derive(Debug, Default)]
pub struct Published {
    /// Sync messages. They must be delivered: a lost one can stall a peer.
    pub deliveries: Vec<Delivery>,
    /// Changes of the view. Empty without a view.
    pub view: ViewChange,
    /// Whether the document has changed.
    pub changed: bool,
}

/// A page of the history, with the provenance of its changes.
#[derive(Debug)]
pub struct AttributedPage {
    /// The page.
    pub page: Page,
    /// For each entry, the user and surface that contributed the change, if known.
    pub provenance: Vec<Option<Provenance>>,
    /// For each entry, who merged the change from another document of the family, if it was merged.
    pub merges: Vec<Option<Merge>>,
}

/// A portion of the changes after known heads, with the provenance of its changes.
#[derive(Debug)]
pub struct AttributedFollowing {
    /// The portion.
    pub following: Following,
    /// As in [`AttributedPage`].
    pub provenance: Vec<Option<Provenance>>,
    /// As in [`AttributedPage`].
    pub merges: Vec<Option<Merge>>,
}

impl Document {
    /// Opens a document from its log. An empty log is a document that does not exist yet.
    ///
    /// `actor` must be new: changes of two documents under one actor exclude each other.
    ///
    /// # Errors
    /// When the bytes are not a chain of complete Automerge chunks.
    pub fn load(
        id: DocumentId,
        log: &[u8],
        actor: ActorId,
        renderings: Renderings,
        limits: MessageLimits,
    ) -> Result<Self, LoadError> {
        Ok(Self::from_automerge(id, load_log(log)?, actor, renderings, limits))
    }

    /// Opens a document that was already read from its log.
    #[must_use]
    pub fn from_automerge(
        id: DocumentId,
        doc: Automerge,
        actor: ActorId,
        renderings: Renderings,
        limits: MessageLimits,
    ) -> Self {
        let engine = Engine::new(doc, actor, PlanSchema::new(id), limits);
        Self { engine, view: None, history: None, copy: SharedCopy::default(), renderings }
    }

    /// The id in the document's content, if it contains a valid one.
    #[must_use]
    pub fn carried_id(doc: &Automerge) -> Option<DocumentId> {
        document_id::read_document_id(doc).and_then(|text| text.parse().ok())
    }

    /// The plan that the content names as its own, and the change that wrote this. Only changes that are published count for others:
    /// this is for a document that is being created.
    #[must_use]
    pub fn named_plan(&self) -> Option<(DocumentId, ChangeHash)> {
        document_id::read_named_document(self.engine.automerge())
    }

    /// Makes the document a scenario of a plan, or no scenario.
    pub fn set_plan(&mut self, plan: Option<DocumentId>) {
        self.engine.update_schema(|schema, doc| schema.set_plan(plan, doc));
    }

    /// The document's id.
    #[must_use]
    pub fn id(&self) -> &DocumentId {
        self.engine.schema().id()
    }

    /// The view, created if there is none. It takes several times the memory of the document, and every edit updates
    /// it, so it is created only for readers. Everything in memory must be published.
    pub fn view(&mut self) -> SharedView {
        debug_assert!(self.view.is_some() || self.is_published(), "readers must not see unpublished changes");
        let Self { view, engine, renderings, .. } = self;
        Arc::clone(view.get_or_insert_with(|| Arc::new(RwLock::new(View::new(engine.automerge(), *renderings)))))
    }

    /// Installs a view that was built from a copy of this document, and brings it up to date. `None` if it is the view of another
    /// document. Everything in memory must be published.
    pub fn set_view(&mut self, view: View) -> Option<SharedView> {
        debug_assert!(self.is_published(), "readers must not see unpublished changes");
        let doc = self.engine.automerge();
        let heads = view.heads().to_vec();
        if !heads.iter().all(|head| doc.get_change_meta_by_hash(head).is_some()) {
            return None;
        }
        let view = Arc::new(RwLock::new(view));
        if heads != doc.get_heads() {
            View::update(&view, doc, &doc.get_changes(&heads));
        }
        self.view = Some(Arc::clone(&view));
        Some(view)
    }

    /// The view, if there is one.
    #[must_use]
    pub fn existing_view(&self) -> Option<&SharedView> {
        self.view.as_ref()
    }

    /// Drops the view. Readers that hold it keep its last state.
    pub fn drop_view(&mut self) {
        self.view = None;
    }

    /// The document at these heads. `None` if it has never had them. Everything in memory must be published.
    pub fn past(&mut self, heads: Vec<ChangeHash>) -> Option<Past> {
        debug_assert!(self.is_published(), "readers must not see unpublished changes");
        self.copy.at(self.engine.automerge(), heads)
    }

    /// A copy, for [`History::of`]. Everything in memory must be published.
    pub fn copy(&mut self) -> Arc<Automerge> {
        debug_assert!(self.is_published(), "readers must not see unpublished changes");
        let doc = self.engine.automerge();
        self.copy.with(doc, &doc.get_heads()).unwrap_or_else(|| Arc::new(doc.clone()))
    }

    /// Installs a history that was built from a copy of this document, and brings it up to date. Returns false if it
    /// is the history of another document. Everything in memory must be published.
    pub fn set_history(&mut self, history: Box<History>) -> bool {
        debug_assert!(self.is_published(), "readers must not see unpublished changes");
        let (doc, heads) = (self.engine.automerge(), history.heads());
        if !heads.iter().all(|head| doc.get_change_meta_by_hash(head).is_some()) {
            return false;
        }
        self.history = Some(history);
        if heads != doc.get_heads() {
            self.extend_history(&doc.get_changes(&heads));
        }
        self.history.is_some()
    }

    /// The history, if there is one.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        self.history.as_deref()
    }

    /// A page of the history. `None` without a history.
    #[must_use]
    pub fn history_page(&self, query: &Query) -> Option<Result<AttributedPage, PageError>> {
        let history = self.history.as_ref()?;
        let page = catch_unwind(AssertUnwindSafe(|| history.page(self.engine.automerge(), query)));
        Some(page.unwrap_or(Err(PageError::Failed)).map(|page| {
            let (provenance, merges) = self.origins(&page.entries);
            AttributedPage { page, provenance, merges }
        }))
    }

    /// A portion of the changes after known heads. `None` without a history, unless there are no changes.
    #[must_use]
    pub fn following(&self, since: &Since) -> Option<Result<AttributedFollowing, FollowError>> {
        if since.until.is_none() && since.heads == self.engine.heads() {
            let following = Following { heads: since.heads.clone(), ..Following::default() };
            return Some(Ok(AttributedFollowing { following, provenance: Vec::new(), merges: Vec::new() }));
        }
        let history = self.history.as_ref()?;
        let following = catch_unwind(AssertUnwindSafe(|| history.following(self.engine.automerge(), since)));
        Some(following.unwrap_or(Err(FollowError::Failed)).map(|following| {
            let (provenance, merges) = self.origins(&following.entries);
            AttributedFollowing { following, provenance, merges }
        }))
    }

    /// For each change, who contributed it, and who merged it.
    fn origins(&self, entries: &[Entry]) -> (Vec<Option<Provenance>>, Vec<Option<Merge>>) {
        let authors = self.engine.authors();
        let provenance = entries.iter().map(|entry| authors.of(&entry.hash)).collect();
        let merges = entries.iter().map(|entry| authors.merge_of(&entry.hash)).collect();
        (provenance, merges)
    }

    /// Drops the history.
    pub fn drop_history(&mut self) {
        self.history = None;
    }

    /// Adds published changes. A history that cannot be updated is dropped, and rebuilt on the next request.
    fn extend_history(&mut self, changes: &[Change]) {
        let Some(mut history) = self.history.take() else { return };
        let added = catch_unwind(AssertUnwindSafe(|| history.add(self.engine.automerge(), changes)));
        match added {
            Ok(Ok(())) => self.history = Some(history),
            Ok(Err(error)) => tracing::error!(document = %self.id(), %error, "dropped the history"),
            Err(_) => {
                tracing::error!(document = %self.id(), "dropped the history: the Automerge library panicked on a change")
            }
        }
    }

    /// Publishes a durable batch: generates the messages for peers that are `ready` (see [`Engine::publish`]), and
    /// updates the projections.
    pub fn publish(&mut self, applied: &mut Applied, ready: impl FnMut(PeerKey) -> bool) -> Published {
        // If generating messages panics, the view is unchanged, and the reload returns what it lacks.
        let sync_engine::Published { deliveries, changes } = self.engine.publish(applied, ready);
        let changed = !changes.is_empty();
        let view = match &self.view {
            Some(view) if changed => View::update(view, self.engine.automerge(), &changes),
            _ => ViewChange::default(),
        };
        self.extend_history(&changes);
        Published { deliveries, view, changed }
    }

    /// Drops the changes that are not stored and reads the log again, without resetting the peers: see [`Engine::rewind`]. The
    /// projections stay as they are until the result is published.
    ///
    /// # Errors
    /// When the document must be reloaded instead.
    pub fn rewind(&mut self, log: &[u8], authors: Authors, actor: ActorId) -> Result<Applied, MustReload> {
        let rewound = self.engine.rewind(log, authors, actor)?;
        self.copy = SharedCopy::default();
        Ok(rewound)
    }

    /// Replaces the document in memory by the stored one: see [`Engine::reload`]. Returns the changes of the view,
    /// which may have lacked stored changes, but never showed more than what was stored.
    ///
    /// # Errors
    /// When the log cannot be read. The document must not be used then.
    pub fn reload(&mut self, log: &[u8], actor: ActorId) -> Result<ViewChange, LoadError> {
        self.engine.reload(log, actor)?;
        self.history = None;
        self.copy = SharedCopy::default();
        Ok(self.view.as_ref().map(|view| View::reload(view, self.engine.automerge())).unwrap_or_default())
    }

    fn is_published(&self) -> bool {
        !self.engine.has_unpublished()
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod lost_message_tests;
#[cfg(test)]
mod provenance_tests;
#[cfg(test)]
mod shared_map_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod view_tests;
