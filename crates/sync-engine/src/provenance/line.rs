//! The lines of an authors file.

use std::str::FromStr;
use std::sync::Arc;

use automerge::{ActorId, ChangeHash};
use primitives::strict_json;
use serde::{Deserialize, Serialize};

use super::{Attribution, Authors, Contributor, Origin, Provenance, Surface};

/// A line: changes of one origin.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    /// Who contributed the changes first, here or in another document of the family. Absent if that is unknown; then `surface` and
    /// `time` are absent as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    surface: Option<Surface>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<i64>,
    changes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    actors: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    server_actors: Vec<String>,
    /// Who merged the changes from another document of the family, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merged_by: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merged_at: Option<i64>,
}

impl Line {
    /// `time_ms`: when the changes arrived in this document.
    fn of(attribution: &Attribution, time_ms: i64) -> Self {
        let Attribution { origin, changes, actors, server_actors } = attribution;
        let (original, merged_by) = match origin {
            Origin::Contributed(Contributor { user, surface }) => (Some((user, *surface, time_ms)), None),
            Origin::Copied { original, merged_by } => {
                (original.as_ref().map(|by| (&by.user, by.surface, by.time_ms)), merged_by.clone())
            }
            Origin::Unknown => (None, None),
        };
        Self {
            user: original.map(|(user, ..)| Arc::clone(user)),
            surface: original.map(|(_, surface, _)| surface),
            time: original.map(|(.., time)| time),
            changes: changes.iter().map(ChangeHash::to_string).collect(),
            actors: actors.iter().map(ActorId::to_hex_string).collect(),
            server_actors: server_actors.iter().map(ActorId::to_hex_string).collect(),
            merged_at: merged_by.is_some().then_some(time_ms),
            merged_by,
        }
    }

    fn parse(self) -> Option<(Attribution, i64)> {
        let Self { user, surface, time, changes, actors, server_actors, merged_by, merged_at } = self;
        let (origin, time) = match (user, surface, time) {
            (Some(user), Some(surface), Some(time)) if merged_by.is_none() => {
                (Origin::Contributed(Contributor { user, surface }), time)
            }
            (Some(user), Some(surface), Some(time_ms)) => {
                (Origin::Copied { original: Some(Provenance { user, surface, time_ms }), merged_by }, merged_at?)
            }
            (None, None, None) if merged_by.is_some() => (Origin::Copied { original: None, merged_by }, merged_at?),
            (None, None, None) => (Origin::Unknown, 0),
            _ => return None,
        };
        let attribution = Attribution {
            origin,
            changes: changes.iter().map(|hash| ChangeHash::from_str(hash).ok()).collect::<Option<_>>()?,
            actors: parse_actors(&actors)?,
            server_actors: parse_actors(&server_actors)?,
        };
        Some((attribution, time))
    }
}

fn parse_actors(actors: &[String]) -> Option<Vec<ActorId>> {
    actors.iter().map(|actor| ActorId::try_from(actor.as_str()).ok()).collect()
}

/// Encodes attributions as lines of the authors file.
pub(crate) fn lines(attributions: &[Attribution], time_ms: i64) -> Vec<u8> {
    let mut lines = Vec::new();
    for attribution in attributions {
        // Writing strings and numbers to a vector cannot fail.
        let _ = serde_json::to_writer(&mut lines, &Line::of(attribution, time_ms));
        lines.push(b'\n');
    }
    lines
}

impl Authors {
    /// Records the attributions of further lines. Returns the number of lines that do not parse, which are skipped.
    pub fn append_lines(&mut self, lines: &[u8]) -> usize {
        self.append_lines_with(lines, |_| {})
    }

    /// The same. Calls `first_here` with the actors that the lines bind because of changes that arrived in their document first.
    pub fn append_lines_with(&mut self, lines: &[u8], mut first_here: impl FnMut(&ActorId)) -> usize {
        let mut unreadable = 0;
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match strict_json::from_slice::<Line>(line).ok().and_then(Line::parse) {
                Some((attribution, time_ms)) => {
                    let Attribution { origin, actors, server_actors, .. } = &attribution;
                    if origin.is_first_here() {
                        actors.iter().chain(server_actors).for_each(&mut first_here);
                    }
                    self.record(&attribution, time_ms);
                }
                None => unreadable += 1,
            }
        }
        unreadable
    }
}
