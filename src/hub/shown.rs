//! Where a document's task leaves the view for readers, so that they need not ask the task for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::document::SharedView;

/// The view of one document, while there is one.
#[derive(Default)]
pub(super) struct Shown(Mutex<Option<SharedView>>);

impl Shown {
    pub(super) fn get(&self) -> Option<SharedView> {
        self.lock().clone()
    }

    pub(super) fn set(&self, view: &SharedView) {
        *self.lock() = Some(Arc::clone(view));
    }

    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<SharedView>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
