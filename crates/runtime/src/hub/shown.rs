//! Where a document's task leaves the view for readers, so that they need not ask the task for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plan::SharedView;

/// The view of one document, while there is one.
#[derive(Default)]
pub(super) struct Shown {
    view: Mutex<Option<SharedView>>,
    /// Somebody has read it since the task last asked.
    looked_at: AtomicBool,
}

impl Shown {
    pub(super) fn get(&self) -> Option<SharedView> {
        let view = self.lock().clone();
        if view.is_some() {
            self.looked_at.store(true, Ordering::Relaxed);
        }
        view
    }

    /// Whether somebody has read the view since this was last asked: the task is not woken for each reader.
    pub(super) fn was_looked_at(&self) -> bool {
        self.looked_at.swap(false, Ordering::Relaxed)
    }

    pub(super) fn set(&self, view: &SharedView) {
        *self.lock() = Some(Arc::clone(view));
    }

    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<SharedView>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
