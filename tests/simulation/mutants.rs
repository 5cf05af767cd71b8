//! Broken builds, which the simulation must detect.

use plan::ViewChange;
use runtime::hub::{RenderRows, Text};

use super::rows;

/// The defect of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// No defect.
    None,
    /// The store returns Ok without a sync.
    NoSync,
    /// The store returns Ok, and writes afterwards, so that published changes are not durable yet.
    PublishBeforeAppend,
    /// A generated sync message is not sent.
    DroppedMessage,
    /// Of several changed rows, watchers receive all but the last.
    RowsOffByOne,
}

impl Mutant {
    /// All defects.
    pub const BROKEN: [Self; 4] = [Self::NoSync, Self::PublishBeforeAppend, Self::DroppedMessage, Self::RowsOffByOne];

    /// Renders changed rows.
    pub fn rows(self) -> RenderRows {
        match self {
            Self::RowsOffByOne => all_but_the_last,
            _ => rows::tell,
        }
    }
}

fn all_but_the_last(change: &ViewChange) -> Vec<Text> {
    let mut lines = rows::tell(change);
    if lines.len() > 1 {
        lines.pop();
    }
    lines
}
