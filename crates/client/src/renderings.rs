//! A replica serves nobody: its rows are read as they are, and kept in no written form.

use plan::{Position, Renderings};

/// Rows are not rendered.
pub(super) const RENDERINGS: Renderings = Renderings { json: nothing, legacy: nothing, csv: nothing };

fn nothing(_: &Position, _: &mut Vec<u8>) {}
