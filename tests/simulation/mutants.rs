//! Broken builds: what the simulation has to find out, or it would find nothing.

use plan::ViewChange;
use runtime::hub::{RenderRows, Text};

use super::rows;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Nothing.
    None,
    /// The store says Ok without having synced.
    NoSync,
    /// The store says Ok, and writes afterwards: what is shown is not durable yet.
    PublishBeforeAppend,
    /// A sync message that was generated does not go out.
    DroppedMessage,
    /// Of several rows that change, watchers are told of all but the last.
    RowsOffByOne,
}

impl Mutant {
    /// All but `None`.
    pub const BROKEN: [Self; 4] = [Self::NoSync, Self::PublishBeforeAppend, Self::DroppedMessage, Self::RowsOffByOne];

    /// How rows are told.
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
