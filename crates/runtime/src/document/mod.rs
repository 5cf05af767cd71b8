//! A plan in memory: the sync engine, and the projections that are kept up to date with the changes it publishes.
//!
//! | part | holds |
//! |---|---|
//! | [`Document::engine`] | the Automerge document and its peers |
//! | [`View`] | all positions, for readers; made when the first of them comes |
//! | [`History`] | what changed when; made when it is first asked for |

mod plan_schema;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};

use automerge::{ActorId, Automerge, Change, ChangeHash};
use plan::history::{History, Page, PageError, Query};
use plan::{Past, Renderings, SharedCopy, SharedView, View, ViewChange, position};
pub use plan_schema::{AuthoredEdit, PlanSchema};
use primitives::DocumentId;
use sync_engine::{
    Authors, Delivery, Engine, LoadError, MessageLimits, MustReload, PeerKey, Provenance, load_log,
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
    /// Made when somebody looks, and kept current from then on.
    view: Option<SharedView>,
    /// Made when it is asked for, and kept current from then on.
    history: Option<Box<History>>,
    copy: SharedCopy,
    renderings: Renderings,
}

/// What is to be sent after a batch.
#[derive(Debug, Default)]
pub struct Published {
    /// Sync messages. They must be delivered.
    pub deliveries: Vec<Delivery>,
    /// What changed in the view. Empty if there is none.
    pub view: ViewChange,
    /// Whether the document changed at all.
    pub changed: bool,
}

/// A page of the history, and who brought its changes in.
#[derive(Debug)]
pub struct AttributedPage {
    /// The page.
    pub page: Page,
    /// For each entry of the page: who brought the change in, if that is known.
    pub brought: Vec<Option<Provenance>>,
}

impl Document {
    /// Opens a document from its log; an empty log is a document that does not exist yet.
    ///
    /// `actor` must be fresh: two documents that write under one actor make changes that exclude each other.
    ///
    /// # Errors
    /// When the bytes are not a chain of whole Automerge chunks.
    pub fn load(
        id: DocumentId,
        log: &[u8],
        actor: ActorId,
        renderings: Renderings,
        limits: MessageLimits,
    ) -> Result<Self, LoadError> {
        Ok(Self::of(id, load_log(log)?, actor, renderings, limits))
    }

    /// The same for a document that was read from its log already.
    #[must_use]
    pub fn of(id: DocumentId, doc: Automerge, actor: ActorId, renderings: Renderings, limits: MessageLimits) -> Self {
        let engine = Engine::new(doc, actor, PlanSchema::new(id), limits);
        Self { engine, view: None, history: None, copy: SharedCopy::default(), renderings }
    }

    /// The id that a document carries, if it carries a valid one.
    #[must_use]
    pub fn carried_id(doc: &Automerge) -> Option<DocumentId> {
        position::read_document_id(doc).and_then(|text| text.parse().ok())
    }

    /// The document's id.
    #[must_use]
    pub fn id(&self) -> &DocumentId {
        self.engine.schema().id()
    }

    /// The view, for readers. It takes several times the document's own memory and is kept current at every edit, so it is made
    /// only once somebody has asked for it. What is in memory must be what was published.
    pub fn view(&mut self) -> SharedView {
        debug_assert!(self.view.is_some() || self.is_published(), "what is not durable yet must not be shown");
        let Self { view, engine, renderings, .. } = self;
        Arc::clone(view.get_or_insert_with(|| Arc::new(RwLock::new(View::new(engine.automerge(), *renderings)))))
    }

    /// The view, if there is one.
    #[must_use]
    pub fn shown(&self) -> Option<&SharedView> {
        self.view.as_ref()
    }

    /// Drops the view. Readers that still have it see what it showed last.
    pub fn hide(&mut self) {
        self.view = None;
    }

    /// The document at these heads; `None` if it has never had them. What is in memory must be what was published.
    pub fn past(&mut self, heads: Vec<ChangeHash>) -> Option<Past> {
        debug_assert!(self.is_published(), "what is not durable yet must not be shown");
        self.copy.at(self.engine.automerge(), heads)
    }

    /// A copy, for [`History::of`]. What is in memory must be what was published.
    pub fn copy(&mut self) -> Arc<Automerge> {
        debug_assert!(self.is_published(), "what is not durable yet must not be shown");
        let doc = self.engine.automerge();
        self.copy.with(doc, &doc.get_heads()).unwrap_or_else(|| Arc::new(doc.clone()))
    }

    /// Keeps a history of this document, which was made from a copy of it, and brings it up to date. What is in memory must be
    /// what was published. Returns whether it is a history of this document.
    pub fn keep_history(&mut self, history: Box<History>) -> bool {
        debug_assert!(self.is_published(), "what is not durable yet must not be shown");
        let (doc, heads) = (self.engine.automerge(), history.heads());
        if !heads.iter().all(|head| doc.get_change_meta_by_hash(head).is_some()) {
            return false;
        }
        self.history = Some(history);
        if heads != doc.get_heads() {
            self.note_history(&doc.get_changes(&heads));
        }
        self.history.is_some()
    }

    /// The history, if there is one.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        self.history.as_deref()
    }

    /// A page of the history; `None` if there is no history at the moment.
    #[must_use]
    pub fn history_page(&self, query: &Query) -> Option<Result<AttributedPage, PageError>> {
        let history = self.history.as_ref()?;
        let page = catch_unwind(AssertUnwindSafe(|| history.page(self.engine.automerge(), query)));
        Some(page.unwrap_or(Err(PageError::Failed)).map(|page| {
            let brought = page.entries.iter().map(|entry| self.engine.authors().of(&entry.hash)).collect();
            AttributedPage { page, brought }
        }))
    }

    /// Drops the history.
    pub fn forget_history(&mut self) {
        self.history = None;
    }

    /// Adds what was published. A history that cannot be kept current is dropped: it is made again when somebody asks.
    fn note_history(&mut self, changes: &[Change]) {
        let Some(mut history) = self.history.take() else { return };
        let added = catch_unwind(AssertUnwindSafe(|| history.add(self.engine.automerge(), changes)));
        match added {
            Ok(Ok(())) => self.history = Some(history),
            Ok(Err(error)) => tracing::error!(document = %self.id(), %error, "the history is dropped"),
            Err(_) => tracing::error!(document = %self.id(), "the history is dropped: the library failed on a change"),
        }
    }

    /// Publishes a batch that is durable: generates what is due to peers that are `ready` (see [`Engine::publish`]), and brings the
    /// projections up to date.
    pub fn publish(&mut self, applied: &mut Applied, ready: impl FnMut(PeerKey) -> bool) -> Published {
        // If generating messages fails, the view has not moved on, and what it lacks is told after the reload.
        let sync_engine::Published { deliveries, changes } = self.engine.publish(applied, ready);
        let changed = !changes.is_empty();
        let view = match &self.view {
            Some(view) if changed => View::update(view, self.engine.automerge(), &changes),
            _ => ViewChange::default(),
        };
        self.note_history(&changes);
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

    /// Drops what is in memory and reads what is durable: see [`Engine::reload`]. The view never showed more than what is durable,
    /// but may have shown less: what it shows now and did not before is returned.
    ///
    /// # Errors
    /// When the log cannot be read; the document must not be used then.
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
mod authors_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod lost_tests;
#[cfg(test)]
mod tests;
