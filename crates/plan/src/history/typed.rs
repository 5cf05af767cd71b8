//! [`Texts`]: the content of the texts that a change created and filled. Mostly every operation appends; other texts are read from the
//! document.

use super::ledger::Operation;
use super::op::{Action, Key, Op};
use super::write::{InternedTexts, NewValue};

/// The texts that a change has created, by number. Mostly a change types one after the other.
#[derive(Default)]
pub(super) struct Texts {
    states: Vec<State>,
    /// The text that is being typed.
    current: Option<u32>,
    /// What was typed of it so far.
    typed: String,
    /// The number of the operation that typed the last character.
    last: Option<u32>,
}

#[derive(Clone, Copy)]
enum State {
    Empty,
    Typing,
    Typed(NewValue),
    /// An operation did not append.
    Jumps,
}

impl Texts {
    /// Adds an empty text, and returns its number.
    pub(super) fn create(&mut self) -> u32 {
        self.states.push(State::Empty);
        u32::try_from(self.states.len() - 1).unwrap_or(u32::MAX)
    }

    /// Applies an operation of the actor `own` to a text.
    pub(super) fn take(&mut self, text: u32, own: u32, op: &Op<'_>, words: &mut InternedTexts) {
        if self.current != Some(text) {
            self.end(words);
            let Some(state) = self.states.get_mut(text as usize) else { return };
            if !matches!(state, State::Empty) {
                *state = State::Jumps;
                return;
            }
            *state = State::Typing;
            self.current = Some(text);
            self.typed.clear();
            self.last = None;
        }
        let follows = match op.key {
            Key::Head => self.last.is_none(),
            Key::Element(element) => self.last.is_some_and(|last| element == Some((last, own) as Operation)),
            Key::Map(_) => false,
        };
        match op.action {
            Action::Type { text, operations } if follows => {
                self.typed.push_str(text);
                self.last = Some(op.counter + (operations - 1));
            }
            _ => {
                self.states[text as usize] = State::Jumps;
                self.current = None;
            }
        }
    }

    /// The content of a text. `None` if it must be read from the document.
    pub(super) fn value(&mut self, text: u32, words: &mut InternedTexts) -> Option<NewValue> {
        self.end(words);
        match self.states.get(text as usize)? {
            State::Empty => Some(words.text("")),
            State::Typed(value) => Some(*value),
            State::Typing | State::Jumps => None,
        }
    }

    /// Keeps the text that was typed last.
    fn end(&mut self, words: &mut InternedTexts) {
        if let Some(current) = self.current.take() {
            self.states[current as usize] = State::Typed(words.text(&self.typed));
        }
    }
}
