//! Counts messages of unknown types by their names, which clients choose. Bounded: a client could invent a name for each message.

use std::collections::HashMap;

use metrics::Counter;
use parking_lot::Mutex;

/// Most names that are counted apart. Further ones count as [`OTHER`].
const MAX_NAMES: usize = 20;
/// Longest name that is counted apart, in bytes.
const MAX_NAME: usize = 40;
/// Counts all other names.
const OTHER: &str = "other";

/// The counters by name.
#[derive(Default)]
pub(super) struct UnknownMessages(Mutex<HashMap<String, Counter>>);

impl UnknownMessages {
    /// Counts a message. `register` makes the counter of a new name.
    pub(super) fn record(&self, name: &str, register: impl FnOnce(&str) -> Counter) {
        let mut counters = self.0.lock();
        let is_name = !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(|byte| byte.is_ascii_graphic());
        let name = if is_name && (counters.contains_key(name) || counters.len() < MAX_NAMES) { name } else { OTHER };
        match counters.get(name) {
            Some(counter) => counter.increment(1),
            None => counters.entry(name.to_owned()).or_insert_with(|| register(name)).increment(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_in_number_and_form() {
        let counted = UnknownMessages::default();
        let record = |name: &str| counted.record(name, |_| Counter::noop());
        for number in 0..1_000 {
            record(&format!("type-{number}"));
        }
        for odd in ["", "with space", "line\nbreak", &"x".repeat(41), "naïve"] {
            record(odd);
        }
        record("type-3");
        let names = counted.0.lock();
        assert_eq!(names.len(), MAX_NAMES + 1);
        assert!(names.contains_key(OTHER) && names.contains_key("type-19") && !names.contains_key("type-20"));
    }
}
