//! The published view of a document, which readers get without a message to the document's task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use plan::SharedView;

/// The view that the task has published. Empty while the document has no view.
#[derive(Default)]
pub(super) struct PublishedView {
    view: Mutex<Option<SharedView>>,
    /// Set by readers, cleared by the task.
    was_read: AtomicBool,
}

impl PublishedView {
    /// Returns the view, and records the read.
    pub(super) fn get(&self) -> Option<SharedView> {
        let view = self.lock().clone();
        if view.is_some() {
            self.was_read.store(true, Ordering::Relaxed);
        }
        view
    }

    /// Whether a client has read the view since the last call. The task polls this, so that readers need not wake it.
    pub(super) fn take_was_read(&self) -> bool {
        self.was_read.swap(false, Ordering::Relaxed)
    }

    /// Publishes a view.
    pub(super) fn set(&self, view: &SharedView) {
        *self.lock() = Some(Arc::clone(view));
    }

    /// Withdraws the view.
    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<SharedView>> {
        self.view.lock()
    }
}
