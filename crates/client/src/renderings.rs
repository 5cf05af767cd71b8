//! A replica serves no clients, so its view keeps no rendered rows.

use plan::{Position, Renderings};

/// Renders nothing.
pub(super) const RENDERINGS: Renderings = Renderings { json: nothing, additional: nothing, csv: nothing };

fn nothing(_: &Position, _: &mut Vec<u8>) {}
