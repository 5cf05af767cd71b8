//! Detection of sync exchanges that make no progress.

use automerge::sync;

/// Repeated messages after which a peer's state is reset. A healthy exchange has some: several messages may be sent before the
/// first is answered, and then all answers are equal.
const MAX_REPEATS: u8 = 16;
/// Resets after which a peer that still repeats itself is not answered any more, until it sends something else, the document
/// changes, or [`Stall::retry`] is called.
const MAX_RESETS: u8 = 2;

/// How long the exchange with one peer has made no progress.
///
/// A lost message leaves both sides wrong about what the other has: each answers the other forever, as fast as the network
/// allows. The sync protocol has no remedy, because it presumes that no message is lost.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stall {
    /// Consecutive messages that repeated the one before and left the exchange unfinished.
    repeats: u8,
    /// Resets of the peer's state since its last message with new content.
    resets: u8,
}

impl Stall {
    /// Records a message that moved the peer's state from `before` to `after`.
    pub(super) fn record(&mut self, before: &sync::State, after: &sync::State) {
        let is_repeat = before.their_heads == after.their_heads && before.their_need == after.their_need;
        let is_in_sync = after.their_heads.as_ref() == Some(&after.last_sent_heads)
            && after.their_need.as_ref().is_some_and(Vec::is_empty);
        if !is_repeat && before.their_heads.is_some() {
            *self = Self::default();
        } else if is_repeat && !is_in_sync {
            self.repeats = self.repeats.saturating_add(1);
        } else {
            self.repeats = 0;
        }
    }

    /// Whether the exchange makes no progress, so that the peer's state needs a reset.
    pub(super) fn needs_reset(&self) -> bool {
        self.repeats >= MAX_REPEATS
    }

    /// Counts one more reset. Returns false if the peer is given up instead.
    pub(super) fn try_reset(&mut self) -> bool {
        self.resets = self.resets.saturating_add(1);
        if self.is_given_up() {
            return false;
        }
        self.repeats = 0;
        true
    }

    /// Whether the peer is not answered any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.resets > MAX_RESETS
    }

    /// Allows one more reset, and the messages that follow it.
    pub(super) fn retry(&mut self) {
        *self = Self { repeats: MAX_REPEATS, resets: MAX_RESETS - 1 };
    }

    /// The document has changed: resets are allowed again.
    pub(super) fn document_changed(&mut self) {
        self.resets = 0;
    }
}
